/**
 * What `/livez`, `/readyz` and `/healthz` say while things go wrong, of whole nodes in the simulated world.
 */

import { expect, test } from 'vitest';
import type { Check } from '#api/services.ts';
import { SimulatedCluster } from './cluster.ts';

interface Seen {
  readonly status: number;
  readonly checks: Readonly<Record<string, Check>>;
  readonly ringWithQuorum?: number;
}

async function ask(cluster: SimulatedCluster, id: string, path: string): Promise<Seen> {
  const { status, body } = await cluster.request(id, 'GET', path);
  const { checks, ...rest } = JSON.parse(new TextDecoder().decode(body)) as { checks: readonly Check[] };
  return { ...rest, status, checks: Object.fromEntries(checks.map((check) => [check.name, check])) };
}

async function founded(): Promise<SimulatedCluster> {
  return SimulatedCluster.founded({ seed: 'health', nodes: 3 });
}

function crash(cluster: SimulatedCluster, id: string): void {
  cluster.crash(cluster.machine(id));
}

async function unreachable(cluster: SimulatedCluster, from: string, id: string): Promise<void> {
  await cluster.simulation.run(() => !cluster.running(from).node.messaging.reachable(cluster.machine(id).id));
}

test('all is well', async () => {
  const cluster = await founded();
  for (const path of ['/livez', '/readyz', '/healthz']) {
    const { status, checks } = await ask(cluster, 'n1', path);
    expect([status, Object.values(checks).filter(({ ok, warning }) => !ok || warning === true)]).toEqual([200, []]);
  }
  expect((await ask(cluster, 'n1', '/healthz')).ringWithQuorum).toBe(1);
});

test('one of three is dead: this node is ready and says who is away, the ring has its quorums', async () => {
  const cluster = await founded();
  crash(cluster, 'n3');
  await unreachable(cluster, 'n1', 'n3');
  const ready = await ask(cluster, 'n1', '/readyz');
  expect([ready.status, ready.checks['peers']]).toMatchObject([
    200,
    { ok: true, warning: true, detail: expect.stringMatching(/1 of 2/) as string },
  ]);
  const healthy = await ask(cluster, 'n1', '/healthz');
  expect([healthy.status, healthy.ringWithQuorum]).toEqual([200, 1]);
  expect(healthy.checks['quorum']?.detail).toContain('not reached: n3');
});

test('two of three are dead: no quorum anywhere, though this node itself serves', async () => {
  const cluster = await founded();
  crash(cluster, 'n2');
  crash(cluster, 'n3');
  await unreachable(cluster, 'n1', 'n2');
  await unreachable(cluster, 'n1', 'n3');
  expect((await ask(cluster, 'n1', '/readyz')).status).toBe(200);
  const healthy = await ask(cluster, 'n1', '/healthz');
  expect([healthy.status, healthy.ringWithQuorum]).toEqual([503, 0]);
});

test('alone after a restart: it lives, is not ready, and no part of the ring has a quorum', async () => {
  const cluster = await founded();
  for (const id of ['n1', 'n2', 'n3']) crash(cluster, id);
  await cluster.simulation.settle(cluster.start(cluster.machine('n1')));
  await cluster.simulation.run(5000);
  expect((await ask(cluster, 'n1', '/livez')).status).toBe(200);
  const ready = await ask(cluster, 'n1', '/readyz');
  expect(ready.status).toBe(503);
  expect(ready.checks['epoch']).toMatchObject({
    ok: false,
    detail: expect.stringMatching(/not yet confirmed/) as string,
  });
  expect(ready.checks['serving']).toMatchObject({
    ok: false,
    detail: expect.stringMatching(/has not confirmed/) as string,
  });
  expect(ready.checks['disk']).toMatchObject({ ok: true });
  expect((await ask(cluster, 'n1', '/healthz')).ringWithQuorum).toBe(0);
});

test('a full disk: not ready until there is space again, no reason for a restart', async () => {
  const cluster = await founded();
  const { medium } = cluster.machine('n1');
  medium.capacityBytes = medium.bytes;
  // Another owner mints; this one refuses the copy, and knows then.
  for (let i = 0; i < 3; i++) await cluster.request('n2', 'PUT', `/v1/kv/b/k${i}`, { body: 'x'.repeat(1000) });
  await cluster.simulation.run(() => cluster.running('n1').disk.failure() !== undefined);
  const ready = await ask(cluster, 'n1', '/readyz');
  expect([ready.status, ready.checks['disk']]).toMatchObject([
    503,
    { ok: false, detail: expect.stringMatching(/full/) as string },
  ]);
  expect(ready.checks['serving']).toMatchObject({ ok: true });
  expect((await ask(cluster, 'n1', '/livez')).status).toBe(200);
  medium.capacityBytes = Number.POSITIVE_INFINITY;
  await cluster.simulation.run(() => cluster.running('n1').disk.failure() === undefined);
  expect((await ask(cluster, 'n1', '/readyz')).status).toBe(200);
});

test('a clock three years ahead: its node serves nothing and says why, the others name it, and no time of theirs follows', async () => {
  const cluster = await founded();
  const years = 3 * 365 * 86_400_000;
  const { host } = cluster.machine('n3');
  host.clock.jump(years);
  await cluster.simulation.run(() => cluster.running('n3').node.membership.clocks.ownFault() !== undefined);
  const wrong = await ask(cluster, 'n3', '/readyz');
  expect([wrong.status, wrong.checks['serving']?.detail]).toEqual([
    503,
    'the clock of this node is 1095.0 days ahead of those of a majority of the members: set it right',
  ]);
  expect(cluster.running('n3').node.chain.confirmed()).toBe(true);
  const seen = await ask(cluster, 'n1', '/readyz');
  expect([seen.status, seen.checks['clocks']]).toMatchObject([
    200,
    { warning: true, detail: 'n3 is 1095.0 days ahead of this node' },
  ]);
  const { body } = await cluster.request('n1', 'GET', '/v1/cluster');
  const { members } = JSON.parse(new TextDecoder().decode(body)) as { members: { clockDifference: number }[] };
  expect(members.map(({ clockDifference }) => Math.abs(clockDifference) > 1000)).toEqual([false, false, true]);
  expect(cluster.running('n1').world.metrics.value('quoral_clock_difference_seconds', { peer: 'n3' })).toBeCloseTo(
    years / 1000,
    0,
  );

  // Set right again, it serves; what it has written ahead of time stays there, and it says so.
  const put = await cluster.request('n1', 'PUT', '/v1/kv/b/k', { body: 'x' });
  expect(put.status).toBe(204);
  expect(cluster.running('n1').node.hybridClockLead()).toBeLessThan(1000);
  host.clock.jump(-years);
  await cluster.simulation.run(() => cluster.running('n3').node.ready());
  expect((await ask(cluster, 'n3', '/readyz')).status).toBe(200);
});
