/**
 * Calendar clocks that jump while requests come and go: nothing that lives is ended, given to somebody else or forgotten by a clock that
 * has not been compared with others since, and all goes on once it has been.
 */

import { expect, test } from 'vitest';
import type { InProcessAnswer } from '#api/in-process.ts';
import { SimulatedCluster } from './cluster.ts';

const HOUR = 3_600_000;
const JSON_HEADERS = { 'content-type': 'application/json' };
const KEYS = Array.from({ length: 6 }, (_, i) => `k${i}`);

async function founded(seed: string, nodes = 3): Promise<SimulatedCluster> {
  const cluster = await SimulatedCluster.founded({ seed, nodes });
  const { status } = await cluster.request('n1', 'PUT', '/v1/buckets/s', {
    headers: JSON_HEADERS,
    body: '{"consistency":"strong"}',
  });
  expect(status).toBe(200);
  return cluster;
}

/** Begins a request; its promise needs the simulation to run. */
async function acquire(cluster: SimulatedCluster, id: string, key: string, holder: string): Promise<InProcessAnswer> {
  const body = new TextEncoder().encode(JSON.stringify({ holder, ttl: 300 }));
  return cluster.running(id).api('POST', `/v1/leases/s/${key}`, JSON_HEADERS, body);
}

async function statuses(cluster: SimulatedCluster, asked: readonly Promise<InProcessAnswer>[]): Promise<number[]> {
  const answers = await cluster.simulation.settle(Promise.all(asked));
  return answers.map(({ status }) => status);
}

async function later(cluster: SimulatedCluster, milliseconds: number): Promise<void> {
  await cluster.simulation.run(cluster.simulation.now + milliseconds);
}

function allReady(cluster: SimulatedCluster): boolean {
  return cluster.machines.every((machine) => machine.running?.node.ready() === true);
}

/** Refusals apart: a clock that may be wrong says nothing. */
function onlyOf(seen: readonly number[], right: number): void {
  expect(seen.filter((status) => status !== right && status !== 503)).toEqual([]);
}

test.each([
  ['before the request', 0],
  ['while the request is under way', 1],
])('no lease is given away, and no value ended, by a clock that has jumped an hour ahead %s', async (_, order) => {
  const cluster = await founded('ahead');
  for (const key of KEYS) await cluster.request('n1', 'PUT', `/v1/kv/b/${key}?ttl=300`, { body: 'x' });
  await statuses(
    cluster,
    KEYS.map((key) => acquire(cluster, 'n1', key, 'A')),
  );
  const { clock } = cluster.machine('n2').host;
  const { api } = cluster.running('n2');
  if (order === 0) clock.jump(HOUR);
  const asked = KEYS.map((key) => acquire(cluster, 'n2', key, 'B'));
  const shown = KEYS.map((key) => api('GET', `/v1/leases/s/${key}`));
  const read = KEYS.map((key) => api('GET', `/v1/kv/b/${key}`));
  const body = new TextEncoder().encode('y');
  const made = KEYS.map((key) => api('PUT', `/v1/kv/b/${key}?ttl=300`, { 'if-none-match': '*' }, body));
  const written = KEYS.map((key) => api('PUT', `/v1/kv/b/other-${key}`, {}, body));
  if (order === 1) {
    await later(cluster, 0.01);
    clock.jump(HOUR);
  }
  onlyOf(await statuses(cluster, asked), 409);
  onlyOf(await statuses(cluster, shown), 200);
  onlyOf(await statuses(cluster, read), 200);
  onlyOf(await statuses(cluster, made), 412);
  onlyOf(await statuses(cluster, written), 204);
  // As what comes from others does: times that were given out are never taken back.
  cluster.running('n2').node.replica.now();
  await later(cluster, 5000);
  clock.jump(-HOUR);
  await cluster.simulation.run(() => allReady(cluster));
  onlyOf(
    await statuses(
      cluster,
      KEYS.map((key) => acquire(cluster, 'n2', key, 'B')),
    ),
    409,
  );
  for (const key of KEYS) expect((await cluster.request('n2', 'GET', `/v1/kv/b/${key}`)).status).toBe(200);
  expect(cluster.running('n2').node.hybridClockLead()).toBeLessThan(1000);
});

test('no request with an idempotency key is forgotten by a clock that is an hour ahead for a while', async () => {
  const cluster = await founded('forgets');
  for (const key of KEYS) {
    const headers = { 'idempotency-key': `once-${key}` };
    expect((await cluster.request('n1', 'PUT', `/v1/kv/b/${key}`, { headers, body: 'x' })).status).toBe(204);
  }
  await later(cluster, 1000);
  const remembered = (): unknown => cluster.running('n3').world.metrics.value('quoral_retries', {});
  expect(remembered()).toBe(KEYS.length);
  const { clock } = cluster.machine('n3').host;
  clock.jump(HOUR);
  await later(cluster, 60_000);
  clock.jump(-HOUR);
  expect(remembered()).toBe(KEYS.length);
  // By the right one they are.
  await later(cluster, 700_000);
  expect(remembered()).toBe(0);
});

test('all clocks go ahead together, as those of machines that were suspended: what has ended has, and all serve at once', async () => {
  const cluster = await founded('suspended');
  await cluster.request('n1', 'PUT', '/v1/kv/b/k?ttl=300', { body: 'x' });
  await statuses(cluster, [acquire(cluster, 'n1', 'k', 'A')]);
  for (const { host } of cluster.machines) host.clock.jump(HOUR);
  expect(allReady(cluster)).toBe(false);
  await cluster.simulation.run(() => allReady(cluster), 2000);
  expect((await cluster.request('n2', 'GET', '/v1/kv/b/k')).status).toBe(404);
  expect(await statuses(cluster, [acquire(cluster, 'n3', 'k', 'B')])).toEqual([200]);
});

test('where one of three is away, one whose clock has jumped does not serve by it for as long as the other has not', async () => {
  const cluster = await founded('no majority');
  await statuses(
    cluster,
    KEYS.map((key) => acquire(cluster, 'n1', key, 'A')),
  );
  cluster.crash(cluster.machine('n3'));
  const { clock } = cluster.machine('n2').host;
  clock.jump(HOUR);
  await later(cluster, 30_000);
  onlyOf(
    await statuses(
      cluster,
      KEYS.map((key) => acquire(cluster, 'n2', key, 'B')),
    ),
    409,
  );
  const { body } = await cluster.request('n2', 'GET', '/readyz');
  expect(new TextDecoder().decode(body)).toContain(
    'its clock has gone 60.0 minutes ahead at once, and those of other members did not',
  );
  clock.jump(-HOUR);
  expect(cluster.running('n2').node.ready()).toBe(true);
});

const YEARS = 3 * 365 * 24 * HOUR;

test.each([
  ['ahead', 'stopped', YEARS],
  ['ahead', 'killed', YEARS],
  ['behind', 'killed', -YEARS],
] as const)(
  'a node that was started with a clock years %s and is %s then is as ever with the right one',
  async (_, end, by) => {
    const cluster = await founded('started wrong');
    const n3 = cluster.machine('n3');
    await cluster.simulation.settle(cluster.stop(n3));
    n3.host.clock.jump(by);
    await cluster.simulation.settle(cluster.start(n3));
    await later(cluster, 15_000);
    expect(cluster.running('n3').node.notReadyReason()).toContain('1095.0 days');
    // It goes on storing what others write.
    for (const key of KEYS) await cluster.request('n1', 'PUT', `/v1/kv/b/${key}`, { body: 'x' });
    if (end === 'stopped') await cluster.simulation.settle(cluster.stop(n3));
    else cluster.crash(n3);
    n3.host.clock.jump(-by);
    await cluster.restart('n3');
    for (const key of KEYS) await cluster.request('n3', 'PUT', `/v1/kv/b/${key}`, { body: 'y' });
    const leads = cluster.machines.map(({ id }) => cluster.running(id).node.hybridClockLead());
    expect(leads.filter((lead) => lead > 1000)).toEqual([]);
  },
);

test('no increments are added up by a clock that jumps an hour ahead while the next one is made', async () => {
  const cluster = await founded('adds-up');
  const type = { headers: JSON_HEADERS, body: '{"type":"counter"}' };
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/c', type)).status).toBe(200);
  const { clock } = cluster.machine('n1').host;
  const { api, world } = cluster.running('n1');
  const increment = async (name: string): Promise<InProcessAnswer> => {
    const body = new TextEncoder().encode('{"op":"increment","by":1}');
    return api('POST', '/v1/kv/c/k', { ...JSON_HEADERS, 'idempotency-key': name }, body);
  };
  for (let i = 0; i < 40; i++) onlyOf(await statuses(cluster, [increment(`${i}`)]), 204);
  const next = increment('next');
  await later(cluster, 0.01);
  clock.jump(HOUR);
  expect(await statuses(cluster, [next])).toEqual([204]);
  await later(cluster, 1000);
  expect(world.metrics.value('quoral_increments_folded_total', {})).toBe(0);
});
