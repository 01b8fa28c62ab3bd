/**
 * What keeping Merkle trees costs a write, and what an exchange costs to find differences.
 *
 *     node bench/micro/merkle.bench.ts [keys] [writes]
 *
 * Writes: groups of 64 on a real disk with values of 1 KiB, with and without the trees and the index of dead rows, in turns;
 * CPU time is that of the whole process. Exchanges: two stores in memory, whose messages are encoded and counted.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeState } from '#causality/state-codec.ts';
import type { State } from '#causality/state.ts';
import { epoch, nodeId, nodeIndex } from '#kernel/identity.ts';
import { utf8 } from '#kernel/bytes.ts';
import { Pages } from '#repair/at-once.ts';
import { DEAD_TABLES, DeadRows } from '#repair/dead-rows.ts';
import { exchange, type ExchangeEnvironment } from '#repair/exchange.ts';
import {
  KeysMessage,
  LeavesMessage,
  NodesMessage,
  PullMessage,
  PushMessage,
  RowsMessage,
} from '#repair/exchange-messages.ts';
import { TREE_TABLES } from '#repair/tree-tables.ts';
import { TreeSource } from '#repair/tree-source.ts';
import { MerkleTrees } from '#repair/trees.ts';
import { GroupCommit } from '#replica/group-commit.ts';
import { Records, type Place, type RecordParticipant } from '#replica/records.ts';
import { RECORDS, recordKey, recordName, REPLICA_TABLES } from '#replica/tables.ts';
import { decodeState } from '#causality/state-codec.ts';
import { decode, encode } from '#wire/codec.ts';
import type { MessageType } from '#wire/message.ts';
import { digest } from '#world/digest.ts';
import { realClock } from '#world/real/clock.ts';
import { openDisk } from '#world/real/disk.ts';
import { createMetrics } from '#world/real/metrics.ts';
import { SortedTable } from '#world/simulated/disk-table.ts';
import type { Disk, DiskTransaction, Log } from '#world/world.ts';

const SECRET = utf8('the secret of a benchmark');
const SILENT: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const TABLES = [...REPLICA_TABLES, ...TREE_TABLES, ...DEAD_TABLES];
const PLACE = { n: 3, partition: 0 };
const LIFE: Place = { ...PLACE, bucket: 'b', incarnation: 0 };
const GROUP = 64;

export interface MerkleFigures {
  /** CPU microseconds for a write of a new key and for one of a key that is there, without and with the trees. */
  readonly writes: readonly { readonly kind: string; readonly bare: number; readonly kept: number }[];
  readonly exchanges: readonly {
    readonly differing: number;
    readonly bytes: number;
    readonly formula: number;
    readonly milliseconds: number;
  }[];
}

function stateOf(counter: number, value: Uint8Array): State {
  const dot = { node: nodeIndex(1), tenure: 7, counter };
  return {
    vector: [dot],
    versions: [{ dot, content: { value, contentType: 't', contentEncoding: '', meta: [] }, expiresAt: 0 }],
  };
}

// --- Writes ----------------------------------------------------------------------------------------------------------

async function writeCost(count: number, keep: boolean): Promise<readonly [fresh: number, again: number]> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-merkle-'));
  const metrics = createMetrics();
  const disk = await openDisk({ path: join(directory, 'quoral.db'), tables: TABLES, log: SILENT });
  const trees = new MerkleTrees({ world: { disk, digest, log: SILENT, metrics }, secret: SECRET });
  const participants: RecordParticipant[] = keep ? [trees, new DeadRows(disk, metrics)] : [];
  const records = new Records({ log: SILENT, metrics, digest, participants, damaged: () => undefined });
  const commits = new GroupCommit({
    clock: realClock(),
    disk,
    metrics,
    prologue: () => participants.forEach((one) => one.groupBegins?.()),
    epilogue: (transaction) => participants.forEach((one) => one.groupEnds?.(transaction)),
    beforeCommit: () => undefined,
    takeBack: () => undefined,
    onFailure: () => undefined,
    groupSizeMax: GROUP,
    queueMax: 1e6,
    queueBytesMax: 1e10,
  });
  const pass = async (first: number): Promise<number> => {
    const began = process.cpuUsage();
    for (let done = 0; done < count; done += GROUP) {
      const group = Array.from({ length: Math.min(GROUP, count - done) }, async (_, i) => {
        const n = done + i;
        const value = new Uint8Array(1024).fill((n * 31 + first) & 0xff);
        const place = { ...LIFE, partition: (n * 7919) % 256 };
        const key = utf8(`key-${(n * 2654435761) >>> 0}`);
        await commits.submit({
          run: (transaction) => {
            const before = records.read(place, key, transaction)?.state;
            const state = stateOf(first + n, value);
            records.write(transaction, place, key, before, { state, encoded: encodeState(state, digest.crc32) });
          },
          bytes: 1024,
          durable: true,
        });
      });
      await Promise.all(group);
    }
    const { user, system } = process.cpuUsage(began);
    return (user + system) / count;
  };
  const costs = [await pass(1), await pass(1 + count)] as const;
  await disk.close();
  rmSync(directory, { recursive: true });
  return costs;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

// --- Exchanges -------------------------------------------------------------------------------------------------------

/** A disk in memory that commits at once. */
class MemoryDisk implements Disk {
  readonly #tables = new Map(TABLES.map(({ name }) => [name, new SortedTable()] as const));

  get(table: string, key: Uint8Array): Uint8Array | undefined {
    return this.#tables.get(table)!.get(key);
  }

  recall(table: string, key: Uint8Array): Uint8Array | undefined {
    return this.get(table, key);
  }

  recallUpTo(table: string, key: Uint8Array): Uint8Array | undefined {
    return this.get(table, key);
  }

  range(table: string, options: Parameters<Disk['range']>[1]): ReturnType<Disk['range']> {
    return this.#tables.get(table)!.range(options);
  }

  commit(run: (transaction: DiskTransaction) => void): { durable: Promise<void> } {
    run({
      get: (table, key) => this.get(table, key),
      recall: (table, key) => this.get(table, key),
      range: (table, options) => this.range(table, options),
      put: (table, key, value) => void this.#tables.get(table)!.set(key, value),
      delete: (table, key) => void this.#tables.get(table)!.set(key, undefined),
    });
    return { durable: Promise.resolve() };
  }

  failure(): undefined {
    return undefined;
  }

  sizeBytes(): number {
    return 0;
  }

  freeBytes(): number {
    return Infinity;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class Store {
  readonly disk = new MemoryDisk();
  readonly trees: MerkleTrees;
  readonly source: TreeSource;
  readonly environment: ExchangeEnvironment;
  /** Bytes of requests and replies that this store has begun. */
  bytes = 0;
  peer: Store | undefined;

  constructor() {
    const metrics = createMetrics();
    const world = { clock: realClock(), disk: this.disk, log: SILENT, metrics, digest };
    this.trees = new MerkleTrees({ world, secret: SECRET });
    const pace = { take: () => Promise.resolve() };
    const replica = {
      now: () => 1,
      retries: { any: () => false, ofKey: () => [] },
      damaged: { list: () => [] },
      store: this.#store.bind(this),
    };
    const ring = {
      placements: [{ n: 3, partitions: [{ owners: [0, 1], changedIn: 1 }] }],
      partitionCount: 1,
      members: [],
    };
    const bucket = { n: 3, incarnation: 0, version: epoch(0), conflicts: 'lww' };
    const knowledge = {
      epoch: () => epoch(1),
      ring: () => ring,
      self: () => nodeIndex(0),
      bucket: () => bucket,
      refilling: () => false,
    };
    const shared = { world, trees: this.trees, knowledge, replica, pace };
    this.source = new TreeSource(shared as unknown as ConstructorParameters<typeof TreeSource>[0]);
    const messaging = { call: this.#call.bind(this) };
    this.environment = {
      ...shared,
      messaging,
      source: this.source,
      pages: new Pages(),
      callTimeout: 60_000,
    } as unknown as ExchangeEnvironment;
  }

  put(rowKey: Uint8Array, state: State, encoded: Uint8Array): void {
    const row = this.disk.get(RECORDS, rowKey);
    const before = row === undefined ? { vector: [], versions: [] } : decodeState(row, digest.crc32);
    this.trees.groupBegins();
    this.disk.commit((transaction) => {
      const effects: (() => void)[] = [];
      transaction.put(RECORDS, rowKey, encoded);
      const afterwards = <T>(effect: (argument: T) => void, argument?: T): void => {
        effects.push(() => effect(argument as T));
      };
      const group = { ...transaction, afterwards };
      const change = { place: LIFE, key: recordName(rowKey).key, rowKey, before, after: state };
      this.trees.recordChanged(group, change);
      for (const effect of effects) effect();
      this.trees.groupEnds(transaction);
    });
  }

  #store({ key, state }: { key: Uint8Array; state: Uint8Array }): Promise<{ durable: boolean }> {
    this.put(recordKey('b', 0, key), decodeState(state, digest.crc32), state);
    return Promise.resolve({ durable: true });
  }

  async #call<Request, Reply>(_to: string, type: MessageType<Request, Reply>, request: Request): Promise<unknown> {
    const { source, environment } = this.peer!;
    const sent = encode(type.encodeRequest(request));
    const asked = type.decodeRequest(decode(sent)) as never;
    const answers: Record<string, () => unknown> = {
      [NodesMessage.name]: () => source.nodes(PLACE, false),
      [LeavesMessage.name]: () => source.leaves(PLACE, (asked as { nodes: number[] }).nodes),
      [KeysMessage.name]: () => source.keys(asked),
      [PullMessage.name]: () => source.pull(asked),
      [RowsMessage.name]: () => source.rows(asked),
      [PushMessage.name]: async () => {
        const { rows } = asked as { rows: readonly (readonly [Uint8Array, Uint8Array])[] };
        for (const [rowKey, state] of rows)
          await environment.replica.store({ key: recordName(rowKey).key, state } as never, 0);
        return { joined: rows.length, refusals: [] };
      },
    };
    const reply = (await answers[type.name]!()) as Reply;
    const back = encode(type.encodeReply(reply));
    this.bytes += sent.length + back.length;
    return { kind: 'reply', reply: type.decodeReply(decode(back)) };
  }
}

async function exchangeCosts(keys: number, differing: readonly number[]): Promise<MerkleFigures['exchanges']> {
  const [a, b] = [new Store(), new Store()];
  [a.peer, b.peer] = [b, a];
  const value = new Uint8Array(100);
  const sample = encodeState(stateOf(2 ** 50, value), digest.crc32);
  for (let i = 0; i < keys; i++) {
    const rowKey = recordKey('b', 0, utf8(`key-${i}`));
    const state = stateOf(i + 1, value);
    const encoded = encodeState(state, digest.crc32);
    a.put(rowKey, state, encoded);
    b.put(rowKey, state, encoded);
  }
  const figures = [];
  for (const [round, d] of differing.entries()) {
    for (let i = 0; i < d; i++) {
      const rowKey = recordKey('b', 0, utf8(`key-${Math.floor((i * keys) / d)}`));
      const state = stateOf(keys * (round + 2) + i, value);
      b.put(rowKey, state, encodeState(state, digest.crc32));
    }
    a.bytes = 0;
    const began = performance.now();
    const result = await exchange(a.environment, nodeId('n2'), PLACE, { settle: 0, keysMax: Infinity });
    const milliseconds = performance.now() - began;
    if (result.differing !== d || !result.complete) throw new Error(`found ${result.differing} of ${d}`);
    // ALL the nodes, the leaves of the nodes that differ, the entries of the leaves that differ, the states one way.
    const leaves = 1024 * (1 - Math.exp(-d / 1024));
    const nodes = 32 * (1 - Math.exp(-d / 32));
    const formula = 256 + nodes * 256 + leaves * (keys / 1024) * 16 + d * (8 + 16 + sample.length);
    figures.push({
      differing: d,
      bytes: a.bytes,
      formula: Math.round(formula),
      milliseconds: Math.round(milliseconds),
    });
  }
  return figures;
}

export async function run(keys: number, writes: number, rounds: number): Promise<MerkleFigures> {
  const bare: (readonly [number, number])[] = [];
  const kept: (readonly [number, number])[] = [];
  for (let round = 0; round < rounds; round++) {
    bare.push(await writeCost(writes, false));
    kept.push(await writeCost(writes, true));
  }
  const cost = (of: typeof bare, which: 0 | 1): number => median(of.map((one) => one[which]));
  return {
    writes: [
      { kind: 'new key', bare: cost(bare, 0), kept: cost(kept, 0) },
      { kind: 'key that is there', bare: cost(bare, 1), kept: cost(kept, 1) },
    ],
    exchanges: await exchangeCosts(
      keys,
      [1, 100, 10_000].filter((d) => d <= keys),
    ),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { writes, exchanges } = await run(Number(process.argv[2] ?? 1_000_000), Number(process.argv[3] ?? 20_000), 5);
  for (const { kind, bare, kept } of writes) {
    console.log(
      `write of a ${kind}: ${bare.toFixed(1)} µs bare, ${kept.toFixed(1)} µs with trees, ratio ${(kept / bare).toFixed(3)}`,
    );
  }
  for (const { differing, bytes, formula, milliseconds } of exchanges) {
    console.log(`${differing} keys differ: ${bytes} bytes (formula ${formula}), ${milliseconds} ms`);
  }
}
