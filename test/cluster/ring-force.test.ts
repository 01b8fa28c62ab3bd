/** `quoral ring force` with real nodes: one of three goes on when two are gone for good, and one that comes back is no member. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { RingCluster } from './ring-support.ts';
import { http, PATIENCE_MS, runQuoral, until } from './support.ts';

const KEYS = 20;

let cluster: RingCluster;

beforeAll(async () => {
  cluster = await RingCluster.start(3, 3);
  for (let key = 0; key < KEYS; key++)
    await http('PUT', `${cluster.url('n1')}/v1/kv/b/k${key}?w=all`, { body: `value ${key}` });
});

afterAll(async () => {
  await cluster.nodes.stop();
});

async function force(...flags: readonly string[]) {
  return runQuoral(['ring', 'force', '--url', cluster.url('n1'), ...flags]);
}

async function statusAt(id: string, path: string): Promise<number> {
  return (await http('GET', cluster.url(id) + path)).status;
}

test('a survivor goes on alone when that is confirmed, with what it has; who comes back is refused', async () => {
  const early = await force('--lost', 'n2', '--lost', 'n3', '--yes');
  expect(early).toMatchObject({ status: 2, stderr: expect.stringContaining('so it is not lost') as string });
  for (const id of ['n2', 'n3']) {
    await cluster.nodes.signal(id, 'SIGKILL');
    await until('it is missed', async () => (await cluster.nodes.reach(['n1'], id)) === 'none');
  }
  const unconfirmed = (): Promise<unknown> => force('--lost', 'n2', '--lost', 'n3');
  await expect.poll(unconfirmed, { timeout: PATIENCE_MS, interval: 100 }).toMatchObject({
    status: 1,
    stdout: expect.stringContaining('for ever without n2, n3: n1 goes on, and decides alone') as string,
    stderr: expect.stringContaining('nothing was done: --yes says that this is meant') as string,
  });
  expect(await statusAt('n1', '/v1/kv/b/k0?consistency=strict_quorum')).toBe(503);
  const done = await force('--lost', 'n2', '--lost', 'n3', '--yes');
  expect(done).toMatchObject({
    status: 0,
    stderr: '',
    stdout: expect.stringMatching(/done, epoch 1000\d{3}; /) as string,
  });
  expect((await cluster.settled('n1')).state).toBe('idle');
  expect(await cluster.members('n1')).toEqual({ n1: 'active' });
  for (let key = 0; key < KEYS; key++) {
    const { status, body } = await http('GET', `${cluster.url('n1')}/v1/kv/b/k${key}?consistency=strict_quorum`);
    expect([status, body.toString()]).toEqual([200, `value ${key}`]);
  }
  const headers = { 'content-type': 'application/json' };
  const defined = await http('PUT', `${cluster.url('n1')}/v1/buckets/later`, { headers, body: '{"n":1}' });
  expect(defined.status).toBe(200);
  expect((await http('PUT', `${cluster.url('n1')}/v1/kv/later/k`, { body: 'v' })).status).toBe(204);
  expect(await statusAt('n1', '/healthz')).toBe(200);
  cluster.restart('n3');
  const refused = expect.stringContaining('has removed n3') as string;
  const read = async () => (await http('GET', `${cluster.url('n3')}/v1/kv/b/k0?r=1`)).body.toString();
  await expect.poll(async () => read().catch(() => ''), { timeout: PATIENCE_MS, interval: 100 }).toEqual(refused);
  expect(await cluster.members('n1')).toEqual({ n1: 'active' });
});
