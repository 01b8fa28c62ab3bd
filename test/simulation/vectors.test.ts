/** Vectors of keys that live stay short, however often those that write them start anew, and nobody notices. */

import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { isHorizon } from '#causality/horizon.ts';
import { decodeState } from '#causality/state-codec.ts';
import type { VersionVector } from '#causality/state.ts';
import { utf8 } from '#kernel/bytes.ts';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { SPARE_ENTRIES_MAX } from '#repair/long-vectors.ts';
import { RECORDS, recordKey } from '#replica/tables.ts';
import { SimulatedCluster } from './cluster.ts';

const REPAIR = { ...DEFAULT_REPAIR_SETTINGS, interval: 1000, settle: 200, reclaimInterval: 2000, reclaimWait: 1000 };
/** Longer than the times of a node are ahead that has started so often: there is one pass only. */
const AT_WILL = { ...REPAIR, reclaimInterval: 3_600_000, reclaimWait: 2000 };
const JSON_HEADERS = { 'content-type': 'application/json' };
const STARTS = SPARE_ENTRIES_MAX + 4;
const OFTEN = STARTS + SPARE_ENTRIES_MAX / 2;

async function cluster(seed: number, repair: typeof REPAIR): Promise<SimulatedCluster> {
  const on = await SimulatedCluster.founded({ seed, nodes: 3, node: { repair } });
  const buckets = { s: { conflicts: 'siblings' }, flags: { type: 'flag' }, counters: { type: 'counter' } };
  for (const [name, definition] of Object.entries(buckets)) {
    const given = { headers: JSON_HEADERS, body: JSON.stringify(definition) };
    expect((await on.request('n1', 'PUT', `/v1/buckets/${name}`, given)).status).toBeLessThan(300);
  }
  return on;
}

async function restart(on: SimulatedCluster, id: string): Promise<void> {
  on.crash(on.machine(id));
  await on.restart(id);
}

async function replace(on: SimulatedCluster, at: string, path: string, body: string): Promise<void> {
  const context = (await on.request(at, 'GET', `/v1/kv/${path}`)).headers.get('quoral-context');
  const headers: Record<string, string> = typeof context === 'string' ? { 'quoral-context': context } : {};
  expect((await on.request(at, 'PUT', `/v1/kv/${path}?w=3`, { headers, body })).status).toBe(204);
}

async function operate(on: SimulatedCluster, at: string, path: string, op: object): Promise<void> {
  const given = { headers: JSON_HEADERS, body: JSON.stringify(op) };
  expect((await on.request(at, 'POST', `/v1/kv/${path}?w=3`, given)).status).toBeLessThan(300);
}

async function pass(on: SimulatedCluster, milliseconds: number): Promise<void> {
  await on.simulation.run(on.simulation.now + milliseconds);
}

function vectorOf(on: SimulatedCluster, id: string, path: string): VersionVector {
  const [bucket, key] = path.split('/') as [string, string];
  const row = on
    .machine(id)
    .medium.table(RECORDS)
    .get(recordKey(bucket, 0, utf8(key)));
  return decodeState(row!, crc32).vector;
}

function metric(on: SimulatedCluster, name: string): readonly number[] {
  return on.machines.map(({ id }) => on.running(id).world.metrics.value(name));
}

async function text(on: SimulatedCluster, at: string, path: string): Promise<string> {
  const { status, body } = await on.request(at, 'GET', `/v1/kv/${path}`);
  return status === 200 ? new TextDecoder().decode(body) : String(status);
}

async function compacted(on: SimulatedCluster): Promise<void> {
  for (const { id } of on.machines) on.running(id).node.repair.reclaim.run(true);
  await on.simulation.run(() => metric(on, 'quoral_long_vectors').every((rows) => rows === 0));
  await pass(on, 100);
}

test('a key that is written across many unclean starts keeps a short vector, whatever kind of key it is', async () => {
  const on = await cluster(1, REPAIR);
  for (let i = 0; i < OFTEN; i++) {
    await restart(on, i % 3 === 0 ? 'n2' : 'n1');
    const at = i % 3 === 0 ? 'n2' : 'n1';
    for (const path of ['s/k', 'b/k']) await replace(on, at, path, `${i}`);
    await operate(on, at, 'flags/k', { op: i % 2 === 0 ? 'enable' : 'disable' });
    await operate(on, at, 'counters/k', { op: 'increment', by: 1 });
  }
  await pass(on, 10_000);
  expect(metric(on, 'quoral_long_vectors')).toEqual([0, 0, 0]);
  expect(metric(on, 'quoral_vectors_compacted_total').some((rows) => rows > 0)).toBe(true);
  for (const id of ['n1', 'n2', 'n3']) {
    for (const path of ['s/k', 'b/k', 'flags/k']) {
      const vector = vectorOf(on, id, path);
      expect(vector.some(isHorizon), path).toBe(true);
      expect(vector.length, path).toBeLessThanOrEqual(SPARE_ENTRIES_MAX + 2);
      expect(vector).toEqual(vectorOf(on, 'n1', path));
    }
    for (const path of ['s/k', 'b/k']) expect(await text(on, id, `${path}?r=3`)).toBe(`${OFTEN - 1}`);
    expect(JSON.parse(await text(on, id, 'flags/k?r=3'))).toMatchObject({ value: false });
    // What was counted is as live as it ever was.
    expect(JSON.parse(await text(on, id, 'counters/k?r=3'))).toMatchObject({ value: OFTEN });
    expect(vectorOf(on, id, 'counters/k')).toHaveLength(OFTEN);
  }
}, 60_000);

test('what clients hold from before stays good: contexts, tags, sessions; and watches have nothing to tell', async () => {
  const on = await cluster(2, AT_WILL);
  for (let i = 0; i < STARTS; i++) {
    await restart(on, 'n1');
    for (const path of ['s/k', 's/other', 'flags/k']) {
      if (path === 'flags/k') await operate(on, 'n1', path, { op: 'enable' });
      else await replace(on, 'n1', path, `${i}`);
    }
  }
  const seen = await on.request('n1', 'GET', '/v1/kv/s/k?r=1&session=new');
  const { context } = JSON.parse(await text(on, 'n1', 'flags/k')) as { context: string };
  const other = (await on.request('n1', 'GET', '/v1/kv/s/other')).headers;
  expect(vectorOf(on, 'n2', 's/k')).toHaveLength(STARTS);
  const groups = metric(on, 'quoral_change_log_groups');
  await compacted(on);
  expect(metric(on, 'quoral_change_log_groups')).toEqual(groups);
  for (const id of ['n1', 'n2', 'n3']) expect(vectorOf(on, id, 's/k')).toHaveLength(2);

  // One owner is enough for a session, although nobody has the entries any more that it has seen.
  on.crash(on.machine('n3'));
  const session = seen.headers.get('quoral-session')!;
  const again = await on.request('n2', 'GET', `/v1/kv/s/k?r=1&session=${session}`);
  expect([again.status, again.headers.get('etag')]).toEqual([200, seen.headers.get('etag')]);
  expect(again.headers.get('quoral-session')!.length).toBeLessThan(session.length / 4);
  const headers = { 'if-match': seen.headers.get('etag')!, 'quoral-context': seen.headers.get('quoral-context')! };
  expect((await on.request('n2', 'PUT', '/v1/kv/s/k', { headers, body: 'swapped' })).status).toBe(204);
  expect(await text(on, 'n1', 's/k')).toBe('swapped');
  expect(vectorOf(on, 'n1', 's/k').length).toBeLessThanOrEqual(3);
  const known = { 'quoral-context': other.get('quoral-context')! };
  expect((await on.request('n1', 'PUT', '/v1/kv/s/other', { headers: known, body: 'replaced' })).status).toBe(204);
  expect(await text(on, 'n2', 's/other')).toBe('replaced');
  expect(vectorOf(on, 'n2', 's/other').length).toBeLessThanOrEqual(3);
  const disable = { headers: { ...JSON_HEADERS, 'quoral-context': context }, body: '{"op":"disable"}' };
  expect((await on.request('n2', 'POST', '/v1/kv/flags/k', disable)).status).toBeLessThan(300);
  expect(JSON.parse(await text(on, 'n1', 'flags/k'))).toMatchObject({ value: false });
  await on.restart('n3');
  await pass(on, 5000);
  expect(vectorOf(on, 'n3', 's/k')).toEqual(vectorOf(on, 'n1', 's/k'));
}, 60_000);

test('writes that go on all the time do not hold it up', async () => {
  const on = await cluster(3, AT_WILL);
  for (let i = 0; i < STARTS; i++) {
    await restart(on, 'n1');
    await replace(on, 'n1', 'b/k', `${i}`);
  }
  for (const { id } of on.machines) on.running(id).node.repair.reclaim.run(true);
  const writing = async (): Promise<void> => {
    for (let i = 0; i < 400; i++) {
      expect((await on.running(i % 2 === 0 ? 'n1' : 'n2').api('PUT', '/v1/kv/b/k', {}, utf8(`w${i}`))).status).toBe(
        204,
      );
      await new Promise<void>((resolve) => void on.simulation.schedule(5, 'write', resolve));
    }
  };
  await on.simulation.settle(writing());
  await pass(on, 1000);
  expect(metric(on, 'quoral_long_vectors')).toEqual([0, 0, 0]);
  for (const id of ['n1', 'n2', 'n3']) expect(await text(on, id, 'b/k?r=3')).toBe('w399');
}, 60_000);
