/**
 * The journal before SQLite. A commit is one write to the end of a file; its rows go into SQLite later, with the others of their
 * segment, and once for however many times they were written meanwhile. Until then they are read from here.
 *
 * There are two files, each with one segment. While one is written, the rows of the other go into SQLite (disk-apply.ts), and
 * when they are on stable storage there its file takes the next segment. A segment that has no file yet is in memory only, and
 * what is committed to it waits.
 */

import { assert } from '#kernel/assert.ts';
import { DiskError } from '#world/world.ts';
import { DELETED, padded, TABLES_MAX, type JournalPlace } from './journal-format.ts';
import type { JournalFile } from './journal-file.ts';
import { JournalSegment } from './journal-segment.ts';
import { LooseBytes } from './loose-bytes.ts';
import { hashOf } from './row-cache.ts';

export const JOURNAL_FILES = 2;
/** One for each file, and one that waits. */
const SEGMENTS_MAX = JOURNAL_FILES + 1;
/** A segment with so many different rows is full, however short they are. */
const ROWS_MAX = 65_536;
/** For what comes after a segment is nearly full. */
const SPARE_SHARE = 1 / 8;

/** A segment that has no file yet takes no more than so many of the others. */
const WAITING_SEGMENTS_MAX = 8;
/** So much more than is needed is looked for, so that not every commit looks. */
const ROOM_ROWS = 256;
const ROOM_BYTES = 256 * 1024;

export interface JournalOptions {
  readonly files: readonly JournalFile[];
  readonly identity: number;
  readonly tables: readonly string[];
  readonly segmentBytes: number;
  /** The last segment that was used before. */
  readonly last: number;
  readonly observe: (seconds: number) => void;
  /** Throws when there is no space for files that become so much longer, and for SQLite to take over so many rows with so many bytes. */
  readonly assertRoom: (longer: number, rows: number, bytes: number) => void;
  /** More is on stable storage. */
  readonly onWritten: () => void;
  /** After it nothing is written any more; returns what those who wait are told. */
  readonly onError: (error: Error) => unknown;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Part {
  readonly segment: JournalSegment;
  file: JournalFile | undefined;
  /** So many of the segment's bytes are on stable storage. */
  written: number;
  /** For what is not. */
  waiting: Waiter[];
}

export class Journal {
  readonly #options: JournalOptions;
  readonly #copies = new LooseBytes();
  readonly #unused: JournalFile[];
  readonly #spare: Uint8Array[] = [];
  /** From the oldest to the one that is written. */
  readonly #parts: Part[] = [];
  #active: Part;
  #synced: JournalPlace = { segment: 0, bytes: 0 };
  #isWriting = false;
  /** For which there was room when it was last looked at. */
  #room = { rows: 0, bytes: 0 };
  #failure: { readonly error: unknown } | undefined;
  #idle: (() => void) | undefined;

  constructor(options: JournalOptions) {
    assert(options.tables.length <= TABLES_MAX, `at most ${TABLES_MAX} tables`);
    this.#options = options;
    this.#unused = [...options.files];
    this.#active = this.#begin(options.last + 1);
  }

  /** From the newest to the oldest. */
  segments(): JournalSegment[] {
    return this.#parts.map(({ segment }) => segment).reverse();
  }

  /**
   * The row's last value here, as a copy; null when it was deleted, and only how many bytes it has when they are more than wanted.
   * Undefined when it stands in SQLite as it is. Of copies with `isShort` many may share one piece of memory.
   */
  find(table: number, key: Uint8Array, upTo: number, isShort: boolean): Uint8Array | number | null | undefined {
    const hash = hashOf(table, key);
    for (let i = this.#parts.length - 1; i >= 0; i--) {
      const { segment } = this.#parts[i]!;
      const at = segment.find(hash, table, key);
      if (at === 0) continue;
      const length = segment.lengthAt(at);
      if (length === DELETED) return null;
      if (length > upTo) return length;
      const start = segment.startAt(at);
      if (isShort) return this.#copies.copy(segment.bytes, start, length);
      return segment.bytes.slice(start, start + length);
    }
    return undefined;
  }

  /** As part of the commit under way: the row has this value now, or is deleted. */
  put(table: number, key: Uint8Array, value: Uint8Array | undefined): void {
    this.#active.segment.put(table, key, value);
  }

  /** The commit under way has never begun. */
  drop(): void {
    this.#active.segment.drop();
  }

  /**
   * Ends the commit under way; resolves when it and all before it are on stable storage. Throws what the operating system says when
   * there is no room for it, and DiskError when too much waits already; it is still under way then.
   */
  commit(): Promise<void> {
    const { segment, file, waiting } = this.#active;
    // Without a file yet it gets one of them.
    const files = file === undefined ? this.#options.files : [file];
    if (file === undefined) this.#assertNotBusy(segment);
    this.#assertRoom(files.reduce((sum, one) => sum + one.growth(segment.end), 0));
    for (const one of files) one.reserve(segment.end);
    if (!segment.isBetweenRecords) segment.finish(this.#synced);
    const durable = new Promise<void>((resolve, reject) => waiting.push({ resolve, reject }));
    this.#write();
    if (this.#isFull()) this.seal();
    return durable;
  }

  /** The segment that is written is complete, if there is anything in it. */
  seal(): void {
    const { segment } = this.#active;
    if (segment.rows === 0 || this.#parts.length === SEGMENTS_MAX) return;
    this.#active = this.#begin(segment.number + 1);
  }

  /** The oldest segment, when it is complete and on stable storage. */
  complete(): JournalSegment | undefined {
    const { segment, written } = this.#parts[0]!;
    return this.#parts.length > 1 && written === segment.finished ? segment : undefined;
  }

  /** A newer value of this row of the oldest segment is on stable storage here: no start needs the older one any more. */
  isOutdated(table: number, key: Uint8Array): boolean {
    const hash = hashOf(table, key);
    for (let i = 1; i < this.#parts.length; i++) {
      const { segment, written } = this.#parts[i]!;
      const at = segment.find(hash, table, key);
      if (at !== 0 && at < written) return true;
    }
    return false;
  }

  /** There is a segment that is not written any more. */
  get isSealed(): boolean {
    return this.#parts.length > 1;
  }

  /** Nobody can commit any more before a segment stands in SQLite. */
  get isBehind(): boolean {
    return this.#parts.length === SEGMENTS_MAX;
  }

  /** How full the segment is that is written, 0 to 1 and little more. */
  get filled(): number {
    const { finished, rows } = this.#active.segment;
    return Math.max(finished / this.#options.segmentBytes, rows / ROWS_MAX);
  }

  get rows(): number {
    return this.#parts.reduce((sum, { segment }) => sum + segment.rows, 0);
  }

  /** The oldest segment stands in SQLite. What is returned is to be called when it is on stable storage there. */
  forgetOldest(): () => void {
    const part = this.#parts.shift()!;
    // What it took is not free any more.
    this.#room = { rows: 0, bytes: 0 };
    assert(part !== this.#active && part.written === part.segment.finished, 'a complete segment is forgotten');
    return () => {
      if (part.file !== undefined) this.#unused.push(part.file);
      if (part.segment.bytes.length === this.#imageBytes()) this.#spare.push(part.segment.bytes);
      this.#write();
    };
  }

  /** The number of the segment that is written. */
  get newest(): number {
    return this.#active.segment.number;
  }

  /** Resolves when nothing is being written. */
  async idle(): Promise<void> {
    if (this.#isWriting) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  /** Nothing is written any more, and whoever waits for that is told so. */
  end(error: unknown): void {
    this.#failure ??= { error };
    this.#rejectAll();
  }

  async close(): Promise<void> {
    await this.idle();
    this.end(new Error('the disk was closed before the journal was written'));
    for (const file of this.#options.files) file.close();
  }

  /** Throws when a file is no longer where it was opened. */
  assertInPlace(): void {
    for (const file of this.#options.files) file.assertInPlace();
  }

  #assertRoom(longer: number): void {
    const { rows } = this;
    const bytes = this.#parts.reduce((sum, { segment }) => sum + segment.end, 0);
    if (longer === 0 && rows <= this.#room.rows && bytes <= this.#room.bytes) return;
    const room = { rows: rows + ROOM_ROWS, bytes: bytes + ROOM_BYTES };
    this.#options.assertRoom(longer, room.rows, room.bytes);
    this.#room = room;
  }

  #assertNotBusy({ finished }: JournalSegment): void {
    if (finished <= WAITING_SEGMENTS_MAX * this.#options.segmentBytes) return;
    const message = `the disk is too slow: ${finished} bytes wait already for the rows before them to stand in the database`;
    throw new DiskError('busy', message, false);
  }

  #isFull(): boolean {
    return this.#active.segment.isCrowded || this.filled >= 1;
  }

  #imageBytes(): number {
    return padded(this.#options.segmentBytes * (1 + SPARE_SHARE));
  }

  #begin(number: number): Part {
    const { identity, tables } = this.#options;
    const bytes = this.#spare.pop() ?? new Uint8Array(this.#imageBytes());
    const after = { segment: number - 1, bytes: this.#active?.segment.finished ?? 0 };
    const segment = new JournalSegment({ number, identity, tables, after, bytes });
    // Who has waited for a file longer gets it first.
    const file = this.#parts.every((part) => part.file !== undefined) ? this.#unused.shift() : undefined;
    const part: Part = { segment, file, written: 0, waiting: [] };
    this.#parts.push(part);
    return part;
  }

  /** One write at a time, in the order of the commits: those that come meanwhile share the next. */
  #write(): void {
    if (this.#isWriting || this.#failure !== undefined) return;
    const part = this.#parts.find(({ waiting }) => waiting.length > 0);
    if (part === undefined) return;
    part.file ??= this.#unused.shift();
    if (part.file === undefined) return;
    const { waiting, segment, written, file } = part;
    const to = segment.finished;
    part.waiting = [];
    this.#isWriting = true;
    const start = performance.now();
    file.write(segment.bytes, written, to, (error) => {
      this.#options.observe((performance.now() - start) / 1000);
      this.#isWriting = false;
      if (error === undefined) {
        part.written = to;
        this.#synced = { segment: segment.number, bytes: to };
        for (const { resolve } of waiting) resolve();
        this.#options.onWritten();
      } else {
        const failure = this.#options.onError(error);
        for (const { reject } of waiting) reject(failure);
        this.end(failure);
      }
      this.#write();
      if (!this.#isWriting) this.#idle?.();
    });
  }

  #rejectAll(): void {
    for (const part of this.#parts) for (const { reject } of part.waiting.splice(0)) reject(this.#failure!.error);
  }
}
