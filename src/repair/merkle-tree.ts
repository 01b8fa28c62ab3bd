/**
 * The Merkle tree of one partition: 1024 leaves of 64 bits, over them 32 nodes, over them the root. A leaf is the xor of
 * its keys' hashes, a node that of its leaves, the root that of all: so a write changes a tree without reading anything,
 * and taking a change back is making it again. (Merkle 1987; the incremental form as in Riak's tictac trees.)
 */

import type { Hash64 } from '#kernel/siphash.ts';

export const LEAVES = 1024;
export const NODES = 32;
export const LEAVES_OF_NODE: number = LEAVES / NODES;
export const HASH_BYTES = 8;
export const TREE_BYTES: number = LEAVES * HASH_BYTES;

/** The leaf of a key: the top ten bits of its hash. */
export function leafOf(keyHash: Hash64): number {
  return keyHash.high >>> 22;
}

export class MerkleTree {
  /** Two halves a leaf, the high one first. */
  readonly #halves = new Uint32Array(LEAVES * 2);
  #rootHigh = 0;
  #rootLow = 0;

  static fromBytes(bytes: Uint8Array): MerkleTree {
    const tree = new MerkleTree();
    const view = new DataView(bytes.buffer, bytes.byteOffset, TREE_BYTES);
    for (let leaf = 0; leaf < LEAVES; leaf++) {
      tree.change(leaf, view.getUint32(leaf * HASH_BYTES), view.getUint32(leaf * HASH_BYTES + 4));
    }
    return tree;
  }

  /** Adds a key's hash to the leaf, or takes it away. */
  change(leaf: number, high: number, low: number): void {
    this.#halves[leaf * 2]! ^= high;
    this.#halves[leaf * 2 + 1]! ^= low;
    this.#rootHigh ^= high;
    this.#rootLow ^= low;
  }

  root(): Hash64 {
    return { high: this.#rootHigh >>> 0, low: this.#rootLow >>> 0 };
  }

  leaf(leaf: number): Hash64 {
    return { high: this.#halves[leaf * 2]!, low: this.#halves[leaf * 2 + 1]! };
  }

  /** Whether no key is in the leaf. */
  isEmpty(leaf: number): boolean {
    return this.#halves[leaf * 2] === 0 && this.#halves[leaf * 2 + 1] === 0;
  }

  /** All nodes, eight bytes each. */
  nodeBytes(): Uint8Array {
    const bytes = new Uint8Array(NODES * HASH_BYTES);
    const view = new DataView(bytes.buffer);
    for (let node = 0; node < NODES; node++) {
      let high = 0;
      let low = 0;
      for (let leaf = node * LEAVES_OF_NODE; leaf < (node + 1) * LEAVES_OF_NODE; leaf++) {
        high ^= this.#halves[leaf * 2]!;
        low ^= this.#halves[leaf * 2 + 1]!;
      }
      view.setUint32(node * HASH_BYTES, high);
      view.setUint32(node * HASH_BYTES + 4, low);
    }
    return bytes;
  }

  /** The leaves of one node, eight bytes each. */
  leafBytes(node: number): Uint8Array {
    return this.#bytesOf(node * LEAVES_OF_NODE, LEAVES_OF_NODE);
  }

  toBytes(): Uint8Array {
    return this.#bytesOf(0, LEAVES);
  }

  #bytesOf(first: number, count: number): Uint8Array {
    const bytes = new Uint8Array(count * HASH_BYTES);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < count; i++) {
      view.setUint32(i * HASH_BYTES, this.#halves[(first + i) * 2]!);
      view.setUint32(i * HASH_BYTES + 4, this.#halves[(first + i) * 2 + 1]!);
    }
    return bytes;
  }
}

/** The places in which two lists of hashes differ; both have the same length. */
export function differences(a: Uint8Array, b: Uint8Array): readonly number[] {
  const places: number[] = [];
  for (let place = 0; place * HASH_BYTES < a.length; place++) {
    for (let i = place * HASH_BYTES; i < (place + 1) * HASH_BYTES; i++) {
      if (a[i] === b[i]) continue;
      places.push(place);
      break;
    }
  }
  return places;
}

/** The leaves as few ranges as they make; empty ones in between do no harm. Both ends sorted, the second exclusive. */
export function rangesOf(leaves: readonly number[], isEmpty: (leaf: number) => boolean): readonly [number, number][] {
  const ranges: [number, number][] = [];
  for (const leaf of leaves) {
    const last = ranges.at(-1);
    let end = last?.[1] ?? LEAVES;
    while (end < leaf && isEmpty(end)) end++;
    if (last !== undefined && end >= leaf) last[1] = leaf + 1;
    else ranges.push([leaf, leaf + 1]);
  }
  return ranges;
}
