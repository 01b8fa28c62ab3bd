/**
 * Where in the log the rows of requests are, by hashes of what they are called, in memory. Nearly every request with an idempotency
 * key is asked for and not there: this knows so without a look at the disk.
 *
 * Rows come in the order of their places and go in it, from the front when their time is over and from the end when they were not
 * committed after all. They lie in segments of typed arrays, 32 bytes a row, in which chains lead from each hash to the rows that
 * share it, the newest first. A segment goes as a whole. Hashes may be equal by chance: whoever asks looks at the row itself.
 */

import { assert } from '#kernel/assert.ts';

/** With more, a node that remembers little would hold much; with fewer, more segments have to be asked. */
const SEGMENT_ROWS = 32_768;
const NONE = -1;

class Segment {
  readonly places: Float64Array;
  readonly hashes: readonly [Int32Array, Int32Array];
  readonly next: readonly [Int32Array, Int32Array];
  readonly heads: readonly [Int32Array, Int32Array];
  /** Rows before it have gone. */
  start = 0;
  end = 0;

  constructor(rows: number) {
    this.places = new Float64Array(rows);
    this.hashes = [new Int32Array(rows), new Int32Array(rows)];
    this.next = [new Int32Array(rows), new Int32Array(rows)];
    this.heads = [new Int32Array(rows).fill(NONE), new Int32Array(rows).fill(NONE)];
  }

  link(kind: 0 | 1, hash: number, at: number): void {
    const slot = this.slot(hash);
    this.hashes[kind][at] = hash;
    this.next[kind][at] = this.heads[kind][slot]!;
    this.heads[kind][slot] = at;
  }

  unlink(kind: 0 | 1, at: number): void {
    this.heads[kind][this.slot(this.hashes[kind][at]!)] = this.next[kind][at]!;
  }

  slot(hash: number): number {
    return (hash ^ (hash >>> 16)) & (this.places.length - 1);
  }
}

/** Of a row's whole name, and of the part that the rows of one key share. */
export type HashKind = 'name' | 'key';

const KINDS = { name: 0, key: 1 } as const;

export class RetryIndex {
  /** Oldest first. */
  readonly #segments: Segment[] = [];
  readonly #rowsOfSegment: number;
  #size = 0;

  /** A power of two. */
  constructor(rowsOfSegment: number = SEGMENT_ROWS) {
    this.#rowsOfSegment = rowsOfSegment;
  }

  get size(): number {
    return this.#size;
  }

  /** `place` is higher than that of every row before. */
  add(name: number, key: number, place: number): void {
    let segment = this.#segments.at(-1);
    if (segment === undefined || segment.end === this.#rowsOfSegment)
      this.#segments.push((segment = new Segment(this.#rowsOfSegment)));
    const at = segment.end++;
    segment.places[at] = place;
    segment.link(KINDS.name, name, at);
    segment.link(KINDS.key, key, at);
    this.#size += 1;
  }

  /** Takes the rows back that were added last. */
  takeBack(rows: number): void {
    for (let left = rows; left > 0; left--) {
      const segment = this.#segments.at(-1)!;
      assert(segment.end > segment.start, 'only rows that are there are taken back');
      const at = --segment.end;
      segment.unlink(KINDS.name, at);
      segment.unlink(KINDS.key, at);
      this.#size -= 1;
      if (segment.end === segment.start) this.#segments.pop();
    }
  }

  /** Forgets all rows whose places are lower. */
  dropBelow(place: number): void {
    for (let segment = this.#segments[0]; segment !== undefined; segment = this.#segments[0]) {
      while (segment.start < segment.end && segment.places[segment.start]! < place) {
        segment.start += 1;
        this.#size -= 1;
      }
      if (segment.start < segment.end) return;
      this.#segments.shift();
    }
  }

  /** The first thing other than undefined that `look` finds at the places of rows with this hash, the newest first. */
  find<T>(kind: HashKind, hash: number, look: (place: number) => T | undefined): T | undefined {
    const which = KINDS[kind];
    for (let i = this.#segments.length - 1; i >= 0; i--) {
      const segment = this.#segments[i]!;
      const hashes = segment.hashes[which];
      for (let at = segment.heads[which][segment.slot(hash)]!; at >= segment.start; at = segment.next[which][at]!) {
        const found = hashes[at] === hash ? look(segment.places[at]!) : undefined;
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }
}
