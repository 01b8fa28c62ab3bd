/**
 * A dead member that was the only owner of something is replaced and removed all the same: where nothing is lost by it, and where an
 * operator accepts the loss.
 */

import { expect, test } from 'vitest';
import type { PlanView } from '#operator/ring-plans.ts';
import { utf8 } from '#kernel/bytes.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import { movingEntries } from '#repair/moved-rows.ts';
import { SimulatedCluster } from './cluster.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const KEYS = 40;

async function post(cluster: SimulatedCluster, path: string, body: unknown = {}): Promise<unknown> {
  const answer = await cluster.request('n1', 'POST', path, { headers: JSON_TYPE, body: JSON.stringify(body) });
  const text = new TextDecoder().decode(answer.body);
  expect([answer.status < 300, text]).toEqual([true, expect.anything()]);
  return JSON.parse(text);
}

async function define(cluster: SimulatedCluster, bucket: unknown): Promise<void> {
  const options = { headers: JSON_TYPE, body: JSON.stringify(bucket) };
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/s', options)).status).toBe(200);
}

async function putAll(cluster: SimulatedCluster, value: string): Promise<void> {
  for (let i = 0; i < KEYS; i++) {
    expect((await cluster.request('n1', 'PUT', `/v1/kv/s/k${i}`, { body: value })).status).toBe(204);
  }
}

/** With keys of one replica on n3, which is dead from then on. */
async function clusterWith(seed: string, bucket: unknown): Promise<SimulatedCluster> {
  const cluster = await SimulatedCluster.founded({ seed, nodes: 3 });
  await define(cluster, bucket);
  await putAll(cluster, 'first');
  await cluster.simulation.settle(cluster.start(cluster.add('n4', ['n1:7201'])));
  await cluster.simulation.run(cluster.simulation.now + 4000);
  cluster.crash(cluster.machine('n3'));
  await cluster.simulation.run(cluster.simulation.now + 10_000);
  return cluster;
}

async function drop(cluster: SimulatedCluster): Promise<void> {
  expect((await cluster.request('n1', 'DELETE', '/v1/buckets/s')).status).toBe(204);
}

async function replace(cluster: SimulatedCluster, more: unknown = {}): Promise<PlanView> {
  const plan = (await post(cluster, '/v1/ring/plans', { replace: { n3: 'n4' }, ...(more as object) })) as PlanView;
  await post(cluster, `/v1/ring/plans/${plan.id}/apply`);
  return plan;
}

const ringOf = (cluster: SimulatedCluster) => cluster.running('n1').node.chain.facts()!.ring;

async function untilOver(cluster: SimulatedCluster): Promise<string> {
  const end = cluster.simulation.now + 120_000;
  await cluster.simulation.run(() => ringOf(cluster).change === undefined || cluster.simulation.now > end);
  const { change, members } = ringOf(cluster);
  expect(change).toBeUndefined();
  return members.map(({ id, state }) => `${id} ${state}`).join(', ');
}

/** A bucket of the same n begins empty, and serves at all that are left. */
async function usedAgain(cluster: SimulatedCluster, bucket: unknown): Promise<void> {
  await define(cluster, bucket);
  for (let i = 0; i < KEYS; i++) {
    expect([i, (await cluster.request('n2', 'GET', `/v1/kv/s/k${i}`)).status]).toEqual([i, 404]);
  }
  await putAll(cluster, 'second');
  for (let i = 0; i < KEYS; i++) {
    const { body } = await cluster.request('n4', 'GET', `/v1/kv/s/k${i}`);
    expect([i, new TextDecoder().decode(body)]).toEqual([i, 'second']);
  }
}

const REPLACED = 'n1 active, n2 active, n3 removed, n4 active';

test.each([[{ n: 1 }], [{ n: 1, consistency: 'strong' }]])(
  'the last bucket with its n was dropped: %j',
  async (bucket) => {
    const cluster = await clusterWith('dropped before', bucket);
    await drop(cluster);
    expect((await replace(cluster)).summary.risks.map(({ code }) => code)).not.toContain('too-few-owners');
    expect(await untilOver(cluster)).toBe(REPLACED);
    await usedAgain(cluster, bucket);
  },
);

test.each([
  ['going on', 'running'],
  ['being taken back', 'aborting'],
])('the last bucket with its n is dropped while the change waits for it, %s', async (_, state) => {
  const cluster = await clusterWith('dropped meanwhile', { n: 1 });
  expect((await replace(cluster)).summary.risks.map(({ code }) => code)).toContain('too-few-owners');
  if (state === 'aborting') await post(cluster, '/v1/ring/transfers/abort');
  await cluster.simulation.run(cluster.simulation.now + 30_000);
  await drop(cluster);
  const members = await untilOver(cluster);
  if (state === 'running') expect(members).toBe(REPLACED);
  if (state === 'running') await usedAgain(cluster, { n: 1 });
});

test('a former owner that comes back late brings nothing of it to life', async () => {
  const cluster = await clusterWith('back again', { n: 1 });
  await drop(cluster);
  const { id } = (await post(cluster, '/v1/ring/plans', { join: ['n4'] })) as PlanView;
  await post(cluster, `/v1/ring/plans/${id}/apply`);
  await untilOver(cluster);
  await cluster.restart('n3');
  await define(cluster, { n: 1 });
  await cluster.simulation.run(cluster.simulation.now + 60_000);
  expect(await untilOver(cluster)).toBe('n1 active, n2 active, n3 active, n4 active');
  for (let i = 0; i < KEYS; i++) {
    expect([i, (await cluster.request('n2', 'GET', `/v1/kv/s/k${i}`)).status]).toEqual([i, 404]);
  }
  await putAll(cluster, 'second');
  for (const id of ['n1', 'n3', 'n4']) {
    for (let i = 0; i < KEYS; i++) {
      const { body } = await cluster.request(id, 'GET', `/v1/kv/s/k${i}`);
      expect([id, i, new TextDecoder().decode(body)]).toEqual([id, i, 'second']);
    }
  }
});

/** Which keys of the bucket only n3 has. */
function soleKeys(cluster: SimulatedCluster): ReadonlySet<string> {
  const ring = ringOf(cluster);
  const { partitions } = ring.placements.find(({ n }) => n === 1)!;
  const names = Array.from({ length: KEYS }, (_, i) => `k${i}`);
  return new Set(
    names.filter((key) => partitions[partitionOf(ring, hashKey(ring, 's', utf8(key)))]!.owners.includes(nodeIndex(2))),
  );
}

/** Keys that are lost are gone, all others as they were, and all can be written again. */
async function lostOnly(cluster: SimulatedCluster, lost: ReadonlySet<string>): Promise<void> {
  expect(lost.size).toBeGreaterThan(0);
  for (let i = 0; i < KEYS; i++) {
    const { status } = await cluster.request('n2', 'GET', `/v1/kv/s/k${i}`);
    expect([i, status]).toEqual([i, lost.has(`k${i}`) ? 404 : 200]);
  }
  await putAll(cluster, 'second');
  for (let i = 0; i < KEYS; i++) {
    const { body } = await cluster.request('n4', 'GET', `/v1/kv/s/k${i}`);
    expect([i, new TextDecoder().decode(body)]).toEqual([i, 'second']);
  }
}

test.each([[{ n: 1 }], [{ n: 1, consistency: 'strong' }]])(
  'what only the dead one had is given up, and nothing else: %j',
  async (bucket) => {
    const cluster = await clusterWith('accepted', bucket);
    const lost = soleKeys(cluster);
    const { summary } = await replace(cluster, { acceptLossOf: ['n3'] });
    expect(summary.risks.map(({ code }) => code)).not.toContain('too-few-owners');
    expect(summary.givesUp).toEqual([expect.stringMatching(/^all keys of n=1 in \d+ of \d+ partitions: /)]);
    expect(await untilOver(cluster)).toBe(REPLACED);
    await lostOnly(cluster, lost);
  },
);

test.each([
  ['resume', {}, REPLACED],
  ['abort', {}, 'n1 active, n2 active, n3 active, n4 active'],
  ['resume', { consistency: 'strong' }, REPLACED],
])('a change that waits for the dead one ends when that is given up: %s, %j', async (verb, more, wanted) => {
  const cluster = await clusterWith('accepted later', { n: 1, ...more });
  const lost = soleKeys(cluster);
  await replace(cluster);
  if (verb === 'abort') await cluster.simulation.run(cluster.simulation.now + 30_000);
  if (verb === 'abort') await post(cluster, '/v1/ring/transfers/abort');
  await cluster.simulation.run(cluster.simulation.now + 30_000);
  expect(ringOf(cluster).change).toBeDefined();
  await post(cluster, `/v1/ring/transfers/${verb}`, { acceptLossOf: ['n3'] });
  expect(await untilOver(cluster)).toBe(wanted);
  await lostOnly(cluster, lost);
});

test('nobody who can be reached, or is no member, is given up', async () => {
  const cluster = await clusterWith('not lost', { n: 1 });
  await replace(cluster);
  for (const [name, detail] of [
    ['n2', 'acceptLossOf: n2 can be reached, so what it has is not lost'],
    ['n9', 'acceptLossOf: n9 is not a member'],
  ]) {
    const options = { headers: JSON_TYPE, body: JSON.stringify({ acceptLossOf: [name] }) };
    const { status, body } = await cluster.request('n1', 'POST', '/v1/ring/transfers/resume', options);
    const told = JSON.parse(new TextDecoder().decode(body)) as { readonly detail: string };
    expect([status, told.detail]).toEqual([409, detail]);
  }
});

test('one that comes back before it is out brings what it has, although that was given up', async () => {
  const cluster = await clusterWith('back in time', { n: 1 });
  await replace(cluster, { acceptLossOf: ['n3'] });
  const isOffloading = (): boolean =>
    movingEntries(ringOf(cluster)).some(({ place, entry }) => place.n === 1 && entry.move!.stage === 'offload');
  const end = cluster.simulation.now + 60_000;
  await cluster.simulation.run(() => isOffloading() || cluster.simulation.now > end);
  expect(isOffloading()).toBe(true);
  await cluster.restart('n3');
  expect(await untilOver(cluster)).toBe(REPLACED);
  for (let i = 0; i < KEYS; i++) {
    const { body } = await cluster.request('n4', 'GET', `/v1/kv/s/k${i}`);
    expect([i, new TextDecoder().decode(body)]).toEqual([i, 'first']);
  }
});

test.each([[{}], [{ consistency: 'strong' }]])(
  'of two dead members what their third owner has is kept, and has three owners again: %j',
  async (bucket) => {
    const cluster = await SimulatedCluster.founded({ seed: 'two of three', nodes: 5 });
    await define(cluster, bucket);
    await putAll(cluster, 'first');
    for (const id of ['n6', 'n7']) await cluster.simulation.settle(cluster.start(cluster.add(id, ['n1:7201'])));
    await cluster.simulation.run(cluster.simulation.now + 4000);
    for (const id of ['n4', 'n5']) cluster.crash(cluster.machine(id));
    await cluster.simulation.run(cluster.simulation.now + 10_000);
    const change = { replace: { n4: 'n6', n5: 'n7' }, acceptLossOf: ['n4', 'n5'] };
    const plan = (await post(cluster, '/v1/ring/plans', change)) as PlanView;
    expect(plan.summary.givesUp[0]).toMatch(
      /^acknowledged writes of n=3 in \d+ of \d+ partitions that only lost owners had/,
    );
    await post(cluster, `/v1/ring/plans/${plan.id}/apply`);
    const members = await untilOver(cluster);
    expect(members).toBe('n1 active, n2 active, n3 active, n4 removed, n5 removed, n6 active, n7 active');
    for (const { owners, move } of ringOf(cluster).placements.flatMap(({ partitions }) => partitions)) {
      expect([owners.length, move]).toEqual([3, undefined]);
    }
    for (let i = 0; i < KEYS; i++) {
      const { body } = await cluster.request(i % 2 === 0 ? 'n6' : 'n7', 'GET', `/v1/kv/s/k${i}`);
      expect([i, new TextDecoder().decode(body)]).toEqual([i, 'first']);
    }
    await putAll(cluster, 'second');
  },
);
