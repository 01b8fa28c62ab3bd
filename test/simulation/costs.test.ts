/**
 * What one request costs the cluster, exactly: messages and bytes between nodes, commits and syncs of all disks. Golden numbers,
 * so that nothing grows unnoticed; read them as N=3 with the defaults, where nothing else goes on.
 */

import { expect, test } from 'vitest';
import { DEFAULT_MEMBERSHIP_SETTINGS } from '#membership/settings.ts';
import { DEFAULT_WIRE_SETTINGS } from '#wire/settings.ts';
import { SimulatedCluster } from './cluster.ts';

const PATH = '/v1/kv/b/k';
const VALUE = 'v'.repeat(1024);

/** Nodes that say nothing of their own accord for longer than this takes. */
const SILENT = {
  membership: { ...DEFAULT_MEMBERSHIP_SETTINGS, probeInterval: 600_000, gossipInterval: 600_000 },
  wire: { ...DEFAULT_WIRE_SETTINGS, heartbeatInterval: 600_000, silenceLimit: 3_600_000 },
};

/** `[messages, bytes, commits, syncs]` */
type Cost = readonly [messages: number, bytes: number, commits: number, syncs: number];

class Meter {
  readonly #cluster: SimulatedCluster;
  #commits = 0;
  #syncs = 0;

  constructor(cluster: SimulatedCluster) {
    this.#cluster = cluster;
    for (const { medium } of cluster.machines) {
      medium.onStep = (step) => {
        if (step === 'append') this.#commits += 1;
        else this.#syncs += 1;
      };
    }
  }

  /** Of the request, with all that it leaves to be done behind its answer. */
  async of(at: string, method: 'GET' | 'PUT' | 'DELETE', query = '', idempotencyKey?: string): Promise<Cost> {
    const { network, simulation } = this.#cluster;
    const before = { ...network.sentInAll(), commits: this.#commits, syncs: this.#syncs };
    const headers = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey };
    const body = method === 'PUT' ? { body: VALUE, headers } : { headers };
    const { status } = await this.#cluster.request(at, method, PATH + query, body);
    expect([200, 204]).toContain(status);
    await simulation.run(simulation.now + 15);
    const after = network.sentInAll();
    return [
      after.messages - before.messages,
      after.bytes - before.bytes,
      this.#commits - before.commits,
      this.#syncs - before.syncs,
    ];
  }
}

interface Stage {
  readonly meter: Meter;
  readonly owner: string;
  /** Owns nothing of the key. */
  readonly stranger: string;
}

async function staged(): Promise<Stage> {
  const cluster = await SimulatedCluster.founded({ seed: 'costs', nodes: 4, node: SILENT });
  await cluster.simulation.run(cluster.simulation.now + 2000);
  const located = await cluster.request('n1', 'GET', '/v1/ring/locate/b/k');
  const { primaries, fallbacks } = JSON.parse(new TextDecoder().decode(located.body)) as Record<string, string[]>;
  return { meter: new Meter(cluster), owner: primaries![0]!, stranger: fallbacks![0]! };
}

test('a write costs 2(N-1) messages at an owner and two more elsewhere, and one commit and sync at each owner', async () => {
  const { meter, owner, stranger } = await staged();
  // What the founding has left to be said goes with the first.
  await meter.of(owner, 'PUT');
  expect(await meter.of(owner, 'PUT')).toEqual([4, 2314, 3, 3]);
  expect(await meter.of(stranger, 'PUT')).toEqual([6, 3542, 3, 3]);
  expect(await meter.of(owner, 'PUT', '?w=1&dw=0')).toEqual([4, 2314, 3, 3]);
  // It reads first, for it was given no context.
  expect(await meter.of(owner, 'DELETE')).toEqual([6, 333, 3, 3]);
});

test('a write with an idempotency key asks all owners first whether they know it, who say little as long as they do not', async () => {
  const { meter, owner, stranger } = await staged();
  await meter.of(owner, 'PUT', '', 'first');
  expect(await meter.of(owner, 'PUT', '', 'second')).toEqual([6, 2568, 3, 3]);
  expect(await meter.of(stranger, 'PUT', '', 'third')).toEqual([8, 3848, 3, 3]);
  // Made before: all say what they hold, and it is offered to them again.
  expect(await meter.of(owner, 'PUT', '', 'third')).toEqual([6, 3740, 3, 3]);
});

test('a read asks as many owners as it needs, itself for nothing, and writes nothing; an owner need not send what the coordinator has', async () => {
  const { meter, owner, stranger } = await staged();
  await meter.of(owner, 'PUT');
  expect(await meter.of(owner, 'GET', '?r=1')).toEqual([0, 0, 0, 0]);
  expect(await meter.of(owner, 'GET')).toEqual([2, 127, 0, 0]);
  expect(await meter.of(owner, 'GET', '?r=all')).toEqual([4, 254, 0, 0]);
  expect(await meter.of(stranger, 'GET')).toEqual([4, 2294, 0, 0]);
});

test('reads of one turn ask one other owner, whose messages leave together, as long as these are not many', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'turns', nodes: 3, node: SILENT });
  const { network, simulation, machines } = cluster;
  await simulation.run(simulation.now + 2000);
  const [first, ...others] = machines.map(({ host }) => host);
  /** How many of so many reads at once, of different keys, each of the others was asked, the busier one first. */
  const askedBy = async (reads: number): Promise<number[]> => {
    const before = others.map((host) => network.sent(first!, host).messages);
    const paths = Array.from({ length: reads }, (_, i) => `/v1/kv/b/k${i}`);
    await simulation.settle(Promise.all(paths.map((path) => cluster.running('n1').api('GET', path))));
    return others.map((host, i) => network.sent(first!, host).messages - before[i]!).sort((a, b) => b - a);
  };
  expect(await askedBy(16)).toEqual([16, 0]);
  expect(await askedBy(20)).toEqual([16, 4]);
  // The ring decides again where both have so many.
  const both = await askedBy(200);
  expect(both[1]).toBeGreaterThan(64);
});
