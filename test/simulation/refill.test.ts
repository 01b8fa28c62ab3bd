/** A member whose disk was lost is filled by the others and counts for nothing until then. */

import { expect, test } from 'vitest';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { RECORDS } from '#replica/tables.ts';
import { SimulatedCluster } from './cluster.ts';

const REPAIR = { ...DEFAULT_REPAIR_SETTINGS, interval: 3_600_000 };
const KEYS = 150;

async function cluster(seed: number): Promise<SimulatedCluster> {
  const founded = await SimulatedCluster.founded({ seed, nodes: 3, node: { repair: REPAIR } });
  for (let i = 0; i < KEYS; i++) await put(founded, `n${(i % 3) + 1}`, `k${i}`);
  return founded;
}

async function put(on: SimulatedCluster, at: string, key: string, query = 'w=3'): Promise<number> {
  return (await on.request(at, 'PUT', `/v1/kv/b/${key}?${query}`, { body: `value of ${key}` })).status;
}

async function status(on: SimulatedCluster, at: string, key: string, query: string): Promise<number> {
  return (await on.request(at, 'GET', `/v1/kv/b/${key}?${query}`)).status;
}

function wipe(on: SimulatedCluster, id: string): void {
  on.crash(on.machine(id));
  on.machine(id).medium.wipe();
}

function state(on: SimulatedCluster, id: string): string | undefined {
  return on
    .running('n1')
    .node.chain.facts()
    ?.ring.members.find((member) => member.id === id)?.state;
}

function rows(on: SimulatedCluster, id: string): readonly string[] {
  return [...on.machine(id).medium.table(RECORDS).rows()].map(
    ([key, value]) => `${Buffer.from(key).toString('hex')} ${Buffer.from(value).toString('hex')}`,
  );
}

async function pass(on: SimulatedCluster, milliseconds: number): Promise<void> {
  await on.simulation.run(on.simulation.now + milliseconds);
}

test('it becomes active with everything that the others have', async () => {
  const on = await cluster(1);
  wipe(on, 'n2');
  await on.restart('n2');
  expect(state(on, 'n2')).toBe('refilling');
  for (let i = 0; i < 20; i++) {
    expect(await status(on, 'n2', `k${i}`, 'consistency=strict_quorum')).toBe(200);
    expect(await status(on, 'n2', `k${i}`, 'r=1&sloppy=false')).toBe(200);
  }
  expect(await put(on, 'n2', 'meanwhile')).toBe(204);
  await on.simulation.run(() => state(on, 'n2') === 'active');
  expect(rows(on, 'n2')).toEqual(rows(on, 'n1'));
  await pass(on, 5000);
  expect(on.running('n2').world.metrics.value('quoral_refill_partitions_left')).toBe(0);
  expect([...on.machine('n2').medium.table('refilled').rows()]).toEqual([]);
});

test('what nobody else had is told to be lost', async () => {
  const on = await cluster(5);
  const lost = (): readonly unknown[] =>
    on.log.entries.filter(({ event }) => event === 'partitions-lost').map(({ host, fields }) => [host, fields['n']]);
  wipe(on, 'n2');
  await on.restart('n2');
  await on.simulation.run(() => state(on, 'n2') === 'active');
  expect(lost()).toEqual([]);
  const headers = { 'content-type': 'application/json' };
  const defined = await on.request('n1', 'PUT', '/v1/buckets/single', { headers, body: '{"n":1}' });
  expect(defined.status).toBe(200);
  wipe(on, 'n2');
  await on.restart('n2');
  await on.simulation.run(() => state(on, 'n2') === 'active');
  expect(lost()).toEqual([['n2', 1]]);
  // The ring still has owners for n = 1, and no bucket.
  expect((await on.request('n1', 'DELETE', '/v1/buckets/single')).status).toBe(204);
  wipe(on, 'n2');
  await on.restart('n2');
  await on.simulation.run(() => state(on, 'n2') === 'active');
  expect(lost()).toEqual([['n2', 1]]);
});

test('it goes on where it was after crashes', async () => {
  const on = await cluster(2);
  wipe(on, 'n3');
  await on.restart('n3');
  for (let crashes = 0; crashes < 4; crashes++) {
    await pass(on, 60);
    if (state(on, 'n3') !== 'refilling') break;
    on.crash(on.machine('n3'));
    await on.restart('n3');
  }
  await on.simulation.run(() => state(on, 'n3') === 'active');
  expect(rows(on, 'n3')).toEqual(rows(on, 'n1'));
});

test('one other owner is not enough: the second may have what neither of them has', async () => {
  const on = await cluster(3);
  // Acknowledged by n2 and n3 only.
  for (const other of ['n2', 'n3']) on.network.partition(on.machine('n1').host, on.machine(other).host);
  await pass(on, 5000);
  expect(await put(on, 'n2', 'both', 'w=2&dw=2&sloppy=false')).toBe(204);
  on.network.clearFaults();
  wipe(on, 'n2');
  await on.restart('n2');
  on.network.partition(on.machine('n2').host, on.machine('n3').host);
  await pass(on, 30_000);
  expect(state(on, 'n2')).toBe('refilling');
  // n1 never had the key: if n2's absence counted, this would be 404.
  const answer = await status(on, 'n2', 'both', 'r=2&sloppy=false&timeout=500');
  expect(answer).not.toBe(404);
  on.network.clearFaults();
  await on.simulation.run(() => state(on, 'n2') === 'active');
  expect(await status(on, 'n2', 'both', 'consistency=strict_quorum')).toBe(200);
  expect(rows(on, 'n2').length).toBe(KEYS + 1);
});

test('an owner that lacks a damaged row cannot vouch for what it lacks', async () => {
  const on = await cluster(4);
  const [key] = [...on.machine('n1').medium.table(RECORDS).rows()][0]!;
  wipe(on, 'n2');
  on.machine('n1').medium.flipByte(RECORDS, key, 20);
  await on.restart('n2');
  for (const id of ['n1', 'n2']) on.network.partition(on.machine(id).host, on.machine('n3').host);
  await pass(on, 30_000);
  // Of 16 partitions n1 could vouch for all but one.
  expect([...on.machine('n2').medium.table('refilled').rows()].length).toBe(15);
  on.network.clearFaults();
  await on.simulation.run(() => state(on, 'n2') === 'active');
  expect(rows(on, 'n2')).toEqual(rows(on, 'n3'));
  expect(rows(on, 'n1')).toEqual(rows(on, 'n3'));
});
