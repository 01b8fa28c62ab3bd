/**
 * Watches in whole clusters: every acknowledged write is told of, in the order of its key, through the loss of nodes, ring changes
 * and clients that come back somewhere else.
 */

import { expect, test } from 'vitest';
import { AcceptMessage } from '#coordinator/register-messages.ts';
import { utf8 } from '#kernel/bytes.ts';
import { recordKey, REGISTERS } from '#replica/tables.ts';
import { DEFAULT_WATCH_SETTINGS } from '#watch/watches.ts';
import { decodeEnvelope } from '#wire/envelope.ts';
import { SimulatedCluster } from './cluster.ts';
import { WatchingClient } from './watching-client.ts';

async function put(cluster: SimulatedCluster, id: string, key: string, value = 'v', query = ''): Promise<string> {
  const answer = await cluster.request(id, 'PUT', `/v1/kv/b/${key}${query}`, { body: value });
  expect(answer.status, new TextDecoder().decode(answer.body)).toBe(204);
  return answer.headers.get('etag')!.replaceAll('"', '');
}

async function pass(cluster: SimulatedCluster, milliseconds: number): Promise<void> {
  await cluster.simulation.run(cluster.simulation.now + milliseconds);
}

function carriesStates(message: Uint8Array): boolean {
  return /replica\.store|handoff\.|repair\./.test(new TextDecoder('latin1').decode(message));
}

function isolate(cluster: SimulatedCluster, id: string): void {
  for (const other of cluster.machines)
    if (other.id !== id) cluster.network.partition(cluster.machine(id).host, other.host);
}

test('writes and deletions are told of once, in order, whichever node makes them', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 1, nodes: 3 });
  // At all owners: one that gets it later would tell of it.
  await put(cluster, 'n1', 'before', 'v', '?w=all');
  const watch = await WatchingClient.open(cluster, 'n2', 'b');
  const first = await put(cluster, 'n1', 'k', '1');
  const second = await put(cluster, 'n3', 'k', '2');
  await cluster.request('n2', 'DELETE', '/v1/kv/b/k');
  const other = await put(cluster, 'n2', 'other');
  await pass(cluster, 100);
  expect(watch.events.map(({ key, etag }) => [key, etag])).toEqual([
    ['k', first],
    ['k', second],
    ['k', null],
    ['other', other],
  ]);
  watch.close();
});

test('a prefix shows its keys only; an expired value is told of as deleted', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 2, nodes: 3 });
  const watch = await WatchingClient.open(cluster, 'n1', 'b', { prefix: 'user-' });
  await put(cluster, 'n1', 'shop-1');
  const etag = await put(cluster, 'n1', 'user-1', 'v', '?ttl=2');
  await pass(cluster, 60_000);
  expect(watch.events.map(({ key, etag: tag }) => [key, tag])).toEqual([
    ['user-1', etag],
    ['user-1', null],
  ]);
});

test('what happened while the client was away is told of when it comes back, at another node', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 3, nodes: 3 });
  const watch = await WatchingClient.open(cluster, 'n1', 'b');
  const etags = [await put(cluster, 'n2', 'a')];
  await pass(cluster, 100);
  watch.close();
  etags.push(await put(cluster, 'n1', 'b'), await put(cluster, 'n3', 'c'));
  const back = await WatchingClient.open(cluster, 'n3', 'b', { cursor: watch.cursor });
  etags.push(await put(cluster, 'n2', 'd'));
  await pass(cluster, 200);
  // At least once: what the others had not told yet when the client went away comes again.
  expect([...new Set([...watch.events, ...back.events].map(({ etag }) => etag))]).toEqual(etags);
  expect(back.inOrder(etags)).toBe(true);
});

test('what lives on because it was touched is not told of as deleted, to those either who come back when its first end is over', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 3, nodes: 3 });
  const watch = await WatchingClient.open(cluster, 'n1', 'b');
  await put(cluster, 'n2', 'a');
  await pass(cluster, 100);
  watch.close();
  const etag = await put(cluster, 'n2', 'k', 'v', '?ttl=5&w=all');
  const touch = { headers: { 'content-type': 'application/json' }, body: '{"op":"touch"}' };
  expect((await cluster.request('n3', 'POST', '/v1/kv/b/k?ttl=60', touch)).status).toBe(204);
  await put(cluster, 'n2', 'ends', 'v', '?ttl=5&w=all');
  await pass(cluster, 12_000);
  const again = await WatchingClient.open(cluster, 'n3', 'b', { cursor: watch.cursor });
  await pass(cluster, 3000);
  expect(again.events.filter(({ key }) => key === 'k').map((event) => event.etag)).toEqual([etag]);
  expect(again.events.filter(({ key }) => key === 'ends').map((event) => event.etag)).toEqual([null]);
  await pass(cluster, 55_000);
  expect(again.events.filter(({ key }) => key === 'k').map((event) => event.etag)).toEqual([etag, null]);
});

test('a heartbeat carries a cursor on although nothing happens', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 4, nodes: 3 });
  const watch = await WatchingClient.open(cluster, 'n1', 'b');
  const begun = watch.cursor;
  await cluster.request('n1', 'PUT', '/v1/kv/elsewhere/k', { body: 'x' });
  await pass(cluster, 31_000);
  expect(watch.events).toEqual([]);
  expect(watch.heartbeats).toBe(2);
  expect(watch.cursor).not.toBe(begun);
});

test('the loss of the node that made a write, before it told of it, loses no event', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 5, nodes: 3 });
  const watch = await WatchingClient.open(cluster, 'n1', 'b');
  // What n2 logs reaches nobody.
  cluster.network.setFault(cluster.machine('n2').host, cluster.machine('n1').host, {
    loses: (message) => new TextDecoder('latin1').decode(message).includes('watch.news'),
  });
  const etag = await put(cluster, 'n2', 'k');
  cluster.crash(cluster.machine('n2'));
  await pass(cluster, 500);
  expect(watch.events.map((event) => event.etag)).toEqual([etag]);
});

test('a write that one node alone has is told of when that node is back', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 6, nodes: 3 });
  const watch = await WatchingClient.open(cluster, 'n1', 'b');
  isolate(cluster, 'n3');
  await pass(cluster, 5000);
  const etag = await put(cluster, 'n3', 'alone', 'x', '?w=1&dw=1');
  await pass(cluster, 10_000);
  expect(watch.events).toEqual([]);
  cluster.network.clearFaults();
  await pass(cluster, 10_000);
  expect(new Set(watch.events.map((event) => event.etag))).toEqual(new Set([etag]));
});

for (const [when, awayFirst] of [
  ['a member that was followed', false],
  ['a member that was away when the watch began', true],
] as const) {
  test(`nothing is told of again when ${when} comes back and gets what it has missed`, async () => {
    const cluster = await SimulatedCluster.founded({ seed: `back ${awayFirst}`, nodes: 3 });
    if (awayFirst) cluster.crash(cluster.machine('n3'));
    const watch = await WatchingClient.open(cluster, 'n1', 'b');
    const etags = [await put(cluster, 'n1', 'k0')];
    // Longer than a watch goes by itself.
    await pass(cluster, 90_000);
    const alone: string[] = [];
    if (!awayFirst) {
      isolate(cluster, 'n3');
      alone.push(await put(cluster, 'n3', 'alone', 'x', '?w=1&dw=1'));
      cluster.crash(cluster.machine('n3'));
      cluster.network.clearFaults();
      // The others do not get it either.
      for (const id of ['n1', 'n2'])
        cluster.network.setFault(cluster.machine('n3').host, cluster.machine(id).host, { loses: carriesStates });
    }
    for (let i = 1; i <= 5; i++) etags.push(await put(cluster, 'n2', `k${i}`));
    await pass(cluster, 10_000);
    await cluster.restart('n3');
    await pass(cluster, 60_000);
    expect((await cluster.request('n3', 'GET', '/v1/kv/b/k5?r=1')).status).toBe(200);
    // What it alone has is news.
    expect(watch.events.map(({ etag }) => etag)).toEqual([...etags, ...alone]);
  });
}

test('a cursor that is too old is refused with 410; so is one of a bucket that was dropped since', async () => {
  const watchSettings = { ...DEFAULT_WATCH_SETTINGS, logBytesMax: 2000 };
  const cluster = await SimulatedCluster.founded({ seed: 7, nodes: 3, node: { watch: watchSettings } });
  const watch = await WatchingClient.open(cluster, 'n1', 'b');
  watch.close();
  for (let i = 0; i < 60; i++) await put(cluster, 'n1', `k${i}`);
  const headers = { 'last-event-id': watch.cursor! };
  const refused = await cluster.request('n2', 'GET', '/v1/watch/b?timeout=10', { headers });
  expect(refused.status).toBe(410);
  const kept = await WatchingClient.open(cluster, 'n1', 'b');
  await cluster.request('n2', 'DELETE', '/v1/buckets/b');
  await pass(cluster, 500);
  expect(kept.end).toBe('dropped');
  const again = { 'last-event-id': kept.cursor! };
  expect((await cluster.request('n2', 'GET', '/v1/watch/b?timeout=10', { headers: again })).status).toBe(410);
});

test('as long as a member keeps no log of changes there are no watches, and 501 names it; a cursor from before is too old', async () => {
  let { logBytesMax } = DEFAULT_WATCH_SETTINGS;
  const node = {
    get watch() {
      return { ...DEFAULT_WATCH_SETTINGS, logBytesMax };
    },
  };
  const cluster = await SimulatedCluster.founded({ seed: 7, nodes: 3, node });
  await put(cluster, 'n1', 'before', 'v', '?w=all');
  const watch = await WatchingClient.open(cluster, 'n1', 'b');
  logBytesMax = 0;
  await cluster.simulation.settle(cluster.stop(cluster.machine('n2')));
  await cluster.restart('n2');
  await pass(cluster, 10_000);
  expect(watch.end).toBe('gone');
  const headers = { 'last-event-id': watch.cursor! };
  for (const id of ['n1', 'n2']) {
    const refused = await cluster.request(id, 'GET', '/v1/watch/b?timeout=10', { headers });
    expect(refused.status).toBe(501);
    expect(new TextDecoder().decode(refused.body)).toContain('n2 keeps no log of changes');
  }
  await put(cluster, 'n1', 'unseen', 'v', '?w=all');
  logBytesMax = DEFAULT_WATCH_SETTINGS.logBytesMax;
  await cluster.simulation.settle(cluster.stop(cluster.machine('n2')));
  await cluster.restart('n2');
  await pass(cluster, 10_000);
  expect((await cluster.request('n3', 'GET', '/v1/watch/b?timeout=10', { headers })).status).toBe(410);
  expect((await cluster.request('n3', 'GET', '/v1/watch/b?timeout=10')).status).toBe(200);
});

test('a member that joins without a log ends all watches, and 501 names it', async () => {
  let { logBytesMax } = DEFAULT_WATCH_SETTINGS;
  const node = {
    get watch() {
      return { ...DEFAULT_WATCH_SETTINGS, logBytesMax };
    },
  };
  const cluster = await SimulatedCluster.founded({ seed: 12, nodes: 3, node });
  const watch = await WatchingClient.open(cluster, 'n1', 'b');
  logBytesMax = 0;
  await cluster.simulation.settle(cluster.start(cluster.add('n4', ['n1:7201'])));
  await cluster.simulation.run(() => cluster.running('n1').node.chain.newcomers().length > 0);
  await put(cluster, 'n1', 'early');
  await pass(cluster, 1000);
  expect(watch.end).toBeUndefined();
  const headers = { 'content-type': 'application/json' };
  const planned = await cluster.request('n1', 'POST', '/v1/ring/plans', { headers, body: '{"join":["n4"]}' });
  const { id } = JSON.parse(new TextDecoder().decode(planned.body)) as { id: string };
  expect((await cluster.request('n1', 'POST', `/v1/ring/plans/${id}/apply`)).status).toBe(202);
  await pass(cluster, 30_000);
  expect(watch.end).toBe('gone');
  for (const [from, after] of [
    ['n1', watch.cursor!],
    ['n4', ''],
  ] as const) {
    const refused = await cluster.request(from, 'GET', '/v1/watch/b?timeout=10', {
      headers: { 'last-event-id': after },
    });
    expect(refused.status).toBe(501);
    expect(new TextDecoder().decode(refused.body)).toContain('n4 keeps no log of changes');
  }
});

test('all disks are put back to a copy: a cursor that was given since is too old, and one from before goes on', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 13, nodes: 3 });
  const before = await WatchingClient.open(cluster, 'n1', 'b');
  await put(cluster, 'n1', 'before', 'v', '?w=all');
  await pass(cluster, 1000);
  before.close();
  for (const machine of cluster.machines) await cluster.simulation.settle(cluster.stop(machine));
  const copies = cluster.machines.map(({ medium }) => medium.snapshot());
  for (const machine of cluster.machines) await cluster.simulation.settle(cluster.start(machine));
  await pass(cluster, 5000);
  const since = await WatchingClient.open(cluster, 'n1', 'b', { cursor: before.cursor });
  for (let i = 0; i < 3; i++) await put(cluster, 'n1', `undone${i}`, 'v', '?w=all');
  await pass(cluster, 1000);
  since.close();
  expect(since.events.map(({ key }) => key).slice(-3)).toEqual(['undone0', 'undone1', 'undone2']);
  for (const machine of cluster.machines) await cluster.simulation.settle(cluster.stop(machine));
  for (const [i, { medium }] of cluster.machines.entries()) medium.restore(copies[i]!);
  for (const machine of cluster.machines) await cluster.simulation.settle(cluster.start(machine));
  await pass(cluster, 5000);
  for (let i = 0; i < 10; i++) await put(cluster, 'n1', `made${i}`, 'v', '?w=all');
  const headers = { 'last-event-id': since.cursor! };
  expect((await cluster.request('n2', 'GET', '/v1/watch/b?timeout=10', { headers })).status).toBe(410);
  const goesOn = await WatchingClient.open(cluster, 'n2', 'b', { cursor: before.cursor });
  await pass(cluster, 2000);
  const made = Array.from({ length: 10 }, (_, i) => `made${i}`);
  expect(goesOn.events.map(({ key }) => key)).toEqual(expect.arrayContaining(made));
  expect(goesOn.events.filter(({ key }) => key.startsWith('undone'))).toEqual([]);
});

test('a client that does not read is cut, and goes on from its cursor without a gap', async () => {
  const watch = { ...DEFAULT_WATCH_SETTINGS, eventsMax: 20 };
  const cluster = await SimulatedCluster.founded({ seed: 8, nodes: 3, node: { watch } });
  const slow = await WatchingClient.open(cluster, 'n1', 'b');
  const etags = [await put(cluster, 'n1', 'first')];
  await pass(cluster, 100);
  slow.pause();
  for (let i = 0; i < 50; i++) etags.push(await put(cluster, 'n1', `k${i}`));
  slow.resume();
  await pass(cluster, 100);
  expect(slow.end).toBe('slow-consumer');
  const back = await WatchingClient.open(cluster, 'n2', 'b', { cursor: slow.cursor });
  await pass(cluster, 2000);
  const told = new Set([...slow.events, ...back.events].map(({ etag }) => etag));
  expect(etags.filter((etag) => !told.has(etag))).toEqual([]);
});

test('members that join and leave lose no event', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 9, nodes: 3 });
  const watch = await WatchingClient.open(cluster, 'n1', 'b');
  await cluster.simulation.settle(cluster.start(cluster.add('n4', ['n1:7201'])));
  await cluster.simulation.run(() => cluster.running('n1').node.chain.newcomers().length > 0);
  const etags: string[] = [];
  const moving = (): boolean => cluster.running('n1').node.chain.facts()?.ring.change !== undefined;
  for (const change of [{ join: ['n4'] }, { leave: ['n2'] }]) {
    const headers = { 'content-type': 'application/json' };
    const planned = await cluster.request('n1', 'POST', '/v1/ring/plans', { headers, body: JSON.stringify(change) });
    const { id } = JSON.parse(new TextDecoder().decode(planned.body)) as { id: string };
    expect((await cluster.request('n1', 'POST', `/v1/ring/plans/${id}/apply`)).status).toBe(202);
    for (let i = 0; moving(); i++) {
      etags.push(await put(cluster, ['n1', 'n3'][i % 2]!, `k${i % 30}`, `${i}`));
      await pass(cluster, 50);
    }
  }
  for (let i = 0; i < 10; i++) etags.push(await put(cluster, 'n4', `last${i}`));
  await pass(cluster, 3000);
  const told = new Set(watch.events.map(({ etag }) => etag));
  expect(etags.filter((etag) => !told.has(etag))).toEqual([]);
  expect(watch.inOrder(etags)).toBe(true);
});

test('random faults: every acknowledged write is told of, and no key goes back within a connection', async () => {
  for (let seed = 0; seed < 4; seed++) {
    const cluster = await SimulatedCluster.founded({ seed: `watch ${seed}`, nodes: 4 });
    const clients: WatchingClient[] = [await WatchingClient.open(cluster, 'n1', 'b')];
    const acked: string[] = [];
    for (let step = 0; step < 40; step++) {
      const victim = cluster.machines[1 + ((step * 7 + seed) % 3)]!;
      if (step % 8 === 2 && victim.running !== undefined) cluster.crash(victim);
      if (step % 8 === 6)
        for (const { id, running } of cluster.machines) if (running === undefined) await cluster.restart(id);
      if (step % 10 === 5) {
        const last = clients.at(-1)!;
        last.close();
        clients.push(await WatchingClient.open(cluster, step % 20 === 5 ? 'n1' : 'n1', 'b', { cursor: last.cursor }));
      }
      const at = cluster.machines.filter(({ running }) => running !== undefined)[step % 3]!;
      const answer = await cluster.request(at.id, 'PUT', `/v1/kv/b/k${step % 7}?timeout=2000`, {
        body: `${seed}-${step}`,
      });
      if (answer.status === 204) acked.push(answer.headers.get('etag')!.replaceAll('"', ''));
      await pass(cluster, 30 + ((step * 37) % 400));
    }
    for (const { id, running } of cluster.machines) if (running === undefined) await cluster.restart(id);
    await pass(cluster, 20_000);
    const told = new Set(clients.flatMap(({ events }) => events.map(({ etag }) => etag)));
    expect(acked.filter((etag) => !told.has(etag))).toEqual([]);
    expect(clients.every((client) => client.inOrder(acked))).toBe(true);
    expect(acked.length).toBeGreaterThan(30);
  }
});

test('strong keys: every change that was confirmed is told of, in the order in which they were made', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'strong', nodes: 3 });
  const headers = { 'content-type': 'application/json' };
  const define = { headers, body: '{"consistency":"strong"}' };
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/b', define)).status).toBe(200);
  const watch = await WatchingClient.open(cluster, 'n2', 'b');
  const etags: string[] = [];
  for (let i = 0; i < 12; i++) {
    if (i === 4) cluster.crash(cluster.machine('n3'));
    if (i === 8) await cluster.restart('n3');
    etags.push(await put(cluster, i % 2 === 0 ? 'n1' : 'n2', `k${i % 2}`, `${i}`));
    expect((await cluster.request('n2', 'GET', `/v1/kv/b/k${i % 2}`)).status).toBe(200);
  }
  await cluster.request('n1', 'DELETE', '/v1/kv/b/k0');
  await pass(cluster, 5000);
  const told = watch.events.map(({ etag }) => etag);
  expect(etags.filter((etag) => !told.includes(etag))).toEqual([]);
  expect(watch.inOrder(etags)).toBe(true);
  expect(watch.events.findLast(({ key }) => key === 'k0')).toMatchObject({ deleted: true });
});

function carriesProposal(message: Uint8Array): boolean {
  const envelope = decodeEnvelope(message);
  return envelope.kind === 'request' && envelope.name === AcceptMessage.name;
}

test('a bucket becomes strong while it is watched: nothing is told of that came to nothing, and nothing hidden by it', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 3, nodes: 3 });
  // The first owner of the key: its changes have the later dots.
  cluster.machine('n2').host.clock.jump(400);
  const watch = await WatchingClient.open(cluster, 'n1', 'b');
  const define = { headers: { 'content-type': 'application/json' }, body: '{"consistency":"strong"}' };
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/b', define)).status).toBe(200);
  const etags = [await put(cluster, 'n2', 'k', '1')];
  for (const other of ['n1', 'n3'])
    cluster.network.setFault(cluster.machine('n2').host, cluster.machine(other).host, { loses: carriesProposal });
  expect((await cluster.request('n2', 'PUT', '/v1/kv/b/k?timeout=300', { body: '2' })).status).toBe(504);
  cluster.crash(cluster.machine('n2'));
  etags.push(await put(cluster, 'n1', 'k', '3'));
  await pass(cluster, 3000);
  expect(watch.events.map(({ etag }) => etag)).toEqual(etags);
});

test('strong keys: that a value has expired is told of when somebody has looked, and not undone', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'expired', nodes: 3 });
  const define = { headers: { 'content-type': 'application/json' }, body: '{"consistency":"strong"}' };
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/b', define)).status).toBe(200);
  const watch = await WatchingClient.open(cluster, 'n1', 'b');
  const first = await put(cluster, 'n2', 'k', 'v', '?ttl=2');
  await pass(cluster, 5000);
  expect((await cluster.request('n3', 'GET', '/v1/kv/b/k')).status).toBe(404);
  await pass(cluster, 1000);
  expect(watch.events.map(({ etag }) => etag)).toEqual([first, null]);
  const second = await put(cluster, 'n2', 'k', 'v', '?ttl=60');
  await pass(cluster, 5000);
  expect(watch.events.map(({ etag }) => etag)).toEqual([first, null, second]);
});

test('strong keys: one that too few owners can say anything of holds up no other, and is told of when they can again', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'one without', nodes: 3 });
  const define = { headers: { 'content-type': 'application/json' }, body: '{"consistency":"strong"}' };
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/b', define)).status).toBe(200);
  const began = await WatchingClient.open(cluster, 'n1', 'b');
  await put(cluster, 'n1', 'first');
  await pass(cluster, 1000);
  began.close();
  const etags = { bad: [await put(cluster, 'n1', 'bad', '1'), await put(cluster, 'n2', 'bad', '2')], good: [''] };
  etags.good = [await put(cluster, 'n3', 'good', '1')];
  await pass(cluster, 1000);
  const row = recordKey('b', 0, utf8('bad'));
  const media = ['n2', 'n3'].map((id) => cluster.machine(id).medium);
  const whole = media.map((medium) => medium.table(REGISTERS).get(row)!);
  for (const medium of media) medium.flipByte(REGISTERS, row, 9);

  const watch = await WatchingClient.open(cluster, 'n2', 'b', { cursor: began.cursor });
  await pass(cluster, 2000);
  for (const value of ['2', '3']) etags.good.push(await put(cluster, 'n1', 'good', value));
  await pass(cluster, 2000);
  const told = (one: WatchingClient, key: string) =>
    one.events.filter((event) => event.key === key).map(({ etag }) => etag);
  expect([told(watch, 'good'), told(watch, 'bad')]).toEqual([etags.good, []]);
  // Whoever goes on from a cursor of meanwhile has not missed it.
  const later = await WatchingClient.open(cluster, 'n3', 'b', { cursor: watch.cursor });
  await pass(cluster, 2000);
  media.forEach((medium, at) => medium.set(REGISTERS, row, whole[at]));
  await pass(cluster, 5000);
  for (const one of [watch, later]) expect(told(one, 'bad').at(-1)).toBe(etags.bad[1]);
  expect(watch.inOrder(etags.bad)).toBe(true);
  expect(told(watch, 'good')).toEqual(etags.good);
  for (const one of [watch, later]) one.close();
  const end = await WatchingClient.open(cluster, 'n1', 'b', { cursor: watch.cursor });
  await pass(cluster, 2000);
  expect(end.events).toEqual([]);
});

/** `n1` gets no answers from `n3` any more, and does not know why yet. */
function silence(cluster: SimulatedCluster): void {
  cluster.network.setFault(cluster.machine('n3').host, cluster.machine('n1').host, { loses: () => true });
}

test('a bucket is dropped while a watch of it begins: it is one of the new life', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 10, nodes: 3 });
  await put(cluster, 'n1', 'before');
  silence(cluster);
  cluster.simulation.schedule(300, 'drop', () => void cluster.running('n2').api('DELETE', '/v1/buckets/b'));
  const watch = await WatchingClient.open(cluster, 'n1', 'b');
  await pass(cluster, 10_000);
  const etag = await put(cluster, 'n1', 'k');
  await pass(cluster, 1000);
  expect([watch.end, watch.events.map((event) => event.etag)]).toEqual([undefined, [etag]]);
});

test('a watch that goes on at the moment at which its node stops following the bucket is told all the same', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 11, nodes: 3 });
  const watch = await WatchingClient.open(cluster, 'n1', 'b');
  watch.close();
  await pass(cluster, 29_000);
  silence(cluster);
  const back = await WatchingClient.open(cluster, 'n1', 'b', { cursor: watch.cursor });
  const etag = await put(cluster, 'n1', 'k');
  await pass(cluster, 1000);
  expect(back.events.map((event) => event.etag)).toEqual([etag]);
});
