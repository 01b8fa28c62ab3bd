/**
 * What has changed at this node, in the order in which it was committed, for those who watch. One row for each group of
 * writes, in the group's transaction, so that it costs a commit one row more and is exact after any crash:
 *
 *     changes  number of the group u64  →  u8 1 | boot | the group that the log begins with | bytes logged before it
 *                                          | milliseconds since 1970 | number of entries | entries
 *     entry    row key | glimpse of the state, or nothing where that is long
 *
 * A group is shown when it is on stable storage, so its number is never given to another one that somebody was shown. The
 * oldest rows go when the log is too long or too old; whoever has not read them has to begin anew.
 *
 * Each boot has a row without entries, committed with the boot itself, before anything can change in it. A boot that has no row was
 * that of a program that keeps no log: an older one, or this one with the log switched off. What changed then nobody knows, so nobody
 * may go on from before it.
 */

import { glimpseBytes, writeGlimpse } from '#causality/glimpse.ts';
import { sameDot } from '#causality/dot.ts';
import type { State, Version } from '#causality/state.ts';
import { ByteReader, ByteWriter } from '#kernel/binary.ts';
import { keyOfNumber, numberOfKey } from '#kernel/number-key.ts';
import type { Clock, DiskReader, DiskTransaction, Metrics, TableDefinition } from '#world/world.ts';
import type { GroupTransaction } from './group-commit.ts';
import type { RecordChange, RecordParticipant } from './records.ts';

export const CHANGES = 'changes';
export const CHANGES_TABLES: readonly TableDefinition[] = [{ name: CHANGES, rows: 'numbered' }];

export interface ChangesLimits {
  /** Bytes of the log; 0 for none at all. */
  readonly logBytesMax: number;
  /** Milliseconds. */
  readonly logAgeMax: number;
}

const FORMAT = 1;
/** A longer glimpse is not logged: whoever shows the entry looks at the record. */
const GLIMPSE_MAX = 1024;
/** Rows taken away with one group, and how far above the bound the log grows before. */
const TRIM_ROWS = 64;
/** What the buffer for rows begins with: some dozens of entries. */
const ROW_BYTES = 4096;
const TRIM_SLACK = 0.1;
/** Milliseconds between two looks at the age of the oldest row. */
const AGE_LOOK_MS = 10_000;

/** What a group has changed so far. */
interface Pending {
  readonly rowKey: Uint8Array;
  /** What the row is from now on, or a glimpse of it. */
  readonly is: State | Uint8Array;
}

export interface Change {
  /** The number of its group. */
  readonly group: number;
  readonly rowKey: Uint8Array;
  /** Empty where the record has to be looked at. */
  readonly glimpse: Uint8Array;
}

export interface ChangesPage {
  readonly changes: readonly Change[];
  /** Everything up to this group has been looked at. */
  readonly upTo: number;
}

/** What a row says before its entries. */
interface Head {
  /** The boot that wrote it. */
  readonly boot: number;
  /** Before this group nothing may be gone on from. */
  readonly begins: number;
  readonly bytesBefore: number;
  readonly time: number;
}

/** What a disk has of the log. */
interface Standing {
  /** Of the last row; 0 when there is none. */
  readonly boot: number;
  readonly first: number;
  readonly next: number;
  readonly bytesFirst: number;
  readonly bytesNext: number;
}

/** The row of a boot, to be committed with the boot itself. */
export function logBoot(
  transaction: DiskTransaction,
  { logBytesMax }: ChangesLimits,
  boot: number,
  wall: number,
): void {
  if (logBytesMax === 0) return;
  const { boot: last, first, next, bytesNext } = standingOn(transaction);
  // As if all that there is had gone, when a boot is missing: whoever was shown a group of it has to begin anew.
  const number = last < boot - 1 ? next + 1 : next;
  const begins = last < boot - 1 ? number : first;
  const writer = new ByteWriter();
  writeRow(writer, { boot, begins, bytesBefore: bytesNext, time: wall }, []);
  transaction.put(CHANGES, keyOfNumber(number), writer.finish());
}

/** Made when {@link logBoot} is committed. */
export class Changes implements RecordParticipant {
  readonly #clock: Clock;
  readonly #limits: ChangesLimits;
  readonly #boot: number;
  /** Whether this node serves: not while its clock is in doubt, by which changes would be old that are not. */
  readonly #ready: () => boolean;
  readonly #listeners: ((changes: () => readonly Change[]) => void)[] = [];
  /** Of the oldest row there is; {@link #next} when there is none. */
  #first: number;
  #next: number;
  /** The last group on stable storage. */
  #synced: number;
  #bytesFirst: number;
  #bytesNext: number;
  #ageLooked = 0;
  #pending: Pending[] = [];
  readonly #writer = new ByteWriter(ROW_BYTES);
  /** The row of the group that is being synced; undefined when it has none. */
  #written: Uint8Array | undefined;
  #before = { first: 1, next: 1, bytesFirst: 0, bytesNext: 0 };

  constructor(
    world: { readonly clock: Clock; readonly disk: DiskReader; readonly metrics: Metrics },
    limits: ChangesLimits,
    boot: number,
    ready: () => boolean,
  ) {
    this.#ready = ready;
    this.#clock = world.clock;
    this.#limits = limits;
    this.#boot = boot;
    const { first, next, bytesFirst, bytesNext } = standingOn(world.disk);
    this.#first = first;
    this.#next = next;
    this.#bytesFirst = bytesFirst;
    this.#bytesNext = bytesNext;
    this.#synced = this.#next - 1;
    world.metrics.gauge('quoral_change_log_bytes', 'Bytes of the log of changes that watches read', () =>
      this.#bytes(),
    );
    world.metrics.gauge(
      'quoral_change_log_groups',
      'Groups of writes in the log of changes',
      () => this.#next - this.#first,
    );
  }

  /** Whether there is a log at all. */
  get kept(): boolean {
    return this.#limits.logBytesMax > 0;
  }

  /** The last group that may be shown. */
  get synced(): number {
    return this.#synced;
  }

  /** Whether everything after this group is still there. */
  reaches(group: number): boolean {
    return group + 1 >= this.#first && group < this.#next;
  }

  /** Called when a group is on stable storage. What it has changed is read out of its row for who asks: most often nobody does. */
  onSynced(listener: (changes: () => readonly Change[]) => void): void {
    this.#listeners.push(listener);
  }

  recordChanged(transaction: GroupTransaction, { rowKey, before, after }: RecordChange): void {
    if (this.#limits.logBytesMax === 0 || after.vector.length === 0 || !showsMore(before, after)) return;
    transaction.afterwards(this.#note, { rowKey, is: after });
  }

  /** The same of a row that is no record: called inside the group's transaction by an operation that cannot fail any more. */
  note(rowKey: Uint8Array, glimpse: Uint8Array): void {
    if (this.#limits.logBytesMax > 0) this.#note({ rowKey, is: glimpse });
  }

  readonly #note = (change: Pending): void => {
    this.#pending.push(change);
  };

  groupBegins(): void {
    this.#pending = [];
    this.#before = this.#standing();
  }

  groupEnds(transaction: DiskTransaction): void {
    if (this.#pending.length === 0) return;
    const row = this.#row();
    this.#written = row;
    transaction.put(CHANGES, keyOfNumber(this.#next), row);
    this.#next += 1;
    this.#bytesNext += row.length;
    this.#trim(transaction);
  }

  groupFailed(): void {
    const { first, next, bytesFirst, bytesNext } = this.#before;
    this.#first = first;
    this.#next = next;
    this.#bytesFirst = bytesFirst;
    this.#bytesNext = bytesNext;
    this.#pending = [];
    this.#written = undefined;
  }

  groupSynced(): void {
    if (this.#synced === this.#next - 1) return;
    const group = this.#next - 1;
    this.#synced = group;
    const row = this.#written;
    this.#written = undefined;
    const changes = (): readonly Change[] => (row === undefined ? [] : changesOf(row, group));
    for (const listener of this.#listeners) listener(changes);
  }

  /**
   * The changes of rows whose keys begin so, after this group: as many groups as make up about `limit` of them. To be asked only
   * where the log {@link reaches}.
   */
  read(disk: DiskReader, after: number, rowPrefix: Uint8Array, limit: number): ChangesPage {
    const changes: Change[] = [];
    let upTo = after;
    while (upTo < this.#synced && changes.length < limit) {
      const rows = disk.range(CHANGES, {
        from: keyOfNumber(upTo + 1),
        to: keyOfNumber(this.#synced + 1),
        limit: READ_ROWS,
      });
      if (rows.length === 0) break;
      for (const [key, row] of rows) {
        upTo = numberOfKey(key);
        for (const change of changesOf(row, upTo)) if (beginsWith(change.rowKey, rowPrefix)) changes.push(change);
        if (changes.length >= limit) break;
      }
      // What is looked at in one go is bounded, also where nothing of it is wanted.
      if (rows.length === READ_ROWS) break;
    }
    return { changes, upTo };
  }

  /** The last group that was committed before this time; undefined when the log does not reach so far back. */
  before(disk: DiskReader, time: number): number | undefined {
    let low = this.#first;
    let high = this.#synced + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const row = disk.get(CHANGES, keyOfNumber(middle));
      if (row === undefined || headOf(row).time >= time) high = middle;
      else low = middle + 1;
    }
    return low === this.#first && this.#first > 1 ? undefined : low - 1;
  }

  #row(): Uint8Array {
    const writer = this.#writer;
    writer.clear();
    const head = { boot: this.#boot, begins: this.#first, bytesBefore: this.#bytesNext, time: this.#clock.wall() };
    writeRow(writer, head, this.#pending);
    return writer.written(0).slice();
  }

  #standing() {
    return { first: this.#first, next: this.#next, bytesFirst: this.#bytesFirst, bytesNext: this.#bytesNext };
  }

  #bytes(): number {
    return this.#bytesNext - this.#bytesFirst;
  }

  #trim(transaction: DiskTransaction): void {
    const { logBytesMax, logAgeMax } = this.#limits;
    const now = this.#clock.wall();
    const long = this.#bytes() > logBytesMax * (1 + TRIM_SLACK);
    if (!long && Math.abs(now - this.#ageLooked) < AGE_LOOK_MS) return;
    this.#ageLooked = now;
    const rows = transaction.range(CHANGES, { to: keyOfNumber(this.#next - 1), limit: TRIM_ROWS });
    for (const [key, row] of rows) {
      const { bytesBefore, time } = headOf(row);
      const isOld = time <= now - logAgeMax && this.#ready();
      if (this.#bytesNext - bytesBefore <= logBytesMax && !isOld) return;
      transaction.delete(CHANGES, key);
      this.#first = Math.max(this.#first, numberOfKey(key) + 1);
      this.#bytesFirst = bytesBefore + row.length;
    }
  }
}

const READ_ROWS = 64;

function standingOn(disk: DiskReader): Standing {
  const [first] = disk.range(CHANGES, { limit: 1 });
  const [last] = disk.range(CHANGES, { limit: 1, reverse: true });
  if (first === undefined || last === undefined) return { boot: 0, first: 1, next: 1, bytesFirst: 0, bytesNext: 0 };
  const { bytesBefore, boot, begins } = headOf(last[1]);
  return {
    boot,
    // Rows from before what it begins with are on their way out.
    first: Math.max(numberOfKey(first[0]), begins),
    next: numberOfKey(last[0]) + 1,
    bytesFirst: headOf(first[1]).bytesBefore,
    bytesNext: bytesBefore + last[1].length,
  };
}

function writeRow(writer: ByteWriter, { boot, begins, bytesBefore, time }: Head, entries: readonly Pending[]): void {
  writer.u8(FORMAT);
  writer.varint(boot);
  writer.varint(begins);
  writer.varint(bytesBefore);
  writer.varint(Math.max(0, Math.floor(time)));
  writer.varint(entries.length);
  for (const { rowKey, is } of entries) {
    writer.bytes(rowKey);
    if (is instanceof Uint8Array) writer.bytes(is);
    else writeShortGlimpse(writer, is);
  }
}

/** With its length; nothing where it is too long. */
function writeShortGlimpse(writer: ByteWriter, state: State): void {
  const bytes = glimpseBytes(state);
  writer.varint(bytes > GLIMPSE_MAX ? 0 : bytes);
  if (bytes <= GLIMPSE_MAX) writeGlimpse(writer, state);
}

/** Whether a reader may be shown something else than before, or for longer: who knows an earlier end takes it for gone then. */
function showsMore({ versions: had }: State, { versions: has }: State): boolean {
  // What has expired goes some time after that was told.
  if (has.length < had.length) return !sameVersions(had.filter(hasNotExpired), has.filter(hasNotExpired));
  return !sameVersions(had, has);
}

function hasNotExpired({ content, expiresAt }: Version): boolean {
  return content !== null || expiresAt === 0;
}

function sameVersions(had: readonly Version[], has: readonly Version[]): boolean {
  if (had.length !== has.length) return false;
  return has.every(({ dot, content, expiresAt }, i) => {
    const was = had[i]!;
    return sameDot(dot, was.dot) && (content === null) === (was.content === null) && expiresAt === was.expiresAt;
  });
}

function beginsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  if (bytes.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[i] !== prefix[i]) return false;
  return true;
}

function headOf(row: Uint8Array): Head {
  return readHead(new ByteReader(row));
}

function readHead(reader: ByteReader): Head {
  const format = reader.u8();
  if (format !== FORMAT) throw new RangeError(`changes in format ${format}: this release reads format ${FORMAT}`);
  return { boot: reader.varint(), begins: reader.varint(), bytesBefore: reader.varint(), time: reader.varint() };
}

function changesOf(row: Uint8Array, group: number): readonly Change[] {
  const reader = new ByteReader(row);
  readHead(reader);
  const changes: Change[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    changes.push({ group, rowKey: reader.bytes(), glimpse: reader.bytes() });
  }
  return changes;
}
