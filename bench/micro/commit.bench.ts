/**
 * What a commit costs beside its rows: one node by itself on a real disk, writes of 1 KiB from the coordinator to the answer, in
 * groups of fixed sizes, each group synced. Two group sizes tell the two parts apart: what a write costs, and what a commit does.
 *
 *     node bench/micro/commit.bench.ts [writes] [rounds]
 *
 * CPU time is that of the whole process with its threads. The least of all rounds is shown: what others take from the machine
 * only adds.
 */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { utf8 } from '#kernel/bytes.ts';
import { nodeOptions } from '#cli/run-node.ts';
import { loadConfig } from '#config.ts';
import { NODE_TABLES, QuoralNode } from '#node.ts';
import { digest } from '#world/digest.ts';
import { NO_TRACE } from '#world/no-trace.ts';
import { realClock } from '#world/real/clock.ts';
import { openDisk } from '#world/real/disk.ts';
import { createMetrics } from '#world/real/metrics.ts';
import { createNetwork } from '#world/real/network.ts';
import { realRandom } from '#world/real/random.ts';
import type { Log, World } from '#world/world.ts';

const BYTES = 1024;

export interface CommitBenchmarkSize {
  readonly records: number;
  /** Writes for each group size in a round. */
  readonly writes: number;
  readonly rounds: number;
  readonly groups: readonly number[];
}

const REAL_SIZE: CommitBenchmarkSize = { records: 20_000, writes: 4000, rounds: 5, groups: [1, 4, 12, 32] };
/** In a commit, while all records are written first. */
const FILL_GROUP = 64;

/** CPU µs of a write, by the number of writes in a commit. */
export type CommitCosts = ReadonlyMap<number, number>;

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

class Writer {
  readonly #node: QuoralNode;
  readonly #records: number;
  readonly #noise = randomBytes(BYTES);
  #number = 0;

  constructor(node: QuoralNode, records: number) {
    this.#node = node;
    this.#records = records;
  }

  /** CPU µs of one of so many writes, of which so many at a time share a commit. */
  async run(writes: number, group: number): Promise<number> {
    const before = process.cpuUsage();
    for (let done = 0; done < writes; done += group) {
      await Promise.all(Array.from({ length: group }, () => this.#write()));
    }
    const { user, system } = process.cpuUsage(before);
    return (user + system) / writes;
  }

  async #write(): Promise<void> {
    const node = this.#node;
    const number = (this.#number += 1);
    const value = new Uint8Array(this.#noise);
    new DataView(value.buffer).setFloat64(0, number);
    const content = { value, contentType: 'application/octet-stream', contentEncoding: '', meta: [] };
    const how = { conditions: null, mark: null, ttl: 0, r: 1, pr: 0, w: 1, pw: 0, dw: 1, returnBody: false };
    const outcome = await node.coordinator.write({
      ...how,
      requestId: `commit-${number}`,
      bucket: node.buckets.resolve('bench'),
      key: utf8(`key-${(number * 7919) % this.#records}`),
      deadline: node.world.clock.monotonic() + 5000,
      ...{ sloppy: true, context: null, content },
    });
    if (outcome.kind !== 'applied') throw new Error(`a write is ${outcome.kind}`);
  }
}

async function startNode(directory: string): Promise<QuoralNode> {
  const flags = { id: 'n1', 'cluster-secret': 'a secret of this benchmark', 'peer-listen': '127.0.0.1:0' };
  const { settings, origins } = loadConfig({ file: undefined, environment: {}, flags });
  const metrics = createMetrics();
  const disk = await openDisk({
    ...{ path: join(directory, 'quoral.db'), tables: NODE_TABLES, log: silent, metrics },
    rowCacheBytes: settings['row-cache'],
  });
  const network = createNetwork({ listenHost: '127.0.0.1', listenPort: 0, log: silent });
  const world: World = {
    ...{ clock: realClock(), random: realRandom(), network, disk, log: silent, metrics, trace: NO_TRACE, digest },
  };
  const node = await QuoralNode.create(world, nodeOptions(settings, origins));
  await node.start();
  while (!node.ready()) await new Promise((resolve) => setTimeout(resolve, 10));
  return node;
}

export async function measureCommits({ records, writes, rounds, groups }: CommitBenchmarkSize): Promise<CommitCosts> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-commit-'));
  const node = await startNode(directory);
  const writer = new Writer(node, records);
  await writer.run(records, FILL_GROUP);
  const costs = new Map(groups.map((group) => [group, Number.POSITIVE_INFINITY]));
  for (let round = 0; round < rounds; round++) {
    for (const group of groups) costs.set(group, Math.min(costs.get(group)!, await writer.run(writes, group)));
  }
  await node.stop(1000);
  rmSync(directory, { recursive: true });
  return costs;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [writes = REAL_SIZE.writes, rounds = REAL_SIZE.rounds] = process.argv.slice(2).map(Number);
  const costs = await measureCommits({ ...REAL_SIZE, writes, rounds });
  for (const [group, micros] of costs) console.log(`${group} in a commit: ${micros.toFixed(1)} µs of CPU a write`);
  const [small, large] = [Math.min(...costs.keys()), Math.max(...costs.keys())];
  const commit = (costs.get(small)! - costs.get(large)!) / (1 / small - 1 / large);
  console.log(`a commit ${commit.toFixed(0)} µs, a write ${(costs.get(large)! - commit / large).toFixed(1)} µs`);
  process.exit(0);
}
