/** What has ended beside something that lives: it is not shown, and goes once it is proven that nobody knows of a later end. */

import { expect, test } from 'vitest';
import { decodeState } from '#causality/state-codec.ts';
import { utf8 } from '#kernel/bytes.ts';
import { DEFAULT_HINT_SETTINGS } from '#handoff/hints.ts';
import { DEAD_ROWS } from '#repair/dead-rows.ts';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { RECORDS, recordKey } from '#replica/tables.ts';
import { SimulatedCluster } from './cluster.ts';
import { requestName } from './messages-on-the-wire.ts';

const IDS = ['n1', 'n2', 'n3'] as const;
const REPAIR = {
  ...DEFAULT_REPAIR_SETTINGS,
  ...{ interval: 1000, settle: 200, reclaimInterval: 2000, reclaimAge: 1000, reclaimWait: 1000 },
};
const JSON_TYPE = { 'content-type': 'application/json' };
const CARRY_STATES = /^(replica\.store|handoff\.|repair\.(push|pull|rows|confirm)$)/;
/** After so long nobody whose clock is trusted takes it for live any more. */
const FOR_SURE_MS = 125_000;
/** A pass of reclaiming has had its time. */
const A_PASS_MS = 9000;

/** A hint that waits for somebody holds it up, too. */
const HINTS = { ...DEFAULT_HINT_SETTINGS, ageMax: 60_000 };

async function founded(properties: object = { conflicts: 'siblings' }): Promise<SimulatedCluster> {
  const cluster = await SimulatedCluster.founded({ seed: 4, nodes: 3, node: { repair: REPAIR, hints: HINTS } });
  const body = JSON.stringify(properties);
  await cluster.request('n1', 'PUT', '/v1/buckets/b', { headers: JSON_TYPE, body });
  return cluster;
}

async function pass(cluster: SimulatedCluster, milliseconds: number): Promise<void> {
  await cluster.simulation.run(cluster.simulation.now + milliseconds);
}

/** All clocks go on, without all that would happen meanwhile. */
function jump(cluster: SimulatedCluster, milliseconds: number): void {
  for (const { host } of cluster.machines) host.clock.jump(milliseconds);
}

async function put(cluster: SimulatedCluster, at: string, query: string, body: string): Promise<void> {
  expect((await cluster.request(at, 'PUT', `/v1/kv/b/k${query}`, { body })).status).toBe(204);
}

async function operate(cluster: SimulatedCluster, at: string, query: string, operation: object): Promise<void> {
  const options = { headers: JSON_TYPE, body: JSON.stringify(operation) };
  expect((await cluster.request(at, 'POST', `/v1/kv/b/k${query}`, options)).status).toBe(204);
}

/** The values of all siblings at each node, as it alone has them. */
async function shown(cluster: SimulatedCluster): Promise<readonly string[]> {
  const all = [];
  for (const id of IDS) {
    const headers = { accept: 'application/json' };
    const answer = await cluster.request(id, 'GET', '/v1/kv/b/k?r=1&sloppy=false', { headers });
    const text = new TextDecoder().decode(answer.body);
    if (answer.status !== 300) all.push(answer.status === 200 ? text : String(answer.status));
    else {
      const { siblings } = JSON.parse(text) as { siblings: { value: string }[] };
      all.push(
        siblings
          .map(({ value }) => Buffer.from(value, 'base64').toString())
          .sort()
          .join('+'),
      );
    }
  }
  return all;
}

function rows(cluster: SimulatedCluster): readonly Buffer[] {
  return cluster.machines.map(({ medium }) => Buffer.from(medium.table(RECORDS).get(recordKey('b', 0, utf8('k')))!));
}

function versions(cluster: SimulatedCluster): readonly number[] {
  const { crc32 } = cluster.running('n1').world.digest;
  return rows(cluster).map((row) => decodeState(row, crc32).versions.length);
}

function waiting(cluster: SimulatedCluster): readonly number[] {
  return IDS.map((id) => cluster.running(id).world.metrics.value('quoral_tombstones'));
}

test('a sibling that has ended goes, and what lives beside it stays as it was', async () => {
  const cluster = await founded();
  await put(cluster, 'n1', '?ttl=5&w=all', 'a');
  await put(cluster, 'n2', '?w=all', 'b');
  await put(cluster, 'n3', '?ttl=600&w=all', 'c');
  expect(await shown(cluster)).toEqual(['a+b+c', 'a+b+c', 'a+b+c']);
  await pass(cluster, 7000);
  expect(await shown(cluster)).toEqual(['b+c', 'b+c', 'b+c']);
  expect([versions(cluster), waiting(cluster)]).toEqual([
    [3, 3, 3],
    [1, 1, 1],
  ]);
  const { headers } = await cluster.request('n1', 'GET', '/v1/kv/b/k');
  jump(cluster, FOR_SURE_MS);
  await pass(cluster, A_PASS_MS);
  expect([versions(cluster), waiting(cluster)]).toEqual([
    [2, 2, 2],
    [0, 0, 0],
  ]);
  expect(await shown(cluster)).toEqual(['b+c', 'b+c', 'b+c']);
  const later = await cluster.request('n2', 'GET', '/v1/kv/b/k');
  for (const name of ['etag', 'quoral-context']) expect(later.headers.get(name)).toBe(headers.get(name));
});

test('the answer to a write shows nothing that has ended beside it, from its very end on', async () => {
  const cluster = await founded();
  await put(cluster, 'n1', '?ttl=1&w=all', 'a');
  await pass(cluster, 1100);
  const written = await cluster.request('n2', 'PUT', '/v1/kv/b/k?return=body', { body: 'b' });
  expect([written.status, new TextDecoder().decode(written.body)]).toEqual([200, 'b']);
  const headers = { 'if-match': written.headers.get('etag')! };
  const again = await cluster.request('n3', 'PUT', '/v1/kv/b/k', { headers, body: 'c' });
  expect(again.status).toBe(204);
  expect(again.headers.has('quoral-context')).toBe(true);
});

test('one that a touch lets live longer stays, also where nobody has heard of the touch', async () => {
  for (const apart of IDS) {
    const cluster = await founded();
    await put(cluster, 'n1', '?ttl=10&w=all', 'a');
    await put(cluster, 'n2', '?w=all', 'b');
    const { host } = cluster.machine(apart);
    const loses = (message: Uint8Array): boolean => CARRY_STATES.test(requestName(message));
    for (const other of cluster.machines) {
      if (other.host === host) continue;
      cluster.network.setFault(other.host, host, { loses });
      cluster.network.setFault(host, other.host, { loses });
    }
    const at = IDS.find((id) => id !== apart)!;
    await operate(cluster, at, '?ttl=3600', { op: 'touch' });
    await pass(cluster, 5000);
    jump(cluster, 10_000 + FOR_SURE_MS);
    await pass(cluster, A_PASS_MS);
    expect(versions(cluster)).toEqual([2, 2, 2]);
    expect(IDS.map((id) => cluster.running(id).node.repair.reclaim.run(false).blocked)).toEqual([[], [], []]);
    cluster.network.clearFaults();
    await cluster.simulation.run(() => rows(cluster).every((row) => row.equals(rows(cluster)[0]!)));
    expect(await shown(cluster)).toEqual(['a+b', 'a+b', 'a+b']);
  }
});

test('what ends all the time does not heap up in a key that is written all the time', async () => {
  const cluster = await founded();
  for (let i = 0; i < 120; i++) {
    await put(cluster, IDS[i % 3]!, '?ttl=1', 'x');
    await pass(cluster, 200);
    jump(cluster, 5000);
  }
  for (const count of versions(cluster)) expect(count).toBeLessThan(60);
});

test('what an earlier release has left of siblings goes when the key is written again', async () => {
  const cluster = await founded();
  await put(cluster, 'n1', '?w=all', 'a');
  await put(cluster, 'n1', '?ttl=2&w=all', 'b');
  await pass(cluster, 5000);
  expect(waiting(cluster)).toEqual([1, 1, 1]);
  for (const { id, medium } of cluster.machines) {
    await cluster.simulation.settle(cluster.stop(cluster.machine(id)));
    const rowKeys = [...medium.table(DEAD_ROWS).rows()].map(([key]) => key);
    for (const key of rowKeys) medium.table(DEAD_ROWS).set(key, undefined);
    await cluster.restart(id);
  }
  jump(cluster, FOR_SURE_MS);
  await pass(cluster, A_PASS_MS);
  expect([waiting(cluster), versions(cluster)]).toEqual([
    [0, 0, 0],
    [2, 2, 2],
  ]);
  await put(cluster, 'n2', '?w=all', 'c');
  await pass(cluster, A_PASS_MS);
  expect([waiting(cluster), versions(cluster)]).toEqual([
    [0, 0, 0],
    [2, 2, 2],
  ]);
  expect(await shown(cluster)).toEqual(['a+c', 'a+c', 'a+c']);
});

test('elements of a set that have ended go without another operation', async () => {
  const cluster = await founded({ type: 'set' });
  await operate(cluster, 'n1', '?ttl=5&w=all', { op: 'add', values: ['a', 'b'] });
  await operate(cluster, 'n2', '?w=all', { op: 'add', values: ['c'] });
  jump(cluster, 5000 + FOR_SURE_MS);
  await pass(cluster, A_PASS_MS);
  expect(versions(cluster)).toEqual([1, 1, 1]);
  for (const text of await shown(cluster)) expect(JSON.parse(text)).toMatchObject({ value: ['c'] });
});
