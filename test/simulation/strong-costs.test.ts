/** What operations of strong keys cost: messages among the nodes by their names, answers included, and commits that were synced. */

import { expect, test } from 'vitest';
import { decodeEnvelope } from '#wire/envelope.ts';
import { SimulatedCluster } from './cluster.ts';
import { requestName } from './messages-on-the-wire.ts';

interface Cost {
  /** Requests among nodes; each has one answer. */
  readonly requests: Readonly<Record<string, number>>;
  readonly messages: number;
  /** Over all nodes. */
  readonly commits: number;
}

/** Counts what belongs to registers from now on. */
class Meter {
  readonly #cluster: SimulatedCluster;
  readonly #requests = new Map<string, number>();
  readonly #open = new Set<string>();
  #answers = 0;
  #commits = 0;

  constructor(cluster: SimulatedCluster) {
    this.#cluster = cluster;
    for (const from of cluster.machines) {
      from.medium.onStep = (step) => (this.#commits += step === 'append' ? 1 : 0);
      for (const to of cluster.machines) {
        if (from === to) continue;
        const loses = (message: Uint8Array): boolean => this.#count(from.id, to.id, message);
        cluster.network.setFault(from.host, to.host, { loses });
      }
    }
  }

  #count(from: string, to: string, message: Uint8Array): false {
    const envelope = decodeEnvelope(message);
    if (envelope.kind === 'request' && envelope.name.startsWith('register.')) {
      this.#requests.set(envelope.name, (this.#requests.get(envelope.name) ?? 0) + 1);
      this.#open.add(`${from} ${to} ${envelope.callId}`);
    }
    if (envelope.kind === 'reply' && this.#open.delete(`${to} ${from} ${envelope.callId}`)) this.#answers += 1;
    return false;
  }

  async costOf(doing: () => Promise<unknown>): Promise<Cost> {
    this.#requests.clear();
    this.#open.clear();
    this.#answers = 0;
    this.#commits = 0;
    await this.#cluster.simulation.settle(doing());
    // What the answer did not wait for.
    await this.#cluster.simulation.run(this.#cluster.simulation.now + 40);
    const sent = [...this.#requests.values()].reduce((sum, count) => sum + count, 0);
    return { requests: Object.fromEntries(this.#requests), messages: sent + this.#answers, commits: this.#commits };
  }
}

interface Scene {
  readonly cost: (id: string, method: string, target: string, headers?: Record<string, string>) => Promise<Cost>;
  readonly all: (requests: readonly (readonly [id: string, method: string, target: string])[]) => Promise<Cost>;
  readonly etag: (id: string, path: string) => Promise<string>;
  /** The first owner of the key, and another one. */
  readonly first: string;
  readonly other: string;
}

async function scene(): Promise<Scene> {
  const cluster = await SimulatedCluster.founded({ seed: 'costs', nodes: 3 });
  const json = { 'content-type': 'application/json' };
  await cluster.request('n1', 'PUT', '/v1/buckets/s', { headers: json, body: '{"consistency":"strong"}' });
  await cluster.simulation.run(cluster.simulation.now + 2000);
  const located = await cluster.request('n1', 'GET', '/v1/ring/locate/s/k');
  const { primaries } = JSON.parse(new TextDecoder().decode(located.body)) as { readonly primaries: string[] };
  const meter = new Meter(cluster);
  const body = new Uint8Array(1024);
  const ask = async (id: string, method: string, target: string, headers = {}): Promise<void> => {
    const { status } = await cluster.running(id).api(method, target, headers, method === 'PUT' ? body : undefined);
    expect([200, 204, 404, 412]).toContain(status);
  };
  return {
    cost: (id, method, target, headers) => meter.costOf(() => ask(id, method, target, headers)),
    all: (requests) => meter.costOf(() => Promise.all(requests.map(([id, method, target]) => ask(id, method, target)))),
    etag: async (id, path) => (await cluster.request(id, 'GET', path)).headers.get('etag')!,
    first: primaries[0]!,
    other: primaries[1]!,
  };
}

const PATH = '/v1/kv/s/k';
const READ = { requests: { 'register.peek': 2 }, messages: 4, commits: 0 };
const COLD = { requests: { 'register.prepare': 2, 'register.accept': 2 }, messages: 8, commits: 6 };
const WARM = { requests: { 'register.accept': 2 }, messages: 4, commits: 3 };

test('golden: a write takes two round trips when cold, one when warm; a read takes one and writes nothing', async () => {
  const { cost, first, etag } = await scene();
  expect(await cost(first, 'GET', PATH)).toEqual(READ);
  expect(await cost(first, 'PUT', PATH)).toEqual(COLD);
  expect(await cost(first, 'PUT', PATH)).toEqual(WARM);
  expect(await cost(first, 'GET', PATH)).toEqual(READ);
  expect(await cost(first, 'PUT', PATH, { 'if-match': await etag(first, PATH) })).toEqual(WARM);
  // What refuses must know that it is right to: it takes part in the order of changes.
  expect(await cost(first, 'PUT', PATH, { 'if-match': '"0000000000000000"' })).toEqual(WARM);
  expect(await cost(first, 'DELETE', PATH)).toEqual(WARM);
  expect(await cost(first, 'GET', PATH)).toEqual(READ);
});

test('golden: through another owner a write takes one message and its answer more, and a read none', async () => {
  const { cost, first, other } = await scene();
  await cost(first, 'PUT', PATH);
  const forwarded = { 'register.change': 1, 'register.accept': 2 };
  expect(await cost(other, 'PUT', PATH)).toEqual({ requests: forwarded, messages: 6, commits: 3 });
  expect(await cost(other, 'GET', PATH)).toEqual(READ);
});

test('golden: what arrives while a round is under way shares the next one', async () => {
  const { all, cost, first } = await scene();
  await cost(first, 'PUT', PATH);
  const writes = Array.from({ length: 17 }, () => [first, 'PUT', PATH] as const);
  expect(await all(writes)).toEqual({ requests: { 'register.accept': 4 }, messages: 8, commits: 6 });
});

test('golden: of a large value a read moves one copy at most, and none to an owner that has it', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'large', nodes: 4 });
  const json = { 'content-type': 'application/json' };
  await cluster.request('n1', 'PUT', '/v1/buckets/s', { headers: json, body: '{"consistency":"strong"}' });
  const { body } = await cluster.request('n1', 'GET', '/v1/ring/locate/s/k');
  const { primaries, fallbacks } = JSON.parse(new TextDecoder().decode(body)) as Record<string, readonly string[]>;
  const [first, second, third] = primaries as [string, string, string];
  const large = 'x'.repeat(100_000);
  const loses = (message: Uint8Array): boolean => requestName(message) === 'register.accept';
  const bytesOf = async (id: string): Promise<number> => {
    const before = cluster.network.sentInAll().bytes;
    const answer = await cluster.request(id, 'GET', PATH);
    expect([answer.status, new TextDecoder().decode(answer.body)]).toEqual([200, large]);
    return Math.round((cluster.network.sentInAll().bytes - before) / 1000);
  };
  await cluster.request(first, 'PUT', PATH, { body: 'small' });
  // The third owner is behind when it reads: it asks once more for what the others agree on.
  cluster.network.setFault(cluster.machine(first).host, cluster.machine(third).host, { loses });
  await cluster.request(first, 'PUT', PATH, { body: large });
  await cluster.simulation.run(cluster.simulation.now + 500);
  expect([await bytesOf(first), await bytesOf(second)]).toEqual([0, 0]);
  expect([await bytesOf(third), await bytesOf(fallbacks![0]!)]).toEqual([100, 100]);
});

test('a read of owners that are slow asks them again, and has nobody store the value once more', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'slow', nodes: 3 });
  const json = { 'content-type': 'application/json' };
  await cluster.request('n1', 'PUT', '/v1/buckets/s', { headers: json, body: '{"consistency":"strong"}' });
  const large = 'x'.repeat(100_000);
  await cluster.request('n1', 'PUT', PATH, { body: large });
  await cluster.simulation.run(cluster.simulation.now + 2000);
  const until = cluster.simulation.now + 1200;
  const asked: string[] = [];
  for (const to of ['n2', 'n3']) {
    const loses = (message: Uint8Array): boolean => {
      const name = requestName(message);
      if (name.startsWith('register.')) asked.push(name);
      return name === 'register.peek' && cluster.simulation.now < until;
    };
    cluster.network.setFault(cluster.machine('n1').host, cluster.machine(to).host, { loses });
  }
  const answer = await cluster.request('n1', 'GET', PATH);
  expect([answer.status, new TextDecoder().decode(answer.body)]).toEqual([200, large]);
  expect(asked).toEqual(Array(8).fill('register.peek'));
});
