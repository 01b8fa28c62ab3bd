/**
 * What the real disk costs: commits by group and value size, reads, and the layouts of a table.
 *
 *     node bench/micro/disk.bench.ts
 *
 * CPU time is that of the whole process, with its threads. Every value differs from all before it, because SQLite skips a
 * page that a write does not change. Each case runs several times, in alternating order, and its medians are shown; compare
 * ratios of one run, for machines drift.
 */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { openDisk } from '#world/real/disk.ts';
import { SeededRandom } from '#world/simulated/random.ts';
import type { Disk, Log } from '#world/world.ts';

export interface DiskBenchmarkSize {
  /** Runs of each case; the medians count. */
  readonly rounds: number;
  readonly groups: readonly number[];
  readonly valueBytes: readonly number[];
  /** Bytes of values that are there before the measurement, and that are written during it. */
  readonly presentBytes: number;
  readonly writtenBytes: number;
  /** Most rows of each kind: small values would need millions. */
  readonly rowsMax: number;
}

const REAL_SIZE: DiskBenchmarkSize = {
  rounds: 5,
  groups: [1, 8, 64],
  valueBytes: [100, 1024, 65_536],
  presentBytes: 100_000_000,
  writtenBytes: 40_000_000,
  rowsMax: 40_000,
};

/** One line of a table: what was measured, by the name of the column. */
export type Measurement = Readonly<Record<string, string | number>>;

export interface DiskBenchmark {
  readonly commits: readonly Measurement[];
  readonly layouts: readonly Measurement[];
}

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

export async function runDiskBenchmark(size: DiskBenchmarkSize): Promise<DiskBenchmark> {
  const commits: Measurement[] = [];
  for (const valueBytes of size.valueBytes) {
    commits.push(...(await alternate(size.groups, size.rounds, (group) => measureCommits(group, valueBytes, size))));
  }
  const layouts: Measurement[] = [];
  for (const valueBytes of size.valueBytes) {
    layouts.push(
      ...(await alternate(LAYOUTS, size.rounds, (layout) => Promise.resolve(measureLayout(layout, valueBytes, size)))),
    );
  }
  return { commits, layouts };
}

/** Runs every case so many times, forwards and backwards in turn. */
async function alternate<Case>(
  cases: readonly Case[],
  rounds: number,
  run: (each: Case) => Promise<Measurement>,
): Promise<Measurement[]> {
  const results = new Map<Case, Measurement[]>(cases.map((each) => [each, []]));
  for (let round = 0; round < rounds; round++) {
    for (const each of round % 2 === 0 ? cases : cases.toReversed()) results.get(each)!.push(await run(each));
  }
  return [...results.values()].map(medians);
}

function medians(runs: readonly Measurement[]): Measurement {
  const columns = Object.keys(runs[0]!).map((column) => {
    const values = runs.map((run) => run[column]!);
    return [column, typeof values[0] === 'number' ? quantile(values as number[], 0.5) : values[0]!] as const;
  });
  return Object.fromEntries(columns);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

/** Rounds to three digits that count. */
function short(value: number): number {
  return Number(value.toPrecision(3));
}

// --- Rows ---

/** Keys in random order, and values none of which equals another. */
class Rows {
  readonly keys: readonly Uint8Array[];
  readonly #random = new SeededRandom('disk');
  readonly #noise: Uint8Array;
  readonly #bytes: number;
  #made = 0;

  constructor(count: number, bytes: number) {
    this.keys = Array.from({ length: count }, () => this.#random.bytes(24));
    this.#noise = new Uint8Array(randomBytes(bytes + 65_536));
    this.#bytes = bytes;
  }

  /** Half of these keys have a row. */
  anyKey(): Uint8Array {
    return this.keys[this.#random.below(this.keys.length)]!;
  }

  value(): Uint8Array {
    const start = (this.#made * 7919) % 65_536;
    const value = this.#noise.slice(start, start + this.#bytes);
    new DataView(value.buffer).setUint32(0, this.#made++);
    return value;
  }
}

function counts(valueBytes: number, size: DiskBenchmarkSize): { readonly present: number; readonly written: number } {
  const count = (bytes: number): number => Math.max(1, Math.min(size.rowsMax, Math.floor(bytes / valueBytes)));
  return { present: count(size.presentBytes), written: count(size.writtenBytes) };
}

// --- Commits ---

async function measureCommits(group: number, valueBytes: number, size: DiskBenchmarkSize): Promise<Measurement> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-bench-'));
  const disk = await openDisk({
    path: join(directory, 'data.db'),
    tables: [{ name: 'rows', rows: 'wide' }],
    log: silent,
  });
  const { present, written } = counts(valueBytes, size);
  const rows = new Rows(present * 2, valueBytes);
  await fill(disk, rows, present);
  const durable: number[] = [];
  const calls: number[] = [];
  const operations = Math.ceil(written / group / (group === 1 ? 4 : 1)) * group;
  const wall = performance.now();
  const cpu = process.cpuUsage();
  for (let done = 0; done < operations; done += group) {
    const start = performance.now();
    const committed = disk.commit((transaction) => {
      for (let i = 0; i < group; i++) {
        const key = rows.anyKey();
        transaction.get('rows', key);
        transaction.put('rows', key, rows.value());
      }
    });
    calls.push(performance.now() - start);
    await committed.durable;
    durable.push(performance.now() - start);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { user, system } = process.cpuUsage(cpu);
  const elapsed = performance.now() - wall;
  await disk.close();
  rmSync(directory, { recursive: true });
  return {
    'value bytes': valueBytes,
    group,
    'CPU µs/op': short((user + system) / operations),
    'wall µs/op': short((elapsed * 1000) / operations),
    'durable p50 ms': short(quantile(durable, 0.5)),
    'durable p99 ms': short(quantile(durable, 0.99)),
    'loop held p99 ms': short(quantile(calls, 0.99)),
    'loop held max ms': short(Math.max(...calls)),
  };
}

async function fill(disk: Disk, rows: Rows, present: number): Promise<void> {
  for (let i = 0; i < present;) {
    const { durable } = disk.commit((transaction) => {
      const end = Math.min(present, i + 256);
      for (; i < end; i++) transaction.put('rows', rows.keys[i * 2]!, rows.value());
    });
    await durable;
  }
}

// --- Layouts ---

interface Layout {
  readonly table: 'rowid' | 'without rowid';
  readonly pageBytes: number;
}

const LAYOUTS: readonly Layout[] = (['rowid', 'without rowid'] as const).flatMap((table) =>
  [4096, 8192, 16_384].map((pageBytes) => ({ table, pageBytes })),
);

const LAYOUT_SQL: Readonly<Record<Layout['table'], string>> = {
  rowid: 'CREATE TABLE rows (k BLOB NOT NULL UNIQUE, v BLOB NOT NULL)',
  'without rowid': 'CREATE TABLE rows (k BLOB NOT NULL PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID',
};

const LAYOUT_GROUP = 32;

function measureLayout({ table, pageBytes }: Layout, valueBytes: number, size: DiskBenchmarkSize): Measurement {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-bench-'));
  const path = join(directory, 'data.db');
  const database = new Database(path);
  database.pragma(`page_size = ${pageBytes}`);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = NORMAL');
  database.pragma('wal_autocheckpoint = 4000');
  database.pragma('cache_size = -65536');
  database.exec(LAYOUT_SQL[table]);
  const put = database.prepare('INSERT INTO rows (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v');
  const get = database.prepare('SELECT v FROM rows WHERE k = ?').pluck();
  const { present, written } = counts(valueBytes, size);
  const rows = new Rows(present * 2, valueBytes);
  const inGroups = (count: number, action: (index: number) => void): number => {
    const cpu = process.cpuUsage();
    for (let i = 0; i < count;) {
      database.exec('BEGIN IMMEDIATE');
      const end = Math.min(count, i + LAYOUT_GROUP);
      for (; i < end; i++) action(i);
      database.exec('COMMIT');
    }
    const { user, system } = process.cpuUsage(cpu);
    return short((user + system) / count);
  };
  const load = inGroups(present, (i) => put.run(rows.keys[i * 2], rows.value()));
  database.pragma('wal_checkpoint(TRUNCATE)');
  const bytesPerRow = Math.round(statSync(path).size / present);
  const read = inGroups(written, () => get.get(rows.anyKey()));
  const write = inGroups(written, () => put.run(rows.anyKey(), rows.value()));
  database.close();
  rmSync(directory, { recursive: true });
  return {
    'value bytes': valueBytes,
    table,
    'page bytes': pageBytes,
    'file bytes/row': bytesPerRow,
    'load CPU µs/row': load,
    'put CPU µs': write,
    'get CPU µs': read,
  };
}

// --- Output ---

function toMarkdown(rows: readonly Measurement[]): string {
  const columns = Object.keys(rows[0]!);
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map((row) => line(columns.map((c) => row[c]!)))].join(
    '\n',
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { commits, layouts } = await runDiskBenchmark(REAL_SIZE);
  process.stdout.write(`## Commits\n\n${toMarkdown(commits)}\n\n## Layouts\n\n${toMarkdown(layouts)}\n`);
}
