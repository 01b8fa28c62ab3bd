/**
 * How many hints wait for whom, in memory. After a start the index is counted page by page, so that a node with a million
 * of them serves at once; changes behind the place that the count has reached are added, those ahead of it will be met.
 */

import { compareBytes, successor } from '#kernel/bytes.ts';
import type { NodeIndex } from '#kernel/identity.ts';
import type { Clock, DiskReader, Log } from '#world/world.ts';
import { ageEntry, HINT_AGES, ownerOf } from './tables.ts';

export interface Waiting {
  readonly rows: number;
  readonly bytes: number;
}

/** A row of the index that comes (`sign` 1) or goes (-1). */
export interface FigureChange {
  readonly ageKey: Uint8Array;
  readonly bytes: number;
  readonly sign: 1 | -1;
}

const PAGE = 1000;
/** Until the disk is read again after it could not be. */
const RETRY_MS = 10_000;

export interface FiguresWorld {
  readonly disk: DiskReader;
  readonly clock: Clock;
  readonly log: Log;
}

export class HintFigures {
  readonly #byOwner = new Map<NodeIndex, { rows: number; bytes: number }>();
  readonly #onOwner: (owner: NodeIndex) => void;
  #bytes = 0;
  #rows = 0;
  /** Index keys below this are counted; undefined when all are. */
  #counted: Uint8Array | undefined = new Uint8Array(0);

  /** `onOwner` hears of each owner once, before anything is counted for it. */
  constructor(onOwner: (owner: NodeIndex) => void) {
    this.#onOwner = onOwner;
  }

  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** False while rows from before the start are not all counted yet. */
  get complete(): boolean {
    return this.#counted === undefined;
  }

  of(owner: NodeIndex): Waiting {
    return this.#byOwner.get(owner) ?? { rows: 0, bytes: 0 };
  }

  /** Owners for whom hints wait or have waited, and those that are known. */
  owners(): readonly NodeIndex[] {
    return [...this.#byOwner.keys()];
  }

  /** Shows figures for an owner for whom nothing has waited yet. */
  know(owner: NodeIndex): void {
    this.#add(owner, 0, 0);
  }

  /** To be called in the transaction that changes the rows, or when that has failed, with the signs turned. */
  apply(changes: readonly FigureChange[]): void {
    for (const { ageKey, bytes, sign } of changes) {
      if (this.#counted !== undefined && compareBytes(ageKey, this.#counted) >= 0) continue;
      this.#add(ownerOf(ageKey), sign, sign * bytes);
    }
  }

  /** Counts what a former process has left, a page in each turn; what cannot be read is tried again later. */
  count(world: FiguresWorld): void {
    const { clock, disk, log } = world;
    let pause = 0;
    try {
      this.#countPage(disk);
    } catch (error) {
      log.error('hints-not-counted', { reason: String(error), again: RETRY_MS });
      pause = RETRY_MS;
    }
    if (!this.complete) clock.after(pause, () => this.count(world));
  }

  #countPage(disk: DiskReader): void {
    const from = this.#counted;
    if (from === undefined) return;
    const page = disk.range(HINT_AGES, { from, limit: PAGE });
    const entries = page.map((row) => ({ owner: ownerOf(row[0]), bytes: ageEntry(row).bytes }));
    for (const { owner, bytes } of entries) this.#add(owner, 1, bytes);
    const last = page.at(-1);
    this.#counted = last === undefined || page.length < PAGE ? undefined : successor(last[0]);
  }

  #add(owner: NodeIndex, rows: number, bytes: number): void {
    let waiting = this.#byOwner.get(owner);
    if (waiting === undefined) {
      waiting = { rows: 0, bytes: 0 };
      this.#byOwner.set(owner, waiting);
      this.#onOwner(owner);
    }
    waiting.rows += rows;
    waiting.bytes += bytes;
    this.#rows += rows;
    this.#bytes += bytes;
  }
}
