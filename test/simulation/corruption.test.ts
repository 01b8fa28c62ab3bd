/** A row that decays on one disk is no answer there, is found whoever meets it first, and comes back from the others. */

import { expect, test } from 'vitest';
import { decodeState } from '#causality/state-codec.ts';
import { utf8 } from '#kernel/bytes.ts';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { RECORDS, recordKey } from '#replica/tables.ts';
import { digest } from '#world/digest.ts';
import { SimulatedCluster } from './cluster.ts';

const ROW = recordKey('b', 0, utf8('k'));

async function cluster(repair: Partial<typeof DEFAULT_REPAIR_SETTINGS> = {}): Promise<SimulatedCluster> {
  const settings = { ...DEFAULT_REPAIR_SETTINGS, interval: 600_000, ...repair };
  const founded = await SimulatedCluster.founded({ seed: 5, nodes: 3, node: { repair: settings } });
  for (let i = 0; i < 20; i++) await put(founded, 'n1', `other${i}`, 'x');
  expect(await put(founded, 'n1', 'k', 'precious')).toBe(204);
  founded.machine('n2').medium.flipByte(RECORDS, ROW, row(founded, 'n2')!.length - 8);
  return founded;
}

async function put(on: SimulatedCluster, at: string, key: string, value: string): Promise<number> {
  return (await on.request(at, 'PUT', `/v1/kv/b/${key}?w=3`, { body: value })).status;
}

function row(on: SimulatedCluster, id: string): Uint8Array | undefined {
  return on.machine(id).medium.table(RECORDS).get(ROW);
}

function isWhole(on: SimulatedCluster): boolean {
  const [mine, other] = [row(on, 'n2'), row(on, 'n1')];
  return (
    mine !== undefined &&
    Buffer.from(mine).equals(other!) &&
    on.running('n2').world.metrics.value('quoral_damaged_rows') === 0
  );
}

async function get(on: SimulatedCluster, at: string, query: string): Promise<readonly [number, string]> {
  const { status, body } = await on.request(at, 'GET', `/v1/kv/b/k?${query}`);
  return [status, new TextDecoder().decode(body)];
}

test('a scrub finds it, and nobody notices', async () => {
  const on = await cluster({ scrubPeriod: 5000 });
  await on.simulation.run(() => isWhole(on));
  expect(on.running('n2').world.metrics.value('quoral_rows_mended_total')).toBe(1);
  expect(on.running('n2').world.metrics.value('quoral_tree_drift_total')).toBe(0);
  expect(await get(on, 'n2', 'r=1&sloppy=false')).toEqual([200, 'precious']);
});

test('a read that meets it first is answered by the others, and never with an absence', async () => {
  const on = await cluster();
  expect(await get(on, 'n2', 'r=1')).toEqual([200, 'precious']);
  expect(await get(on, 'n2', 'r=2&sloppy=false')).toEqual([200, 'precious']);
  await on.simulation.run(() => isWhole(on));
});

test('while the others cannot be asked it is no answer, and takes writes of others', async () => {
  const on = await cluster();
  const [n1, n2, n3] = on.machines;
  on.network.partition(n2!.host, n1!.host);
  on.network.partition(n2!.host, n3!.host);
  await on.simulation.run(on.simulation.now + 5000);
  for (let i = 0; i < 3; i++) {
    expect((await get(on, 'n2', 'r=1&timeout=500'))[0]).toBeGreaterThanOrEqual(500);
    await on.simulation.run(on.simulation.now + 500);
  }
  expect(row(on, 'n2')).toBeUndefined();
  // Also not after a restart, which finds no row and must not take that for an absence.
  on.crash(on.machine('n2'));
  on.network.clearFaults();
  on.network.partition(n2!.host, n3!.host);
  await on.restart('n2');
  await on.simulation.run(on.simulation.now + 5000);
  // One other owner is not enough to vouch for what a quorum of this one and the third may have taken.
  expect(on.running('n2').world.metrics.value('quoral_damaged_rows')).toBe(1);
  expect(await get(on, 'n2', 'r=1&pr=0')).toEqual([200, 'precious']);
  on.network.clearFaults();
  await on.simulation.run(() => isWhole(on));
});

test('a write that meets it first mints nothing on it, and a later one mints as another actor', async () => {
  const on = await cluster();
  const before = decodeState(row(on, 'n1')!, digest.crc32).vector;
  const first = await on.request('n2', 'PUT', '/v1/kv/b/k', { body: 'second' });
  expect([204, 503]).toContain(first.status);
  await on.simulation.run(() => isWhole(on));
  expect((await on.request('n2', 'PUT', '/v1/kv/b/k?w=3', { body: 'third' })).status).toBe(204);
  const after = decodeState(row(on, 'n2')!, digest.crc32).vector;
  expect(after.length).toBeGreaterThan(before.length);
  expect(await get(on, 'n3', 'r=3')).toEqual([200, 'third']);
  expect(on.running('n2').world.metrics.value('quoral_tenures_total')).toBe(1);
});
