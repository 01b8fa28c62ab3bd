/**
 * In which order the rows of a segment of the journal go into SQLite. Each has one value there, its last, so any order will do, and
 * the cheapest is that of the pages on which SQLite has them: rows of one page come in one transaction then, which writes the page
 * to SQLite's log once and not once for each of them.
 *
 * It does not have to be exact. SQLite's numbers of the rows are looked up by their hashes alone, a part of them at a time, and
 * then the rows are dealt out to boxes, each for a range of numbers. Rows whose number is not known are likely new or belong to a
 * log, and come first, about as they were written.
 */

import type { JournalSegment } from './journal-segment.ts';

/** For rows with and for rows without a number: rows of one box, some dozens of a full segment, are in no order. */
const BOXES = 1024;

export class ApplyOrder {
  readonly #segment: JournalSegment;
  readonly #numberLike: (hash: number) => number;
  readonly #written: Int32Array;
  readonly #numbers: Float64Array;
  #slot = 0;
  #count = 0;
  #largest = 0;
  #places: Int32Array | undefined;

  /** `numberLike` answers the number of a row that has this hash, or 0. */
  constructor(segment: JournalSegment, numberLike: (hash: number) => number) {
    this.#segment = segment;
    this.#numberLike = numberLike;
    this.#written = new Int32Array(segment.rows);
    this.#numbers = new Float64Array(segment.rows);
  }

  /** Which part of the rows was looked up, 0 to 1. */
  get known(): number {
    return this.#slot / this.#segment.slots;
  }

  /** Looks up the numbers of the rows in so many slots of the segment's index. */
  lookUp(slots: number): void {
    this.#segment.eachRow(this.#slot, this.#slot + slots, (at, hash) => {
      const number = this.#numberLike(hash);
      this.#written[this.#count] = at;
      this.#numbers[this.#count++] = number;
      if (number > this.#largest) this.#largest = number;
    });
    this.#slot = Math.min(this.#slot + slots, this.#segment.slots);
  }

  /** Where in the segment the rows are, in their order; looks up what is left. */
  places(): Int32Array {
    this.lookUp(this.#segment.slots);
    return (this.#places ??= this.#dealOut());
  }

  #dealOut(): Int32Array {
    const starts = new Int32Array(2 * BOXES + 1);
    for (let i = 0; i < this.#count; i++) starts[this.#box(i) + 1]! += 1;
    for (let box = 0; box < 2 * BOXES; box++) starts[box + 1]! += starts[box]!;
    const places = new Int32Array(this.#count);
    for (let i = 0; i < this.#count; i++) places[starts[this.#box(i)]!++] = this.#written[i]!;
    return places;
  }

  #box(i: number): number {
    const number = this.#numbers[i]!;
    if (number === 0) return Math.floor((this.#written[i]! / this.#segment.finished) * BOXES);
    return BOXES + Math.floor((number / (this.#largest + 1)) * BOXES);
  }
}
