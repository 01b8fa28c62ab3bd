/** Ring changes under load: whatever was acknowledged stays, reads see it, and nothing fails. */

import { expect, test } from 'vitest';
import type { PlanView, TransfersView } from '#operator/ring-plans.ts';
import { movingEntries } from '#repair/moved-rows.ts';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { SimulatedLog } from '#world/simulated/log.ts';
import { SimulatedCluster } from './cluster.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

async function send(
  cluster: SimulatedCluster,
  id: string,
  path: string,
  body: unknown = {},
): Promise<[number, unknown]> {
  const options = { headers: JSON_TYPE, body: JSON.stringify(body) };
  const answer = await cluster.request(id, 'POST', path, options);
  return [answer.status, JSON.parse(new TextDecoder().decode(answer.body)) as unknown];
}

async function begin(cluster: SimulatedCluster, change: unknown, via = 'n1'): Promise<void> {
  const [status, plan] = await send(cluster, via, '/v1/ring/plans', change);
  expect([status, plan]).toEqual([200, expect.anything()]);
  const [applied, view] = await send(cluster, via, `/v1/ring/plans/${(plan as PlanView).id}/apply`);
  expect([applied, view]).toEqual([202, expect.objectContaining({ state: 'running' })]);
}

async function transfers(cluster: SimulatedCluster, id: string): Promise<TransfersView> {
  const { body } = await cluster.request(id, 'GET', '/v1/ring/transfers');
  return JSON.parse(new TextDecoder().decode(body)) as TransfersView;
}

function isMoving(cluster: SimulatedCluster): boolean {
  return cluster.machines.some(({ running }) => running?.node.chain.facts()?.ring.change !== undefined);
}

/** Writes and reads all the time, through every node in turn; each acknowledged write must be seen by each later read. */
class Load {
  readonly #cluster: SimulatedCluster;
  readonly written = new Map<string, number>();
  readonly trouble: string[] = [];
  count = 0;
  #stopped = false;
  #running: Promise<void>[] = [];
  readonly #through: () => readonly string[];

  constructor(cluster: SimulatedCluster, through: () => readonly string[]) {
    this.#cluster = cluster;
    this.#through = through;
    this.#running = [0, 1, 2, 3].map(async (client) => await this.#work(client));
  }

  async #work(client: number): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const key = `k${client}-${i % 40}`;
      const nodes = this.#through();
      const writer = nodes[(client + i) % nodes.length]!;
      const reader = nodes[(client + i * 7 + 1) % nodes.length]!;
      const put = await this.#cluster
        .running(writer)
        .api('PUT', `/v1/kv/b/${key}`, {}, new TextEncoder().encode(String(i)));
      if (put.status === 204) this.written.set(key, i);
      else this.trouble.push(`PUT ${key}=${i} through ${writer}: ${put.status} ${new TextDecoder().decode(put.body)}`);
      await this.#read(reader, key);
      this.count += 1;
      await new Promise<void>((resolve) => void this.#cluster.running('n1').world.clock.after(150, resolve));
    }
  }

  async #read(reader: string, key: string): Promise<void> {
    const wanted = this.written.get(key);
    const get = await this.#cluster.running(reader).api('GET', `/v1/kv/b/${key}`, {}, undefined);
    const value = new TextDecoder().decode(get.body);
    if (wanted !== undefined && (get.status !== 200 || Number(value) < wanted)) {
      this.trouble.push(`GET ${key} through ${reader}: ${get.status} ${value}, wanted ${wanted}`);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#cluster.simulation.settle(Promise.all(this.#running));
  }

  async readAll(reader: string): Promise<void> {
    for (const key of this.written.keys()) await this.#cluster.simulation.settle(this.#read(reader, key));
  }
}

async function settle(cluster: SimulatedCluster): Promise<void> {
  const end = cluster.simulation.now + 60_000;
  await cluster.simulation.run(() => !isMoving(cluster) || cluster.simulation.now > end);
  const facts = cluster.running('n1').node.chain.facts() ?? cluster.running('n2').node.chain.facts()!;
  expect(movingEntries(facts.ring).map(({ place, entry }) => ({ ...place, ...entry }))).toEqual([]);
  expect(facts.ring.change).toBeUndefined();
}

function states(cluster: SimulatedCluster, via = 'n1'): string {
  const { members } = cluster.running(via).node.chain.facts()!.ring;
  return members.map(({ id, state }) => `${id} ${state}`).join(', ');
}

async function joined(cluster: SimulatedCluster, id: string): Promise<void> {
  await cluster.simulation.settle(cluster.start(cluster.add(id, ['n1:7201', 'n2:7201'])));
  await cluster.simulation.run(cluster.simulation.now + 4000);
}

test('three nodes become four and one leaves, under load', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'change', nodes: 3 });
  let through = ['n1', 'n2', 'n3'];
  const load = new Load(cluster, () => through);
  await joined(cluster, 'n4');
  await begin(cluster, { join: ['n4'] });
  await settle(cluster);
  expect(states(cluster)).toBe('n1 active, n2 active, n3 active, n4 active');
  through = ['n1', 'n2', 'n3', 'n4'];
  await cluster.simulation.run(cluster.simulation.now + 2000);
  through = ['n1', 'n3', 'n4'];
  await begin(cluster, { leave: ['n2'] });
  await settle(cluster);
  expect(states(cluster)).toBe('n1 active, n2 removed, n3 active, n4 active');
  await cluster.simulation.run(cluster.simulation.now + 2000);
  await load.stop();
  await load.readAll('n4');
  expect(load.trouble.slice(0, 4)).toEqual([]);
  expect(load.count).toBeGreaterThan(300);
  cluster.crash(cluster.machine('n2'));
  await load.readAll('n3');
  expect(load.trouble.slice(0, 4)).toEqual([]);
});

test('one node becomes three and one again', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'grow', nodes: 1 });
  let through = ['n1'];
  const load = new Load(cluster, () => through);
  await joined(cluster, 'n2');
  await joined(cluster, 'n3');
  await begin(cluster, { join: ['n2', 'n3'] });
  await settle(cluster);
  expect(states(cluster)).toBe('n1 active, n2 active, n3 active');
  through = ['n1', 'n2', 'n3'];
  await cluster.simulation.run(cluster.simulation.now + 2000);
  await begin(cluster, { leave: ['n2', 'n3'] });
  through = ['n1'];
  await settle(cluster);
  await cluster.simulation.run(cluster.simulation.now + 2000);
  await load.stop();
  await load.readAll('n1');
  expect(load.trouble.slice(0, 4)).toEqual([]);
});

test('a dead node is replaced', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'dead', nodes: 3 });
  const load = new Load(cluster, () => ['n1', 'n2']);
  await cluster.simulation.run(cluster.simulation.now + 2000);
  cluster.crash(cluster.machine('n3'));
  await joined(cluster, 'n4');
  await cluster.simulation.run(cluster.simulation.now + 5000);
  load.trouble.length = 0;
  await begin(cluster, { replace: { n3: 'n4' } });
  await settle(cluster);
  expect(states(cluster)).toBe('n1 active, n2 active, n3 removed, n4 active');
  await load.stop();
  await load.readAll('n1');
  cluster.crash(cluster.machine('n1'));
  await cluster.simulation.run(cluster.simulation.now + 5000);
  await load.readAll('n4');
  expect(load.trouble.slice(0, 4)).toEqual([]);
});

test('an abort brings everything back', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'abort', nodes: 3 });
  const load = new Load(cluster, () => ['n1', 'n2', 'n3']);
  await joined(cluster, 'n4');
  await begin(cluster, { join: ['n4'] });
  await cluster.simulation.run(cluster.simulation.now + 300);
  expect((await send(cluster, 'n2', '/v1/ring/transfers/abort'))[0]).toBe(202);
  await settle(cluster);
  expect(states(cluster)).toBe('n1 active, n2 active, n3 active, n4 removed');
  expect(await transfers(cluster, 'n3')).toMatchObject({ state: 'idle', last: { outcome: 'aborted' } });
  await load.stop();
  await load.readAll('n3');
  expect(load.trouble.slice(0, 4)).toEqual([]);
});

test('an abort puts weights and zones back, also through nodes that start again meanwhile', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'abort of weights', nodes: 4 });
  await cluster.request('n1', 'PUT', '/v1/kv/b/k', { body: 'v' });
  const shape = (id: string): unknown => {
    const { members, placements } = cluster.running(id).node.chain.facts()!.ring;
    const where = members.map(({ id: name, zone, weight, state }) => [name, zone, weight, state]);
    return [where, placements.map(({ partitions }) => partitions.map(({ owners }) => owners))];
  };
  const again = async (id: string): Promise<void> => {
    cluster.crash(cluster.machine(id));
    await cluster.restart(id);
  };
  const before = shape('n1');
  await begin(cluster, { weights: { n2: 3 }, zones: { n4: 'far' } });
  expect(shape('n1')).not.toEqual(before);
  expect((await send(cluster, 'n1', '/v1/ring/transfers/pause'))[1]).toMatchObject({ state: 'paused', done: 0 });
  // Whoever is asked to take it back has the former weights from its own disk.
  await again('n2');
  expect((await send(cluster, 'n2', '/v1/ring/transfers/abort'))[0]).toBe(202);
  await again('n3');
  await settle(cluster);
  await again('n1');
  await cluster.simulation.run(cluster.simulation.now + 5000);
  for (const { id } of cluster.machines) expect(shape(id), id).toEqual(before);
  expect(await transfers(cluster, 'n3')).toMatchObject({ state: 'idle', last: { outcome: 'aborted' } });
  const [, plan] = await send(cluster, 'n4', '/v1/ring/plans', {});
  expect((plan as PlanView).summary).toMatchObject({ moves: 0, dropped: 0, reordered: 0 });
});

test('a pause holds it, and it goes on when it is resumed', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'pause', nodes: 3 });
  await joined(cluster, 'n4');
  await begin(cluster, { join: ['n4'] });
  expect((await send(cluster, 'n3', '/v1/ring/transfers/pause'))[1]).toMatchObject({ state: 'paused', moves: 12 });
  await cluster.simulation.run(cluster.simulation.now + 10_000);
  const [, view] = await send(cluster, 'n1', '/v1/ring/plans', {});
  expect(view).toMatchObject({ status: 409 });
  expect((await transfers(cluster, 'n2')).transfers.length).toBe(12);
  expect((await send(cluster, 'n2', '/v1/ring/transfers/resume'))[0]).toBe(202);
  await settle(cluster);
  expect(states(cluster)).toBe('n1 active, n2 active, n3 active, n4 active');
});

test('a throttle is kept to, and a change that has none may take as much as it can', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'throttle', nodes: 3 });
  for (let i = 0; i < 40; i++) await cluster.request('n1', 'PUT', `/v1/kv/b/k${i}`, { body: 'v'.repeat(20_000) });
  await joined(cluster, 'n4');
  const apply = async (change: unknown, throttle: unknown): Promise<[number, unknown]> => {
    const [, plan] = await send(cluster, 'n1', '/v1/ring/plans', change);
    return await send(cluster, 'n1', `/v1/ring/plans/${(plan as PlanView).id}/apply`, { throttle });
  };
  for (const wrong of [0, 1023, 1.5, '20MB/s']) {
    expect(await apply({ join: ['n4'] }, wrong)).toMatchObject([400, { field: 'throttle' }]);
  }
  const begun = cluster.simulation.now;
  expect(await apply({ join: ['n4'] }, 50_000)).toMatchObject([202, { throttle: 50_000 }]);
  await cluster.simulation.run(cluster.simulation.now + 9000);
  const { moves, done, bytes, bytesPerSecond, secondsLeft } = await transfers(cluster, 'n2');
  expect(moves).toBe(12);
  expect(done).toBeLessThan(12);
  expect(bytes).toBeGreaterThan(500_000);
  expect(bytesPerSecond).toBeLessThan(80_000);
  expect(secondsLeft).toBeGreaterThan(1);
  await settle(cluster);
  const slow = cluster.simulation.now - begun;
  expect(await transfers(cluster, 'n3')).toMatchObject({ state: 'idle', last: { outcome: 'done' } });
  const again = cluster.simulation.now;
  expect(await apply({ leave: ['n4'] }, null)).toMatchObject([202, { throttle: null }]);
  await settle(cluster);
  expect(cluster.simulation.now - again).toBeLessThan(slow / 2);
});

test('each key moves once, however often trees are compared meanwhile', async () => {
  const repair = { ...DEFAULT_REPAIR_SETTINGS, interval: 300 };
  const cluster = await SimulatedCluster.founded({ seed: 'once', nodes: 3, node: { repair } });
  for (let i = 0; i < 200; i++) await cluster.request('n1', 'PUT', `/v1/kv/b/k${i}?w=all`, { body: 'v'.repeat(2000) });
  await joined(cluster, 'n4');
  const [, plan] = await send(cluster, 'n1', '/v1/ring/plans', { join: ['n4'] });
  const { id, summary } = plan as PlanView;
  expect((await send(cluster, 'n1', `/v1/ring/plans/${id}/apply`, { throttle: 40_000 }))[0]).toBe(202);
  await settle(cluster);
  const count = (name: string, direction: string): number =>
    cluster.machines.reduce((sum, { running }) => sum + running!.world.metrics.value(name, { direction }), 0);
  expect(summary.keys).toBeGreaterThan(100);
  expect(count('quoral_moved_keys_total', 'taken')).toBe(summary.keys);
  expect([count('quoral_repaired_keys_total', 'pulled'), count('quoral_repaired_keys_total', 'pushed')]).toEqual([
    0, 0,
  ]);
});

test('a newcomer that waits because the clock of a member is far ahead says so', async () => {
  const log = new SimulatedLog();
  const cluster = await SimulatedCluster.founded({ seed: 'clocks', nodes: 3, log });
  cluster.machine('n2').host.clock.jump(30_000);
  await joined(cluster, 'n4');
  const [, plan] = await send(cluster, 'n1', '/v1/ring/plans', { join: ['n4'] });
  expect((await send(cluster, 'n1', `/v1/ring/plans/${(plan as PlanView).id}/apply`))[0]).toBe(202);
  await cluster.simulation.run(cluster.simulation.now + 5000);
  expect(isMoving(cluster)).toBe(true);
  const reason = expect.stringMatching(/^the clock of n2 is ahead of that of n[13] by (29|30)\d\d\d ms$/) as unknown;
  const waiting = [{ node: 'n4', milliseconds: expect.any(Number) as unknown, reason }];
  for (const at of ['n3', 'n4']) expect(await transfers(cluster, at)).toMatchObject({ waiting });
  const told = log.entries.filter(({ event }) => event === 'newcomer-waits');
  expect(told.map(({ fields }) => fields['reason'])).toEqual([reason]);
  await settle(cluster);
  expect((await transfers(cluster, 'n3')).waiting).toEqual([]);
  expect(states(cluster)).toBe('n1 active, n2 active, n3 active, n4 active');
});
