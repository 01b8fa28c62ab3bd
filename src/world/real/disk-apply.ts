/**
 * Brings the rows of complete segments of the journal into SQLite, a few at a time between other things: late, as the next segment
 * fills, for a row that is written there again meanwhile need not go there before, and so that it is done before that one is
 * full. Whoever commits pays for it with a slice, which is rare and short; where segments are complete faster than that slices
 * come one after the other, and with pauses when nobody has committed for a while.
 */

import { assert } from '#kernel/assert.ts';
import { ApplyOrder } from './apply-order.ts';
import { SLICE_BYTES, SLICE_ROWS } from './journal-format.ts';
import type { JournalSegment } from './journal-segment.ts';
import type { Journal } from './journal.ts';
import type { SqliteRows } from './sqlite-rows.ts';

/** How full the segment that is written is when the one before begins to go into SQLite, and when it is to be there. */
const BEGIN = 0.4;
const END = 0.9;
/** Slots of a segment's index whose rows are looked up between two slices, in less than a millisecond. */
const LOOK_SLOTS = 4096;
/** Rows that a slice asks whether they are outdated. */
const LOOKS_MAX = 1024;
/** Between two slices when there is time: requests that come meanwhile should find the loop free more often than not. */
const PAUSE_MS = 2;
/** After so long without a commit all goes into SQLite. */
const IDLE_MS = 1000;

export interface DiskApplyOptions {
  readonly journal: Journal;
  readonly rows: SqliteRows;
  readonly onError: (error: unknown) => void;
}

export class DiskApply {
  readonly #options: DiskApplyOptions;
  /** Of the oldest segment that is complete, and how many of its rows are done. */
  #order: ApplyOrder | undefined;
  #done = 0;
  /** SQLite's log is being copied, and nothing may be added to it. */
  #held: Promise<void> | undefined;
  /** The file of the segment that was done last is free again then. */
  #reuse: Promise<void> | undefined;
  #next: NodeJS.Immediate | NodeJS.Timeout | undefined;
  /** Slices are to come one after the other until no segment is complete. */
  #isHurried = false;
  /** They are, but nobody waits for it. */
  #hasTime = false;
  #idle: NodeJS.Timeout | undefined;
  #committedAt = 0;
  #isEnded = false;

  constructor(options: DiskApplyOptions) {
    this.#options = options;
  }

  /** To be called after each commit to the journal. */
  afterCommit(): void {
    this.#committedAt = performance.now();
    this.#idle ??= setTimeout(() => this.#whenIdle(), IDLE_MS).unref();
    if (this.#options.journal.isBehind) this.hurry();
    if (this.#isLate()) this.#trySlice();
  }

  /** Slice after slice from now on, until no segment is complete. */
  hurry(): void {
    if (this.#hasTime) this.#cancelNext();
    this.#hasTime = false;
    this.#isHurried = true;
    this.goOn();
  }

  /** To be called when what may have been waited for has come. */
  goOn(): void {
    if (!this.#isHurried || this.#next !== undefined || this.#isEnded) return;
    const step = (): void => {
      this.#next = undefined;
      if (this.#trySlice()) this.goOn();
      else this.#isHurried = this.#options.journal.isSealed;
    };
    const hasTime = this.#hasTime && !this.#isLate();
    this.#next = hasTime ? setTimeout(step, PAUSE_MS).unref() : setImmediate(step);
  }

  /** Whether a segment would not be done in time. */
  #isLate(): boolean {
    const { journal } = this.#options;
    if (journal.isBehind) return true;
    if (journal.complete() === undefined) return false;
    const { filled } = journal;
    if (this.#order === undefined || this.#order.known < 1) return (this.#order?.known ?? 0) <= filled / BEGIN;
    return this.#done <= ((filled - BEGIN) / (END - BEGIN)) * this.#order.places().length;
  }

  /** A slice at once, if there is one; throws what SQLite says. */
  slice(): boolean {
    const { journal, rows } = this.#options;
    const segment = journal.complete();
    if (segment === undefined || this.#held !== undefined || this.#isEnded) return false;
    const places = this.#orderOf(segment).places();
    const looksEnd = Math.min(this.#done + LOOKS_MAX, places.length);
    let done = this.#done;
    const held = rows.write((row) => {
      for (let count = 0, bytes = 0; done < looksEnd && count < SLICE_ROWS && bytes < SLICE_BYTES; done++) {
        const at = places[done]!;
        const [table, key] = [segment.tableAt(at), segment.keyAt(at)];
        if (journal.isOutdated(table, key)) continue;
        const value = segment.valueAt(at);
        row(table, key, value);
        count += 1;
        bytes += value?.length ?? 0;
      }
      if (done === places.length) rows.setJournalState(segment.number, true);
    });
    this.#done = done;
    if (held !== undefined) this.#hold(held);
    if (done === places.length) this.#forget();
    return true;
  }

  #orderOf(segment: JournalSegment): ApplyOrder {
    return (this.#order ??= new ApplyOrder(segment, (hash) => this.#options.rows.numberLike(hash)));
  }

  /** Looks up a part of what the order of a segment needs; false when nothing is left of that. */
  #lookUp(): boolean {
    const segment = this.#options.journal.complete();
    const order = segment && this.#orderOf(segment);
    if (order === undefined || order.known === 1) return false;
    order.lookUp(LOOK_SLOTS);
    return true;
  }

  /** Everything into SQLite, and onto stable storage there; nobody commits any more. Rejects with what SQLite says. */
  async finish(): Promise<void> {
    const { journal, rows } = this.#options;
    clearTimeout(this.#idle);
    for (;;) {
      journal.seal();
      if (this.#held !== undefined) await this.#held;
      else if (!this.slice()) {
        if (!journal.isSealed) break;
        await this.#untilComplete();
      }
    }
    assert(journal.rows === 0, 'nothing is left in the journal');
    // It stands behind all rows in SQLite's log, so with this sync whoever opens the file by itself finds everything.
    await rows.write(() => rows.setJournalState(journal.newest, false));
    await rows.sync();
  }

  /** Waits for the write of a segment that is complete but for that, which may wait for a file. */
  async #untilComplete(): Promise<void> {
    const { journal } = this.#options;
    await this.#reuse;
    await journal.idle();
    // Slices that come by themselves may have brought it in meanwhile.
    if (journal.isSealed && journal.complete() === undefined) throw new Error('the journal could not be written');
  }

  end(): void {
    this.#isEnded = true;
    clearTimeout(this.#idle);
    this.#cancelNext();
  }

  #cancelNext(): void {
    clearTimeout(this.#next as NodeJS.Timeout | undefined);
    clearImmediate(this.#next as NodeJS.Immediate | undefined);
    this.#next = undefined;
  }

  #hold(held: Promise<void>): void {
    this.#held = held;
    const go = (): void => {
      this.#held = undefined;
      this.goOn();
    };
    held.then(go, this.#options.onError);
  }

  #forget(): void {
    const { journal, rows, onError } = this.#options;
    const reuse = journal.forgetOldest();
    this.#order = undefined;
    this.#done = 0;
    this.#reuse = rows.sync().then(reuse, onError);
  }

  #trySlice(): boolean {
    try {
      return this.#lookUp() || this.slice();
    } catch (error) {
      this.#options.onError(error);
      if (!this.#isEnded) this.#idle ??= setTimeout(() => this.#whenIdle(), IDLE_MS).unref();
      return false;
    }
  }

  #whenIdle(): void {
    this.#idle = undefined;
    const left = this.#committedAt + IDLE_MS - performance.now();
    if (left > 0) {
      this.#idle = setTimeout(() => this.#whenIdle(), left).unref();
      return;
    }
    this.#options.journal.seal();
    this.#hasTime = !this.#isHurried;
    this.#isHurried = true;
    this.goOn();
  }
}
