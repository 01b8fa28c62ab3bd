/** `consistency=local_quorum`: a majority of the key's owners in the zone of the node that is asked. */

import { expect, test } from 'vitest';
import type { InProcessAnswer } from '#api/in-process.ts';
import { SimulatedCluster } from './cluster.ts';
import { ownersOfKey } from './white-box.ts';

const LOCAL = 'consistency=local_quorum';
const ZONES = ['east', 'east', 'west', 'west'];

async function twoZones(): Promise<SimulatedCluster> {
  return await SimulatedCluster.founded({ seed: 'zones', nodes: 4, zones: ZONES });
}

/** A key with two owners in the east and one in the west. */
function keyOf(cluster: SimulatedCluster, bucket = 'b'): { path: string; owners: string[] } {
  for (let i = 0; ; i++) {
    const owners = ownersOfKey(cluster, bucket, `k${i}`).map(({ id }) => id as string);
    if (owners.includes('n1') && owners.includes('n2') && owners.length === 3)
      return { path: `/v1/kv/${bucket}/k${i}`, owners };
  }
}

function counts(answer: InProcessAnswer): string | undefined {
  return answer.headers.get('quoral-replicas');
}

async function apart(cluster: SimulatedCluster): Promise<void> {
  for (const east of ['n1', 'n2'])
    for (const west of ['n3', 'n4']) cluster.network.partition(cluster.machine(east).host, cluster.machine(west).host);
  await cluster.simulation.run(cluster.simulation.now + 5000);
}

test('each zone goes on alone with its own owners, and they meet afterwards', async () => {
  const cluster = await twoZones();
  const { path, owners } = keyOf(cluster);
  const stranger = ['n3', 'n4'].find((id) => !owners.includes(id))!;
  const whole = await cluster.request('n1', 'PUT', `${path}?${LOCAL}`, { body: 'both' });
  expect([whole.status, counts(whole)]).toEqual([204, 'acked=2; needed=2; of=2; fallbacks=0']);
  expect(counts(await cluster.request(stranger, 'GET', `${path}?${LOCAL}`))).toBe(
    'acked=1; needed=1; of=1; fallbacks=0',
  );
  await apart(cluster);
  const east = await cluster.request('n2', 'PUT', `${path}?${LOCAL}`, { body: 'east' });
  expect([east.status, counts(east)]).toEqual([204, 'acked=2; needed=2; of=2; fallbacks=0']);
  // In the west a node that does not own the key forwards to the one that does.
  const west = await cluster.request(stranger, 'PUT', `${path}?${LOCAL}`, { body: 'west' });
  expect([west.status, counts(west)]).toEqual([204, 'acked=1; needed=1; of=1; fallbacks=0']);
  for (const [id, value] of [
    ['n1', 'east'],
    ['n2', 'east'],
    ['n3', 'west'],
    ['n4', 'west'],
  ] as const) {
    const answer = await cluster.request(id, 'GET', `${path}?${LOCAL}`);
    expect(new TextDecoder().decode(answer.body), id).toBe(value);
  }
  expect((await cluster.request('n3', 'GET', `${path}?consistency=strict_quorum`)).status).toBe(503);
});

test('without a majority of the zone it is 503, though others have it or could', async () => {
  const cluster = await twoZones();
  const { path } = keyOf(cluster);
  cluster.crash(cluster.machine('n2'));
  await cluster.simulation.run(cluster.simulation.now + 5000);
  const write = await cluster.request('n1', 'PUT', `${path}?${LOCAL}`, { body: 'v' });
  expect(write.status).toBe(503);
  expect(JSON.parse(new TextDecoder().decode(write.body))).toMatchObject({ outcome: 'not-applied', needed: 2 });
  expect((await cluster.request('n1', 'GET', `${path}?${LOCAL}`)).status).toBe(503);
  expect((await cluster.request('n3', 'GET', `${path}?${LOCAL}`)).status).toBe(404);
});

test('in a zone without any owner it is 503', async () => {
  const cluster = await twoZones();
  const headers = { 'content-type': 'application/json' };
  await cluster.request('n1', 'PUT', '/v1/buckets/single', { headers, body: JSON.stringify({ n: 1 }) });
  const path = '/v1/kv/single/k';
  const [owner] = ownersOfKey(cluster, 'single', 'k').map(({ id }) => id as string);
  for (const [i, zone] of ZONES.entries()) {
    const local = zone === ZONES[Number(owner!.slice(1)) - 1];
    const write = await cluster.request(`n${i + 1}`, 'PUT', `${path}?${LOCAL}`, { body: 'v' });
    expect(write.status, `n${i + 1}`).toBe(local ? 204 : 503);
    const read = await cluster.request(`n${i + 1}`, 'GET', `${path}?${LOCAL}`);
    expect(read.status === 503, `n${i + 1}`).toBe(!local);
  }
});

test('a delete, a condition and a request sent again count in the zone, too', async () => {
  const cluster = await twoZones();
  const { path } = keyOf(cluster);
  await apart(cluster);
  const put = await cluster.request('n1', 'PUT', `${path}?${LOCAL}`, { body: 'v' });
  const ifMatch = { headers: { 'if-match': put.headers.get('etag')! } };
  expect((await cluster.request('n2', 'PUT', `${path}?${LOCAL}`, { ...ifMatch, body: 'w' })).status).toBe(204);
  expect((await cluster.request('n1', 'PUT', `${path}?${LOCAL}`, { ...ifMatch, body: 'x' })).status).toBe(412);
  const keyed = { headers: { 'idempotency-key': 'i' } };
  for (const id of ['n1', 'n2'])
    expect((await cluster.request(id, 'DELETE', `${path}?${LOCAL}`, keyed)).status).toBe(204);
  expect((await cluster.request('n2', 'GET', `${path}?${LOCAL}`)).status).toBe(404);
});
