/**
 * One segment of the journal in memory: its records as they stand in its file, byte for byte, and where among them the last
 * value of each row is. What was committed is read from here until it stands in SQLite.
 *
 * There are no objects for rows: the bytes are one array outside of the garbage collector's heap, and an index leads from a hash
 * of the key to the place of the row's last value among them.
 */

import { utf8 } from '#kernel/bytes.ts';
import { assert } from '#kernel/assert.ts';
import {
  checksumOf,
  DELETED,
  ENTRY_HEAD_BYTES,
  entryHead,
  HEAD,
  HEAD_BYTES,
  KEY_BYTES_MAX,
  keyBytesOf,
  NAMES,
  padded,
  RECORD_MAGIC,
  ROWS,
  tableOf,
  type JournalPlace,
} from './journal-format.ts';
import { JournalOrder } from './journal-order.ts';
import { hashOf } from './row-cache.ts';

const SLOTS_MIN = 4096;
/** In the index: no row is at 0, where a head is. */
const EMPTY = 0;
/** Where so many other rows are asked before it is known where one is, keys were chosen for it. */
const PROBES_MAX = 256;

export interface JournalSegmentOptions {
  readonly number: number;
  readonly identity: number;
  /** Of the tables, whose numbers are their places here. */
  readonly tables: readonly string[];
  /** Where the segment before it ends: all of that is on stable storage before anything is written here. */
  readonly after: JournalPlace;
  /** To be used for the records; what they hold does not matter. */
  readonly bytes: Uint8Array;
}

export class JournalSegment {
  readonly number: number;
  readonly #identity: number;
  #bytes: Uint8Array;
  #words: Int32Array;
  #slots = new Int32Array(SLOTS_MIN);
  #hashes = new Int32Array(SLOTS_MIN);
  #rows = 0;
  #isCrowded = false;
  /** Where the record under way ends by now, and where those before it end. */
  #end = HEAD_BYTES;
  #finished = 0;
  /** By number of table. */
  #orders: (JournalOrder | undefined)[] = [];

  constructor({ number, identity, tables, after, bytes }: JournalSegmentOptions) {
    this.number = number;
    this.#identity = identity;
    this.#bytes = bytes;
    this.#words = new Int32Array(bytes.buffer);
    const names = utf8(JSON.stringify(tables));
    // A body is told from what fills it up by the space that JSON allows.
    const body = new Uint8Array(padded(names.length)).fill(0x20);
    body.set(names);
    this.#append(body);
    this.#finish(NAMES, after);
  }

  /** The records that are finished take so many bytes. */
  get finished(): number {
    return this.#finished;
  }

  /** The bytes of the records, and of the one under way, as long as nothing is put. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Different rows. */
  get rows(): number {
    return this.#rows;
  }

  /** No more rows should come here: finding one takes long. */
  get isCrowded(): boolean {
    return this.#isCrowded;
  }

  /** Where the record under way ends. */
  get end(): number {
    return this.#end;
  }

  /** Nothing was put since the last record was finished. */
  get isBetweenRecords(): boolean {
    return this.#end === this.#finished + HEAD_BYTES;
  }

  /** As part of the record under way: the row has this value now, or is deleted. */
  put(table: number, key: Uint8Array, value: Uint8Array | undefined): void {
    assert(key.length <= KEY_BYTES_MAX, `a key of ${key.length} bytes`);
    const at = this.#end;
    const start = at + ENTRY_HEAD_BYTES;
    const end = padded(start + key.length + (value === undefined ? 0 : value.length));
    if (end > this.#bytes.length) this.#grow(end);
    const bytes = this.#bytes;
    const word = at >>> 2;
    this.#words[word] = entryHead(table, key.length);
    this.#words[word + 1] = value === undefined ? DELETED : value.length;
    for (let i = 0; i < key.length; i++) bytes[start + i] = key[i]!;
    if (value !== undefined) bytes.set(value, start + key.length);
    this.#end = end;
    this.#note(at, table, key);
  }

  /** Ends the record, and tells in it what is known to be on stable storage. */
  finish(synced: JournalPlace): void {
    this.#finish(ROWS, synced);
  }

  /** The record under way has never begun. */
  drop(): void {
    if (this.isBetweenRecords) return;
    this.#end = this.#finished + HEAD_BYTES;
    this.#slots.fill(EMPTY);
    this.#rows = 0;
    this.#orders = [];
    this.#eachEntry(0, this.#finished, (at, table, key) => this.#note(at, table, key));
  }

  /** Where the row's last value is; 0: nowhere here. The hash is that of {@link hashOf}. */
  find(hash: number, table: number, key: Uint8Array): number {
    return this.#slots[this.#slot(hash, table, key)]!;
  }

  /** Of a row that stands there: the bytes of its value; {@link DELETED} when it is deleted. */
  lengthAt(at: number): number {
    return this.#words[(at >>> 2) + 1]!;
  }

  /** Where the value begins. */
  startAt(at: number): number {
    return at + ENTRY_HEAD_BYTES + keyBytesOf(this.#words[at >>> 2]!);
  }

  /** A view, which does not last. */
  keyAt(at: number): Uint8Array {
    return this.#bytes.subarray(at + ENTRY_HEAD_BYTES, this.startAt(at));
  }

  /** As bytes are compared, the key that stands there with the other. */
  compareKey(at: number, key: Uint8Array): number {
    const length = keyBytesOf(this.#words[at >>> 2]!);
    return compareIn(this.#bytes, at + ENTRY_HEAD_BYTES, length, key, 0, key.length);
  }

  compareKeys(a: number, b: number): number {
    const [first, second] = [keyBytesOf(this.#words[a >>> 2]!), keyBytesOf(this.#words[b >>> 2]!)];
    return compareIn(this.#bytes, a + ENTRY_HEAD_BYTES, first, this.#bytes, b + ENTRY_HEAD_BYTES, second);
  }

  /** Places of rows of the table with their first values, in the order of their keys; undefined: there are none. */
  inOrder(table: number): Int32Array | undefined {
    return this.#orders[table]?.sorted(this);
  }

  /** Of the index, in which rows are in no order. */
  get slots(): number {
    return this.#slots.length;
  }

  /** Shows where the last values of the rows are that have these slots, with the hashes of {@link hashOf}. */
  eachRow(from: number, to: number, row: (at: number, hash: number) => void): void {
    const end = Math.min(to, this.#slots.length);
    for (let slot = from; slot < end; slot++) {
      const at = this.#slots[slot]!;
      if (at !== EMPTY) row(at, this.#hashes[slot]!);
    }
  }

  tableAt(at: number): number {
    return tableOf(this.#words[at >>> 2]!);
  }

  /** A view, which does not last; undefined when the row is deleted. */
  valueAt(at: number): Uint8Array | undefined {
    const length = this.lengthAt(at);
    const start = this.startAt(at);
    return length === DELETED ? undefined : this.#bytes.subarray(start, start + length);
  }

  #append(body: Uint8Array): void {
    if (this.#end + body.length > this.#bytes.length) this.#grow(this.#end + body.length);
    this.#bytes.set(body, this.#end);
    this.#end += body.length;
  }

  #finish(kind: number, synced: JournalPlace): void {
    const from = this.#finished;
    const word = from >>> 2;
    const words = this.#words;
    words[word + HEAD.magic] = RECORD_MAGIC;
    words[word + HEAD.length] = this.#end - from;
    words[word + HEAD.identity] = this.#identity;
    words[word + HEAD.segment] = this.number;
    words[word + HEAD.kind] = kind;
    words[word + HEAD.syncedSegment] = synced.segment;
    words[word + HEAD.syncedBytes] = synced.bytes;
    words[word + HEAD.checksum] = checksumOf(this.#bytes, from, this.#end);
    this.#finished = this.#end;
    this.#end += HEAD_BYTES;
    if (this.#end > this.#bytes.length) this.#grow(this.#end);
  }

  #eachEntry(from: number, to: number, entry: (at: number, table: number, key: Uint8Array) => void): void {
    const words = this.#words;
    for (let record = from; record < to;) {
      const end = record + words[(record >>> 2) + HEAD.length]!;
      const isOfRows = words[(record >>> 2) + HEAD.kind] === ROWS;
      for (let at = record + HEAD_BYTES; isOfRows && at < end;) {
        const value = this.startAt(at);
        entry(at, tableOf(words[at >>> 2]!), this.keyAt(at));
        at = padded(value + Math.max(0, this.lengthAt(at)));
      }
      record = end;
    }
  }

  /** The row's last value is there now. */
  #note(at: number, table: number, key: Uint8Array): void {
    const hash = hashOf(table, key);
    const slot = this.#slot(hash, table, key);
    const isNew = this.#slots[slot] === EMPTY;
    this.#slots[slot] = at;
    if (!isNew) return;
    this.#hashes[slot] = hash;
    this.#rows += 1;
    (this.#orders[table] ??= new JournalOrder()).add(at, this);
    if (2 * this.#rows > this.#slots.length) this.#growIndex();
  }

  /** Where the row is noted, or is to be. */
  #slot(hash: number, table: number, key: Uint8Array): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask, probes = 0; ; slot = (slot + 1) & mask, probes++) {
      const at = this.#slots[slot]!;
      if (at === EMPTY || (this.#hashes[slot] === hash && this.#is(at, table, key))) return slot;
      if (probes > PROBES_MAX) this.#isCrowded = true;
    }
  }

  #is(at: number, table: number, key: Uint8Array): boolean {
    if (this.#words[at >>> 2] !== entryHead(table, key.length)) return false;
    const start = at + ENTRY_HEAD_BYTES;
    const bytes = this.#bytes;
    for (let i = 0; i < key.length; i++) if (bytes[start + i] !== key[i]) return false;
    return true;
  }

  #growIndex(): void {
    const [slots, hashes] = [this.#slots, this.#hashes];
    this.#slots = new Int32Array(2 * slots.length);
    this.#hashes = new Int32Array(2 * slots.length);
    const mask = this.#slots.length - 1;
    for (let from = 0; from < slots.length; from++) {
      if (slots[from] === EMPTY) continue;
      let slot = hashes[from]! & mask;
      while (this.#slots[slot] !== EMPTY) slot = (slot + 1) & mask;
      this.#slots[slot] = slots[from]!;
      this.#hashes[slot] = hashes[from]!;
    }
  }

  /** Writes under way go on with the former array, where what they write stays as it is. */
  #grow(needed: number): void {
    const bytes = new Uint8Array(padded(Math.max(needed, 2 * this.#bytes.length)));
    bytes.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = bytes;
    this.#words = new Int32Array(bytes.buffer);
  }
}

function compareIn(a: Uint8Array, atA: number, lengthA: number, b: Uint8Array, atB: number, lengthB: number): number {
  const length = Math.min(lengthA, lengthB);
  for (let i = 0; i < length; i++) {
    const difference = a[atA + i]! - b[atB + i]!;
    if (difference !== 0) return difference;
  }
  return lengthA - lengthB;
}
