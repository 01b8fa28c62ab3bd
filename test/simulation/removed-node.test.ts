/** Nodes that were given up while they were cut off, and that come back with what they had. */

import { expect, test } from 'vitest';
import type { PlanView } from '#operator/ring-plans.ts';
import { NodesMessage, type NodesRequest } from '#repair/exchange-messages.ts';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { SimulatedCluster } from './cluster.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const REPAIR = {
  ...DEFAULT_REPAIR_SETTINGS,
  ...{ interval: 1000, settle: 200, reclaimInterval: 2000, reclaimAge: 1000, reclaimWait: 1000, leaverPatience: 2000 },
};

async function json(on: SimulatedCluster, id: string, method: string, path: string, body?: unknown): Promise<unknown> {
  const options = body === undefined ? {} : { headers: JSON_TYPE, body: JSON.stringify(body) };
  const answer = await on.request(id, method, path, options);
  const text = new TextDecoder().decode(answer.body);
  expect([answer.status < 300, text]).toEqual([true, expect.anything()]);
  return JSON.parse(text);
}

async function pass(on: SimulatedCluster, milliseconds: number): Promise<void> {
  await on.simulation.run(on.simulation.now + milliseconds);
}

function cut(on: SimulatedCluster, id: string): void {
  for (const other of on.machines) {
    if (other.id === id) continue;
    on.network.setFault(on.machine(id).host, other.host, { blocked: true });
    on.network.setFault(other.host, on.machine(id).host, { blocked: true });
  }
}

async function begin(on: SimulatedCluster, via: string, change: unknown): Promise<void> {
  const { id } = (await json(on, via, 'POST', '/v1/ring/plans', change)) as PlanView;
  await json(on, via, 'POST', `/v1/ring/plans/${id}/apply`, {});
}

async function over(on: SimulatedCluster, via: string, outcome: 'done' | 'aborted'): Promise<void> {
  const ring = () => on.running(via).node.chain.facts()!.ring;
  const end = on.simulation.now + 60_000;
  await on.simulation.run(() => ring().change === undefined || on.simulation.now > end);
  expect([ring().change, ring().lastChange?.outcome]).toEqual([undefined, outcome]);
}

function tombstones(on: SimulatedCluster): number {
  const running = on.machines.filter(({ running }) => running !== undefined);
  return running.reduce((sum, { id }) => sum + on.running(id).world.metrics.value('quoral_tombstones'), 0);
}

async function forgotten(on: SimulatedCluster): Promise<void> {
  expect(tombstones(on)).toBe(3);
  await on.simulation.run(() => tombstones(on) === 0, 60_000);
  expect(tombstones(on)).toBe(0);
}

test('hints of a removed node bring nothing back that was deleted and forgotten since', async () => {
  const on = await SimulatedCluster.founded({ seed: 'a removed node', nodes: 5, node: { repair: REPAIR } });
  const where = (await json(on, 'n1', 'GET', '/v1/ring/locate/b/k')) as { primaries: string[]; fallbacks: string[] };
  const [first, , absent] = where.primaries as [string, string, string];
  const holder = where.fallbacks[0]!;
  on.crash(on.machine(absent));
  await pass(on, 5000);
  expect((await on.request(first, 'PUT', '/v1/kv/b/k?w=3', { body: 'to be deleted' })).status).toBe(204);
  await pass(on, 1000);
  expect(on.running(holder).node.hints.waiting()).toBe(1);
  cut(on, holder);
  await pass(on, 5000);
  await on.restart(absent);
  await on.simulation.settle(on.start(on.add('n6', ['n1:7201', 'n2:7201'])));
  cut(on, holder);
  await pass(on, 4000);
  await begin(on, first, { replace: { [holder]: 'n6' } });
  await over(on, first, 'done');
  expect((await on.request(first, 'DELETE', '/v1/kv/b/k?w=3')).status).toBe(204);
  await forgotten(on);
  // Its disk is slow: that it was removed it knows a while after it has been told.
  on.machine(holder).medium.extraSyncMilliseconds = 3000;
  on.network.clearFaults();
  await pass(on, 10_000);
  expect((await on.request(first, 'GET', '/v1/kv/b/k?r=3')).status).toBe(404);
});

test('a node that was given up and stays after all owns nothing from before when it is an owner again', async () => {
  const on = await SimulatedCluster.founded({ seed: 'given up', nodes: 4, node: { repair: REPAIR } });
  const where = (await json(on, 'n1', 'GET', '/v1/ring/locate/b/k')) as { primaries: string[]; partition: number };
  const leaver = where.primaries.find((id) => id !== 'n1')!;
  const via = where.primaries.find((id) => id !== leaver)!;
  expect((await on.request(via, 'PUT', '/v1/kv/b/k?w=3', { body: 'to be deleted' })).status).toBe(204);
  await on.simulation.settle(on.start(on.add('n5', ['n1:7201', 'n2:7201'])));
  await pass(on, 4000);
  // The others take longer.
  const { messaging } = on.running('n5').node;
  const call = messaging.call.bind(messaging);
  messaging.call = async (peer, type, request, how) => {
    const isOther = type.name === NodesMessage.name && (request as NodesRequest).place.partition !== where.partition;
    return isOther ? { kind: 'lost', reason: 'timeout' } : await call(peer, type, request, how);
  };
  cut(on, leaver);
  await pass(on, 5000);
  await begin(on, via, { replace: { [leaver]: 'n5' } });
  const ring = () => on.running(via).node.chain.facts()!.ring;
  const entry = () => ring().placements.find(({ n }) => n === 3)!.partitions[where.partition]!;
  await on.simulation.run(() => entry().move?.stage === 'offload', 60_000);
  await pass(on, 2 * REPAIR.leaverPatience);
  await json(on, via, 'POST', '/v1/ring/transfers/abort', {});
  messaging.call = call;
  await over(on, via, 'aborted');
  expect(ring().members.map(({ state }) => state)).toEqual(Array.from({ length: 5 }, () => 'active'));
  on.network.clearFaults();
  await pass(on, 5000);
  expect((await on.request(via, 'DELETE', '/v1/kv/b/k?w=3')).status).toBe(204);
  await forgotten(on);
  await begin(on, via, { leave: ['n5'] });
  await over(on, via, 'done');
  expect(entry().owners.map((index) => ring().members.find((member) => member.index === index)!.id)).toContain(leaver);
  expect((await on.request(via, 'GET', '/v1/kv/b/k?r=3')).status).toBe(404);
});
