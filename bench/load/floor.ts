/**
 * The floor of an operation: the CPU time of the primitives that it cannot do without, on this machine and in this run. One
 * HTTP request through hono, the calls to replicas on the upgraded socket, the storage operations in group commit.
 */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { diskFigures } from '#world/real/disk-figures.ts';
import { openFiles } from '#world/real/disk-open.ts';
import { openDisk } from '#world/real/disk.ts';
import { SqliteRows } from '#world/real/sqlite-rows.ts';
import { mindProcess, temporaryDirectory } from '../interruption.ts';
import { measureCalls } from '../micro/network.bench.ts';
import { generate } from './run-generator.ts';

const SERVER = new URL('floor-server.ts', import.meta.url).pathname;
const BYTES = 1024;

export interface Primitives {
  /** CPU µs of one HTTP request. */
  readonly httpPut: number;
  readonly httpGet: number;
  /**
   * CPU µs of one call, both ends: of a write, with {@link inFlight} on each link, for a node calls both others; of a read, which
   * calls one of them, with half as many.
   */
  readonly call: number;
  readonly callOfRead: number;
  /** CPU µs of one row written to SQLite, in commits of {@link group}, synced; and of one row read. */
  readonly storagePut: number;
  readonly storageGet: number;
  /** Of one row written as the nodes do it, to the journal before SQLite. */
  readonly storageOwnPut: number;
  readonly group: number;
  readonly inFlight: number;
}

/** Milliseconds of one write of 4 KiB and its fdatasync. */
export interface SyncTimes {
  readonly fdatasyncP50Ms: number;
  readonly fdatasyncP99Ms: number;
}

export interface Floor {
  readonly put: number;
  readonly get: number;
}

/** N=3: the coordinator is an owner; R=2 and W=2, with all three owners written. */
export function floorOf({ httpPut, httpGet, call, callOfRead, storagePut, storageGet }: Primitives): Floor {
  return { put: httpPut + 2 * call + 3 * storagePut, get: httpGet + callOfRead + 2 * storageGet };
}

export interface FloorOptions {
  readonly connections: number;
  readonly seconds: number;
  /** Rows in one commit, as the run reached. */
  readonly group: number;
  readonly nodes: number;
}

export async function measurePrimitives({ connections, seconds, group, nodes }: FloorOptions): Promise<Primitives> {
  const http = await measureHttp(connections, seconds);
  const inFlight = Math.max(1, Math.round(connections / nodes));
  const ofRead = Math.max(1, Math.round(connections / nodes / (nodes - 1)));
  const [call, callOfRead] = await measureCalls(20_000 * seconds, [inFlight, ofRead]);
  const storage = await measureStorage(sqlite, group, seconds);
  const own = await measureStorage(journaled, group, seconds);
  return {
    ...http,
    call: call!.cpuMicros,
    callOfRead: callOfRead!.cpuMicros,
    ...{ storagePut: storage.put, storageGet: storage.get, storageOwnPut: own.put },
    group,
    inFlight,
  };
}

async function measureHttp(connections: number, seconds: number): Promise<{ httpPut: number; httpGet: number }> {
  const child = mindProcess(fork(SERVER));
  const [port] = (await once(child, 'message')) as [number];
  const server = { urls: [`http://127.0.0.1:${port}`], pids: [child.pid!] };
  const flags = { connections, seconds, warmup: 1, bytes: BYTES };
  const put = await generate(server, { ...flags, mix: 'put' });
  const get = await generate(server, { ...flags, mix: 'get' });
  child.disconnect();
  return { httpPut: put.cpuMicrosPerOp, httpGet: get.cpuMicrosPerOp };
}

type Put = (key: Uint8Array, value: Uint8Array) => void;

/** A store by commits that are waited for until they are on stable storage. */
interface Storage {
  readonly commit: (run: (put: Put) => void) => Promise<void>;
  readonly get: (key: Uint8Array) => unknown;
  readonly close: () => Promise<void>;
}

const TABLES = [{ name: 'rows', rows: 'wide' }] as const;
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** Rows that go into SQLite with each commit, whose log is synced by the pool: what storing them costs at least without a journal. */
async function sqlite(path: string): Promise<Storage> {
  const files = await openFiles({ path, tables: TABLES });
  const figures = diskFigures(undefined, { ...ZERO_SIZES, cacheBytes: 0 });
  const onError = (error: unknown): never => {
    throw error;
  };
  const rows = new SqliteRows({ files, tables: TABLES, rowCacheBytes: 0, figures, log: SILENT, onError });
  return {
    async commit(run) {
      const held = rows.write((row) => run((key, value) => row(0, key, value)));
      await rows.sync();
      await held;
    },
    get: (key) => rows.get(0, key),
    close: () => rows.close(),
  };
}

const ZERO_SIZES = { bytes: () => 0, walBytes: () => 0, journalRows: () => 0, freeBytes: () => 0 };

async function journaled(path: string): Promise<Storage> {
  const disk = await openDisk({ path, tables: TABLES, log: SILENT });
  return {
    commit: (run) => disk.commit((transaction) => run((key, value) => transaction.put('rows', key, value))).durable,
    get: (key) => disk.get('rows', key),
    close: () => disk.close(),
  };
}

async function measureStorage(
  open: (path: string) => Promise<Storage>,
  group: number,
  seconds: number,
): Promise<{ put: number; get: number }> {
  const directory = temporaryDirectory('quoral-floor-');
  const storage = await open(join(directory, 'data.db'));
  const keys = Array.from({ length: 20_000 }, () => randomBytes(24));
  const noise = randomBytes(BYTES);
  const anyKey = (): Buffer => keys[Math.floor(Math.random() * keys.length)]!;
  const write = async (which: (i: number) => Buffer, count: number): Promise<void> => {
    for (let done = 0; done < count; done += group) {
      await storage.commit((put) => {
        for (let i = 0; i < group; i++) {
          const value = Buffer.from(noise);
          value.writeDoubleLE(Math.random(), 0);
          put(which(done + i), value);
        }
      });
    }
  };
  await write((i) => keys[i % keys.length]!, keys.length);
  const count = 20_000 * seconds;
  const put = await cpuOf(count, () => write(anyKey, count));
  const get = await cpuOf(count, () => {
    for (let i = 0; i < count; i++) storage.get(anyKey());
  });
  await storage.close();
  rmSync(directory, { recursive: true });
  return { put, get };
}

async function cpuOf(count: number, work: () => Promise<void> | void): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

export function measureSync(): SyncTimes {
  const directory = temporaryDirectory('quoral-sync-');
  const file = openSync(join(directory, 'file'), 'w');
  const page = randomBytes(4096);
  const times = Array.from({ length: 500 }, (_, i) => {
    const began = performance.now();
    writeSync(file, page, 0, page.length, (i % 64) * page.length);
    fdatasyncSync(file);
    return performance.now() - began;
  }).sort((a, b) => a - b);
  closeSync(file);
  rmSync(directory, { recursive: true });
  return { fdatasyncP50Ms: times[250]!, fdatasyncP99Ms: times[495]! };
}
