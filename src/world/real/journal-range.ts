/**
 * Ranges of rows of which some stand in SQLite and newer ones in the journal's segments: both are read in the order of their keys
 * and made one, the newest of each key.
 *
 * Tables that are used as queues are read from their start again and again, and what was taken out of them there stands in SQLite
 * still, until it is deleted there too. So that nobody walks over all of it each time, it is known of each table below which key
 * there is nothing.
 */

import { assert } from '#kernel/assert.ts';
import { compareBytes, successor } from '#kernel/bytes.ts';
import type { RangeOptions, Row } from '#world/world.ts';
import { DELETED } from './journal-format.ts';
import type { JournalSegment } from './journal-segment.ts';
import { hashOf } from './row-cache.ts';

export interface RangeSource {
  range(options: RangeOptions): Row[];
}

export interface MergedRows {
  readonly rows: Row[];
  /** Rows that were walked over because the journal has deleted them. */
  readonly deleted: number;
}

/** Where the rows of each table begin, at the least. */
export class Floors {
  readonly #floors: (Uint8Array | undefined)[] = [];

  /** The row is there from now on. */
  put(table: number, key: Uint8Array): void {
    const floor = this.#floors[table];
    if (floor !== undefined && compareBytes(key, floor) < 0) this.#floors[table] = key.slice();
  }

  /** What was found out is not so. */
  forget(): void {
    this.#floors.length = 0;
  }

  /** The same range without what is known to be empty. */
  raise(table: number, options: RangeOptions): RangeOptions {
    const floor = this.#floors[table];
    if (floor === undefined || options.reverse === true || !isFrom(options.from, floor)) return options;
    return { ...options, from: floor };
  }

  /** These are the rows of the range. */
  learn(table: number, { from, to, limit, reverse }: RangeOptions, rows: readonly Row[]): void {
    const floor = this.#floors[table];
    if (reverse === true || limit === 0 || !(from === undefined || (floor !== undefined && isFrom(from, floor))))
      return;
    const first = rows[0]?.[0] ?? to;
    if (first !== undefined && (floor === undefined || compareBytes(floor, first) < 0))
      this.#floors[table] = first.slice();
  }
}

function isFrom(from: Uint8Array | undefined, floor: Uint8Array): boolean {
  return from === undefined || compareBytes(from, floor) <= 0;
}

/** The rows of a table by number in the segments, from the newest to the oldest, before those of SQLite. */
export function mergeRange(
  segments: readonly JournalSegment[],
  table: number,
  stored: RangeSource,
  options: RangeOptions,
): MergedRows {
  const { limit, bytes = Number.POSITIVE_INFINITY, reverse = false } = options;
  assert(Number.isSafeInteger(limit) && limit >= 0, `range limit ${limit} is a whole number from 0`);
  const recent = new RecentRows(segments, table, options);
  if (recent.key === undefined) return { rows: stored.range(options), deleted: 0 };
  const pages = new StoredRows(stored, options);
  const rows: Row[] = [];
  let left = bytes;
  let deleted = 0;
  const take = (row: Row): void => {
    rows.push(row);
    left -= row[1].length;
  };
  // As SQLite does it, the row with which there are enough bytes is the last one, also the first.
  while (rows.length < limit && (left > 0 || rows.length === 0)) {
    const key = recent.key;
    const row = pages.row();
    if (key === undefined && row === undefined) break;
    const order = key === undefined ? 1 : row === undefined ? -1 : compareBytes(key, row[0]) * (reverse ? -1 : 1);
    if (order > 0) {
      take(row!);
      pages.next();
      continue;
    }
    const value = recent.value();
    if (value === undefined) deleted += 1;
    else take([recent.key.slice(), value]);
    if (order === 0) pages.next();
    recent.next();
  }
  return { rows, deleted };
}

/** Where those of the first page were not enough, because some are deleted: more of them in one statement. */
const PAGE_ROWS = 64;

/** SQLite's rows of a range, in pages. */
class StoredRows {
  readonly #stored: RangeSource;
  readonly #options: RangeOptions;
  #page: Row[];
  #at = 0;
  #limit: number;
  #isLast: boolean;

  constructor(stored: RangeSource, options: RangeOptions) {
    this.#stored = stored;
    this.#options = options;
    this.#limit = options.limit;
    this.#page = stored.range(options);
    this.#isLast = this.#endsHere();
  }

  row(): Row | undefined {
    return this.#page[this.#at];
  }

  next(): void {
    this.#at += 1;
    if (this.#at < this.#page.length || this.#isLast) return;
    const [last] = this.#page[this.#at - 1]!;
    const rest = this.#options.reverse === true ? { to: last } : { from: successor(last) };
    this.#limit = Math.max(this.#limit, PAGE_ROWS);
    this.#page = this.#stored.range({ ...this.#options, ...rest, limit: this.#limit });
    this.#at = 0;
    this.#isLast = this.#endsHere();
  }

  #endsHere(): boolean {
    return this.#options.bytes === undefined && this.#page.length < this.#limit;
  }
}

interface Walk {
  readonly segment: JournalSegment;
  readonly places: Int32Array;
  at: number;
  readonly first: number;
  readonly last: number;
}

/** The segments' rows of a range, each key once. */
class RecentRows {
  readonly #table: number;
  readonly #step: number;
  /** From the newest segment to the oldest. */
  readonly #walks: Walk[] = [];
  #newest: Walk | undefined;
  /** Of the row that is next: a view, which does not last. */
  key: Uint8Array | undefined;

  constructor(segments: readonly JournalSegment[], table: number, { from, to, reverse = false }: RangeOptions) {
    this.#table = table;
    this.#step = reverse ? -1 : 1;
    for (const segment of segments) {
      const places = segment.inOrder(table);
      if (places === undefined) continue;
      const first = from === undefined ? 0 : firstFrom(segment, places, from);
      const last = (to === undefined ? places.length : firstFrom(segment, places, to)) - 1;
      if (first <= last) this.#walks.push({ segment, places, at: reverse ? last : first, first, last });
    }
    this.#look();
  }

  /** Undefined when the row is deleted. */
  value(): Uint8Array | undefined {
    const { segment } = this.#newest!;
    const at = segment.find(hashOf(this.#table, this.key!), this.#table, this.key!);
    const length = segment.lengthAt(at);
    const start = segment.startAt(at);
    return length === DELETED ? undefined : segment.bytes.slice(start, start + length);
  }

  next(): void {
    const passed = this.key!;
    for (const walk of this.#walks) if (this.#compare(walk, passed) === 0) walk.at += this.#step;
    this.#look();
  }

  #look(): void {
    this.#newest = undefined;
    this.key = undefined;
    for (const walk of this.#walks) {
      if (this.key !== undefined && !(this.#compare(walk, this.key) * this.#step < 0)) continue;
      if (walk.at < walk.first || walk.at > walk.last) continue;
      this.#newest = walk;
      this.key = walk.segment.keyAt(walk.places[walk.at]!);
    }
  }

  /** NaN at the end of a walk. */
  #compare({ segment, places, at, first, last }: Walk, key: Uint8Array): number {
    return at < first || at > last ? Number.NaN : segment.compareKey(places[at]!, key);
  }
}

/** The first of the places whose key is not before this one. */
function firstFrom(segment: JournalSegment, places: Int32Array, key: Uint8Array): number {
  let low = 0;
  let high = places.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (segment.compareKey(places[middle]!, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
