/**
 * Builds the Merkle trees and their index from the rows, a few at a time, while the node serves. Writes to rows that the
 * walk has passed go into the trees as usual, those to rows ahead of it are met when it comes there.
 */

import { decodeState } from '#causality/state-codec.ts';
import type { State } from '#causality/state.ts';
import { EMPTY_BYTES, successor } from '#kernel/bytes.ts';
import { recordName, RECORDS, type RecordName } from '#replica/tables.ts';
import { PAGE_BYTES } from '#world/pages.ts';
import type { Clock, Digest, Disk, Log } from '#world/world.ts';
import { TREE_KEYS, TREE_LOG, TREES, type TreePlace } from './tree-tables.ts';
import type { MerkleTrees } from './trees.ts';

/** Rows in one transaction: a few milliseconds. */
const ROWS_A_STEP = 128;
/** Milliseconds between two steps: half of the time is left to others. */
const PAUSE_MS = 5;

export interface TreeRebuildOptions {
  readonly world: { readonly clock: Clock; readonly disk: Disk; readonly digest: Digest; readonly log: Log };
  readonly trees: MerkleTrees;
  /** Where a row belongs; undefined when its bucket is in another life now, so that no tree has it. */
  readonly placeOf: (name: RecordName) => TreePlace | undefined;
}

export class TreeRebuild {
  readonly #options: TreeRebuildOptions;
  #running = false;

  constructor(options: TreeRebuildOptions) {
    this.#options = options;
  }

  /** Begins unless the trees are whole or it has begun. The facts of the cluster must be known. */
  start(): void {
    if (this.#running || this.#options.trees.ready()) return;
    this.#running = true;
    void this.#build();
  }

  stop(): void {
    this.#running = false;
  }

  async #build(): Promise<void> {
    const { world, trees } = this.#options;
    const began = world.clock.monotonic();
    let rows = 0;
    try {
      for (const table of [TREES, TREE_LOG, TREE_KEYS]) await this.#empty(table);
      trees.startAnew();
      let from: Uint8Array | undefined = EMPTY_BYTES;
      while (this.#running && from !== undefined) {
        const step: Step = this.#step(from);
        rows += step.rows;
        from = step.next;
        await this.#pause();
      }
      while (this.#running && trees.writing) {
        this.#commit((transaction) => trees.groupEnds(transaction));
        await this.#pause();
      }
    } catch (error) {
      world.log.error('trees-not-built', { reason: String(error) });
    }
    const milliseconds = Math.round(world.clock.monotonic() - began);
    if (this.#running && trees.ready()) world.log.info('trees-built', { rows, milliseconds });
    this.#running = false;
  }

  #step(from: Uint8Array): Step {
    const { world, trees, placeOf } = this.#options;
    const rows = world.disk.range(RECORDS, { from, limit: ROWS_A_STEP, bytes: PAGE_BYTES });
    const last = rows.at(-1);
    if (last === undefined) {
      trees.built();
      return { rows: 0, next: undefined };
    }
    world.disk
      .commit((transaction) => {
        for (const [rowKey, row] of rows)
          trees.build(transaction, rowKey, placeOf(recordName(rowKey)), this.#state(row));
      })
      .durable.catch(() => undefined);
    return { rows: rows.length, next: successor(last[0]) };
  }

  /** A damaged row is in no tree: whoever scrubs finds it. */
  #state(row: Uint8Array): State | undefined {
    try {
      return decodeState(row, this.#options.world.digest.crc32);
    } catch {
      return undefined;
    }
  }

  async #empty(table: string): Promise<void> {
    const { disk } = this.#options.world;
    for (;;) {
      const rows = disk.range(table, { limit: ROWS_A_STEP });
      if (rows.length === 0 || !this.#running) return;
      disk
        .commit((transaction) => {
          for (const [key] of rows) transaction.delete(table, key);
        })
        .durable.catch(() => undefined);
      await this.#pause();
    }
  }

  #commit(run: Parameters<Disk['commit']>[0]): void {
    const { trees, world } = this.#options;
    trees.groupBegins();
    try {
      world.disk.commit(run).durable.catch(() => undefined);
    } catch (error) {
      trees.groupFailed();
      throw error;
    }
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#options.world.clock.after(PAUSE_MS, resolve);
    });
  }
}

interface Step {
  readonly rows: number;
  readonly next: Uint8Array | undefined;
}
