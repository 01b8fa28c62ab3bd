/**
 * The Merkle trees of all partitions that this node has rows of, kept in step with the rows: each change of a row changes
 * its leaf, in memory when the operation has succeeded, and on disk in the same transaction.
 *
 * On disk a group's changes are one row of a log, because writing the leaves themselves would touch one more page a write.
 * When the log has grown long the trees are written out, a few with each group, and the log is cut. So the trees on disk
 * with the log on top are exact after a crash too: they are built anew only when there are none yet for this version and
 * key of the hash, or when they are damaged (tree-rebuild.ts).
 */

import { compareBytes, EMPTY_BYTES, successor } from '#kernel/bytes.ts';
import type { Hash64 } from '#kernel/siphash.ts';
import { keyOfNumber, numberOfKey } from '#kernel/number-key.ts';
import type { State } from '#causality/state.ts';
import type { GroupTransaction } from '#replica/group-commit.ts';
import type { Place, RecordChange, RecordParticipant } from '#replica/records.ts';
import { recordKey, RECORDS } from '#replica/tables.ts';
import type { Counter, Digest, Disk, DiskReader, DiskTransaction, Log, Metrics } from '#world/world.ts';
import { leafOf, MerkleTree } from './merkle-tree.ts';
import { TreeHash } from './tree-hash.ts';
import { TreeIndex } from './tree-index.ts';
import {
  changesOfRow,
  countOfRow,
  isMark,
  logRow,
  MARK_KEY,
  markRow,
  placeOfKey,
  TREE_KEYS,
  TREE_LOG,
  treeKey,
  treeKeysKey,
  treeOfRow,
  treeRow,
  TREES,
  type LeafChange,
  type TreePlace,
} from './tree-tables.ts';

/** Changes in the log before the trees are written out: about a MiB. */
const LOG_CHANGES_MAX = 65_536;
/** Trees that are written with one group, and rows of the log that are dropped with one. */
const TREES_A_GROUP = 4;
const LOG_ROWS_A_GROUP = 64;
const PAGE_ROWS = 256;

export interface MerkleTreesOptions {
  readonly world: {
    readonly disk: Disk;
    readonly digest: Digest;
    readonly log: Log;
    readonly metrics: Metrics;
  };
  readonly secret: Uint8Array;
  /** For tests: {@link LOG_CHANGES_MAX} without it. */
  readonly logChangesMax?: number;
}

interface KeptTree {
  readonly place: TreePlace;
  readonly tree: MerkleTree;
  /** Whether the log holds changes of it that its row lacks. */
  dirty: boolean;
}

interface Checkpoint {
  /** The log may be cut up to here once all trees of the queue are written. */
  readonly upTo: number;
  readonly queue: KeptTree[];
}

export class MerkleTrees implements RecordParticipant {
  readonly hash: TreeHash;
  readonly index: TreeIndex;
  readonly #options: MerkleTreesOptions;
  readonly #drift: Counter;
  readonly #trees = new Map<number, KeptTree>();
  #sequence = 0;
  /** Changes that the log holds. */
  #logged = 0;
  #loggedBefore = 0;
  #changes: LeafChange[] = [];
  /** Leaves whose contents are to be taken from the rows, because a row was lost whose state nobody knows. */
  #unknown: { readonly place: TreePlace; readonly leaf: number; readonly expected: boolean }[] = [];
  #checkpoint: Checkpoint | undefined;
  #marked: 'yes' | 'in this group' | 'no' = 'no';
  /** While the trees are being built: the last row key that is in them. */
  #builtUpTo: Uint8Array | undefined;

  constructor(options: MerkleTreesOptions) {
    this.#options = options;
    this.hash = new TreeHash(options.world.digest, options.secret);
    this.index = new TreeIndex(this.hash, options.world.digest.crc32);
    const { disk, log, metrics } = options.world;
    if (this.#load(disk)) this.#marked = 'yes';
    else if (isUntouched(disk)) this.#clear();
    else {
      this.startAnew();
      log.warn('trees-incomplete', { detail: 'the Merkle trees are built from the rows' });
    }
    this.#drift = metrics.counter('quoral_tree_drift_total', 'Merkle leaves that did not fit their rows');
    metrics.gauge('quoral_tree_log_changes', 'Changes of Merkle leaves that the log on disk holds', () => this.#logged);
    metrics.gauge('quoral_trees_ready', 'Whether the Merkle trees cover all rows', () => (this.ready() ? 1 : 0));
  }

  /** Whether the trees cover all rows; until then nobody may compare with them. */
  ready(): boolean {
    return this.#builtUpTo === undefined;
  }

  /** The partitions of which this node has had rows. */
  places(): readonly TreePlace[] {
    return [...this.#trees.values()].map(({ place }) => place);
  }

  root(place: TreePlace): Hash64 {
    return this.#treeOf(place).tree.root();
  }

  tree(place: TreePlace): MerkleTree {
    return this.#treeOf(place).tree;
  }

  recordChanged(transaction: GroupTransaction, { place, rowKey, before, after }: RecordChange): void {
    if (this.#notBuiltYet(rowKey)) return;
    const keyHash = this.hash.keyHash(rowKey);
    const isNew = before.vector.length === 0;
    const isGone = after.vector.length === 0;
    if (isNew && !isGone) transaction.put(TREE_KEYS, treeKeysKey(place, keyHash, rowKey), EMPTY_BYTES);
    if (isGone && !isNew) transaction.delete(TREE_KEYS, treeKeysKey(place, keyHash, rowKey));
    let high = 0;
    let low = 0;
    if (!isNew) ({ high, low } = this.hash.stateHash(keyHash, before));
    if (!isGone) {
      const hash = this.hash.stateHash(keyHash, after);
      high ^= hash.high;
      low ^= hash.low;
    }
    const { n, partition } = place;
    transaction.afterwards(this.#change, { n, partition, leaf: leafOf(keyHash), high, low });
  }

  recordForgotten(transaction: GroupTransaction, place: Place, key: Uint8Array): void {
    const rowKey = recordKey(place.bucket, place.incarnation, key);
    if (this.#notBuiltYet(rowKey)) return;
    const keyHash = this.hash.keyHash(rowKey);
    transaction.delete(TREE_KEYS, treeKeysKey(place, keyHash, rowKey));
    transaction.afterwards(() => this.#unknown.push({ place, leaf: leafOf(keyHash), expected: true }));
  }

  groupBegins(): void {
    this.#changes = [];
    this.#unknown = [];
    this.#loggedBefore = this.#logged;
    if (this.#marked === 'in this group') this.#marked = 'yes';
  }

  groupEnds(transaction: DiskTransaction): void {
    for (const { place, leaf, expected } of this.#unknown) {
      if (this.#correct(transaction, place, leaf) && !expected) this.#drifted(place, leaf);
    }
    if (!this.ready()) return;
    if (this.#changes.length > 0) {
      this.#sequence += 1;
      this.#logged += this.#changes.length;
      transaction.put(TREE_LOG, keyOfNumber(this.#sequence), logRow(this.#changes, this.#options.world.digest.crc32));
    }
    if (this.#logged > (this.#options.logChangesMax ?? LOG_CHANGES_MAX)) this.#checkpoint ??= this.#beginCheckpoint();
    this.#stepCheckpoint(transaction);
    if (this.#marked === 'no' && this.#checkpoint === undefined) {
      transaction.put(TREES, MARK_KEY, markRow(this.hash.fingerprint));
      this.#marked = 'in this group';
    }
  }

  groupFailed(): void {
    for (const change of this.#changes) this.#treeOf(change).tree.change(change.leaf, change.high, change.low);
    this.#changes = [];
    this.#unknown = [];
    this.#logged = this.#loggedBefore;
    if (this.#marked === 'in this group') this.#marked = 'no';
    if (this.ready()) this.#writeAll();
  }

  /**
   * Takes the row into the index, if it is not there, and computes its leaf anew when the group has run: for whoever walks
   * over the rows to see whether the trees still fit them.
   */
  recheck(transaction: GroupTransaction, place: TreePlace, rowKey: Uint8Array): void {
    if (!this.ready()) return;
    const hash = this.hash.keyHash(rowKey);
    const isThere = transaction.get(RECORDS, rowKey) !== undefined;
    if (isThere) transaction.put(TREE_KEYS, treeKeysKey(place, hash, rowKey), EMPTY_BYTES);
    else transaction.delete(TREE_KEYS, treeKeysKey(place, hash, rowKey));
    transaction.afterwards(() => this.#unknown.push({ place, leaf: leafOf(hash), expected: false }));
  }

  /** Computes the leaf anew when the group has run. */
  recheckLeaf(transaction: GroupTransaction, place: TreePlace, leaf: number): void {
    if (this.ready()) transaction.afterwards(() => this.#unknown.push({ place, leaf, expected: false }));
  }

  // --- building, for tree-rebuild.ts ---------------------------------------------------------------------------------

  /** Forgets all trees; they are built row by row from now on. */
  startAnew(): void {
    this.#clear();
    this.#builtUpTo = EMPTY_BYTES;
  }

  /** Takes in the next row, in the order of row keys; `place` is undefined for a row that belongs to no tree. */
  build(
    transaction: DiskTransaction,
    rowKey: Uint8Array,
    place: TreePlace | undefined,
    state: State | undefined,
  ): void {
    this.#builtUpTo = rowKey;
    if (place === undefined || state === undefined) return;
    const hash = this.hash.keyHash(rowKey);
    transaction.put(TREE_KEYS, treeKeysKey(place, hash, rowKey), EMPTY_BYTES);
    const { high, low } = this.hash.stateHash(hash, state);
    this.#treeOf(place).tree.change(leafOf(hash), high, low);
  }

  /** All rows are in: from now on changes are logged, and all trees are to be written before the mark is. */
  built(): void {
    this.#builtUpTo = undefined;
    this.#writeAll();
  }

  /** Whether there is something left to write that does not wait for changes. */
  get writing(): boolean {
    return this.#checkpoint !== undefined || this.#marked === 'no';
  }

  // -------------------------------------------------------------------------------------------------------------------

  #notBuiltYet(rowKey: Uint8Array): boolean {
    return this.#builtUpTo !== undefined && compareBytes(rowKey, this.#builtUpTo) > 0;
  }

  readonly #change = (change: LeafChange): void => {
    this.#changes.push(change);
    const kept = this.#treeOf(change);
    kept.tree.change(change.leaf, change.high, change.low);
    kept.dirty = true;
  };

  #correct(reader: DiskReader, { n, partition }: TreePlace, leaf: number): boolean {
    const place = { n, partition };
    const is = this.#treeOf(place).tree.leaf(leaf);
    const should = this.index.leafHash(reader, place, leaf);
    if (is.high === should.high && is.low === should.low) return false;
    this.#change({ ...place, leaf, high: (is.high ^ should.high) >>> 0, low: (is.low ^ should.low) >>> 0 });
    return true;
  }

  #drifted({ n, partition }: TreePlace, leaf: number): void {
    this.#drift.add();
    this.#options.world.log.error('tree-drifted', { n, partition, leaf, detail: 'a leaf did not fit its rows' });
  }

  #treeOf({ n, partition }: TreePlace): KeptTree {
    const id = n * 65_536 + partition;
    let kept = this.#trees.get(id);
    if (kept === undefined) {
      kept = { place: { n, partition }, tree: new MerkleTree(), dirty: false };
      this.#trees.set(id, kept);
    }
    return kept;
  }

  /** What the disk holds of the trees is not known, or nothing: all are written before the log is cut or the mark put. */
  #writeAll(): void {
    for (const kept of this.#trees.values()) kept.dirty = true;
    this.#checkpoint = this.#beginCheckpoint();
  }

  #beginCheckpoint(): Checkpoint {
    return { upTo: this.#sequence, queue: [...this.#trees.values()].filter(({ dirty }) => dirty) };
  }

  #stepCheckpoint(transaction: DiskTransaction): void {
    const checkpoint = this.#checkpoint;
    if (checkpoint === undefined) return;
    const { crc32 } = this.#options.world.digest;
    for (const kept of checkpoint.queue.splice(0, TREES_A_GROUP)) {
      transaction.put(TREES, treeKey(kept.place), treeRow(kept.tree, this.hash.fingerprint, this.#sequence, crc32));
      kept.dirty = false;
    }
    if (checkpoint.queue.length > 0) return;
    const rows = transaction.range(TREE_LOG, { to: keyOfNumber(checkpoint.upTo + 1), limit: LOG_ROWS_A_GROUP });
    for (const [key, row] of rows) {
      transaction.delete(TREE_LOG, key);
      this.#logged -= countOfRow(row);
    }
    if (rows.length < LOG_ROWS_A_GROUP) this.#checkpoint = undefined;
  }

  #clear(): void {
    this.#trees.clear();
    this.#sequence = 0;
    this.#logged = 0;
    this.#changes = [];
    this.#checkpoint = undefined;
    this.#marked = 'no';
  }

  /** False when the disk has no whole trees of this hash. */
  #load(reader: DiskReader): boolean {
    const { crc32 } = this.#options.world.digest;
    if (!isMark(reader.get(TREES, MARK_KEY), this.hash.fingerprint)) return false;
    const asOf = new Map<KeptTree, number>();
    for (const [key, row] of pages(reader, TREES)) {
      if (key.length === 0) continue;
      const stored = treeOfRow(row, this.hash.fingerprint, crc32);
      if (stored === undefined) return false;
      const kept = { place: placeOfKey(key), tree: stored.tree, dirty: false };
      this.#trees.set(kept.place.n * 65_536 + kept.place.partition, kept);
      asOf.set(kept, stored.asOf);
      this.#sequence = Math.max(this.#sequence, stored.asOf);
    }
    for (const [key, row] of pages(reader, TREE_LOG)) {
      const sequence = numberOfKey(key);
      const changes = changesOfRow(row, crc32);
      if (changes === undefined) return false;
      this.#sequence = Math.max(this.#sequence, sequence);
      this.#logged += changes.length;
      for (const change of changes) {
        const kept = this.#treeOf(change);
        if (sequence <= (asOf.get(kept) ?? 0)) continue;
        kept.tree.change(change.leaf, change.high, change.low);
        kept.dirty = true;
      }
    }
    return true;
  }
}

/** Whether no row was ever written: then the trees are complete as they are, empty. */
function isUntouched(reader: DiskReader): boolean {
  return [RECORDS, TREE_KEYS, TREES, TREE_LOG].every((table) => reader.range(table, { limit: 1 }).length === 0);
}

function* pages(reader: DiskReader, table: string): Generator<readonly [Uint8Array, Uint8Array]> {
  let from: Uint8Array = EMPTY_BYTES;
  for (;;) {
    const rows = reader.range(table, { from, limit: PAGE_ROWS });
    yield* rows;
    const last = rows.at(-1);
    if (rows.length < PAGE_ROWS || last === undefined) return;
    from = successor(last[0]);
  }
}
