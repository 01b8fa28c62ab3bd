/**
 * Three outcomes, shown one by one: what a client is told when replicas are dead, frozen, full or damaged, and that it is
 * the truth.
 */

import { expect, test } from 'vitest';
import type { InProcessAnswer } from '#api/in-process.ts';
import { recordKey, RECORDS } from '#replica/tables.ts';
import { SimulatedCluster } from './cluster.ts';

const KEY = '/v1/kv/b/k';
const encoder = new TextEncoder();

function text(answer: InProcessAnswer): string {
  return new TextDecoder().decode(answer.body);
}

function problem(answer: InProcessAnswer): {
  readonly type: string;
  readonly outcome?: string;
  readonly needed?: number;
  readonly got?: number;
} {
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  return JSON.parse(text(answer)) as { type: string };
}

async function settleFor(cluster: SimulatedCluster, milliseconds: number): Promise<void> {
  await cluster.simulation.run(cluster.simulation.now + milliseconds);
}

const WORDS = { one: 1, quorum: 2, all: 3, '1': 1, '2': 2, '3': 3 } as const;

test('every number and word of r and w, with none, one and two of three nodes dead', async () => {
  for (const dead of [0, 1, 2]) {
    const cluster = await SimulatedCluster.founded({ seed: dead, nodes: 3 });
    for (let i = 0; i < dead; i++) cluster.crash(cluster.machine(`n${3 - i}`));
    await settleFor(cluster, 50);
    for (const [word, needed] of Object.entries(WORDS)) {
      const possible = 3 - dead >= needed;
      const put = await cluster.request('n1', 'PUT', `${KEY}?w=${word}&dw=0`, { body: word });
      const strict = await cluster.request('n1', 'PUT', `${KEY}?w=${word}&pw=${word}&dw=${word}`, { body: word });
      const get = await cluster.request('n1', 'GET', `${KEY}?r=${word}&pr=${word}`);
      for (const [answer, success] of [
        [put, 204],
        [strict, 204],
        [get, 200],
      ] as const) {
        expect(answer.status, `${dead} dead, ${word}: ${text(answer)}`).toBe(possible ? success : 503);
        if (!possible) expect(problem(answer)).toMatchObject({ needed, got: 0 });
        else expect(answer.headers.get('quoral-replicas')).toContain(`needed=${needed}; of=3; fallbacks=0`);
      }
      if (!possible) expect(problem(put).outcome).toBe('not-applied');
    }
  }
});

test('a frozen replica is no reason to fail; when it is needed the outcome is unknown, and told by the deadline', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 11, nodes: 3 });
  cluster.machine('n3').host.pause();
  expect((await cluster.request('n1', 'PUT', KEY, { body: 'quorum' })).status).toBe(204);
  expect(text(await cluster.request('n2', 'GET', KEY))).toBe('quorum');
  const started = cluster.simulation.now;
  const all = await cluster.request('n1', 'PUT', `${KEY}?w=all&timeout=300`, { body: 'all' });
  expect(all.status, text(all)).toBe(504);
  expect(problem(all)).toMatchObject({ outcome: 'unknown', needed: 3, got: 2 });
  expect(cluster.simulation.now - started).toBeLessThan(330);
  // Unknown is the truth: it surfaces.
  expect(text(await cluster.request('n2', 'GET', KEY))).toBe('all');
  await settleFor(cluster, 4000);
  const later = await cluster.request('n1', 'PUT', `${KEY}?w=all`, { body: 'x' });
  expect(later.status).toBe(503);
  expect(problem(later).outcome).toBe('not-applied');
});

test('a write whose state was sent and never confirmed is unknown', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 12, nodes: 3 });
  const [n1, n2, n3] = ['n1', 'n2', 'n3'].map((id) => cluster.machine(id).host) as [never, never, never];
  cluster.network.partition(n2, n1, true);
  cluster.network.partition(n3, n1, true);
  const answer = await cluster.request('n1', 'PUT', `${KEY}?timeout=500`, { body: 'sent' });
  expect(answer.status).toBe(504);
  expect(problem(answer)).toMatchObject({ outcome: 'unknown', got: 1 });
  expect(text(await cluster.request('n2', 'GET', KEY))).toBe('sent');
});

test('a full disk: 507, not applied where it is certain, reads go on, and it heals', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 13, nodes: 3 });
  expect((await cluster.request('n1', 'PUT', KEY, { body: 'before' })).status).toBe(204);
  await settleFor(cluster, 100);
  for (const { medium } of cluster.machines) medium.capacityBytes = medium.bytes;
  for (const [w, outcomes] of [
    ['1', ['not-applied']],
    // Two refusals decide it, while the third replica may still have taken the write.
    ['2', ['not-applied', 'unknown']],
  ] as const) {
    const full = await cluster.request('n1', 'PUT', `/v1/kv/b/other?w=${w}&dw=1`, { body: 'x'.repeat(1000) });
    expect(full.status, text(full)).toBe(507);
    expect(outcomes).toContain(problem(full).outcome);
  }
  expect(text(await cluster.request('n2', 'GET', KEY))).toBe('before');
  expect((await cluster.request('n2', 'GET', '/v1/kv/b/other')).status).toBe(404);
  const ready = await cluster.request('n1', 'GET', '/readyz');
  expect(ready.status).toBe(503);
  expect(text(ready)).toContain('full');
  for (const { medium } of cluster.machines) medium.capacityBytes = Number.POSITIVE_INFINITY;
  expect((await cluster.request('n1', 'PUT', '/v1/kv/b/other', { body: 'x'.repeat(1000) })).status).toBe(204);
  expect((await cluster.request('n1', 'GET', '/readyz')).status).toBe(200);
});

test('one full disk of three fails no quorum write', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 14, nodes: 3 });
  const { medium } = cluster.machine('n1');
  medium.capacityBytes = medium.bytes;
  const answer = await cluster.request('n1', 'PUT', KEY, { body: 'x'.repeat(1000) });
  expect(answer.status, text(answer)).toBe(204);
  expect(text(await cluster.request('n1', 'GET', `${KEY}?r=all`))).toBe('x'.repeat(1000));
});

test('a node whose sync failed stops serving and says why; the others go on; a restart serves again', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 15, nodes: 3 });
  cluster.machine('n1').medium.failNextSync();
  const answer = await cluster.request('n1', 'PUT', KEY, { body: 'x' });
  // The two others have it, whatever became of the coordinator's own copy.
  expect(answer.status, text(answer)).toBe(204);
  await settleFor(cluster, 50);
  const refused = await cluster.request('n1', 'GET', `${KEY}?r=1`);
  expect(refused.status).toBe(503);
  expect(problem(refused).type).toContain('not-ready');
  expect(text(await cluster.request('n1', 'GET', '/readyz'))).toContain('sync');
  expect(text(await cluster.request('n2', 'GET', KEY))).toBe('x');
  cluster.crash(cluster.machine('n1'));
  await cluster.restart('n1');
  expect(text(await cluster.request('n1', 'GET', `${KEY}?r=all`))).toBe('x');
});

test('a damaged row is no answer and no absence', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 16, nodes: 3 });
  expect((await cluster.request('n1', 'PUT', `${KEY}?w=all`, { body: 'good' })).status).toBe(204);
  const row = recordKey('b', 0, encoder.encode('k'));
  cluster.machine('n1').medium.flipByte(RECORDS, row, 20);
  expect(text(await cluster.request('n1', 'GET', KEY))).toBe('good');
  const all = await cluster.request('n1', 'GET', `${KEY}?r=all`);
  expect(all.status).toBe(503);
  expect(problem(all)).toMatchObject({ needed: 3 });
  expect(cluster.log.entries.some(({ event }) => event === 'corrupt-row')).toBe(true);
});

test('a definition that was acknowledged rules at every node at once', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 17, nodes: 3 });
  const headers = { 'content-type': 'application/json' };
  for (const [index, conflicts] of (['siblings', 'lww'] as const).entries()) {
    const bucket = `bucket-${index}`;
    const defined = await cluster.request('n2', 'PUT', `/v1/buckets/${bucket}`, {
      headers,
      body: JSON.stringify({ conflicts, w: 'all' }),
    });
    expect(defined.status, text(defined)).toBeLessThan(300);
    for (const id of ['n1', 'n2', 'n3']) {
      const put = await cluster.request(id, 'PUT', `/v1/kv/${bucket}/k`, { body: id });
      expect(put.headers.get('quoral-replicas')).toContain('needed=3');
      const shown = JSON.parse(text(await cluster.request(id, 'GET', `/v1/buckets/${bucket}`))) as {
        conflicts: string;
      };
      expect(shown.conflicts).toBe(conflicts);
    }
    expect((await cluster.request('n1', 'GET', `/v1/kv/${bucket}/k`)).status).toBe(
      conflicts === 'siblings' ? 300 : 200,
    );
    const changed = await cluster.request('n3', 'PUT', `/v1/buckets/${bucket}`, {
      headers,
      body: JSON.stringify({ n: 2 }),
    });
    expect(changed.status, text(changed)).toBe(409);
  }
});

test('a bucket with another n lives on so many owners', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 18, nodes: 3 });
  const headers = { 'content-type': 'application/json' };
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/single', { headers, body: '{"n":1}' })).status).toBeLessThan(
    300,
  );
  for (let i = 0; i < 6; i++) {
    const put = await cluster.request(`n${(i % 3) + 1}`, 'PUT', `/v1/kv/single/${i}`, { body: `${i}` });
    expect(put.status, text(put)).toBe(204);
    expect(put.headers.get('quoral-replicas')).toBe('acked=1; needed=1; of=1; fallbacks=0');
    expect(text(await cluster.request(`n${((i + 1) % 3) + 1}`, 'GET', `/v1/kv/single/${i}`))).toBe(`${i}`);
  }
  expect((await cluster.request('n1', 'PUT', '/v1/kv/single/x?w=2', { body: 'x' })).status).toBe(400);
});

test('deletes: 204 also for what is not there, 404 with a context afterwards, and a write with it comes back', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 19, nodes: 3 });
  expect((await cluster.request('n1', 'DELETE', '/v1/kv/b/never')).status).toBe(204);
  expect((await cluster.request('n1', 'PUT', KEY, { body: 'x' })).status).toBe(204);
  expect((await cluster.request('n2', 'DELETE', KEY)).status).toBe(204);
  const gone = await cluster.request('n3', 'GET', KEY);
  expect(gone.status).toBe(404);
  const context = gone.headers.get('quoral-context');
  expect(context).toBeDefined();
  expect(
    (await cluster.request('n3', 'PUT', KEY, { headers: { 'quoral-context': context! }, body: 'again' })).status,
  ).toBe(204);
  expect(text(await cluster.request('n1', 'GET', `${KEY}?r=all`))).toBe('again');
});

test('thousands of writes that a full disk refuses leave a node that reads, and that writes again when there is space', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 20, nodes: 1 });
  expect((await cluster.request('n1', 'PUT', KEY, { body: 'before' })).status).toBe(204);
  const { medium } = cluster.machine('n1');
  medium.capacityBytes = medium.bytes;
  for (let i = 0; i < 4200; i++) {
    expect((await cluster.request('n1', 'PUT', '/v1/kv/b/other', { body: 'x'.repeat(1000) })).status).toBe(507);
  }
  expect(text(await cluster.request('n1', 'GET', KEY))).toBe('before');
  expect((await cluster.request('n1', 'GET', '/readyz')).status).toBe(503);
  medium.capacityBytes = Number.POSITIVE_INFINITY;
  // It finds out by itself, also when nobody dares to write.
  await settleFor(cluster, 1500);
  expect((await cluster.request('n1', 'GET', '/readyz')).status).toBe(200);
  expect((await cluster.request('n1', 'PUT', KEY, { body: 'after' })).status).toBe(204);
});

test('a full coordinator lets another owner mint, so that its tenure lasts', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 21, nodes: 3 });
  const { medium } = cluster.machine('n1');
  medium.capacityBytes = medium.bytes;
  for (let i = 0; i < 50; i++) {
    const answer = await cluster.request('n1', 'PUT', KEY, { body: 'x'.repeat(1000) });
    expect(answer.status, text(answer)).toBe(204);
  }
  expect(cluster.running('n1').world.metrics.value('quoral_tenures_total')).toBeLessThanOrEqual(1);
});

test('writes under way while the bucket is redefined stay visible under the new definition', async () => {
  for (const [seed, properties] of [
    [22, { n: 1 }],
    [23, { conflicts: 'siblings' }],
    [24, { n: 2, conflicts: 'siblings' }],
  ] as const) {
    const cluster = await SimulatedCluster.founded({ seed, nodes: 3 });
    cluster.network.partition(cluster.machine('n1').host, cluster.machine('n2').host);
    const headers = { 'content-type': 'application/json' };
    const api = (id: string) => cluster.running(id).api;
    const body = encoder.encode(JSON.stringify(properties));
    const defining = api('n2')('PUT', '/v1/buckets/b?timeout=2000', headers, body);
    const writing = Array.from({ length: 20 }, async (_, i) =>
      api('n1')('PUT', `/v1/kv/b/${i}?timeout=2000`, {}, encoder.encode(`${i}`)),
    );
    const [defined, ...written] = await cluster.simulation.settle(Promise.all([defining, ...writing]));
    expect([200, 409, 503, 504], text(defined)).toContain(defined.status);
    cluster.network.clearFaults();
    await settleFor(cluster, 15_000);
    for (const [i, answer] of written.entries()) {
      if (answer.status !== 204) continue;
      const read = await cluster.request('n3', 'GET', `/v1/kv/b/${i}`);
      expect(read.status, `seed ${seed}, key ${i}, definition ${defined.status}: ${text(read)}`).toBe(200);
      expect(text(read)).toBe(`${i}`);
    }
  }
});

test('a node that is behind a redefinition answers in the end as one that is not', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 25, nodes: 3 });
  const headers = { 'content-type': 'application/json' };
  const isolated = cluster.machine('n3');
  for (const id of ['n1', 'n2']) cluster.network.partition(cluster.machine(id).host, isolated.host);
  await settleFor(cluster, 4000);
  const defined = await cluster.request('n1', 'PUT', '/v1/buckets/b', { headers, body: '{"w":"one"}' });
  expect(defined.status, text(defined)).toBe(200);
  cluster.network.clearFaults();
  await cluster.simulation.run(() => isolated.running?.node.messaging.reachable(cluster.machine('n1').id) === true);
  for (const method of ['GET', 'DELETE']) {
    const answer = await cluster.request('n3', method, KEY);
    expect([204, 404], `${method}: ${text(answer)}`).toContain(answer.status);
  }
});

test('what a reader has seen is on stable storage: a read waits for the sync of its row, not for others', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 26, nodes: 1 });
  expect((await cluster.request('n1', 'PUT', '/v1/kv/b/other', { body: 'old' })).status).toBe(204);
  cluster.machine('n1').medium.extraSyncMilliseconds = 200;
  const written = cluster.simulation.now;
  expect((await cluster.request('n1', 'PUT', `${KEY}?dw=0`, { body: 'x' })).status).toBe(204);
  expect(text(await cluster.request('n1', 'GET', '/v1/kv/b/other'))).toBe('old');
  expect(cluster.simulation.now - written).toBeLessThan(100);
  expect(text(await cluster.request('n1', 'GET', KEY))).toBe('x');
  expect(cluster.simulation.now - written).toBeGreaterThanOrEqual(200);
});
