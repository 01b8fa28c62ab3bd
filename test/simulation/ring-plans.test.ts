/** Plans of ring changes, asked for over HTTP: nothing changes, and what is told is what there is. */

import { beforeAll, expect, test } from 'vitest';
import type { PlanView } from '#operator/ring-plans.ts';
import { PLANS_MAX } from '#operator/ring-plans.ts';
import { SimulatedCluster } from './cluster.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const KEYS = 64;
const VALUE = 'v'.repeat(1000);

let cluster: SimulatedCluster;

beforeAll(async () => {
  cluster = await SimulatedCluster.founded({ seed: 'plans', nodes: 3 });
  for (let i = 0; i < KEYS; i++) await cluster.request('n1', 'PUT', `/v1/kv/b/k${i}?w=all`, { body: VALUE });
  await cluster.simulation.settle(cluster.start(cluster.add('n4', ['n1:7201'])));
  await cluster.simulation.run(cluster.simulation.now + 5000);
});

async function ask(body: unknown, id = 'n1'): Promise<{ status: number; answer: unknown }> {
  const { status, body: bytes } = await cluster.request(id, 'POST', '/v1/ring/plans', {
    headers: JSON_TYPE,
    body: JSON.stringify(body),
  });
  return { status, answer: JSON.parse(new TextDecoder().decode(bytes)) as unknown };
}

async function plan(body: unknown, id = 'n1'): Promise<PlanView> {
  const { status, answer } = await ask(body, id);
  expect(answer).toMatchObject({ moves: expect.anything() as unknown });
  expect(status).toBe(200);
  return answer as PlanView;
}

async function apply(id: string): Promise<number> {
  return (await cluster.request('n1', 'POST', `/v1/ring/plans/${id}/apply`)).status;
}

test('a join, by id or address, from any node: every move with its keys and bytes', async () => {
  const epoch = cluster.running('n1').node.chain.facts()!.epoch;
  const [one, other] = [await plan({ join: ['n4'] }), await plan({ join: ['n4:7201'] }, 'n2')];
  expect(one.moves).toEqual(other.moves);
  expect(one.moves.length).toBe(12);
  expect(one.summary).toMatchObject({ moves: 12, leastMoves: 12, dropped: 0, risks: [] });
  expect(one.moves.every(({ to, from }) => to === 'n4' && from !== null)).toBe(true);
  // Three replicas of 64 keys lie on three nodes; the fourth gets a quarter of them.
  const total = one.moves.reduce((sum, { keys }) => sum + keys!, 0);
  expect(total).toBe(one.summary.keys);
  expect(total).toBeGreaterThan(KEYS / 2);
  expect(one.summary.bytes).toBeGreaterThan(total * VALUE.length);
  expect(one.summary.bytes).toBeLessThan(total * (VALUE.length + 200));
  expect(one.summary.voters).toEqual({ before: ['n1', 'n2', 'n3'], after: ['n1', 'n2', 'n3', 'n4'] });
  expect(one.summary.members.map(({ id, change, before, after }) => [id, change, before, after])).toEqual([
    ['n1', 'stays', 16, 12],
    ['n2', 'stays', 16, 12],
    ['n3', 'stays', 16, 12],
    ['n4', 'joins', 0, 12],
  ]);
  expect(cluster.running('n1').node.chain.facts()!.epoch).toBe(epoch);
});

test('what nobody can ask is told as not weighed, and a dead member as a risk', async () => {
  const alone = await SimulatedCluster.founded({ seed: 'plans of a broken cluster', nodes: 3 });
  const [whole, broken] = [cluster, alone];
  cluster = broken;
  try {
    const fewer = await plan({ leave: ['n3'] });
    expect(fewer.moves).toEqual([]);
    expect(fewer.dropped.length).toBe(16);
    expect(fewer.summary.risks.map(({ code }) => code)).toEqual(['fewer-replicas', 'two-voters']);
    await cluster.request('n1', 'PUT', '/v1/buckets/s', { headers: JSON_TYPE, body: '{"consistency":"strong"}' });
    await cluster.simulation.settle(cluster.start(cluster.add('n5', ['n1:7201'])));
    cluster.crash(cluster.machine('n3'));
    await cluster.simulation.run(cluster.simulation.now + 10_000);
    const replaced = await plan({ replace: { n3: 'n5' } });
    expect(replaced.moves.length).toBe(16);
    expect(replaced.moves.every(({ from, to, keys }) => from === 'n3' && to === 'n5' && keys === 0)).toBe(true);
    expect(replaced.summary.risks).toEqual([
      { code: 'unreachable', detail: 'n3 cannot be reached: what it gives comes from the other owners' },
    ]);
  } finally {
    cluster = whole;
  }
});

test('weights and zones, and nothing at all', async () => {
  const { moves, summary } = await plan({});
  expect([moves, summary.moves, summary.leastMoves]).toEqual([[], 0, 0]);
  const zoned = await plan({ join: ['n4'], zones: { n4: 'far' }, weights: { n4: 2 } });
  expect(zoned.moves.length).toBe(16);
  expect(zoned.summary.tables[0]).toMatchObject({
    zones: { before: { fewest: 1 }, after: { fewest: 2, possible: 2 } },
  });
  expect(zoned.summary.members.at(-1)).toMatchObject({ id: 'n4', zone: 'far', weight: 2 });
});

test.each<[unknown, number, string]>([
  [[], 400, 'body: expected a JSON object with join, leave, replace, weights, zones, acceptLossOf, got a list'],
  [{ joins: [] }, 400, 'joins: unknown member; known here: join, leave, replace, weights, zones, acceptLossOf'],
  [{ join: 'n4' }, 400, 'join: expected a list of at most 256 items, each the id of a node, got "n4"'],
  [{ join: ['n9'] }, 400, 'join: no node named n9 waits to join; those that wait are n4'],
  [{ leave: ['n9'] }, 400, 'leave: n9 is not a member'],
  [{ replace: { n1: 3 } }, 400, 'replace.n1: expected the id of a node, got 3'],
  [{ acceptLossOf: ['n3'] }, 400, 'acceptLossOf: n3 neither leaves nor is replaced'],
  [{ leave: ['n3'], acceptLossOf: ['n9'] }, 400, 'acceptLossOf: n9 is not a member'],
  [{ leave: ['n3'], acceptLossOf: ['n3'] }, 400, 'acceptLossOf: n3 can be reached, so what it has is not lost'],
  [{ weights: { n1: 0 } }, 400, 'weights.n1: expected a number from 0.001 to 1000, got 0'],
  [{ zones: { n1: 'a b' } }, 400, 'zones.n1: expected 1-64 characters of A-Z a-z 0-9 . _ -, got "a b"'],
])('refused: %j', async (body, status, detail) => {
  const refused = await ask(body);
  expect(refused.status).toBe(status);
  expect((refused.answer as { detail: string }).detail).toContain(detail);
});

test('a plan is kept for a while, and is outdated when the ring has moved on', async () => {
  const { id } = await plan({ join: ['n4'] });
  // A definition is another epoch and no other ring; a new n is.
  await cluster.request('n1', 'PUT', '/v1/buckets/x', { headers: JSON_TYPE, body: '{"n":3}' });
  await cluster.request('n1', 'PUT', '/v1/buckets/y', { headers: JSON_TYPE, body: '{"n":2}' });
  expect(await apply(id)).toBe(409);
  expect(await apply('0123456789abcdef')).toBe(404);
  const kept = await plan({});
  for (let i = 0; i < PLANS_MAX; i++) await plan({});
  expect(await apply(kept.id)).toBe(404);
});

test('a node that waits plans nothing', async () => {
  expect((await ask({ join: ['n4'] }, 'n4')).status).toBe(503);
});
