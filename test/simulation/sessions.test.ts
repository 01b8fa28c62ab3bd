/** Sessions at three nodes over HTTP: what was written or read stays seen, also at nodes that lag behind. */

import { expect, test } from 'vitest';
import type { InProcessAnswer } from '#api/in-process.ts';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { RECORDS } from '#replica/tables.ts';
import { SimulatedCluster } from './cluster.ts';

const PATH = '/v1/kv/b/k';
const ONE = 'r=1&w=1&dw=1';

/** Of `n1`, what is written there stays there for a while: the others are cut off from it, and it does not know yet. */
async function alone(cluster: SimulatedCluster, id: string): Promise<void> {
  for (const { id: other, host } of cluster.machines)
    if (other !== id) cluster.network.partition(cluster.machine(id).host, host);
  await cluster.simulation.run(cluster.simulation.now + 1);
}

function sessionOf(answer: InProcessAnswer): string {
  return answer.headers.get('quoral-session')!;
}

function textOf(answer: InProcessAnswer): string {
  return answer.status === 200 ? new TextDecoder().decode(answer.body) : String(answer.status);
}

test('reads at one replica see what the session wrote, or wait, or say that they cannot', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 1, nodes: 3 });
  await cluster.request('n1', 'PUT', `${PATH}?w=all`, { body: 'old' });
  await alone(cluster, 'n1');
  const written = await cluster.request('n1', 'PUT', `${PATH}?${ONE}&session=new`, { body: 'new' });
  expect(written.status).toBe(204);
  const session = sessionOf(written);
  expect(textOf(await cluster.request('n2', 'GET', `${PATH}?r=1`))).toBe('old');
  const late = await cluster.request('n2', 'GET', `${PATH}?r=1&timeout=500&session=${session}`);
  expect(late.status).toBe(504);
  expect(new TextDecoder().decode(late.body)).toContain('session-not-met');
  expect(sessionOf(late)).toBe(session);
  // The same while the way opens.
  const waiting = cluster.running('n3').api('GET', `${PATH}?r=1&timeout=60000&session=${session}`);
  cluster.simulation.schedule(2000, 'heal', () => cluster.network.clearFaults());
  expect(textOf(await cluster.simulation.settle(waiting))).toBe('new');
});

test('a read that has seen something new is not followed by one that has not', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 2, nodes: 3 });
  await cluster.request('n1', 'PUT', `${PATH}?w=all`, { body: 'old' });
  await alone(cluster, 'n1');
  await cluster.request('n1', 'PUT', `${PATH}?${ONE}`, { body: 'new' });
  const seen = await cluster.request('n1', 'GET', `${PATH}?r=1&session=new`);
  expect(textOf(seen)).toBe('new');
  expect((await cluster.request('n2', 'GET', `${PATH}?r=1&timeout=300&session=${sessionOf(seen)}`)).status).toBe(504);
  cluster.network.clearFaults();
  await cluster.simulation.run(cluster.simulation.now + 15_000);
  for (const id of ['n3', 'n2', 'n1'])
    expect(textOf(await cluster.request(id, 'GET', `${PATH}?r=1&session=${sessionOf(seen)}`))).toBe('new');
});

test('a deletion stays seen, and a condition is judged by what the session has seen', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 3, nodes: 3 });
  await cluster.request('n1', 'PUT', `${PATH}?w=all`, { body: 'old' });
  await alone(cluster, 'n1');
  const gone = await cluster.request('n1', 'DELETE', `${PATH}?${ONE}&session=new`);
  expect(gone.status).toBe(204);
  const query = `timeout=300&r=1&session=${sessionOf(gone)}`;
  expect((await cluster.request('n2', 'GET', `${PATH}?${query}`)).status).toBe(504);
  const create = { headers: { 'if-none-match': '*' }, body: 'x' };
  const failed = await cluster.request('n2', 'PUT', `${PATH}?${query}`, create);
  expect([failed.status, JSON.parse(new TextDecoder().decode(failed.body))]).toMatchObject([
    504,
    { outcome: 'not-applied' },
  ]);
  cluster.network.clearFaults();
  await cluster.simulation.run(cluster.simulation.now + 15_000);
  expect((await cluster.request('n2', 'PUT', `${PATH}?r=1&session=${sessionOf(gone)}`, create)).status).toBe(204);
});

test('the session of a write that comes after another wins over it, though its node has the slower clock', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 4, nodes: 3 });
  cluster.machine('n1').host.clock.jump(400);
  await alone(cluster, 'n1');
  const first = await cluster.request('n1', 'PUT', `${PATH}?${ONE}&session=new`, { body: 'first' });
  const second = await cluster.request('n2', 'PUT', `${PATH}?session=${sessionOf(first)}`, { body: 'second' });
  expect([first.status, second.status]).toEqual([204, 204]);
  cluster.network.clearFaults();
  await cluster.simulation.run(cluster.simulation.now + 15_000);
  for (const id of ['n1', 'n2', 'n3'])
    expect(textOf(await cluster.request(id, 'GET', `${PATH}?r=all&session=${sessionOf(second)}`))).toBe('second');
});

test('at local_quorum a session asks the owners in other zones for what those of its own do not know', async () => {
  const zones = ['east', 'east', 'west'];
  const cluster = await SimulatedCluster.founded({ seed: 5, nodes: 3, zones });
  await cluster.request('n1', 'PUT', `${PATH}?w=all`, { body: 'old' });
  await alone(cluster, 'n3');
  const written = await cluster.request('n3', 'PUT', `${PATH}?consistency=local_quorum&session=new`, { body: 'west' });
  expect(written.status).toBe(204);
  cluster.network.clearFaults();
  const read = await cluster.request('n1', 'GET', `${PATH}?consistency=local_quorum&session=${sessionOf(written)}`);
  expect(textOf(read)).toBe('west');
});

test('a session does not wait for a deletion that has been given up since, nor when the key has come again', async () => {
  const repair = {
    ...DEFAULT_REPAIR_SETTINGS,
    ...{ interval: 1000, settle: 200, reclaimInterval: 2000, reclaimAge: 1000, reclaimWait: 1000 },
  };
  const cluster = await SimulatedCluster.founded({ seed: 6, nodes: 4, node: { repair } });
  const keys = Array.from({ length: 6 }, (_, i) => `/v1/kv/b/k${i}`);
  const sessions: string[] = [];
  for (const key of keys) {
    await cluster.request('n1', 'PUT', `${key}?w=all`, { body: 'v' });
    sessions.push(sessionOf(await cluster.request('n2', 'DELETE', `${key}?session=new`)));
  }
  const rows = (): number =>
    cluster.machines.reduce((sum, { medium }) => sum + [...medium.table(RECORDS).rows()].length, 0);
  await cluster.simulation.run(() => rows() === 0);
  for (const [i, key] of keys.entries()) {
    const absent = await cluster.request('n3', 'GET', `${key}?r=1&session=${sessions[i]}`);
    expect(absent.status).toBe(404);
    await cluster.request('n4', 'PUT', key, { body: 'again' });
    expect(textOf(await cluster.request('n1', 'GET', `${key}?r=all&session=${sessionOf(absent)}`))).toBe('again');
  }
  // While somebody cannot be asked, nobody knows that nobody knows.
  const gone = sessionOf(await cluster.request('n2', 'DELETE', `${keys[0]}?session=new`));
  await cluster.simulation.run(() => rows() < 6 * 3);
  await cluster.simulation.run(cluster.simulation.now + 5000);
  cluster.crash(cluster.machine('n4'));
  await cluster.simulation.run(cluster.simulation.now + 5000);
  const waits = await cluster.request('n1', 'GET', `${keys[0]}?timeout=500&session=${gone}`);
  expect([waits.status, new TextDecoder().decode(waits.body)]).toMatchObject([504, /session-not-met/]);
});
