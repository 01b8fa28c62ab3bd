/** Rows that are damaged while their owners change: what is lost with them is told, and all else moves on. */

import { expect, test } from 'vitest';
import type { PlanView } from '#operator/ring-plans.ts';
import { utf8 } from '#kernel/bytes.ts';
import { recordKey, RECORDS, REGISTERS } from '#replica/tables.ts';
import { SimulatedCluster } from './cluster.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const OVER_MS = 120_000;
const KEYS = 12;

async function post(cluster: SimulatedCluster, id: string, path: string, body: unknown = {}): Promise<unknown> {
  const answer = await cluster.request(id, 'POST', path, { headers: JSON_TYPE, body: JSON.stringify(body) });
  const text = new TextDecoder().decode(answer.body);
  expect([answer.status < 300, text]).toEqual([true, expect.anything()]);
  return JSON.parse(text);
}

async function begin(cluster: SimulatedCluster, change: unknown): Promise<void> {
  const { id } = (await post(cluster, 'n1', '/v1/ring/plans', change)) as PlanView;
  await post(cluster, 'n1', `/v1/ring/plans/${id}/apply`);
}

async function pass(cluster: SimulatedCluster, milliseconds: number): Promise<void> {
  await cluster.simulation.run(cluster.simulation.now + milliseconds);
}

async function over(cluster: SimulatedCluster): Promise<void> {
  const ring = () => cluster.running('n1').node.chain.facts()!.ring;
  const end = cluster.simulation.now + OVER_MS;
  await cluster.simulation.run(() => ring().change === undefined || cluster.simulation.now > end);
  expect([ring().change, ring().lastChange?.outcome]).toEqual([undefined, 'done']);
}

/** Some nodes and some that wait, with keys in a bucket. */
async function founded(
  seed: string,
  bucket: object,
  newcomers: readonly string[],
  nodes = 3,
): Promise<SimulatedCluster> {
  const cluster = await SimulatedCluster.founded({ seed, nodes });
  const options = { headers: JSON_TYPE, body: JSON.stringify(bucket) };
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/s', options)).status).toBeLessThan(300);
  for (let i = 0; i < KEYS; i++) await cluster.request('n1', 'PUT', `/v1/kv/s/k${i}`, { body: `value ${i}` });
  for (const id of newcomers) await cluster.simulation.settle(cluster.start(cluster.add(id, ['n1:7201'])));
  await pass(cluster, 4000);
  return cluster;
}

function damage(cluster: SimulatedCluster, id: string, table: string, key: string): void {
  cluster.machine(id).medium.flipByte(table, recordKey('s', 0, utf8(key)), 9);
}

async function read(cluster: SimulatedCluster, id: string, key: string): Promise<string> {
  const { status, body } = await cluster.request(id, 'GET', `/v1/kv/s/${key}?timeout=10000`);
  return status === 200 ? new TextDecoder().decode(body) : String(status);
}

test('a dead node is replaced though a row of another owner is damaged', async () => {
  const cluster = await founded('a damaged row', {}, ['n4']);
  cluster.crash(cluster.machine('n3'));
  damage(cluster, 'n2', RECORDS, 'k5');
  await pass(cluster, 5000);
  await begin(cluster, { replace: { n3: 'n4' } });
  await over(cluster);
  for (let i = 0; i < KEYS; i++) expect(await read(cluster, 'n4', `k${i}`)).toBe(`value ${i}`);
  expect(cluster.running('n2').world.metrics.value('quoral_rows_lost_total')).toBe(1);
});

test('the same of strong keys: the one that too few know has no votes, and all others move', async () => {
  const cluster = await founded('a damaged register', { consistency: 'strong' }, ['n4']);
  cluster.crash(cluster.machine('n3'));
  damage(cluster, 'n2', REGISTERS, 'k5');
  await pass(cluster, 5000);
  await begin(cluster, { replace: { n3: 'n4' } });
  await over(cluster);
  await pass(cluster, 5000);
  for (const id of ['n2', 'n4']) expect(cluster.running(id).world.metrics.value('quoral_registers_damaged')).toBe(1);
  cluster.crash(cluster.machine('n1'));
  await pass(cluster, 5000);
  for (let i = 0; i < KEYS; i++) if (i !== 5) expect(await read(cluster, 'n4', `k${i}`)).toBe(`value ${i}`);
});

test('two owners of a moving partition each have another register damaged: both are known to enough others', async () => {
  const cluster = await founded('two damaged registers', { consistency: 'strong' }, ['n4', 'n5']);
  for (let i = 0; i < KEYS; i++) damage(cluster, i % 2 === 0 ? 'n1' : 'n2', REGISTERS, `k${i}`);
  await begin(cluster, { join: ['n4', 'n5'] });
  await over(cluster);
  await pass(cluster, 5000);
  for (let i = 0; i < KEYS; i++) expect(await read(cluster, 'n4', `k${i}`)).toBe(`value ${i}`);
});

test('the only owner of strong keys has lost one of them: two more join, and have all others', async () => {
  const cluster = await founded('a damaged register of one', { consistency: 'strong' }, ['n2', 'n3'], 1);
  damage(cluster, 'n1', REGISTERS, 'k5');
  await begin(cluster, { join: ['n2', 'n3'] });
  await over(cluster);
  for (let i = 0; i < KEYS; i++) {
    expect(await read(cluster, 'n3', `k${i}`)).toMatch(i === 5 ? /^50[34]$/ : new RegExp(`^value ${i}$`));
  }
});
