/**
 * Listings of keys in whole clusters: complete through faults, whatever single replicas lack, and cheap.
 */

import { expect, test, vi } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { SimulatedCluster } from './cluster.ts';
import { requestName } from './messages-on-the-wire.ts';

interface Page {
  readonly keys: readonly string[];
  readonly next: string | null;
}

async function page(cluster: SimulatedCluster, id: string, query: string): Promise<Page> {
  const { status, body } = await cluster.request(id, 'GET', `/v1/kv/b${query}`);
  const text = new TextDecoder().decode(body);
  expect(status, text).toBe(200);
  return JSON.parse(text) as Page;
}

/** All keys, page by page; another node is asked each time. */
async function all(cluster: SimulatedCluster, ids: readonly string[], query = '?limit=3'): Promise<string[]> {
  const keys: string[] = [];
  for (let next: string | null = null, pages = 0; pages === 0 || next !== null; pages++) {
    const answer: Page = await page(cluster, ids[pages % ids.length]!, query + (next === null ? '' : `&after=${next}`));
    keys.push(...answer.keys);
    next = answer.next;
  }
  return keys;
}

async function put(cluster: SimulatedCluster, id: string, key: string, query = ''): Promise<void> {
  expect((await cluster.request(id, 'PUT', `/v1/kv/b/${key}${query}`, { body: `value of ${key}` })).status).toBe(204);
}

async function del(cluster: SimulatedCluster, id: string, key: string, query = ''): Promise<void> {
  expect((await cluster.request(id, 'DELETE', `/v1/kv/b/${key}${query}`)).status).toBe(204);
}

/** Whatever carries states does not get through to `id`. */
function keepBehind(cluster: SimulatedCluster, id: string): void {
  const loses = (message: Uint8Array): boolean => /^(replica\.store|handoff\.|repair\.)/.test(requestName(message));
  for (const { host } of cluster.machines) {
    if (host !== cluster.machine(id).host) cluster.network.setFault(host, cluster.machine(id).host, { loses });
  }
}

const KEYS = Array.from({ length: 20 }, (_, i) => `key-${String(i).padStart(2, '0')}`);

test('keys in order, by prefix, deleted ones left out, page by page at any node', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 1, nodes: 5 });
  for (const [i, key] of KEYS.entries()) await put(cluster, `n${(i % 5) + 1}`, key);
  await put(cluster, 'n1', 'other');
  for (const key of KEYS.slice(5, 12)) await del(cluster, 'n2', key);
  const live = [...KEYS.slice(0, 5), ...KEYS.slice(12)];
  const ids = ['n1', 'n2', 'n3', 'n4', 'n5'];
  expect(await all(cluster, ids)).toEqual([...live, 'other']);
  expect(await all(cluster, ids, '?limit=4&prefix=key-')).toEqual(live);
  expect(await all(cluster, ids, '?limit=1&prefix=key-1')).toEqual(live.filter((key) => key.startsWith('key-1')));
  expect(await page(cluster, 'n3', '?prefix=nothing')).toEqual({ keys: [], next: null });
});

test('large rows are read a few at a time, in turns with other large reads, and none is left out', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 3, nodes: 3 });
  for (const key of KEYS) {
    const body = new Uint8Array(300_000);
    expect((await cluster.request('n1', 'PUT', `/v1/kv/b/${key}`, { body })).status).toBe(204);
  }
  const { replica } = cluster.machine('n2').running!.node;
  const take = vi.spyOn(replica.turns, 'take');
  expect(await all(cluster, ['n2'], '?limit=1000')).toEqual(KEYS);
  // Two rows are more than half a MiB.
  expect(take.mock.calls.length).toBeGreaterThanOrEqual(KEYS.length / 2);
});

test('what a quorum has is listed although one replica has nothing, and what a quorum has deleted is not', async () => {
  for (const strong of [false, true]) {
    const cluster = await SimulatedCluster.founded({ seed: 2, nodes: 3 });
    if (strong) {
      const headers = { 'content-type': 'application/json' };
      const body = '{"consistency":"strong"}';
      expect((await cluster.request('n1', 'PUT', '/v1/buckets/b', { headers, body })).status).toBe(200);
    }
    await put(cluster, 'n1', 'gone');
    await cluster.simulation.run(cluster.simulation.now + 500);
    keepBehind(cluster, 'n3');
    for (const key of KEYS) await put(cluster, 'n1', key);
    await del(cluster, 'n2', 'gone');
    for (const id of ['n1', 'n2', 'n3']) expect(await all(cluster, [id])).toEqual(KEYS);
  }
});

test('expired keys are not listed', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 3, nodes: 3 });
  await put(cluster, 'n1', 'short', '?ttl=5');
  await put(cluster, 'n1', 'long');
  expect(await all(cluster, ['n2'])).toEqual(['long', 'short']);
  await cluster.simulation.run(cluster.simulation.now + 6000);
  expect(await all(cluster, ['n2'])).toEqual(['long']);
});

test('the loss of a node between pages and under one changes nothing; too few owners is an error that names them', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 4, nodes: 4 });
  for (const key of KEYS) await put(cluster, 'n1', key, '?w=all&sloppy=false');
  const first = await page(cluster, 'n1', '?limit=5');
  const second = cluster.request('n1', 'GET', `/v1/kv/b?limit=5&after=${first.next!}`);
  cluster.crash(cluster.machine('n3'));
  const { keys, next } = JSON.parse(new TextDecoder().decode((await second).body)) as Page;
  const rest = await all(cluster, ['n2'], `?limit=50&after=${next!}`);
  expect([...first.keys, ...keys, ...rest]).toEqual(KEYS);
  cluster.crash(cluster.machine('n4'));
  await cluster.simulation.run(cluster.simulation.now + 5000);
  const refused = await cluster.request('n1', 'GET', '/v1/kv/b');
  expect(refused.status).toBe(503);
  expect(new TextDecoder().decode(refused.body)).toMatch(/of \d+ of 16 partitions/);
});

test('a member that lost its disk is not asked until it is filled', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 5, nodes: 3 });
  for (const key of KEYS) await put(cluster, 'n1', key, '?w=all');
  cluster.crash(cluster.machine('n2'));
  cluster.machine('n2').medium.wipe();
  await cluster.simulation.settle(cluster.start(cluster.machine('n2')));
  for (let i = 0; i < 20; i++) {
    await cluster.simulation.run(cluster.simulation.now + 100);
    expect((await page(cluster, 'n1', '')).keys).toEqual(KEYS);
    expect((await page(cluster, 'n3', '')).keys).toEqual(KEYS);
  }
});

test('all keys as lines, then one that says that it was all; a limit and a failure leave a cursor', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 6, nodes: 3 });
  for (const key of KEYS) await put(cluster, 'n1', key);
  const lines = async (query: string): Promise<unknown[]> => {
    const headers = { accept: 'application/x-ndjson' };
    const { status, body } = await cluster.request('n1', 'GET', `/v1/kv/b${query}`, { headers });
    expect(status).toBe(200);
    return new TextDecoder()
      .decode(body)
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
  };
  expect(await lines('')).toEqual([...KEYS.map((key) => ({ key })), { next: null }]);
  const some = await lines('?limit=7');
  expect(some.slice(0, 7)).toEqual(KEYS.slice(0, 7).map((key) => ({ key })));
  const { next } = some[7] as { next: string };
  expect(await lines(`?after=${next}`)).toEqual([...KEYS.slice(7).map((key) => ({ key })), { next: null }]);
});

test('golden: a page takes one message to another owner and its answer; it looks no further than it must', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 7, nodes: 3 });
  for (const key of KEYS) await put(cluster, 'n1', key, '?w=all');
  await cluster.simulation.run(cluster.simulation.now + 500);
  const before = cluster.network.sentInAll();
  expect((await page(cluster, 'n1', '?limit=5')).keys).toEqual(KEYS.slice(0, 5));
  const after = cluster.network.sentInAll();
  expect([after.messages - before.messages, after.bytes - before.bytes]).toEqual([2, 280]);
});

test('cursors of another prefix, bucket or cluster are refused, and so are invented ones', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 8, nodes: 3 });
  for (const key of KEYS) await put(cluster, 'n1', key);
  const { next } = await page(cluster, 'n1', '?limit=2&prefix=key-');
  for (const target of [
    `/v1/kv/b?limit=2&after=${next}`,
    `/v1/kv/c?limit=2&prefix=key-&after=${next}`,
    `/v1/kv/b?prefix=key-&after=${next!.slice(0, -1)}A`,
    `/v1/kv/b?after=${Buffer.from(utf8('key-03')).toString('base64url')}`,
  ]) {
    const answer = await cluster.request('n1', 'GET', target);
    expect([answer.status, new TextDecoder().decode(answer.body)]).toEqual([400, expect.stringContaining('after')]);
  }
});

test('all keys are there at every moment of a ring change: members come and go while listings are made', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 9, nodes: 3 });
  for (const key of KEYS) await put(cluster, 'n1', key);
  const joining = cluster.add('n4', ['n1:7201']);
  await cluster.simulation.settle(cluster.start(joining));
  await cluster.simulation.run(() => cluster.running('n1').node.chain.newcomers().length > 0);
  const changes = (id: string): boolean => cluster.running(id).node.chain.facts()?.ring.change !== undefined;
  for (const change of [{ join: ['n4'] }, { leave: ['n2'] }]) {
    const headers = { 'content-type': 'application/json' };
    const planned = await cluster.request('n1', 'POST', '/v1/ring/plans', { headers, body: JSON.stringify(change) });
    const { id } = JSON.parse(new TextDecoder().decode(planned.body)) as { id: string };
    const applied = await cluster.request('n1', 'POST', `/v1/ring/plans/${id}/apply`);
    expect(applied.status, new TextDecoder().decode(applied.body)).toBe(202);
    let made = 0;
    for (; changes('n1') || changes('n3'); made++) {
      for (const at of ['n1', 'n3']) expect(await all(cluster, [at], '?limit=9')).toEqual(KEYS);
      await cluster.simulation.run(cluster.simulation.now + 40);
    }
    expect(made).toBeGreaterThan(3);
    for (const at of ['n1', 'n3', 'n4']) expect(await all(cluster, [at])).toEqual(KEYS);
  }
});

test('random faults: what all owners hold live is in every listing, what is deleted at all of them in none', async () => {
  for (let seed = 0; seed < 4; seed++) {
    const cluster = await SimulatedCluster.founded({ seed: `listed ${seed}`, nodes: 4 });
    const live = new Set<string>();
    for (let step = 0; step < 40; step++) {
      const victim = cluster.machines[1 + ((step * 5 + seed) % 3)]!;
      if (step % 6 === 2 && victim.running !== undefined) cluster.crash(victim);
      if (step % 6 === 5)
        for (const { id, running } of cluster.machines) if (running === undefined) await cluster.restart(id);
      const key = `k${(step * 7 + seed) % 13}`;
      const deletes = step % 4 === 3;
      const target = `/v1/kv/b/${key}?w=all&sloppy=false&timeout=1000`;
      const { status } = await cluster.request('n1', deletes ? 'DELETE' : 'PUT', target, deletes ? {} : { body: 'x' });
      // Of a write that was not confirmed by all nothing is known.
      if (status !== 204) live.delete(key);
      const known = status === 204 ? key : undefined;
      if (known !== undefined && !deletes) live.add(known);
      if (known !== undefined && deletes) live.delete(known);
      for (const { id, running } of cluster.machines) {
        if (running === undefined || !running.node.ready()) continue;
        const { status: listed, body } = await cluster.request(id, 'GET', '/v1/kv/b?timeout=3000');
        // With two nodes of four away some partition may have too few.
        if (listed !== 200) continue;
        const { keys } = JSON.parse(new TextDecoder().decode(body)) as Page;
        expect(keys).toEqual(expect.arrayContaining([...live]));
        if (known !== undefined && deletes) expect(keys).not.toContain(known);
      }
      await cluster.simulation.run(cluster.simulation.now + ((step * 41) % 300));
    }
  }
});

test('a page that cannot be made up says of how many partitions too few owners are left', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'too few', nodes: 3 });
  const options = { headers: { 'content-type': 'application/json' }, body: '{"n":1}' };
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/b', options)).status).toBe(200);
  const { placements } = cluster.running('n1').node.chain.facts()!.ring;
  const { partitions } = placements.find(({ n }) => n === 1)!;
  const owned = partitions.filter(({ owners }) => owners[0] === 2).length;
  cluster.crash(cluster.machine('n3'));
  await cluster.simulation.run(cluster.simulation.now + 20_000);
  const { status, body } = await cluster.request('n1', 'GET', '/v1/kv/b');
  const { detail, needed, got } = JSON.parse(new TextDecoder().decode(body)) as Record<string, unknown>;
  expect([status, needed, got]).toEqual([503, 1, 0]);
  expect(detail).toContain(`of ${owned} of ${partitions.length} partitions, such as `);
  expect(owned).toBeLessThan(partitions.length / 2);
});
