/** What is read of the journal after a process that did not end in order: torn ends are taken for ends, and damage for damage. */

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { MIGRATIONS } from '#world/real/disk-schema.ts';
import { openDisk } from '#world/real/disk.ts';
import { readJournal } from '#world/real/journal-read.ts';
import { JournalSegment } from '#world/real/journal-segment.ts';
import type { Disk, TableDefinition } from '#world/world.ts';

const TABLES: readonly TableDefinition[] = [
  { name: 'rows', rows: 'wide' },
  { name: 'log', rows: 'numbered' },
];
const FILES = ['', '-wal', '-journal-0', '-journal-1'];
const HEAD_BYTES = 32;

let directory: string;
let copy: string;
let events: { readonly event: string; readonly segments?: unknown }[];

const log = { debug() {}, info: note, warn: note, error: note };
function note(event: string, fields?: Readonly<Record<string, unknown>>): void {
  events.push({ event, segments: fields?.['segments'] });
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quoral-journal-'));
  copy = join(directory, 'copy', 'data.db');
  mkdirSync(join(directory, 'copy'));
  events = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

const value = (i: number): Uint8Array => new Uint8Array(100).fill(i);
const open = (path: string, segmentBytes = 1024 * 1024, tables = TABLES): Promise<Disk> =>
  openDisk({ path, tables, log, segmentBytes });

/** Commits rows 0 and on, each durable, and copies the files as a killed process leaves them. */
async function leave(commits: number, segmentBytes?: number): Promise<void> {
  const path = join(directory, 'data.db');
  const disk = await open(path, segmentBytes);
  for (let i = 0; i < commits; i++) {
    await disk.commit((transaction) => transaction.put('rows', Uint8Array.of(i), value(i))).durable;
  }
  for (const file of FILES) copyFileSync(path + file, copy + file);
  await disk.close();
  events = [];
}

async function found(tables = TABLES): Promise<number[]> {
  const disk = await open(copy, undefined, tables);
  const rows = disk.range('rows', { limit: 1000 }).map(([key, bytes]) => {
    expect(bytes).toEqual(value(key[0]!));
    return key[0]!;
  });
  await disk.close();
  return rows;
}

/** Changes one of the bytes of a file of the journal. */
function flip(file: string, at: number): void {
  const bytes = readFileSync(copy + file);
  bytes[at]! ^= 0x40;
  writeFileSync(copy + file, bytes);
}

/** Where records begin, and where they end, in a file of the journal. */
function places(file: string): number[] {
  const bytes = readFileSync(copy + file);
  const found = [0];
  for (let at = 0; bytes.readUInt32LE(at) === bytes.readUInt32LE(0); at += bytes.readUInt32LE(at + 4))
    found.push(at + bytes.readUInt32LE(at + 4));
  return found;
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

test('everything is found that was durable, and told', async () => {
  await leave(10);
  expect(await found()).toEqual(numbers(10));
  expect(events.map(({ event }) => event)).toEqual(['journal-recovered', 'disk-opened']);
});

test('the names of tables are what counts, not their order', async () => {
  await leave(10);
  expect(await found([{ name: 'others', rows: 'narrow' }, ...TABLES.toReversed()])).toEqual(numbers(10));
});

test('the next process begins where this one ends, again and again', async () => {
  await leave(10);
  for (let i = 10; i < 14; i++) {
    const disk = await open(copy);
    await disk.commit((transaction) => transaction.put('rows', Uint8Array.of(i), value(i))).durable;
    const next = join(directory, `next-${i}`);
    mkdirSync(next);
    for (const file of FILES) copyFileSync(copy + file, join(next, `data.db${file}`));
    await disk.close();
    copy = join(next, 'data.db');
  }
  expect(await found()).toEqual(numbers(14));
});

test('a commit that changes nothing may be the first one', async () => {
  const path = join(directory, 'data.db');
  const disk = await open(path);
  await disk.commit(() => undefined).durable;
  for (let i = 0; i < 5; i++) {
    await disk.commit((transaction) => transaction.put('rows', Uint8Array.of(i), value(i))).durable;
  }
  for (const file of FILES) copyFileSync(path + file, copy + file);
  await disk.close();
  expect(await found()).toEqual(numbers(5));
});

test('what a process before the last one has left in the files never comes back', async () => {
  const path = join(directory, 'data.db');
  const disk = await open(path);
  // One write, of which the power takes the first page.
  const first = disk.commit((transaction) => transaction.put('rows', Uint8Array.of(0), value(0)));
  for (let i = 1; i < 100; i++) disk.commit((transaction) => transaction.put('rows', Uint8Array.of(i), value(i + 100)));
  for (const file of ['', '-wal']) copyFileSync(path + file, copy + file);
  await first.durable;
  await disk.close();
  for (const file of ['-journal-0', '-journal-1']) copyFileSync(path + file, copy + file);
  const torn = readFileSync(`${copy}-journal-0`).fill(0, 0, 4096);
  writeFileSync(`${copy}-journal-0`, torn);

  const next = await open(copy);
  for (let i = 0; i < 40; i++) {
    await next.commit((transaction) => transaction.put('rows', Uint8Array.of(i), value(i))).durable;
  }
  const last = join(directory, 'last');
  mkdirSync(last);
  for (const file of FILES) copyFileSync(copy + file, join(last, `data.db${file}`));
  await next.close();
  copy = join(last, 'data.db');
  expect(await found()).toEqual(numbers(40));
});

test('a last record that is not whole has never been', async () => {
  await leave(10);
  flip('-journal-0', places('-journal-0').at(-1)! - 1);
  expect(await found()).toEqual(numbers(9));
});

test('a record that is not whole where everything was durable is damage', async () => {
  await leave(10);
  const before = places('-journal-0').at(-3)!;
  flip('-journal-0', before + HEAD_BYTES + 3);
  await expect(open(copy)).rejects.toThrow(/data\.db-journal-0 or .* is damaged: what was written up to byte \d+/);
  expect(events).toEqual([]);
});

test('so is a first record that is gone, and a head', async () => {
  for (const at of [0, 5, 9, 17, places.length]) {
    await leave(10);
    flip('-journal-0', at);
    await expect(open(copy)).rejects.toThrow('is damaged');
    rmSync(join(directory, 'data.db'));
    for (const file of FILES) rmSync(join(directory, `data.db${file}`), { force: true });
  }
});

/** A segment of so many records with a row each, whose keys begin with its number. */
function segmentOf(number: number, after: { segment: number; bytes: number }, rows: number): Uint8Array {
  const segment = new JournalSegment({
    ...{ number, after },
    identity: 7,
    tables: ['rows'],
    bytes: new Uint8Array(64),
  });
  for (let i = 0; i < rows; i++) {
    segment.put(0, Uint8Array.of(number, i), value(i));
    segment.finish({ segment: number - 1, bytes: after.bytes });
  }
  return segment.bytes.slice(0, segment.finished);
}

test('what an earlier segment has left behind the end of one does not come back, where their records are equally long too', () => {
  const [first, third] = [segmentOf(1, { segment: 0, bytes: 0 }, 3), segmentOf(3, { segment: 2, bytes: 100 }, 1)];
  const paths = ['a', 'b'].map((name) => join(directory, name));
  writeFileSync(paths[0]!, Buffer.concat([third, first.subarray(third.length)]));
  writeFileSync(paths[1]!, segmentOf(2, { segment: 1, bytes: first.length }, 1));
  const [left, ...others] = readJournal({ paths, identity: 7, applied: 2 });
  expect([left?.number, others]).toEqual([3, []]);
  const keys: Uint8Array[] = [];
  left!.show(0, (_, key) => keys.push(key));
  expect(keys).toEqual([Uint8Array.of(3, 0)]);
});

test('where a segment follows, the one before is to be whole', () => {
  const first = segmentOf(1, { segment: 0, bytes: 0 }, 3);
  const paths = ['a', 'b'].map((name) => join(directory, name));
  const read = (last: number, after: number): number[] => {
    writeFileSync(paths[0]!, first.subarray(0, last));
    writeFileSync(paths[1]!, segmentOf(2, { segment: 1, bytes: after }, 1));
    return readJournal({ paths, identity: 7, applied: 0 }).map(({ number }) => number);
  };
  expect(read(first.length, first.length)).toEqual([1, 2]);
  const reversed = readJournal({ paths: paths.toReversed(), identity: 7, applied: 0 });
  expect(reversed.map(({ number }) => number)).toEqual([1, 2]);
  expect(() => read(first.length - 1, first.length)).toThrow(`up to byte ${first.length} of segment 1 is not there`);
  expect(() => read(0, first.length)).toThrow(`up to byte ${first.length} of segment 1 is not there`);
  expect(() => readJournal({ paths, identity: 8, applied: 0 })).not.toThrow();
  expect(readJournal({ paths, identity: 7, applied: 1 }).map(({ number }) => number)).toEqual([2]);
});

test('a program with another format leaves what stands in the journal to the one that has written it', async () => {
  await leave(5);
  const newer = openDisk({ path: copy, tables: TABLES, log, migrations: [...MIGRATIONS, () => undefined] });
  await expect(newer).rejects.toThrow(
    `${copy} has format ${MIGRATIONS.length} and was not closed in order; start the program that has written it once more and stop it`,
  );
  expect(await found()).toEqual(numbers(5));
});

test('a file that is missing is named; after an orderly end it is not missed', async () => {
  await leave(10);
  rmSync(`${copy}-journal-1`);
  await expect(open(copy)).rejects.toThrow(
    `${copy}-journal-1 is missing and may hold writes that are nowhere else; put it back, or start with an empty data directory`,
  );
  const path = join(directory, 'data.db');
  for (const file of ['-journal-0', '-journal-1']) rmSync(path + file);
  copy = path;
  expect(await found()).toEqual(numbers(10));
});

test('files of another database are not read', async () => {
  await leave(10);
  const other = join(directory, 'other.db');
  const disk = await open(other);
  await disk.commit((transaction) => transaction.put('rows', Uint8Array.of(200), value(200))).durable;
  for (const file of ['-journal-0', '-journal-1']) copyFileSync(copy + file, join(directory, `former${file}`));
  copyFileSync(`${other}-journal-0`, `${copy}-journal-0`);
  await disk.close();
  // Nothing of its own is there: as after a loss of power before the first commit.
  expect(await found()).toEqual([]);
});

test('segments one after the other are found whole, whatever stands in the database of them', async () => {
  for (const segmentBytes of [200, 400, 700]) {
    await leave(60, segmentBytes);
    expect(await found()).toEqual(numbers(60));
    expect(statSync(`${copy}-journal-0`).size).toBeLessThan(10_000);
    for (const file of FILES) rmSync(join(directory, `data.db${file}`), { force: true });
  }
});

test('what is brought in makes the log of SQLite no longer than it is allowed to be', async () => {
  const walBytes = 256 * 1024;
  const path = join(directory, 'data.db');
  const disk = await openDisk({ path, tables: TABLES, log, walBytes });
  const commits = Array.from({ length: 100 }, (_, i) =>
    disk.commit((transaction) => {
      // In no order, so that each changes a page of its own.
      for (let j = 0; j < 100; j++)
        transaction.put('rows', utf8(`${(i * 100 + j) * 7919 * 104_729}`.slice(-9)), value(j));
    }),
  );
  await Promise.all(commits.map(({ durable }) => durable));
  for (const file of FILES) copyFileSync(path + file, copy + file);
  await disk.close();
  const again = await openDisk({ path: copy, tables: TABLES, log, walBytes });
  expect(events).toContainEqual({ event: 'journal-recovered', segments: 1 });
  expect(statSync(`${copy}-wal`).size).toBeLessThan(4 * walBytes);
  expect(again.range('rows', { limit: 20_000 })).toHaveLength(10_000);
  await again.close();
});
