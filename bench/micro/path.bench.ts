/**
 * What the path of a PUT and of a GET costs in CPU time of this program alone: three nodes in one process, from the
 * coordinator over the wire encoding and the replicas back, on simulated networks and disks, many requests at a time. Sockets,
 * SQLite and HTTP are not in it (see load/, disk.bench.ts, api.bench.ts), so it is steadier than a real cluster on a busy machine.
 *
 *     node bench/micro/path.bench.ts [requests] [rounds]
 *
 * The least of all rounds is shown: what others take from the machine only adds.
 */

import { fileURLToPath } from 'node:url';
import { randomBytes } from 'node:crypto';
import { present } from '#kernel/assert.ts';
import { utf8 } from '#kernel/bytes.ts';
import type { QuoralNode } from '#node.ts';
import { SimulatedCluster } from '../../test/simulation/cluster.ts';

const IN_FLIGHT = 63;
const RECORDS = 2000;
const BYTES = 1024;

export interface PathCost {
  /** CPU µs for one request, all nodes and the simulation. */
  readonly put: number;
  readonly get: number;
}

class Load {
  readonly #cluster: SimulatedCluster;
  readonly #nodes: readonly QuoralNode[];
  readonly #keys = Array.from({ length: RECORDS }, (_, i) => utf8(`key-${i}`));
  readonly #noise = new Uint8Array(randomBytes(BYTES));
  #number = 0;

  constructor(cluster: SimulatedCluster) {
    this.#cluster = cluster;
    this.#nodes = cluster.machines.map(({ running }) => present(running, 'a running node').node);
  }

  async run(mix: keyof PathCost, requests: number): Promise<number> {
    let left = requests;
    const client = async (node: QuoralNode): Promise<void> => {
      while (left-- > 0) await (mix === 'put' ? this.#put(node) : this.#get(node));
    };
    const before = process.cpuUsage();
    const clients = Array.from({ length: IN_FLIGHT }, (_, i) => client(this.#nodes[i % this.#nodes.length]!));
    await this.#cluster.simulation.settle(Promise.all(clients));
    const { user, system } = process.cpuUsage(before);
    return (user + system) / requests;
  }

  async #put(node: QuoralNode): Promise<void> {
    const value = this.#noise.slice();
    new DataView(value.buffer).setFloat64(0, this.#number);
    const content = { value, contentType: 'application/octet-stream', contentEncoding: '', meta: [] };
    const how = { conditions: null, mark: null, ttl: 0, w: 2, pw: 0, dw: 2, returnBody: false };
    const outcome = await node.coordinator.write({ ...this.#request(node), ...how, context: null, content });
    if (outcome.kind !== 'applied') throw new Error(`a write is ${outcome.kind}`);
  }

  async #get(node: QuoralNode): Promise<void> {
    const outcome = await node.coordinator.read(this.#request(node));
    if (outcome.kind !== 'found') throw new Error(`a read is ${outcome.kind}`);
  }

  #request(node: QuoralNode) {
    const number = (this.#number += 1);
    return {
      requestId: `path-${number}`,
      bucket: node.buckets.resolve('bench'),
      key: this.#keys[(number * 7919) % RECORDS]!,
      deadline: node.world.clock.monotonic() + 5000,
      ...{ r: 2, pr: 0, sloppy: true },
    };
  }
}

export async function measurePath(requests: number, rounds: number): Promise<PathCost> {
  const cluster = await SimulatedCluster.founded({ seed: 'path', nodes: 3 });
  await cluster.simulation.run(cluster.simulation.now + 2000);
  const load = new Load(cluster);
  await load.run('put', RECORDS);
  const costs = { put: Number.POSITIVE_INFINITY, get: Number.POSITIVE_INFINITY };
  for (let round = 0; round < rounds; round++) {
    for (const mix of ['put', 'get'] as const) costs[mix] = Math.min(costs[mix], await load.run(mix, requests));
  }
  return costs;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { put, get } = await measurePath(Number(process.argv[2] ?? 10_000), Number(process.argv[3] ?? 7));
  console.log(`PUT ${put.toFixed(1)} µs, GET ${get.toFixed(1)} µs of CPU, three nodes and what they run on`);
}
