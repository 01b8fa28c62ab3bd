/**
 * What Merkle trees compare. A key's place in a tree is a hash of its row key, its contribution is a hash of that and of
 * what its state says about versions: the vector and the live dots. Value bytes and local times stay out, so two owners
 * that hold the same versions have the same hash, whenever each of them got them.
 *
 * Contributions are combined by xor, which anybody could aim at who could compute them; so both hashes are keyed by
 * something that follows from the cluster's secret. Whoever changes what is hashed changes {@link HASH_VERSION}.
 */

import type { State, VersionVector } from '#causality/state.ts';
import type { Dot } from '#causality/dot.ts';
import { utf8 } from '#kernel/bytes.ts';
import { sipHash64, sipKey, type Hash64, type SipKey } from '#kernel/siphash.ts';
import type { Digest } from '#world/world.ts';

export const HASH_VERSION = 1;

const KEY_HASH_BYTES = 8;
const DOT_BYTES = 20;
const COUNT_BYTES = 4;
const TWO_POW_32 = 2 ** 32;

export const NO_HASH: Hash64 = { high: 0, low: 0 };

export class TreeHash {
  readonly #key: SipKey;
  /** Four bytes that tell trees of other keys and versions apart. */
  readonly fingerprint: number;
  #bytes = new Uint8Array(KEY_HASH_BYTES + COUNT_BYTES + 8 * DOT_BYTES);
  #view = new DataView(this.#bytes.buffer);

  constructor(digest: Digest, secret: Uint8Array) {
    const derived = digest.hmacSha256(secret, utf8(`quoral merkle tree ${HASH_VERSION}`));
    this.#key = sipKey(derived.subarray(0, 16));
    this.fingerprint = new DataView(derived.buffer, derived.byteOffset).getUint32(16);
  }

  keyHash(rowKey: Uint8Array): Hash64 {
    return sipHash64(this.#key, rowKey);
  }

  /** Of a state that is not empty. */
  stateHash(keyHash: Hash64, { vector, versions }: State): Hash64 {
    this.#reserve(KEY_HASH_BYTES + COUNT_BYTES + (vector.length + versions.length) * DOT_BYTES);
    this.#view.setUint32(0, keyHash.high);
    this.#view.setUint32(4, keyHash.low);
    this.#view.setUint32(KEY_HASH_BYTES, vector.length);
    let at = this.#dots(vector, KEY_HASH_BYTES + COUNT_BYTES);
    for (const { dot } of versions) at = this.#dot(dot, at);
    return sipHash64(this.#key, this.#bytes, at);
  }

  #dots(dots: VersionVector, from: number): number {
    let at = from;
    for (const dot of dots) at = this.#dot(dot, at);
    return at;
  }

  #dot({ node, tenure, counter }: Dot, at: number): number {
    this.#view.setUint32(at, node);
    this.#view.setUint32(at + 4, Math.floor(tenure / TWO_POW_32));
    this.#view.setUint32(at + 8, tenure >>> 0);
    this.#view.setUint32(at + 12, Math.floor(counter / TWO_POW_32));
    this.#view.setUint32(at + 16, counter >>> 0);
    return at + DOT_BYTES;
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#bytes.length) return;
    this.#bytes = new Uint8Array(bytes);
    this.#view = new DataView(this.#bytes.buffer);
  }
}
