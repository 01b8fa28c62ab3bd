/**
 * Scrubbing: reads every row within a given time, tree by tree, and looks whether it fits its checksum and whether the
 * leaves fit their rows. What decays on a disk is often not read for months, and must be found while the others
 * still have it. A pass over the rows themselves follows the trees, to find those that the index lacks.
 */

import { CorruptState, decodeState } from '#causality/state-codec.ts';
import { EMPTY_BYTES } from '#kernel/bytes.ts';
import type { Place } from '#replica/records.ts';
import type { Replica } from '#replica/replica.ts';
import type { Knowledge } from '#replica/scope.ts';
import { recordName, RECORDS, type RecordName } from '#replica/tables.ts';
import { Refusal } from '#wire/message.ts';
import { bytesOf, readPage } from '#world/pages.ts';
import type { Clock, Disk, Log, Metrics, Timer } from '#world/world.ts';
import type { Digest } from '#world/world.ts';
import type { GroupTransaction } from '#replica/group-commit.ts';
import { differences, leafOf, LEAVES, MerkleTree } from './merkle-tree.ts';
import type { Pace } from './pace.ts';
import { TREE_KEYS, treeKeysKey, type TreePlace } from './tree-tables.ts';
import type { LeafRow, LeafRows } from './tree-index.ts';
import type { MerkleTrees } from './trees.ts';

export interface ScrubOptions {
  readonly world: {
    readonly clock: Clock;
    readonly disk: Disk;
    readonly log: Log;
    readonly metrics: Metrics;
    readonly digest: Digest;
  };
  readonly trees: MerkleTrees;
  readonly replica: Replica;
  readonly knowledge: Knowledge;
  readonly pace: Pace;
  readonly placeOf: (name: RecordName) => TreePlace | undefined;
  /** Milliseconds in which every row is read once. */
  readonly period: number;
}

export interface ScrubResult {
  readonly rows: number;
  readonly damaged: number;
}

const PAGE_ROWS = 64;
/** What a page costs beside the bytes of its rows. */
const PAGE_COST_BYTES = 1024;
/** Milliseconds between two steps at least: in a shorter period each step looks at more trees. */
const STEP_MS = 250;
const NEXT_PASS_MS = 1000;

export class Scrub {
  readonly #options: ScrubOptions;
  #timer: Timer | undefined;
  #stopped = true;
  #passes = 0;

  constructor(options: ScrubOptions) {
    this.#options = options;
    const help = 'Passes over all rows since the start that looked at every checksum';
    options.world.metrics.gauge('quoral_scrub_passes', help, () => this.#passes);
  }

  start(): void {
    this.#stopped = false;
    this.#begin();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Looks at a page of rows from this row key on; `next` is where to go on, undefined at the end. */
  async page(from: Uint8Array, bucket?: string): Promise<ScrubResult & { readonly next: Uint8Array | undefined }> {
    const { world, pace } = this.#options;
    const { rows, next } = readPage(world.disk, RECORDS, { from, limit: PAGE_ROWS });
    let damaged = 0;
    let seen = 0;
    for (const [rowKey, row] of rows) {
      const name = recordName(rowKey);
      if (bucket !== undefined && name.bucket !== bucket) continue;
      seen += 1;
      const place = this.#options.placeOf(name);
      if (place === undefined) continue;
      if (!this.#isWhole(row)) damaged += this.#report(place, name);
      else await this.#requireIndexed(place, rowKey);
    }
    await pace.take(bytesOf(rows));
    return { rows: seen, damaged, next };
  }

  /** Looks at the tree of a partition, counted over all of them; false when there is none. */
  async tree(number: number): Promise<boolean> {
    const { trees } = this.#options;
    const place = trees.ready() ? trees.places()[number] : undefined;
    if (place !== undefined) await this.#tree(place);
    return place !== undefined;
  }

  #begin(): void {
    if (this.#stopped) return;
    const { trees, knowledge } = this.#options;
    const places = trees.ready() && knowledge.epoch() > 0 ? trees.places() : [];
    const counts = places.length > 0;
    this.#next({ places: [...places], counts, from: counts ? EMPTY_BYTES : undefined });
  }

  #next(pass: Pass): void {
    const delay = Math.max(STEP_MS, this.#options.period / (pass.places.length + 1));
    this.#timer = this.#options.world.clock.after(delay, () => void this.#step(pass, delay));
  }

  async #step(pass: Pass, delay: number): Promise<void> {
    const due = Math.max(1, Math.ceil((pass.places.length * delay) / this.#options.period));
    try {
      for (const place of pass.places.splice(0, due)) if (!this.#stopped) await this.#tree(place);
      while (!this.#stopped && pass.places.length === 0 && pass.from !== undefined) {
        pass.from = (await this.page(pass.from)).next;
      }
    } catch (error) {
      // A disk that has failed is told of elsewhere.
      this.#options.world.log.debug('scrub-failed', { reason: String(error) });
    }
    if (this.#stopped) return;
    if (pass.from !== undefined) {
      this.#next(pass);
      return;
    }
    if (pass.counts) this.#passes += 1;
    this.#timer = this.#options.world.clock.after(NEXT_PASS_MS, () => this.#begin());
  }

  async #tree(place: TreePlace): Promise<void> {
    const { trees, world, pace } = this.#options;
    const fresh = new MerkleTree();
    for (let last: LeafRow | undefined; ;) {
      const page: LeafRows = trees.index.rows(world.disk, place, [0, LEAVES], PAGE_ROWS, last);
      let bytes = PAGE_COST_BYTES;
      for (const { rowKey, hash, state, encoded } of page.rows) {
        bytes += encoded?.length ?? 0;
        if (state === undefined) {
          if (this.#report(place, recordName(rowKey)) === 0) await this.#recheck(place, rowKey);
          continue;
        }
        const { high, low } = trees.hash.stateHash(hash, state);
        fresh.change(leafOf(hash), high, low);
      }
      last = page.rows.at(-1);
      await pace.take(bytes);
      if (page.isLast) break;
    }
    // Rows that were written meanwhile make leaves differ too; only what differs at one moment is a fault.
    for (const leaf of differences(trees.tree(place).toBytes(), fresh.toBytes())) {
      if (this.#fits(place, leaf)) continue;
      await this.#commit((transaction) => trees.recheckLeaf(transaction, place, leaf));
    }
  }

  #fits(place: TreePlace, leaf: number): boolean {
    const { trees, world } = this.#options;
    const is = trees.tree(place).leaf(leaf);
    const should = trees.index.leafHash(world.disk, place, leaf);
    return is.high === should.high && is.low === should.low;
  }

  /** 1 when the row is damaged: reading it through the replica begins its mending. */
  #report({ n, partition }: TreePlace, { bucket, incarnation, key }: RecordName): number {
    const place: Place = { n, partition, bucket, incarnation };
    try {
      this.#options.replica.record(place, key);
      return 0;
    } catch (error) {
      if (error instanceof Refusal) return 1;
      throw error;
    }
  }

  #isWhole(row: Uint8Array): boolean {
    try {
      decodeState(row, this.#options.world.digest.crc32);
      return true;
    } catch (error) {
      if (error instanceof CorruptState) return false;
      throw error;
    }
  }

  async #requireIndexed(place: TreePlace, rowKey: Uint8Array): Promise<void> {
    const { trees, world } = this.#options;
    const key = treeKeysKey(place, trees.hash.keyHash(rowKey), rowKey);
    if (trees.ready() && world.disk.get(TREE_KEYS, key) === undefined) await this.#recheck(place, rowKey);
  }

  async #recheck(place: TreePlace, rowKey: Uint8Array): Promise<void> {
    await this.#commit((transaction) => this.#options.trees.recheck(transaction, place, rowKey));
  }

  async #commit(run: (transaction: GroupTransaction) => void): Promise<void> {
    await this.#options.replica.commits.submit({ run, bytes: 0, durable: false });
  }
}

interface Pass {
  /** The partitions whose trees are still to be looked at. */
  readonly places: TreePlace[];
  readonly counts: boolean;
  /** Where the walk over the rows goes on after that; undefined when it is over. */
  from: Uint8Array | undefined;
}
