/**
 * Strong keys while the ring changes: compare-and-set through every node. No two may take the same step, and no read may miss
 * one that was confirmed before it began.
 */

import { expect, test } from 'vitest';
import type { PlanView } from '#operator/ring-plans.ts';
import { utf8 } from '#kernel/bytes.ts';
import { REGISTERS } from '#replica/tables.ts';
import { SimulatedCluster } from './cluster.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const CLIENTS = 4;
const KEYS = 12;
const PAUSE_MS = 70;
/** What is under way at a node when it crashes is never answered. */
const GIVEN_UP_MS = 30_000;
/** The machine may have other things to do. */
const PATIENCE_MS = 60_000;

class StrongLoad {
  readonly #cluster: SimulatedCluster;
  readonly #through: () => readonly string[];
  readonly #confirmed = new Map<string, number>();
  readonly #steps = new Set<string>();
  readonly violations: string[] = [];
  readonly trouble: string[] = [];
  steps = 0;
  #stopped = false;
  readonly #running: Promise<void>[];

  constructor(cluster: SimulatedCluster, through: () => readonly string[]) {
    this.#cluster = cluster;
    this.#through = through;
    this.#running = Array.from({ length: CLIENTS }, async (_, client) => await this.#work(client));
  }

  async #work(client: number): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      await this.#passed(PAUSE_MS);
      const nodes = this.#through();
      const step = this.#step(nodes[(client + i) % nodes.length]!, `k${(client * 5 + i) % KEYS}`);
      await Promise.race([step, this.#passed(GIVEN_UP_MS)]);
    }
  }

  #passed(milliseconds: number): Promise<void> {
    return new Promise((resolve) => void this.#cluster.simulation.schedule(milliseconds, 'test', resolve));
  }

  async #step(through: string, key: string): Promise<void> {
    const { running } = this.#cluster.machine(through);
    if (running === undefined) return;
    const least = this.#confirmed.get(key) ?? 0;
    const get = await running.api('GET', `/v1/kv/s/${key}`, {}, undefined);
    if (get.status !== 200 && get.status !== 404) return this.#note(`GET ${key} through ${through}`, get);
    const value = get.status === 404 ? 0 : Number(new TextDecoder().decode(get.body));
    if (value < least) this.violations.push(`a read of ${key} gave ${value}, and ${least} was confirmed`);
    const condition = get.status === 404 ? { 'if-none-match': '*' } : { 'if-match': get.headers.get('etag')! };
    const put = await running.api('PUT', `/v1/kv/s/${key}`, condition, utf8(String(value + 1)));
    if (put.status === 412) return;
    if (put.status !== 204) return this.#note(`PUT ${key} through ${through}`, put);
    const step = `${key}=${value + 1}`;
    if (this.#steps.has(step)) this.violations.push(`${step} was confirmed twice`);
    this.#steps.add(step);
    this.steps += 1;
    this.#confirmed.set(key, Math.max(value + 1, this.#confirmed.get(key) ?? 0));
  }

  #note(what: string, { status, body }: { status: number; body: Uint8Array }): void {
    this.trouble.push(
      `${Math.round(this.#cluster.simulation.now)} ms: ${what}: ${status} ${new TextDecoder().decode(body)}`,
    );
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#cluster.simulation.settle(Promise.all(this.#running));
    for (const key of this.#confirmed.keys())
      await this.#cluster.simulation.settle(this.#step(this.#through()[0]!, key));
  }
}

async function post(cluster: SimulatedCluster, id: string, path: string, body: unknown = {}): Promise<unknown> {
  const answer = await cluster.request(id, 'POST', path, { headers: JSON_TYPE, body: JSON.stringify(body) });
  const text = new TextDecoder().decode(answer.body);
  expect([answer.status < 300, text]).toEqual([true, expect.anything()]);
  return JSON.parse(text);
}

async function begin(cluster: SimulatedCluster, change: unknown, via = 'n1'): Promise<void> {
  const { id } = (await post(cluster, via, '/v1/ring/plans', change)) as PlanView;
  await post(cluster, via, `/v1/ring/plans/${id}/apply`);
}

async function over(cluster: SimulatedCluster, change: 'done' | 'aborted' = 'done'): Promise<void> {
  const known = () => cluster.machines.flatMap(({ running }) => running?.node.chain.facts()?.ring ?? []);
  const end = cluster.simulation.now + 60_000;
  await cluster.simulation.run(
    () => known().every((ring) => ring.change === undefined) || cluster.simulation.now > end,
  );
  expect(known().map((ring) => [ring.change, ring.lastChange?.outcome])).toEqual(
    known().map(() => [undefined, change]),
  );
}

async function founded(seed: string, nodes: number): Promise<SimulatedCluster> {
  const cluster = await SimulatedCluster.founded({ seed, nodes });
  const options = { headers: JSON_TYPE, body: '{"consistency":"strong"}' };
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/s', options)).status).toBeLessThan(300);
  return cluster;
}

async function waits(cluster: SimulatedCluster, id: string): Promise<void> {
  await cluster.simulation.settle(cluster.start(cluster.add(id, ['n1:7201', 'n2:7201'])));
  await cluster.simulation.run(cluster.simulation.now + 4000);
}

test(
  'a node joins, one leaves, and one that is dead is replaced',
  async () => {
    const cluster = await founded('strong join', 3);
    let through = ['n1', 'n2', 'n3'];
    const load = new StrongLoad(cluster, () => through);
    await cluster.simulation.run(cluster.simulation.now + 1000);
    await waits(cluster, 'n4');
    await begin(cluster, { join: ['n4'] });
    await over(cluster);
    through = ['n1', 'n3', 'n4'];
    await begin(cluster, { leave: ['n2'] });
    await over(cluster);
    expect(load.trouble).toEqual([]);
    await waits(cluster, 'n5');
    through = ['n1', 'n4'];
    cluster.crash(cluster.machine('n3'));
    await cluster.simulation.run(cluster.simulation.now + 5000);
    await begin(cluster, { replace: { n3: 'n5' } });
    await over(cluster);
    through = ['n5', 'n4', 'n1'];
    await cluster.simulation.run(cluster.simulation.now + 1000);
    cluster.crash(cluster.machine('n1'));
    through = ['n5', 'n4'];
    await load.stop();
    expect(load.violations).toEqual([]);
    expect(load.steps).toBeGreaterThan(100);
  },
  PATIENCE_MS,
);

test(
  'what a new owner has from when it owned the keys before counts for nothing',
  async () => {
    const cluster = await founded('strong former', 3);
    const ghosts = Array.from({ length: 24 }, (_, i) => `ghost${i}`);
    for (const key of ghosts) await cluster.request('n1', 'PUT', `/v1/kv/s/${key}`, { body: 'erased since' });
    const rows = [...cluster.machine('n1').medium.table(REGISTERS).rows()];
    await waits(cluster, 'n4');
    for (const { medium, running } of cluster.machines) {
      // As if the owners had erased it while the fourth was away, and it had not looked at its rows yet.
      running!.node.coordinator.strong.upkeep.stop();
      for (const [key, row] of rows) medium.set(REGISTERS, key, running!.node.options.id === 'n4' ? row : undefined);
    }
    await begin(cluster, { join: ['n4'] });
    await over(cluster);
    // Without the third owner the two others must agree on what it is.
    cluster.crash(cluster.machine('n2'));
    for (const key of ghosts) {
      const answer = await cluster.request('n4', 'GET', `/v1/kv/s/${key}?timeout=20000`);
      expect([key, answer.status]).toEqual([key, 404]);
    }
  },
  PATIENCE_MS,
);

test(
  'one node becomes three and one again',
  async () => {
    const cluster = await founded('strong grow', 1);
    let through = ['n1'];
    const load = new StrongLoad(cluster, () => through);
    await waits(cluster, 'n2');
    await waits(cluster, 'n3');
    await begin(cluster, { join: ['n2', 'n3'] });
    await over(cluster);
    through = ['n2', 'n3', 'n1'];
    await cluster.simulation.run(cluster.simulation.now + 1000);
    await begin(cluster, { leave: ['n1', 'n2'] }, 'n3');
    through = ['n3'];
    await over(cluster);
    await load.stop();
    expect(load.trouble).toEqual([]);
    expect(load.violations).toEqual([]);
    expect(load.steps).toBeGreaterThan(100);
  },
  PATIENCE_MS,
);

test(
  'what is taken back while new owners serve some of it, ends all the same',
  async () => {
    const cluster = await founded('strong abort', 4);
    const load = new StrongLoad(cluster, () => ['n1', 'n2', 'n3']);
    await cluster.simulation.run(cluster.simulation.now + 1000);
    await begin(cluster, { leave: ['n4'] });
    const stages = (): readonly (string | undefined)[] =>
      cluster
        .running('n1')
        .node.chain.facts()!
        .ring.placements.flatMap(({ partitions }) => partitions.map(({ move }) => move?.stage));
    await cluster.simulation.run(() => stages().includes('read-new'));
    await post(cluster, 'n2', '/v1/ring/transfers/abort');
    await over(cluster, 'aborted');
    await load.stop();
    expect(load.violations).toEqual([]);
    expect(load.trouble).toEqual([]);
  },
  PATIENCE_MS,
);
