/**
 * What this node can say of its trees: to itself, and to the others that compare theirs with them.
 */

import { timeOf } from '#causality/hybrid-clock.ts';
import { highestCounter } from '#causality/vector.ts';
import { concatBytes } from '#kernel/bytes.ts';
import type { Epoch, NodeId, NodeIndex } from '#kernel/identity.ts';
import type { Hash64 } from '#kernel/siphash.ts';
import { CORRUPT_ROW } from '#replica/records.ts';
import { REFILLING } from '#replica/refusals.ts';
import type { Replica } from '#replica/replica.ts';
import { BEHIND, NOT_OWNER, STALE, type Knowledge } from '#replica/scope.ts';
import { recordName } from '#replica/tables.ts';
import { hasPlacement, ownersOf } from '#ring/preference-list.ts';
import { keepersOf, writersOf } from '#ring/moving.ts';
import { presentMember } from '#ring/present-member.ts';
import type { Ring } from '#ring/ring.ts';
import { Refusal } from '#wire/message.ts';
import type { Clock, Disk } from '#world/world.ts';
import {
  ENTRIES_MAX,
  GROUP_SIZE,
  hashesToBytes,
  hashToBytes,
  NO_TREES,
  ROWS_MAX,
  type Basis,
  type KeysReply,
  type KeysRequest,
  type PullReply,
  type PullRequest,
  type RowOnTheWire,
  type RowsReply,
  type RowsRequest,
} from './exchange-messages.ts';
import { retriesOf } from './retries-of.ts';
import { leafOf, rangesOf } from './merkle-tree.ts';
import type { Pace } from './pace.ts';
import { lastWith, type TreeEntry, type TreePlace } from './tree-tables.ts';
import type { LeafRow, LeafRows } from './tree-index.ts';
import type { MerkleTrees } from './trees.ts';

/** Rows that are read in one go. */
const PAGE_ROWS = 128;
/** What reading a page costs, as bytes to the pace of repair. */
const PAGE_COST_BYTES = 16 * 1024;
/** Bytes of states in one message, unless a single one is larger. */
export const PAGE_BYTES: number = 1024 * 1024;
/** The same of rows that nobody has listed: whoever has nothing asks for page after page, and clients come in between. */
const ROWS_PAGE_BYTES = 256 * 1024;

export interface TreeSourceOptions {
  readonly world: { readonly clock: Clock; readonly disk: Disk };
  readonly trees: MerkleTrees;
  readonly knowledge: Knowledge;
  readonly replica: Pick<Replica, 'record' | 'damaged' | 'retries'>;
  readonly pace: Pace;
}

export class TreeSource {
  readonly #options: TreeSourceOptions;
  #sharedFor: { readonly ring: Ring; readonly byPeer: Map<NodeIndex, readonly TreePlace[]> } | undefined;

  constructor(options: TreeSourceOptions) {
    this.#options = options;
  }

  basis(): Basis {
    const { trees, knowledge } = this.#options;
    return { fingerprint: trees.hash.fingerprint, epoch: knowledge.epoch() };
  }

  /** Of one partition: the epoch is that in which its owners last changed, and others may come and go meanwhile. */
  basisOf(place: TreePlace): Basis {
    return { fingerprint: this.#options.trees.hash.fingerprint, epoch: this.#changedIn(place) };
  }

  /** Throws {@link Refusal} unless the other's hashes can be compared with this node's. */
  check(basis: Basis): void {
    this.#checkEpoch(basis, this.#options.knowledge.epoch());
  }

  /** The same for the trees of one partition. */
  checkPlace(basis: Basis, place: TreePlace): void {
    this.#checkEpoch(basis, this.#changedIn(place));
  }

  #changedIn({ n, partition }: TreePlace): Epoch {
    const { knowledge } = this.#options;
    const ring = knowledge.ring();
    return hasPlacement(ring, n) ? ownersOf(ring, n, partition).changedIn : knowledge.epoch();
  }

  #checkEpoch({ fingerprint, epoch }: Basis, here: Epoch): void {
    const { trees, knowledge } = this.#options;
    const known = knowledge.epoch();
    if (!trees.ready()) throw new Refusal(NO_TREES, 'the trees of this node are being built');
    if (fingerprint !== trees.hash.fingerprint) throw new Refusal(NO_TREES, 'the trees of this node use another hash');
    if (epoch > here)
      throw new Refusal(BEHIND, `this node knows epoch ${known}, the comparison relies on ${epoch}`, known);
    if (epoch < here)
      throw new Refusal(STALE, `this node knows epoch ${known}, the comparison relies on ${epoch}`, known);
  }

  /** The partitions of which this node and the other one both have what there is, in the same order on both. */
  shared(peer: NodeId): readonly TreePlace[] {
    const { knowledge } = this.#options;
    const ring = knowledge.ring();
    if (this.#sharedFor?.ring !== ring) this.#sharedFor = { ring, byPeer: new Map() };
    const other = presentMember(ring, peer)?.index;
    if (other === undefined) return [];
    let places = this.#sharedFor.byPeer.get(other);
    if (places === undefined) {
      const self = knowledge.self();
      places = ring.placements.flatMap(({ n, partitions }) =>
        partitions.flatMap((entry, partition) => {
          // Whoever becomes an owner takes over what there is by itself: a comparison would bring it all a second time.
          const owners = entry.move?.stage === 'dual' ? entry.owners : writersOf(entry);
          return owners.includes(self) && owners.includes(other) ? [{ n, partition }] : [];
        }),
      );
      this.#sharedFor.byPeer.set(other, places);
    }
    return places;
  }

  /** The xor of the roots of each group of partitions. */
  groups(places: readonly TreePlace[]): readonly Hash64[] {
    const groups: Hash64[] = [];
    for (let first = 0; first < places.length; first += GROUP_SIZE) {
      groups.push(xor(places.slice(first, first + GROUP_SIZE).map((place) => this.#options.trees.root(place))));
    }
    return groups;
  }

  overall(groups: readonly Hash64[]): Uint8Array {
    return hashToBytes(xor(groups));
  }

  groupBytes(groups: readonly Hash64[]): Uint8Array {
    return hashesToBytes(groups);
  }

  roots(places: readonly TreePlace[]): Uint8Array {
    return hashesToBytes(places.map((place) => this.#options.trees.root(place)));
  }

  nodes(place: TreePlace, vouch: boolean): Uint8Array {
    this.#own(place);
    if (vouch) this.#vouch(place);
    return this.#options.trees.tree(place).nodeBytes();
  }

  leaves(place: TreePlace, nodes: readonly number[]): Uint8Array {
    this.#own(place);
    const tree = this.#options.trees.tree(place);
    return concatBytes(nodes.map((node) => tree.leafBytes(node)));
  }

  async keys(request: Omit<KeysRequest, 'basis'>): Promise<KeysReply> {
    const { place, leaves, after, bucket, settle, vouch = false } = request;
    this.#own(place);
    if (vouch) this.#vouch(place);
    const { world, trees, pace } = this.#options;
    const list = new KeyListWriter();
    for (const range of this.#ranges(place, leaves, after)) {
      let last: TreeEntry | undefined = behind(range, after);
      for (;;) {
        const page: LeafRows = trees.index.rows(world.disk, place, range, PAGE_ROWS, last);
        for (const row of page.rows) {
          if (row.state === undefined) this.#missing(place, row, vouch);
          else if (bucket === undefined || recordName(row.rowKey).bucket === bucket) this.#add(list, row, settle);
        }
        last = page.rows.at(-1);
        if (page.isLast) break;
        if (list.length >= ENTRIES_MAX - PAGE_ROWS) return list.reply(true);
        await pace.take(PAGE_COST_BYTES);
      }
      if (list.length >= ENTRIES_MAX - PAGE_ROWS && range[1] <= leaves.at(-1)!) return list.reply(true);
    }
    return list.reply(false);
  }

  /** The rows of some leaves, as many as fit into a page. */
  rows({ place, leaves, after, vouch = false }: Omit<RowsRequest, 'basis'>): RowsReply {
    this.#own(place);
    if (vouch) this.#vouch(place);
    const { world, trees, replica } = this.#options;
    const rows: RowOnTheWire[] = [];
    const anyRetries = replica.retries.any();
    let bytes = 0;
    for (const range of this.#ranges(place, leaves, after)) {
      const limit = PAGE_ROWS - rows.length;
      const entries = trees.index.entries(world.disk, place, range, limit, behind(range, after));
      for (const entry of entries) {
        const row = trees.index.row(world.disk, entry);
        if (row.encoded === undefined) this.#missing(place, row, vouch);
        else rows.push([row.rowKey, row.encoded, anyRetries ? retriesOf(replica, place, row.rowKey) : []]);
        bytes += row.encoded?.length ?? 0;
        if (bytes >= ROWS_PAGE_BYTES) return { rows, last: row.hash };
      }
      if (entries.length === limit) return { rows, last: entries.at(-1)!.hash };
    }
    return { rows, last: undefined };
  }

  /** The states of the wanted keys, as many as fit into a message. */
  pull({ place, hashes }: Pick<PullRequest, 'place' | 'hashes'>): PullReply {
    this.#own(place);
    const { disk } = this.#options.world;
    const rows: RowOnTheWire[] = [];
    let handled = 0;
    let bytes = 0;
    const view = new DataView(hashes.buffer, hashes.byteOffset);
    for (let at = 0; at < hashes.length && bytes < PAGE_BYTES && rows.length < ROWS_MAX; at += 8) {
      const hash = { high: view.getUint32(at), low: view.getUint32(at + 4) };
      for (const { rowKey, encoded } of this.#options.trees.index.rowsOf(disk, place, hash)) {
        if (encoded === undefined) continue;
        rows.push([rowKey, encoded, retriesOf(this.#options.replica, place, rowKey)]);
        bytes += rowKey.length + encoded.length;
      }
      handled += 1;
    }
    return { handled, rows };
  }

  /** What is still to be read of these leaves, as ranges. */
  #ranges(
    place: TreePlace,
    leaves: readonly number[],
    after: Hash64 | undefined,
  ): readonly (readonly [first: number, end: number])[] {
    const tree = this.#options.trees.tree(place);
    const left = after === undefined ? leaves : leaves.filter((leaf) => leaf >= leafOf(after));
    return rangesOf(left, (leaf) => tree.isEmpty(leaf));
  }

  #add(list: KeyListWriter, { hash, state }: LeafRow, settle: number): void {
    if (state === undefined) return;
    list.entry(hash, this.#options.trees.hash.stateHash(hash, state));
    // As far ahead of the clock it is not recent but wrong, and must not stay unrepaired for ever.
    const age = this.#options.world.clock.wall() - timeOf(highestCounter(state.vector));
    if (settle > 0 && Math.abs(age) < settle) list.recent(hash);
  }

  /** Throws {@link Refusal} when this node may have forgotten something of the partition. */
  #vouch({ n, partition }: TreePlace): void {
    const { knowledge, replica } = this.#options;
    if (knowledge.refilling()) throw new Refusal(REFILLING, 'this node is being filled itself');
    if (replica.damaged.list().some(({ place }) => place.n === n && place.partition === partition))
      throw new Refusal(CORRUPT_ROW, 'this node has not got a damaged row of the partition back yet');
  }

  /** A row of the index that cannot be read: reading it through the replica begins its mending, if it is there. */
  #missing({ n, partition }: TreePlace, { rowKey }: LeafRow, vouch: boolean): void {
    const { bucket, incarnation, key } = recordName(rowKey);
    try {
      this.#options.replica.record({ n, partition, bucket, incarnation }, key);
    } catch (error) {
      if (vouch || !(error instanceof Refusal)) throw error;
    }
  }

  #own({ n, partition }: TreePlace): void {
    const { knowledge } = this.#options;
    const keepers = keepersOf(ownersOf(knowledge.ring(), n, partition));
    if (!keepers.includes(knowledge.self()))
      throw new Refusal(NOT_OWNER, `not an owner of partition ${partition} for n=${n}`, knowledge.epoch());
  }
}

/** Where reading of the range goes on; undefined: at its beginning. */
function behind([first, end]: readonly [number, number], after: Hash64 | undefined): TreeEntry | undefined {
  const isInside = after !== undefined && leafOf(after) >= first && leafOf(after) < end;
  return isInside ? lastWith(after) : undefined;
}

class KeyListWriter {
  readonly #entries: Hash64[] = [];
  readonly #recent: Hash64[] = [];

  get length(): number {
    return this.#entries.length / 2;
  }

  entry(key: Hash64, state: Hash64): void {
    this.#entries.push(key, state);
  }

  recent(key: Hash64): void {
    this.#recent.push(key);
  }

  reply(more: boolean): KeysReply {
    return { entries: hashesToBytes(this.#entries), recent: hashesToBytes(this.#recent), more };
  }
}

function xor(hashes: readonly Hash64[]): Hash64 {
  let high = 0;
  let low = 0;
  for (const hash of hashes) {
    high ^= hash.high;
    low ^= hash.low;
  }
  return { high: high >>> 0, low: low >>> 0 };
}
