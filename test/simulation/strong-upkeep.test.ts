/** What owners do for strong keys without being asked: those that hold nothing go, those that are damaged come back. */

import { expect, test } from 'vitest';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { REGISTERS, recordKey } from '#replica/tables.ts';
import { utf8 } from '#kernel/bytes.ts';
import type { RepairRun } from '#operator/ring-repair.ts';
import { SimulatedCluster } from './cluster.ts';
import { ownersOfKey } from './white-box.ts';
import { requestName } from './messages-on-the-wire.ts';

const JSON_HEADERS = { 'content-type': 'application/json' };
const SETTINGS = { ...DEFAULT_REPAIR_SETTINGS, reclaimInterval: 1000, reclaimAge: 500 };
/** Longer than anybody looks for a change: the clocks here are right. */
const UPKEEP = { forgottenAfter: 90_000 };
const FORGOTTEN_MS = 95_000;

async function strongCluster(seed: string): Promise<SimulatedCluster> {
  const cluster = await SimulatedCluster.founded({ seed, nodes: 3, node: { repair: SETTINGS, upkeep: UPKEEP } });
  await cluster.request('n1', 'PUT', '/v1/buckets/s', { headers: JSON_HEADERS, body: '{"consistency":"strong"}' });
  return cluster;
}

async function pass(cluster: SimulatedCluster, milliseconds: number): Promise<void> {
  await cluster.simulation.run(cluster.simulation.now + milliseconds);
}

function rows(cluster: SimulatedCluster): readonly number[] {
  return cluster.machines.map(({ medium }) => [...medium.table(REGISTERS).rows()].length);
}

async function lease(cluster: SimulatedCluster, holder: string): Promise<number> {
  const body = JSON.stringify({ holder, ttl: 1 });
  const answer = await cluster.request('n1', 'POST', '/v1/leases/s/lock', { headers: JSON_HEADERS, body });
  expect(answer.status).toBe(200);
  return (JSON.parse(new TextDecoder().decode(answer.body)) as { readonly token: number }).token;
}

/** Of so many keys, those that all owners have alike. */
async function agreeing(cluster: SimulatedCluster, keys: number): Promise<number> {
  let count = 0;
  for (let i = 0; i < keys; i++) {
    const { body } = await cluster.request('n1', 'GET', `/v1/explain/s/k${i}`);
    count += Number((JSON.parse(new TextDecoder().decode(body)) as { readonly agree: boolean }).agree);
  }
  return count;
}

test('what was deleted and leases that have ended are taken away at all owners, and begin anew above all they were', async () => {
  const cluster = await strongCluster('erase');
  for (const key of ['a', 'b', 'kept']) await cluster.request('n1', 'PUT', `/v1/kv/s/${key}`, { body: 'v' });
  for (const key of ['a', 'b']) await cluster.request('n2', 'DELETE', `/v1/kv/s/${key}`);
  const keyed = { 'idempotency-key': 'once' };
  await cluster.request('n2', 'DELETE', '/v1/kv/s/remembered', { headers: keyed });
  const tokens = [await lease(cluster, 'x')];
  await pass(cluster, 80_000);
  expect(rows(cluster)).toEqual([5, 5, 5]);
  await pass(cluster, FORGOTTEN_MS - 80_000);
  expect(rows(cluster)).toEqual([2, 2, 2]);
  tokens.push(await lease(cluster, 'y'));
  expect(tokens[1]).toBeGreaterThan(tokens[0]!);
  const created = await cluster.request('n3', 'PUT', '/v1/kv/s/a', { headers: { 'if-none-match': '*' }, body: 'w' });
  expect(created.status).toBe(204);
  for (const id of ['n1', 'n2', 'n3']) {
    expect((await cluster.request(id, 'GET', '/v1/kv/s/b')).status).toBe(404);
    expect(new TextDecoder().decode((await cluster.request(id, 'GET', '/v1/kv/s/a')).body)).toBe('w');
    expect(new TextDecoder().decode((await cluster.request(id, 'GET', '/v1/kv/s/kept')).body)).toBe('v');
  }
});

test('an owner that is away holds it up; one that was not told is told again', async () => {
  const cluster = await strongCluster('erase later');
  await cluster.request('n1', 'PUT', '/v1/kv/s/k', { body: 'v' });
  await cluster.request('n1', 'DELETE', '/v1/kv/s/k');
  cluster.crash(cluster.machine('n3'));
  await pass(cluster, FORGOTTEN_MS);
  expect(rows(cluster)).toEqual([1, 1, 1]);
  await cluster.restart('n3');
  const lost = { loses: (message: Uint8Array): boolean => requestName(message) === 'register.erase' };
  for (const { host: from } of cluster.machines) {
    for (const { host: to } of cluster.machines) if (from !== to) cluster.network.setFault(from, to, lost);
  }
  await pass(cluster, 5000);
  expect(rows(cluster).toSorted((a, b) => a - b)).toEqual([0, 1, 1]);
  cluster.network.clearFaults();
  await pass(cluster, 10_000);
  expect(rows(cluster)).toEqual([0, 0, 0]);
});

/** A key whose last owner is not told that all have agreed to take it away, until the faults are cleared. */
async function untold(seed: string, onPrepare: (erasing: SimulatedCluster, id: string) => void) {
  const cluster = await strongCluster(seed);
  // From then on rows are read slowly, so that only who has made the deletion knows of it.
  await pass(cluster, 30_000);
  await cluster.request('n1', 'PUT', '/v1/kv/s/k', { body: 'v' });
  await cluster.request('n1', 'DELETE', '/v1/kv/s/k');
  const [first, second, last] = ownersOfKey(cluster, 's', 'k');
  const loses = (message: Uint8Array): boolean => {
    if (requestName(message) === 'register.prepare') onPrepare(cluster, first!.id);
    return requestName(message) === 'register.erase';
  };
  for (const { host } of [first!, second!]) cluster.network.setFault(host, last!.host, { loses });
  await cluster.simulation.run(() => rows(cluster).includes(0));
  await pass(cluster, 1000);
  expect(rows(cluster).toSorted((x, y) => x - y)).toEqual([0, 0, 1]);
  return cluster;
}

test('what the owners have agreed to take away they do, although its row was read again meanwhile', async () => {
  const cluster = await untold('erase, read', (erasing, id) => {
    void erasing.running(id).node.coordinator.strong.upkeep.level(new Uint8Array(), undefined);
  });
  cluster.network.clearFaults();
  await pass(cluster, 30_000);
  expect(rows(cluster)).toEqual([0, 0, 0]);
});

test('a key that a request has given rows again while it was taken away is taken away anew', async () => {
  const cluster = await untold('erase again', () => undefined);
  const headers = { 'if-match': '"0123456789abcdef"' };
  expect((await cluster.request('n1', 'PUT', '/v1/kv/s/k', { headers, body: 'w' })).status).toBe(412);
  expect(rows(cluster)).toEqual([1, 1, 1]);
  cluster.network.clearFaults();
  await pass(cluster, 30_000);
  expect(rows(cluster)).toEqual([0, 0, 0]);
});

test('what a process that ended knew of keys to erase is found by reading the rows', async () => {
  const cluster = await strongCluster('erase found');
  await cluster.request('n1', 'PUT', '/v1/kv/s/k', { body: 'v' });
  await cluster.request('n1', 'DELETE', '/v1/kv/s/k');
  for (const machine of cluster.machines) cluster.crash(machine);
  await cluster.simulation.settle(Promise.all(cluster.machines.map(async (machine) => cluster.start(machine))));
  await pass(cluster, FORGOTTEN_MS + 5000);
  expect(rows(cluster)).toEqual([0, 0, 0]);
});

test('a damaged register has no vote and comes back from the other owners, also after a restart', async () => {
  const cluster = await strongCluster('mend');
  const { world } = cluster.running('n2');
  for (let i = 0; i < 3; i++) {
    await cluster.request('n1', 'PUT', `/v1/kv/s/k${i}`, { body: `value ${i}` });
    cluster.machine('n2').medium.flipByte(REGISTERS, recordKey('s', 0, utf8(`k${i}`)), 5 + 20 * i);
  }
  for (const id of ['n1', 'n2', 'n3']) {
    for (let i = 0; i < 3; i++) {
      const answer = await cluster.request(id, 'GET', `/v1/kv/s/k${i}`);
      expect([answer.status, new TextDecoder().decode(answer.body)]).toEqual([200, `value ${i}`]);
    }
  }
  await pass(cluster, 3000);
  expect(world.metrics.value('quoral_registers_mended_total')).toBe(3);
  expect(world.metrics.value('quoral_registers_damaged')).toBe(0);
  cluster.crash(cluster.machine('n2'));
  cluster.machine('n2').medium.flipByte(REGISTERS, recordKey('s', 0, utf8('k1')), 7);
  await cluster.restart('n2');
  await pass(cluster, 3000);
  expect(cluster.running('n2').world.metrics.value('quoral_registers_mended_total')).toBe(1);
  // The mended owner and one other are a majority that knows everything.
  cluster.crash(cluster.machine('n1'));
  for (let i = 0; i < 3; i++) {
    const answer = await cluster.request('n3', 'GET', `/v1/kv/s/k${i}?timeout=20000`);
    expect([answer.status, new TextDecoder().decode(answer.body)]).toEqual([200, `value ${i}`]);
  }
});

test('a repair of the whole cluster reads the registers too, and says how many are damaged', async () => {
  const cluster = await strongCluster('repair');
  for (let i = 0; i < 40; i++) await cluster.request('n1', 'PUT', `/v1/kv/s/k${i}`, { body: 'v' });
  await pass(cluster, 10_000);
  for (const key of ['k0', 'k39']) cluster.machine('n2').medium.flipByte(REGISTERS, recordKey('s', 0, utf8(key)), 9);
  const path = '/v1/ring/repair';
  for (const [bucket, damaged, rows] of [
    ['other', 0, 0],
    ['s', 2, 40],
  ] as const) {
    const begun = await cluster.request('n1', 'POST', path, {
      headers: JSON_HEADERS,
      body: JSON.stringify({ bucket }),
    });
    expect(begun.status).toBe(202);
    await pass(cluster, 8000);
    const { body } = await cluster.request('n1', 'GET', path);
    const run = JSON.parse(new TextDecoder().decode(body)) as RepairRun;
    const [, node] = run.nodes;
    expect([run.state, node!.damaged, node!.rows]).toEqual(['done', damaged, rows]);
  }
  expect(cluster.running('n2').world.metrics.value('quoral_registers_mended_total')).toBe(2);
});

test('an owner that was away when strong keys were changed is brought up to date, without anybody asking', async () => {
  const cluster = await strongCluster('level');
  const put = async (id: string, key: string): Promise<void> => {
    expect((await cluster.request(id, 'PUT', `/v1/kv/s/${key}`, { body: 'v' })).status).toBe(204);
  };
  for (let i = 0; i < 20; i++) await put('n1', `k${i}`);
  // The passes after the start are over.
  await pass(cluster, 30_000);
  // Crashed, and then cut off from the others. Some keys it has in an older version, and some it has not heard of.
  cluster.crash(cluster.machine('n3'));
  for (let i = 10; i < 30; i++) await put('n2', `k${i}`);
  await cluster.restart('n3');
  expect(await agreeing(cluster, 30)).toBeLessThan(30);
  await pass(cluster, 30_000);
  expect(await agreeing(cluster, 30)).toBe(30);
  const [n1, n2, n3] = cluster.machines.map(({ host }) => host);
  const cut = { loses: (): boolean => true };
  for (const other of [n1!, n2!]) {
    cluster.network.setFault(other, n3!, cut);
    cluster.network.setFault(n3!, other, cut);
  }
  await pass(cluster, 5000);
  for (let i = 0; i < 30; i += 2) await put('n2', `k${i}`);
  await pass(cluster, 20_000);
  cluster.network.clearFaults();
  await pass(cluster, 30_000);
  expect(await agreeing(cluster, 30)).toBe(30);
});

test('a node whose disk was put back neither votes nor compares, and what a majority has chosen stays', async () => {
  const cluster = await strongCluster('level put back');
  // One owner makes the rounds of a key: of some of these it is the one whose disk is put back.
  const paths = Array.from({ length: 20 }, (_, i) => `/v1/kv/s/k${i}`);
  const put = async (id: string, body: string): Promise<void> => {
    for (const path of paths) expect((await cluster.request(id, 'PUT', path, { body })).status).toBe(204);
  };
  const [n1, n2, n3] = cluster.machines;
  await put('n1', 'older');
  await pass(cluster, 2000);
  const copy = n1!.medium.snapshot();
  cluster.crash(n1!);
  await cluster.restart('n1');
  // Chosen by this node and n2: n3 is away.
  cluster.crash(n3!);
  await put('n2', 'newer');
  cluster.crash(n1!);
  n1!.medium.restore(copy);
  // Its own answer and that of n3, which never had the newer value, come before the one of n2.
  cluster.network.setFault(n2!.host, n1!.host, { delay: 100 });
  void cluster.start(n1!);
  void cluster.start(n3!);
  await pass(cluster, 30_000);
  expect(cluster.running('n1').node.ready()).toBe(false);
  for (const path of paths) {
    const { body } = await cluster.request('n2', 'GET', path);
    expect(new TextDecoder().decode(body), path).toBe('newer');
  }
});

test('owners that have much to compare and little else to do have done so soon', async () => {
  const cluster = await strongCluster('level many');
  const away = cluster.machine('n3');
  const held = (): number => [...away.medium.table(REGISTERS).rows()].length;
  cluster.crash(away);
  for (let i = 0; i < 320; i++) await cluster.request('n1', 'PUT', `/v1/kv/s/k${i}`, { body: 'v' });
  await cluster.restart('n3');
  // The pass under way comes to its end; what was compared in vain while it was away is compared again after a while.
  await pass(cluster, 1000);
  const before = held();
  await cluster.simulation.run(() => held() > before);
  const began = cluster.simulation.now;
  await cluster.simulation.run(() => held() === 320);
  expect(cluster.simulation.now - began).toBeLessThan(2000);
});

test('whoever takes long to compare a page is asked for the next one only after a longer pause', async () => {
  const cluster = await strongCluster('level slowly');
  for (let i = 0; i < 160; i++) await cluster.request('n1', 'PUT', `/v1/kv/s/k${i}`, { body: 'v' });
  cluster.crash(cluster.machine('n1'));
  await cluster.restart('n1');
  let peeks = 0;
  const loses = (message: Uint8Array): boolean => {
    peeks += requestName(message) === 'register.peek' ? 1 : 0;
    return false;
  };
  const [n1, ...others] = cluster.machines.map(({ host }) => host);
  for (const other of others) cluster.network.setFault(n1!, other, { delay: 100, loses });
  await pass(cluster, 4000);
  // Pages of 16 keys, two owners asked for each; ten of them without a pause.
  expect(peeks).toBeGreaterThan(0);
  expect(peeks).toBeLessThan(5 * 2 * 16);
});

test('a repair of the whole cluster brings an owner up to date that was not heard when strong keys were changed', async () => {
  const cluster = await strongCluster('level at once');
  for (let i = 0; i < 40; i++) await cluster.request('n1', 'PUT', `/v1/kv/s/k${i}`, { body: 'v' });
  await pass(cluster, 20_000);
  const lost = { loses: (message: Uint8Array): boolean => requestName(message)?.startsWith('register.') ?? false };
  const [n1, n2, n3] = cluster.machines.map(({ host }) => host);
  for (const other of [n1!, n2!]) cluster.network.setFault(other, n3!, lost);
  for (let i = 10; i < 40; i++) await cluster.request('n2', 'PUT', `/v1/kv/s/k${i}`, { body: 'w' });
  const repaired = async (): Promise<RepairRun> => {
    expect((await cluster.request('n1', 'POST', '/v1/ring/repair')).status).toBe(202);
    for (;;) {
      await pass(cluster, 8000);
      const { body } = await cluster.request('n1', 'GET', '/v1/ring/repair');
      const run = JSON.parse(new TextDecoder().decode(body)) as RepairRun;
      if (run.state === 'done') return run;
    }
  };
  const { failures } = await repaired();
  expect(failures).toContainEqual(expect.stringMatching(/^strong keys of n1: of 40 some owner cannot be asked now/));
  cluster.network.clearFaults();
  await pass(cluster, 10_000);
  expect(await agreeing(cluster, 40)).toBeLessThan(40);
  expect((await repaired()).failures).toEqual([]);
  expect(await agreeing(cluster, 40)).toBe(40);
});

test('what a node has of partitions that are not its own any more goes', async () => {
  const cluster = await SimulatedCluster.founded({
    seed: 'leftovers',
    nodes: 4,
    node: { repair: SETTINGS, upkeep: UPKEEP },
  });
  await cluster.request('n1', 'PUT', '/v1/buckets/s', { headers: JSON_HEADERS, body: '{"consistency":"strong"}' });
  for (let i = 0; i < 40; i++) await cluster.request('n1', 'PUT', `/v1/kv/s/k${i}`, { body: 'v' });
  await pass(cluster, 1000);
  const before = rows(cluster);
  const all = new Map(
    cluster.machines.flatMap(({ medium }) => [...medium.table(REGISTERS).rows()]).map((row) => [String(row[0]), row]),
  );
  const machine = cluster.machine('n4');
  cluster.crash(machine);
  for (const [key, row] of all.values()) machine.medium.set(REGISTERS, key, row);
  expect(rows(cluster)[3]).toBe(40);
  await cluster.restart('n4');
  await pass(cluster, 3000);
  expect(rows(cluster)).toEqual(before);
});
