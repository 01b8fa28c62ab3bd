/** Tombstones are given up once it is proven that nobody can bring back what they say is dead, and values expire for good. */

import { expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { DEFAULT_MEMBERSHIP_SETTINGS } from '#membership/settings.ts';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { StoreMessage, type StoreRequest } from '#replica/messages.ts';
import { TimeMessage } from '#repair/reclaim-messages.ts';
import { RECORDS, recordKey } from '#replica/tables.ts';
import { SimulatedCluster } from './cluster.ts';

const REPAIR = {
  ...DEFAULT_REPAIR_SETTINGS,
  interval: 1000,
  settle: 200,
  reclaimInterval: 2000,
  reclaimAge: 1000,
  reclaimWait: 1000,
};
const JSON_HEADERS = { 'content-type': 'application/json' };

/** A node whose clock is wrong serves on: what that does to values and tombstones shall be seen. */
const MEMBERSHIP = {
  ...DEFAULT_MEMBERSHIP_SETTINGS,
  clocks: { ...DEFAULT_MEMBERSHIP_SETTINGS.clocks, apartMax: 86_400_000 },
};

async function cluster(seed: number, nodes = 3): Promise<SimulatedCluster> {
  const on = await SimulatedCluster.founded({ seed, nodes, node: { repair: REPAIR, membership: MEMBERSHIP } });
  const body = JSON.stringify({ conflicts: 'siblings' });
  expect((await on.request('n1', 'PUT', '/v1/buckets/s', { headers: JSON_HEADERS, body })).status).toBeLessThan(300);
  return on;
}

async function put(on: SimulatedCluster, at: string, path: string, body = 'v'): Promise<number> {
  return (await on.request(at, 'PUT', `/v1/kv/${path}`, { body })).status;
}

async function remove(on: SimulatedCluster, at: string, path: string): Promise<number> {
  return (await on.request(at, 'DELETE', `/v1/kv/${path}`)).status;
}

async function get(on: SimulatedCluster, at: string, path: string): Promise<number> {
  return (await on.request(at, 'GET', `/v1/kv/${path}`)).status;
}

function count(on: SimulatedCluster, id: string, table: string = RECORDS): number {
  return [...on.machine(id).medium.table(table).rows()].length;
}

function counts(on: SimulatedCluster, table?: string): readonly number[] {
  return on.machines.map(({ id }) => count(on, id, table));
}

async function pass(on: SimulatedCluster, milliseconds: number): Promise<void> {
  await on.simulation.run(on.simulation.now + milliseconds);
}

function metric(on: SimulatedCluster, id: string, name: string): number {
  return on.running(id).world.metrics.value(name);
}

test('deleted keys leave nothing behind, in both kinds of buckets, and a key can come again', async () => {
  const on = await cluster(1);
  for (let i = 0; i < 40; i++) {
    await put(on, 'n1', `s/k${i}`);
    await put(on, 'n2', `b/k${i}`);
  }
  for (let i = 0; i < 39; i++) {
    expect(await remove(on, 'n3', `s/k${i}`)).toBe(204);
    expect(await remove(on, 'n1', `b/k${i}`)).toBe(204);
  }
  await on.simulation.run(() => counts(on).every((rows) => rows === 2));
  expect(counts(on, 'dead_rows')).toEqual([0, 0, 0]);
  expect(on.machines.map(({ id }) => metric(on, id, 'quoral_tombstones'))).toEqual([0, 0, 0]);
  for (const bucket of ['s', 'b']) {
    expect(await get(on, 'n2', `${bucket}/k0?r=3`)).toBe(404);
    expect(await put(on, 'n3', `${bucket}/k0`, 'again')).toBe(204);
    expect(await get(on, 'n2', `${bucket}/k0?r=3`)).toBe(200);
    expect(await get(on, 'n2', `${bucket}/k39?r=3`)).toBe(200);
  }
  await pass(on, 20_000);
  expect(counts(on)).toEqual([4, 4, 4]);
});

test('a member that is down blocks it, and the figures and the log name it', async () => {
  const on = await cluster(2, 4);
  for (let i = 0; i < 20; i++) await put(on, 'n1', `s/k${i}`, 'w=3');
  on.crash(on.machine('n4'));
  await pass(on, 5000);
  for (let i = 0; i < 20; i++) expect(await remove(on, 'n1', `s/k${i}`)).toBe(204);
  const held = (): number => ['n1', 'n2', 'n3'].reduce((sum, id) => sum + count(on, id), 0);
  const before = held();
  await pass(on, 30_000);
  // Also where n4 owns nothing: it may keep a hint.
  expect(held()).toBe(before);
  const blocked = ['n1', 'n2', 'n3'].flatMap((id) => on.running(id).node.repair.reclaim.run(false).blocked);
  expect(blocked.length).toBeGreaterThan(0);
  expect(blocked.every((text) => text.includes('n4'))).toBe(true);
  await on.restart('n4');
  await on.simulation.run(() => counts(on).every((rows) => rows === 0));
});

/** What stands at the node now under `s/k`, to be sent later as if it had been on its way since. */
function oldStore(on: SimulatedCluster, at: string): () => Promise<StoreRequest> {
  const { node } = on.running(at);
  const state = on
    .machine(at)
    .medium.table(RECORDS)
    .get(recordKey('s', 0, utf8('k')))!;
  const origin = node.replica.now();
  return async () => {
    const { epoch } = node.chain.facts()!;
    const { version: definition, incarnation } = node.buckets.resolve('s');
    const { body } = await on.request(at, 'GET', '/v1/ring/locate/s/k');
    const { partition } = JSON.parse(new TextDecoder().decode(body)) as { partition: number };
    const scope = { epoch, n: 3, partition, bucket: 's', incarnation, definition };
    return { scope, requestId: 'late', key: utf8('k'), state, durable: false, origin };
  };
}

test('a message that was on its way all the time brings nothing back', async () => {
  const on = await cluster(3);
  await put(on, 'n1', 's/k?w=3', 'to be deleted');
  const old = oldStore(on, 'n1');
  expect(await remove(on, 'n2', 's/k?w=3')).toBe(204);
  await on.simulation.run(() => counts(on).every((rows) => rows === 0));
  const request = await old();
  const { messaging } = on.running('n1').node;
  const deadline = on.simulation.now + 1000;
  const late = await on.simulation.settle(messaging.call(on.machine('n3').id, StoreMessage, request, { deadline }));
  expect(late).toMatchObject({ kind: 'refused', code: 'too-old' });
  expect(await get(on, 'n3', 's/k?r=3')).toBe(404);
});

test('nor does one to a member that has lost its disk, and with it what it had promised', async () => {
  const on = await cluster(3);
  await put(on, 'n1', 's/k?w=3', 'to be deleted');
  const late = oldStore(on, 'n1');
  expect(await remove(on, 'n2', 's/k?w=3')).toBe(204);
  await on.simulation.run(() => counts(on).every((rows) => rows === 0));
  on.crash(on.machine('n3'));
  on.machine('n3').medium.wipe();
  // The clock of the new machine is late.
  on.machine('n3').host.clock.jump(-30_000);
  await on.restart('n3');
  const request = await late();
  const deadline = on.simulation.now + 1000;
  const answer = await on.simulation.settle(
    on.running('n1').node.messaging.call(on.machine('n3').id, StoreMessage, request, { deadline }),
  );
  expect(answer).toMatchObject({ kind: 'refused', code: 'too-old' });
  await on.simulation.run(
    () =>
      on
        .running('n3')
        .node.chain.facts()
        ?.ring.members.every(({ state }) => state === 'active') === true,
  );
  await pass(on, 5000);
  expect(await get(on, 'n3', 's/k?r=3')).toBe(404);
  // What is new is taken as ever, also by who takes it there.
  await pass(on, 30_000);
  for (const at of ['n1', 'n3']) expect(await put(on, at, `s/${at}?w=3`), at).toBe(204);
});

test('a hint from before waits first', async () => {
  const on = await cluster(4, 4);
  await put(on, 'n1', 's/k?w=3', 'first');
  const { primaries, fallbacks } = JSON.parse(
    new TextDecoder().decode((await on.request('n1', 'GET', '/v1/ring/locate/s/k')).body),
  ) as { primaries: string[]; fallbacks: string[] };
  const [a, b, c] = primaries as [string, string, string];
  const holder = fallbacks[0]!;
  // The holder keeps a write for c that c never gets, as long as the two cannot talk.
  for (const other of [a, b, holder]) on.network.partition(on.machine(c).host, on.machine(other).host);
  await pass(on, 6000);
  expect(await put(on, a, 's/k', 'second')).toBe(204);
  expect(count(on, holder, 'hints') + count(on, a, 'hints')).toBeGreaterThan(0);
  on.network.clearFaults();
  on.network.partition(on.machine(c).host, on.machine(holder).host);
  await pass(on, 6000);
  await remove(on, b, 's/k?w=3');
  const hinted = count(on, holder, 'hints') > 0;
  await pass(on, 30_000);
  if (hinted) {
    expect(count(on, b, 'dead_rows')).toBe(1);
    expect(on.running(a).node.repair.reclaim.run(false).blocked.join()).toMatch(/hint/);
  }
  expect(hinted).toBe(true);
  on.network.clearFaults();
  await on.simulation.run(() => counts(on).every((rows) => rows === 0));
  await pass(on, 30_000);
  for (const id of primaries) expect(await get(on, id, 's/k?r=3'), id).toBe(404);
});

test('a hint that went home while messages were waited for may have a second copy on its way', async () => {
  const on = await SimulatedCluster.founded({
    seed: 7,
    nodes: 4,
    node: { repair: { ...REPAIR, reclaimWait: 6000 } },
  });
  await put(on, 'n1', 'b/k?w=3', 'first');
  const { primaries, fallbacks } = JSON.parse(
    new TextDecoder().decode((await on.request('n1', 'GET', '/v1/ring/locate/b/k')).body),
  ) as { primaries: string[]; fallbacks: string[] };
  const [a, b, c] = primaries as [string, string, string];
  const holder = fallbacks[0]!;
  for (const other of [a, b, holder]) on.network.partition(on.machine(c).host, on.machine(other).host);
  await pass(on, 6000);
  expect(await put(on, a, 'b/k', 'second')).toBe(204);
  expect(count(on, holder, 'hints')).toBe(1);
  on.network.clearFaults();
  on.network.partition(on.machine(c).host, on.machine(holder).host);
  await on.simulation.run(() => count(on, a, 'hints') === 0);
  expect(await remove(on, b, 'b/k?w=3')).toBe(204);
  // The holder has told its time; only then does its hint go home.
  const { node } = on.running(holder);
  const given: StoreRequest[] = [];
  const call = node.messaging.call.bind(node.messaging);
  node.messaging.call = (to, type, request, options) => {
    if (type.name === StoreMessage.name && to === c) given.push(request as StoreRequest);
    return call(to, type, request, options);
  };
  let asked = false;
  for (const id of primaries) {
    const { messaging } = on.running(id).node;
    const ask = messaging.call.bind(messaging);
    messaging.call = (to, type, request, options) => {
      if (type.name === TimeMessage.name && to === holder) asked = true;
      return ask(to, type, request, options);
    };
  }
  await on.simulation.run(() => asked);
  await pass(on, 50);
  expect(count(on, holder, 'hints')).toBe(1);
  on.network.clearFaults();
  await on.simulation.run(() => count(on, holder, 'hints') === 0);
  expect(given).toHaveLength(1);
  await on.simulation.run(() => counts(on).every((rows) => rows === 0));
  const deadline = on.simulation.now + 1000;
  const late = await on.simulation.settle(call(on.machine(c).id, StoreMessage, given[0]!, { deadline }));
  expect(late).toMatchObject({ kind: 'refused', code: 'too-old' });
  for (const id of primaries) expect(await get(on, id, 'b/k?r=3'), id).toBe(404);
});

test('a value with a time to live is gone when that is over, everywhere and for good, and leaves nothing', async () => {
  const on = await cluster(5);
  expect(await put(on, 'n1', 's/k?ttl=5&w=3')).toBe(204);
  expect(await put(on, 'n1', 'b/k?ttl=5&w=3')).toBe(204);
  expect(await put(on, 'n1', 'b/other?ttl=5&w=3')).toBe(204);
  // One replica is away when the value expires, and has it still when it comes back.
  on.crash(on.machine('n3'));
  await pass(on, 4000);
  for (const path of ['s/k', 'b/k']) expect(await get(on, 'n2', path)).toBe(200);
  expect(await put(on, 'n1', 'b/other', 'refreshed')).toBe(204);
  await pass(on, 1500);
  for (const path of ['s/k', 'b/k']) expect(await get(on, 'n2', path)).toBe(404);
  await pass(on, 5000);
  const row = on
    .machine('n1')
    .medium.table(RECORDS)
    .get(recordKey('b', 0, utf8('k')))!;
  expect(Buffer.from(row).includes('octet')).toBe(false);
  await on.restart('n3');
  for (const id of ['n1', 'n2', 'n3']) for (const path of ['s/k', 'b/k']) expect(await get(on, id, path)).toBe(404);
  await on.simulation.run(() => counts(on).every((rows) => rows === 1));
  expect(await get(on, 'n3', 'b/other?r=3')).toBe(200);
  expect(counts(on, 'expiring')).toEqual([0, 0, 0]);
});

test('a clock that runs ahead for a while ends no value for good before its time', async () => {
  const on = await cluster(8);
  for (const path of ['s/k', 'b/k']) expect(await put(on, 'n1', `${path}?ttl=60&w=3`)).toBe(204);
  const { clock } = on.machine('n1').host;
  clock.jump(120_000);
  await on.simulation.run(() => count(on, 'n1', 'expiring') === 0);
  clock.jump(-120_000);
  // The others still have it, so whoever asks one of them too is shown it, and the first one gets it back.
  for (const path of ['s/k', 'b/k']) expect(await get(on, 'n1', `${path}?r=2`), path).toBe(200);
  await pass(on, 1000);
  for (const path of ['s/k', 'b/k']) expect(await get(on, 'n1', `${path}?r=1`), path).toBe(200);
  await pass(on, 60_000);
  for (const path of ['s/k', 'b/k']) expect(await get(on, 'n1', `${path}?r=2`), path).toBe(404);
  await on.simulation.run(() => counts(on).every((rows) => rows === 0));
});

test('a clock that runs far ahead gives no floor that the others would be below for as long', async () => {
  const on = await cluster(9);
  await put(on, 'n2', 'b/k?w=3');
  on.machine('n1').host.clock.jump(3_600_000);
  expect(await remove(on, 'n2', 'b/k?w=3')).toBe(204);
  await pass(on, 10_000);
  const blocked = on.machines.flatMap(({ id }) => on.running(id).node.repair.reclaim.run(false).blocked);
  expect(blocked.join()).toMatch(/clock of n1 is ahead/);
  for (const at of ['n2', 'n3', 'n1']) expect(await put(on, at, 'b/k?w=3', at), at).toBe(204);
});

test('a repair at will gives them up at once, and says what is in the way', async () => {
  const slow = { ...REPAIR, reclaimInterval: 3_600_000, reclaimAge: 0 };
  const on = await SimulatedCluster.founded({ seed: 6, nodes: 3, node: { repair: slow } });
  for (let i = 0; i < 10; i++) await put(on, 'n1', `b/k${i}`);
  for (let i = 0; i < 10; i++) await remove(on, 'n1', `b/k${i}?w=3`);
  const run = async (): Promise<Record<string, unknown>> => {
    const begun = await on.request('n2', 'POST', '/v1/ring/repair', {
      headers: JSON_HEADERS,
      body: '{"reclaim":true}',
    });
    expect(begun.status).toBe(202);
    for (;;) {
      await pass(on, 500);
      const { body } = await on.request('n2', 'GET', '/v1/ring/repair');
      const view = JSON.parse(new TextDecoder().decode(body)) as Record<string, unknown>;
      if (view['state'] === 'done') return view;
    }
  };
  expect(await run()).toMatchObject({ reclaimed: 10, blocked: [], failures: [], keys: 0 });
  expect(counts(on)).toEqual([0, 0, 0]);
  for (const body of ['[]', '{"bucket":7}', '{"reclaim":1}', '{"buckets":"b"}', '{"bucket":".."}']) {
    const { status } = await on.request('n1', 'POST', '/v1/ring/repair', { headers: JSON_HEADERS, body });
    expect(status, body).toBe(400);
  }
  expect((await on.request('n3', 'GET', '/v1/ring/repair')).status).toBe(404);
});
