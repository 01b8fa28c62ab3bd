/**
 * Writes and reads while owners of a key are dead: fallbacks stand in for them, and what they keep goes home. More nodes than
 * owners, the real coordinator, wire encoding and HTTP layer.
 */

import { expect, test } from 'vitest';
import type { InProcessAnswer } from '#api/in-process.ts';
import { DEFAULT_COORDINATOR_SETTINGS } from '#coordinator/environment.ts';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { DEFAULT_WIRE_SETTINGS } from '#wire/settings.ts';
import { SimulatedCluster } from './cluster.ts';
import { requestName } from './messages-on-the-wire.ts';
import { CARRY_STATES } from './script-settings.ts';

const KEY = '/v1/kv/b/k';
/** Anti-entropy has no time for its calls: everything comes home by hints or not at all. */
const NO_ANTI_ENTROPY = { repair: { ...DEFAULT_REPAIR_SETTINGS, callTimeout: 0 } };

interface Replicas {
  readonly acked: number;
  readonly fallbacks: number;
}

function replicas(answer: InProcessAnswer): Replicas {
  const header = answer.headers.get('quoral-replicas') ?? '';
  const number = (name: string): number => Number(new RegExp(`${name}=(\\d+)`).exec(header)?.[1]);
  return { acked: number('acked'), fallbacks: number('fallbacks') };
}

function text(answer: InProcessAnswer): string {
  return new TextDecoder().decode(answer.body);
}

interface Location {
  readonly primaries: readonly string[];
  readonly fallbacks: readonly string[];
}

async function locate(cluster: SimulatedCluster, key = 'k'): Promise<Location> {
  return JSON.parse(text(await cluster.request('n1', 'GET', `/v1/ring/locate/b/${key}`))) as Location;
}

async function pass(cluster: SimulatedCluster, milliseconds: number): Promise<void> {
  await cluster.simulation.run(cluster.simulation.now + milliseconds);
}

function kill(cluster: SimulatedCluster, ids: readonly string[]): void {
  for (const id of ids) cluster.crash(cluster.machine(id));
}

async function restart(cluster: SimulatedCluster, ids: readonly string[]): Promise<void> {
  await cluster.simulation.settle(Promise.all(ids.map((id) => cluster.start(cluster.machine(id)))));
  await cluster.simulation.run(() => ids.every((id) => cluster.machine(id).running?.node.ready() === true));
}

function hintsWaiting(cluster: SimulatedCluster): number {
  return cluster.machines.reduce((sum, { running }) => sum + (running?.node.hints.waiting() ?? 0), 0);
}

interface Explained {
  readonly agree: boolean;
  readonly replicas: readonly { readonly digest: string | null }[];
  readonly hints: readonly { readonly at: string; readonly for: string; readonly sole: boolean }[];
}

async function explain(cluster: SimulatedCluster, at: string): Promise<Explained> {
  return JSON.parse(text(await cluster.request(at, 'GET', '/v1/explain/b/k'))) as Explained;
}

test('a fallback stands in for a dead owner at once, and the owner has everything when it is back', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 1, nodes: 4, node: NO_ANTI_ENTROPY });
  const { primaries, fallbacks } = await locate(cluster);
  const [first, second, third] = primaries as [string, string, string];
  kill(cluster, [third]);
  await pass(cluster, 5000);
  const before = cluster.simulation.now;
  const answer = await cluster.request(first, 'PUT', `${KEY}?w=3&dw=3`, { body: 'v' });
  expect(answer.status).toBe(204);
  expect(replicas(answer)).toEqual({ acked: 3, fallbacks: 1 });
  expect(cluster.simulation.now - before).toBeLessThan(100);
  await pass(cluster, 500);
  expect((await explain(cluster, first)).hints).toMatchObject([{ at: fallbacks[0], for: third, sole: true }]);
  // Once as many owners as were asked for have it, the fallback need not keep it as if it were the only copy.
  expect((await cluster.request(second, 'PUT', KEY, { body: 'w' })).status).toBe(204);
  await pass(cluster, 500);
  expect((await explain(cluster, first)).hints).toMatchObject([{ at: fallbacks[0], for: third, sole: false }]);
  kill(cluster, [second]);
  await pass(cluster, 5000);
  const read = await cluster.request(first, 'GET', `${KEY}?r=2`);
  expect([read.status, replicas(read)]).toEqual([200, { acked: 2, fallbacks: 1 }]);
  await restart(cluster, [second, third]);
  await pass(cluster, 15_000);
  expect(hintsWaiting(cluster)).toBe(0);
  expect(await explain(cluster, first)).toMatchObject({ agree: true, hints: [] });
});

test('a fallback counts only once the owners that are there have had their time, so whoever reads from them sees the write', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 12, nodes: 4, node: NO_ANTI_ENTROPY });
  const { primaries } = await locate(cluster);
  const [first, second, third] = primaries as [string, string, string];
  kill(cluster, [third]);
  await pass(cluster, 5000);
  // Slower than the fallback, and not so slow that it is given up.
  cluster.network.setFault(cluster.machine(first).host, cluster.machine(second).host, { delay: 60 });
  const answer = await cluster.request(first, 'PUT', KEY, { body: 'v' });
  expect([answer.status, replicas(answer)]).toEqual([204, { acked: 3, fallbacks: 1 }]);
  // The owner that was away is back, and nobody has brought it anything.
  const loses = (bytes: Uint8Array): boolean => CARRY_STATES.test(requestName(bytes));
  for (const { host } of cluster.machines) cluster.network.setFault(host, cluster.machine(third).host, { loses });
  await restart(cluster, [third]);
  const read = await cluster.request(second, 'GET', KEY);
  expect([read.status, text(read), replicas(read)]).toEqual([200, 'v', { acked: 2, fallbacks: 0 }]);
});

test('an owner that is silent is not waited for any longer than it takes to stand in for it', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 13, nodes: 4, node: NO_ANTI_ENTROPY });
  const { primaries } = await locate(cluster);
  const [first, second, third] = primaries as [string, string, string];
  kill(cluster, [third]);
  await pass(cluster, 5000);
  cluster.network.setFault(cluster.machine(first).host, cluster.machine(second).host, { loses: () => true });
  const before = cluster.simulation.now;
  const answer = await cluster.request(first, 'PUT', KEY, { body: 'v' });
  expect([answer.status, replicas(answer)]).toEqual([204, { acked: 2, fallbacks: 1 }]);
  expect(cluster.simulation.now - before).toBeLessThan(DEFAULT_COORDINATOR_SETTINGS.hintAfter + 50);
  // There is less time than that.
  const hasty = await cluster.request(first, 'PUT', `${KEY}?timeout=100`, { body: 'w' });
  expect([hasty.status, replicas(hasty)]).toEqual([204, { acked: 2, fallbacks: 1 }]);
});

test('without fallbacks the same write fails before anything is written; pw counts owners only', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 2, nodes: 4 });
  const { primaries } = await locate(cluster);
  const [first, second, third] = primaries as [string, string, string];
  kill(cluster, [second, third]);
  await pass(cluster, 5000);
  for (const query of ['sloppy=false', 'consistency=strict_quorum', 'consistency=all', 'w=2&pw=2', 'w=3']) {
    const answer = await cluster.request(first, 'PUT', `${KEY}?${query}`, { body: 'v' });
    expect([query, answer.status, JSON.parse(text(answer))]).toMatchObject([query, 503, { outcome: 'not-applied' }]);
  }
  // Nobody keeps anything of it, so two owners are missing and the one that is there knows nothing.
  const read = await cluster.request(first, 'GET', KEY);
  expect(read.status).toBe(503);
  expect((await cluster.request(first, 'GET', `${KEY}?r=1`)).status).toBe(404);
  const sloppy = await cluster.request(first, 'PUT', `${KEY}?w=2&pw=1`, { body: 'v' });
  expect([sloppy.status, replicas(sloppy)]).toEqual([204, { acked: 2, fallbacks: 1 }]);
});

test('with no owner left fallbacks take the write, each time as another actor, and it goes home', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 3, nodes: 7, node: NO_ANTI_ENTROPY });
  const defined = await cluster.request('n1', 'PUT', '/v1/buckets/b', {
    headers: { 'content-type': 'application/json' },
    body: '{"conflicts":"siblings"}',
  });
  expect(defined.status).toBe(200);
  const { primaries, fallbacks } = await locate(cluster);
  const [one, other] = fallbacks as [string, string];
  kill(cluster, primaries);
  await pass(cluster, 5000);
  const answer = await cluster.request(one, 'PUT', `${KEY}?w=3`, { body: 'first' });
  expect([answer.status, replicas(answer)]).toEqual([204, { acked: 3, fallbacks: 3 }]);
  expect(answer.headers.get('quoral-coordinator')).toBe(one);
  expect((await cluster.request(one, 'PUT', `${KEY}?pw=1`, { body: 'no' })).status).toBe(503);
  const seen = await cluster.request(other, 'GET', KEY);
  expect([seen.status, text(seen)]).toEqual([200, 'first']);
  expect((await cluster.request(one, 'PUT', KEY, { body: 'second' })).status).toBe(204);
  await restart(cluster, primaries);
  await pass(cluster, 15_000);
  expect(hintsWaiting(cluster)).toBe(0);
  const explained = await explain(cluster, one);
  expect(explained).toMatchObject({ agree: true, hints: [] });
  expect(explained.replicas.every(({ digest }) => digest !== null)).toBe(true);
  const strict = await cluster.request(other, 'GET', `${KEY}?consistency=strict_quorum`, {
    headers: { accept: 'application/json' },
  });
  expect(strict.status).toBe(300);
  expect((JSON.parse(text(strict)) as { siblings: unknown[] }).siblings).toHaveLength(2);
});

test('a silent owner is stood in for after a moment, and three nodes without fallbacks remember who has missed what', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 4, nodes: 3, node: NO_ANTI_ENTROPY });
  kill(cluster, ['n3']);
  await pass(cluster, 5000);
  for (let i = 0; i < 20; i++) {
    const written = await cluster.request('n1', 'PUT', `/v1/kv/b/${i % 5}`, { body: `${i}` });
    expect([written.status, replicas(written)]).toEqual([204, { acked: 2, fallbacks: 0 }]);
  }
  expect(hintsWaiting(cluster)).toBe(5);
  await restart(cluster, ['n3']);
  await pass(cluster, 15_000);
  expect(hintsWaiting(cluster)).toBe(0);
  for (let i = 0; i < 5; i++) {
    const read = await cluster.request('n3', 'GET', `/v1/kv/b/${i}?r=1&sloppy=false`);
    expect([read.status, text(read)]).toEqual([200, `${15 + i}`]);
  }
});

test('a stand-in that is silent too is followed by the next, long before its connection is given up', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 6, nodes: 7, node: NO_ANTI_ENTROPY });
  const { primaries, fallbacks } = await locate(cluster);
  const coordinator = cluster.machine(primaries[0]!);
  const silent = [...primaries.slice(1), ...fallbacks.slice(0, 2)].map((id) => cluster.machine(id));
  for (const { host } of silent) cluster.network.partition(coordinator.host, host);
  const before = cluster.simulation.now;
  const written = await cluster.request(primaries[0]!, 'PUT', `${KEY}?w=3`, { body: 'v' });
  expect([written.status, replicas(written)]).toEqual([204, { acked: 3, fallbacks: 2 }]);
  const { silenceLimit } = DEFAULT_WIRE_SETTINGS;
  expect(cluster.simulation.now - before).toBeLessThan(silenceLimit / 2);

  for (const { host } of silent) cluster.network.heal(coordinator.host, host);
  await pass(cluster, 30_000);
  expect(hintsWaiting(cluster)).toBe(0);
  expect(await explain(cluster, primaries[0]!)).toMatchObject({ agree: true, hints: [] });
});

test('what a keyed request has become travels with the hint', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 5, nodes: 4, node: NO_ANTI_ENTROPY });
  const { primaries } = await locate(cluster);
  const [first, second, third] = primaries as [string, string, string];
  kill(cluster, [third]);
  await pass(cluster, 5000);
  const headers = { 'idempotency-key': 'abc' };
  const written = await cluster.request(first, 'PUT', `${KEY}?w=3`, { headers, body: 'v' });
  expect([written.status, replicas(written).fallbacks]).toEqual([204, 1]);
  await restart(cluster, [third]);
  await pass(cluster, 15_000);
  kill(cluster, [first]);
  await pass(cluster, 5000);
  const again = await cluster.request(third, 'PUT', KEY, { headers, body: 'v' });
  expect(again.status).toBe(204);
  expect(again.headers.get('etag')).toBe(written.headers.get('etag'));
  expect(second).toBeDefined();
});
