/** `quoral ring force`: two of five nodes go on when three are gone for good. */

import { beforeAll, expect, test } from 'vitest';
import type { ForceView } from '#operator/ring-force.ts';
import { SimulatedCluster } from './cluster.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const KEYS = 60;
const LOST = ['n3', 'n4', 'n5'];

let cluster: SimulatedCluster;

beforeAll(async () => {
  cluster = await SimulatedCluster.founded({ seed: 'force', nodes: 5 });
  for (let i = 0; i < KEYS; i++) await cluster.request('n1', 'PUT', `/v1/kv/b/k${i}?w=all`, { body: `value ${i}` });
});

async function force(via: string, body: unknown): Promise<[number, unknown]> {
  const options = { headers: JSON_TYPE, body: JSON.stringify(body) };
  const answer = await cluster.request(via, 'POST', '/v1/ring/force', options);
  return [answer.status, JSON.parse(new TextDecoder().decode(answer.body))];
}

async function read(via: string, key: number): Promise<string> {
  const { status, body } = await cluster.request(via, 'GET', `/v1/kv/b/k${key}?consistency=strict_quorum`);
  return `${status} ${new TextDecoder().decode(body).slice(0, 20)}`;
}

async function pass(milliseconds: number): Promise<void> {
  await cluster.simulation.run(cluster.simulation.now + milliseconds);
}

test('it is refused as long as there is another way', async () => {
  expect(await force('n1', { lost: ['n9'] })).toMatchObject([400, { detail: 'lost: n9 is not a member' }]);
  expect(await force('n1', { lost: ['n1'] })).toMatchObject([400, { detail: 'lost: n1 is the node that is asked' }]);
  expect(await force('n1', { lost: ['n2'] })).toMatchObject([409, { detail: 'n2 can be reached, so it is not lost' }]);
  cluster.crash(cluster.machine('n3'));
  await pass(6000);
  const [status, problem] = await force('n1', { lost: ['n3'] });
  expect([status, problem]).toMatchObject([
    409,
    { detail: expect.stringContaining('4 of 5 voters are left') as string },
  ]);
  for (const id of ['n4', 'n5']) cluster.crash(cluster.machine(id));
  await pass(6000);
  const [again, silent] = await force('n1', { lost: ['n3', 'n4'] });
  expect([again, silent]).toMatchObject([409, { detail: expect.stringContaining('n5 cannot be reached') as string }]);
});

test('it says what may be lost, and does nothing until that is accepted', async () => {
  const before = cluster.running('n1').node.chain.facts()!;
  const [status, told] = await force('n1', { lost: LOST });
  expect(status).toBe(200);
  const view = told as ForceView;
  expect(view).toMatchObject({ applied: false, lost: LOST, survivors: ['n1', 'n2'] });
  expect(view.voters).toEqual({ before: ['n1', 'n2', 'n3', 'n4', 'n5'], after: ['n1', 'n2'] });
  const [table] = view.tables;
  expect(table!.withoutOwner).toBeGreaterThan(0);
  expect(table!.withoutMajority).toBeGreaterThan(table!.withoutOwner);
  expect(view.mayLose.length).toBe(3);
  expect(cluster.running('n1').node.chain.facts()).toBe(before);
});

test('the survivors have what they had, take writes and decide again, also after they were restarted', async () => {
  const { ring } = cluster.running('n1').node.chain.facts()!;
  const kept = new Set<number>();
  for (let i = 0; i < KEYS; i++) {
    const at = await cluster.request('n1', 'GET', `/v1/ring/locate/b/k${i}`);
    const { primaries } = JSON.parse(new TextDecoder().decode(at.body)) as { primaries: string[] };
    if (primaries.includes('n1') || primaries.includes('n2')) kept.add(i);
  }
  expect(kept.size).toBeLessThan(KEYS);
  // A survivor that was restarted knows no majority, and is asked all the same.
  cluster.crash(cluster.machine('n1'));
  await cluster.simulation.settle(cluster.start(cluster.machine('n1')));
  await pass(3000);
  expect((await read('n1', 0)).slice(0, 3)).toBe('503');
  expect(await force('n1', { lost: LOST, accept: true })).toMatchObject([200, { applied: true }]);
  await pass(30_000);
  for (const id of ['n1', 'n2']) {
    const facts = cluster.running(id).node.chain.facts()!;
    expect(facts.ring.change).toBeUndefined();
    expect(facts.ring.members.map((member) => member.state)).toEqual([
      ...['active', 'active'],
      ...['removed', 'removed', 'removed'],
    ]);
    expect(facts.ring.placements[0]!.partitions.every(({ owners }) => owners.length === 2)).toBe(true);
    expect(facts.ring.placements[0]!.partitions.length).toBe(ring.partitionCount);
    for (let i = 0; i < KEYS; i++) expect(await read(id, i)).toMatch(kept.has(i) ? `200 value ${i}` : /^404/);
  }
  const made = await cluster.request('n2', 'PUT', '/v1/buckets/later', { headers: JSON_TYPE, body: '{}' });
  expect(made.status).toBe(200);
  const put = await cluster.request('n2', 'PUT', '/v1/kv/later/k?consistency=strict_quorum', { body: 'v' });
  expect(put.status).toBe(204);
});

test('who comes back after all is no member, and is told so', async () => {
  await cluster.simulation.settle(cluster.start(cluster.machine('n4')));
  await pass(5000);
  const { status, body } = await cluster.request('n4', 'GET', '/v1/kv/b/k0');
  expect([status, new TextDecoder().decode(body)]).toEqual([503, expect.stringContaining('has removed n4')]);
  expect(cluster.running('n4').node.chain.facts()!.epoch).toBeGreaterThan(1_000_000);
});

test('of two nodes one loses its disk: it says what to do, and comes in again as a new one', async () => {
  cluster = await SimulatedCluster.founded({ seed: 'one of two', nodes: 2 });
  await cluster.request('n1', 'PUT', '/v1/kv/b/k0?w=all', { body: 'value 0' });
  const second = cluster.machine('n2');
  const begin = async (): Promise<void> => {
    cluster.crash(second);
    second.medium.wipe();
    await cluster.simulation.settle(cluster.start(second));
    await pass(6000);
  };
  await begin();
  const refused = await cluster.request('n2', 'GET', '/v1/kv/b/k0');
  expect(refused.status).toBe(503);
  expect(new TextDecoder().decode(refused.body)).toContain('quoral ring force --lost n2 at another member');
  cluster.crash(second);
  await pass(6000);
  expect(await force('n1', { lost: ['n2'], accept: true })).toMatchObject([200, { applied: true }]);
  await pass(3000);
  await begin();
  const post = async (path: string, body: unknown): Promise<{ readonly id: string }> => {
    const options = { headers: JSON_TYPE, body: JSON.stringify(body) };
    const answer = await cluster.request('n1', 'POST', path, options);
    expect(answer.status).toBeLessThan(300);
    return JSON.parse(new TextDecoder().decode(answer.body)) as { readonly id: string };
  };
  const { id } = await post('/v1/ring/plans', { join: ['n2'] });
  await post(`/v1/ring/plans/${id}/apply`, {});
  await pass(30_000);
  expect(cluster.running('n1').node.chain.facts()!.ring.change).toBeUndefined();
  for (const name of ['n1', 'n2']) expect(await read(name, 0)).toBe('200 value 0');
});
