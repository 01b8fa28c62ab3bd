/**
 * Rows in front of SQLite, as they were last read or written: reading one there takes a statement and a buffer of its own
 * outside of V8's heap, some four microseconds, and every write of a key reads its row first. What stands here of a row is its
 * value and the number that SQLite has given it, with which it can be written without a search for it.
 *
 * The rows lie one behind the other in a ring of bytes. What the writing end runs over is forgotten: the oldest goes first,
 * except that a row which is written again where its successor fits keeps its place. An index leads from a hash of the key to
 * the few places where its row can be, as numbers that count the bytes ever written; a number that the ring has left behind
 * points to nothing, so nothing is ever taken out of the index, and forgetting everything is moving the end on by two rounds.
 * Where the rows of one set of the index are too many, the oldest is forgotten earlier. There are no objects for each row:
 * for the garbage collector the whole is three arrays outside of its heap.
 */

import type { Counter } from '#world/world.ts';
import { LooseBytes } from './loose-bytes.ts';

/** Rows of more bytes, key included, are not kept: copying them costs as much as reading them, and few push out many. */
export const KEPT_ROW_MAX_BYTES = 16 * 1024;
/** Places where the row of a hash can be. */
const WAYS = 4;
/** The index has a place for each so many bytes of the ring, and takes 12 bytes for it. */
const BYTES_A_PLACE = 256;
/** Before each row: its room, the length of its value, the number of its table, the length of its key; then SQLite's number of it. */
const HEAD_BYTES = 24;
/** Of a row that is kept: SQLite's number of it is not known. */
const UNKNOWN_NUMBER = 0;
/** What a row takes is a multiple of this: a little growth fits in the same place. */
const ROOM_BYTES = 32;

export interface RowCacheFigures {
  readonly hits: Counter;
  readonly misses: Counter;
}

export class RowCache {
  readonly #figures: RowCacheFigures;
  readonly #size: number;
  readonly #ring: Uint8Array;
  /** The same bytes. */
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #places: Float64Array;
  readonly #hashes: Int32Array;
  readonly #setMask: number;
  readonly #copies = new LooseBytes();
  #rowMax: number;
  /** Where the round under way begins and how far it has come, in bytes ever written. */
  #round: number;
  #end: number;

  constructor(bytes: number, figures: RowCacheFigures) {
    this.#figures = figures;
    this.#size = bytes - (bytes % ROOM_BYTES);
    this.#ring = new Uint8Array(this.#size);
    this.#words = new Int32Array(this.#ring.buffer);
    this.#doubles = new Float64Array(this.#ring.buffer);
    let sets = 1;
    while (sets * WAYS * BYTES_A_PLACE < this.#size) sets *= 2;
    this.#places = new Float64Array(sets * WAYS);
    this.#hashes = new Int32Array(sets * WAYS);
    this.#setMask = sets - 1;
    this.#rowMax = Math.min(KEPT_ROW_MAX_BYTES, this.#size / 4);
    // No place that the empty index names is in the ring.
    this.#round = 2 * this.#size;
    this.#end = this.#round;
  }

  /** A copy of the row's value, which the caller owns; undefined when it is not kept. */
  get(table: number, key: Uint8Array): Uint8Array | undefined {
    const slot = this.#find(hashOf(table, key), table, key);
    if (slot < 0) {
      this.#figures.misses.add();
      return undefined;
    }
    this.#figures.hits.add();
    const at = this.#at(slot);
    return this.#copies.copy(this.#ring, at + HEAD_BYTES + key.length, this.#words[(at >>> 2) + 1]!);
  }

  /** SQLite's number of the row, 0 when it is not known; undefined when the row is not kept. */
  numberOf(table: number, key: Uint8Array): number | undefined {
    const slot = this.#find(hashOf(table, key), table, key);
    return slot < 0 ? undefined : this.#doubles[(this.#at(slot) >>> 3) + 2]!;
  }

  /** SQLite's number of a kept row that has this hash, whichever it is; 0 when there is none. For orders that need not be exact. */
  numberLike(hash: number): number {
    const first = (hash & this.#setMask) * WAYS;
    const leftBehind = this.#end - this.#size;
    for (let slot = first; slot < first + WAYS; slot++) {
      if (this.#hashes[slot] !== hash || this.#places[slot]! < leftBehind) continue;
      return this.#doubles[(this.#at(slot) >>> 3) + 2]!;
    }
    return UNKNOWN_NUMBER;
  }

  /** The row has this value now, and this number in SQLite. */
  put(table: number, key: Uint8Array, value: Uint8Array, number: number = UNKNOWN_NUMBER): void {
    const hash = hashOf(table, key);
    const slot = this.#find(hash, table, key);
    const needed = HEAD_BYTES + key.length + value.length;
    if (needed > this.#rowMax) {
      if (slot >= 0) this.#places[slot] = 0;
      return;
    }
    if (slot >= 0) {
      const at = this.#at(slot);
      if (needed <= this.#words[at >>> 2]!) {
        this.#words[(at >>> 2) + 1] = value.length;
        this.#doubles[(at >>> 3) + 2] = number;
        this.#ring.set(value, at + HEAD_BYTES + key.length);
        return;
      }
    }
    const at = this.#append(slot >= 0 ? slot : this.#oldest(hash), hash, needed);
    const word = at >>> 2;
    this.#words[word + 1] = value.length;
    this.#words[word + 2] = table;
    this.#words[word + 3] = key.length;
    this.#doubles[(at >>> 3) + 2] = number;
    const ring = this.#ring;
    for (let i = 0, to = at + HEAD_BYTES; i < key.length; i++) ring[to + i] = key[i]!;
    ring.set(value, at + HEAD_BYTES + key.length);
  }

  /** Forgets the row. */
  delete(table: number, key: Uint8Array): void {
    const slot = this.#find(hashOf(table, key), table, key);
    if (slot >= 0) this.#places[slot] = 0;
  }

  /** Forgets the row if it has another value than the medium; undefined there is no value. */
  compare(table: number, key: Uint8Array, medium: Uint8Array | undefined): void {
    const slot = this.#find(hashOf(table, key), table, key);
    if (slot < 0) return;
    const at = this.#at(slot);
    const length = this.#words[(at >>> 2) + 1]!;
    const start = at + HEAD_BYTES + key.length;
    if (length !== medium?.length || !isAt(this.#ring, start, medium)) this.#places[slot] = 0;
  }

  /** Forgets everything. */
  clear(): void {
    this.#round += 2 * this.#size;
    this.#end = this.#round;
  }

  /** Forgets everything and keeps nothing any more. */
  end(): void {
    this.clear();
    this.#rowMax = 0;
  }

  /** Where there is room for so many bytes, which the index finds there from now on. */
  #append(slot: number, hash: number, needed: number): number {
    const room = needed + ROOM_BYTES - 1 - ((needed + ROOM_BYTES - 1) % ROOM_BYTES);
    // A row does not go round the corner.
    if (this.#end + room > this.#round + this.#size) {
      this.#round += this.#size;
      this.#end = this.#round;
    }
    const at = this.#end - this.#round;
    this.#places[slot] = this.#end;
    this.#hashes[slot] = hash;
    this.#end += room;
    this.#words[at >>> 2] = room;
    return at;
  }

  /** Where in the index the row is; -1 when it is not kept. */
  #find(hash: number, table: number, key: Uint8Array): number {
    const first = (hash & this.#setMask) * WAYS;
    const leftBehind = this.#end - this.#size;
    for (let slot = first; slot < first + WAYS; slot++) {
      if (this.#hashes[slot] !== hash || this.#places[slot]! < leftBehind) continue;
      const at = this.#at(slot);
      const word = at >>> 2;
      if (this.#words[word + 2] !== table || this.#words[word + 3] !== key.length) continue;
      if (isAt(this.#ring, at + HEAD_BYTES, key)) return slot;
    }
    return -1;
  }

  /** Where in the ring a row of the index is. */
  #at(slot: number): number {
    const place = this.#places[slot]! - this.#round;
    return place < 0 ? place + this.#size : place;
  }

  #oldest(hash: number): number {
    const first = (hash & this.#setMask) * WAYS;
    let oldest = first;
    for (let slot = first + 1; slot < first + WAYS; slot++) {
      if (this.#places[slot]! < this.#places[oldest]!) oldest = slot;
    }
    return oldest;
  }
}

function isAt(ring: Uint8Array, start: number, bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (ring[start + i] !== bytes[i]) return false;
  return true;
}

/** FNV-1a, its upper half folded in. Keys that are chosen to have one hash can only push each other out. */
export function hashOf(table: number, key: Uint8Array): number {
  let hash = Math.imul(0x811c9dc5 ^ table, 0x01000193);
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key[i]!, 0x01000193);
  return hash ^ (hash >>> 15);
}
