/** Strong keys of which too many owners have lost the register: an operator goes on with what is left, and nobody else does. */

import { describe, expect, test } from 'vitest';
import type { KeyForceView } from '#operator/key-force.ts';
import { utf8 } from '#kernel/bytes.ts';
import { recordKey, REGISTERS } from '#replica/tables.ts';
import { SimulatedCluster } from './cluster.ts';
import { requestName } from './messages-on-the-wire.ts';
import { WatchingClient } from './watching-client.ts';
import { ownersOfKey } from './white-box.ts';

const JSON_HEADERS = { 'content-type': 'application/json' };
const PATH = '/v1/ring/force/s/k';
const ROW = recordKey('s', 0, utf8('k'));

async function strongCluster(seed: string, nodes = 3): Promise<SimulatedCluster> {
  const cluster = await SimulatedCluster.founded({ seed, nodes });
  const body = JSON.stringify({ consistency: 'strong', n: nodes });
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/s', { headers: JSON_HEADERS, body })).status).toBe(200);
  return cluster;
}

async function pass(cluster: SimulatedCluster, milliseconds: number): Promise<void> {
  await cluster.simulation.run(cluster.simulation.now + milliseconds);
}

async function put(cluster: SimulatedCluster, id: string, value: string): Promise<string> {
  const answer = await cluster.request(id, 'PUT', '/v1/kv/s/k?timeout=20000', { body: value });
  expect(answer.status, new TextDecoder().decode(answer.body)).toBe(204);
  return answer.headers.get('etag')!;
}

async function get(cluster: SimulatedCluster, id: string): Promise<unknown> {
  const { status, body } = await cluster.request(id, 'GET', '/v1/kv/s/k?timeout=5000');
  return status === 200 ? new TextDecoder().decode(body) : status;
}

function damage(cluster: SimulatedCluster, ...ids: readonly string[]): void {
  for (const id of ids) cluster.machine(id).medium.flipByte(REGISTERS, ROW, 9);
}

async function shown(cluster: SimulatedCluster, id = 'n1'): Promise<KeyForceView> {
  const { status, body } = await cluster.request(id, 'GET', PATH);
  expect(status).toBe(200);
  return JSON.parse(new TextDecoder().decode(body)) as KeyForceView;
}

async function asked(cluster: SimulatedCluster, id: string | null, at: string): Promise<[number, unknown]> {
  const options = { headers: JSON_HEADERS, body: JSON.stringify({ id }) };
  const { status, body } = await cluster.request(at, 'POST', PATH, options);
  return [status, JSON.parse(new TextDecoder().decode(body))];
}

async function force(cluster: SimulatedCluster, id: string | null, at = 'n1'): Promise<number> {
  return (await asked(cluster, id, at))[0];
}

/** The owners, first those that lose what they have of the key, and then the one that keeps it, and makes no changes. */
function owners(cluster: SimulatedCluster): readonly [string, string, string] {
  return ownersOfKey(cluster, 's', 'k').map(({ id }) => id) as unknown as readonly [string, string, string];
}

/** Messages of this kind do not arrive at the node. */
function loses(cluster: SimulatedCluster, to: string, name: string): void {
  for (const { id, host } of cluster.machines) {
    if (id === to) continue;
    const fault = { loses: (message: Uint8Array): boolean => requestName(message) === name };
    cluster.network.setFault(host, cluster.machine(to).host, fault);
  }
}

test('what is left is shown, and gone on with when somebody says so; the refusal before says how', async () => {
  const cluster = await strongCluster('force');
  const first = await put(cluster, 'n1', 'old');
  await pass(cluster, 500);
  // Of the later write only those know that lose it.
  const [a, b, kept] = owners(cluster);
  loses(cluster, kept, 'register.accept');
  const watch = await WatchingClient.open(cluster, kept, 's');
  await put(cluster, 'n1', 'new');
  cluster.network.clearFaults();
  damage(cluster, a, b);
  const refused = await cluster.request(a, 'GET', '/v1/kv/s/k?timeout=20000');
  expect([refused.status, new TextDecoder().decode(refused.body)]).toEqual([
    503,
    expect.stringMatching(/damaged at n\d, n\d\. .*quoral key force/),
  ]);

  const view = await shown(cluster, kept);
  expect(view.owners.map(({ node, register, version }) => [node, register, version?.etag ?? null])).toEqual([
    [a, 'damaged', null],
    [b, 'damaged', null],
    [kept, 'whole', first.replaceAll('"', '')],
  ]);
  expect([view.applied, view.refusal, view.keeps?.bytes]).toEqual([false, '', 3]);
  expect(view.mayLose).toEqual([expect.stringMatching(/that only n\d, n\d knew$/)]);
  expect(await get(cluster, 'n1')).toBe(503);
  expect(await force(cluster, '0123456789abcdef')).toBe(409);
  expect(await get(cluster, 'n1')).toBe(503);

  expect(await force(cluster, view.id)).toBe(200);
  for (const id of ['n1', 'n2', 'n3']) expect(await get(cluster, id)).toBe('old');
  await put(cluster, 'n2', 'newer');
  for (const id of ['n1', 'n2', 'n3']) expect(await get(cluster, id)).toBe('newer');
  await pass(cluster, 3000);
  // Those who watch were told of the lost value, and are told that the former is there again.
  expect(watch.events.map(({ etag }) => etag).includes(first.replaceAll('"', ''))).toBe(true);
  expect((await shown(cluster)).refusal).toMatch(/no owner that can be asked has lost/);
});

describe('it is refused', () => {
  test('where others have enough of it, for then it comes back by itself', async () => {
    const cluster = await strongCluster('force needless');
    await put(cluster, 'n1', 'v');
    await pass(cluster, 500);
    damage(cluster, 'n2');
    const view = await shown(cluster);
    expect([view.id, view.refusal]).toEqual([null, expect.stringMatching(/n2 gets it back from them by itself/)]);
    expect(await force(cluster, '0123456789abcdef')).toBe(409);
    await pass(cluster, 3000);
    expect((await shown(cluster)).owners.map(({ register }) => register)).toEqual(['whole', 'whole', 'whole']);
  });

  test('where too few owners can be asked, and in buckets that are not strong', async () => {
    const cluster = await strongCluster('force away');
    await put(cluster, 'n1', 'v');
    damage(cluster, 'n1');
    for (const id of ['n2', 'n3']) cluster.crash(cluster.machine(id));
    await pass(cluster, 20_000);
    const view = await shown(cluster);
    expect([view.id, view.refusal]).toEqual([
      null,
      expect.stringMatching(/1 of the 3 owners can be asked, and 2 are needed/),
    ]);
    expect((await cluster.request('n1', 'GET', '/v1/ring/force/other/k')).status).toBe(400);
  });
});

test('an owner that was away and had accepted more cannot bring it back once the key was forced', async () => {
  const cluster = await strongCluster('force stale');
  await put(cluster, 'n1', 'old');
  await pass(cluster, 500);
  // Its clock is ahead, so its ballot is above what the clocks of the others would come to.
  const [away, a, b] = owners(cluster);
  cluster.machine(away).host.clock.jump(40_000);
  await put(cluster, away, 'of the one that is away');
  for (const id of [away, a, b]) cluster.crash(cluster.machine(id));
  damage(cluster, a, b);
  // They do not remember the ballots that they have seen.
  await cluster.simulation.settle(Promise.all([a, b].map(async (id) => cluster.start(cluster.machine(id)))));
  await pass(cluster, 3000);
  const view = await shown(cluster, a);
  expect([view.keeps, view.mayLose.length]).toEqual([null, 2]);
  expect(await force(cluster, view.id, a)).toBe(200);
  expect(await get(cluster, b)).toBe(404);
  cluster.machine(away).host.clock.jump(-40_000);
  await cluster.restart(away);
  for (const id of [away, a, b]) expect(await get(cluster, id)).toBe(404);
  cluster.crash(cluster.machine(a));
  await pass(cluster, 5000);
  expect(await get(cluster, away)).toBe(404);
  const headers = { 'if-none-match': '*' };
  const made = await cluster.request(away, 'PUT', '/v1/kv/s/k?timeout=20000', { headers, body: 'w' });
  expect(made.status).toBe(204);
  await cluster.restart(a);
  for (const id of [away, a, b]) expect(await get(cluster, id)).toBe('w');
});

test('one that is broken off gives nobody a vote who has none, and can be done again', async () => {
  const cluster = await strongCluster('force broken off');
  await put(cluster, 'n1', 'v');
  await pass(cluster, 500);
  damage(cluster, 'n1', 'n2');
  for (const id of ['n1', 'n2', 'n3']) loses(cluster, id, 'register.force-accept');
  const view = await shown(cluster);
  const unmet = { type: 'urn:quoral:problem:quorum-unavailable', needed: 2, got: 1, outcome: 'unknown' };
  expect(await asked(cluster, view.id, 'n3')).toEqual([503, expect.objectContaining(unmet)]);
  cluster.network.clearFaults();
  // Both have promised, and know no more than before.
  expect((await shown(cluster)).owners.filter(({ register }) => register === 'damaged')).toHaveLength(2);
  const again = await shown(cluster, 'n2');
  expect(await force(cluster, again.id, 'n2')).toBe(200);
  for (const id of ['n1', 'n2', 'n3']) expect(await get(cluster, id)).toBe('v');
});

test('one in which not all take part who could be asked says how many did', async () => {
  const cluster = await strongCluster('force unheard');
  await put(cluster, 'n1', 'v');
  await pass(cluster, 500);
  damage(cluster, 'n1', 'n2');
  loses(cluster, 'n2', 'register.force-prepare');
  const unmet = { type: 'urn:quoral:problem:quorum-unavailable', needed: 3, got: 2, outcome: 'not-applied' };
  expect(await asked(cluster, (await shown(cluster)).id, 'n3')).toEqual([503, expect.objectContaining(unmet)]);
});

test('owners that lost their disks at once are not forced but replaced: the others have what is left', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'force disks', nodes: 5 });
  const define = { headers: JSON_HEADERS, body: '{"consistency":"strong"}' };
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/s', define)).status).toBe(200);
  await put(cluster, 'n1', 'v');
  await pass(cluster, 500);
  const [kept, ...lost] = owners(cluster);
  for (const id of lost) {
    cluster.crash(cluster.machine(id));
    cluster.machine(id).medium.wipe();
  }
  await pass(cluster, 2000);
  for (const id of lost) await cluster.restart(id);
  await pass(cluster, 10_000);
  const refused = await cluster.request(kept, 'GET', '/v1/kv/s/k?timeout=3000');
  expect([refused.status, new TextDecoder().decode(refused.body)]).toEqual([
    503,
    expect.stringMatching(/filled again/),
  ]);
  const view = await shown(cluster, kept);
  expect([view.id, view.refusal]).toEqual([null, expect.stringContaining('--accept-loss-of')]);

  for (const id of lost) cluster.crash(cluster.machine(id));
  for (const id of ['n6', 'n7']) await cluster.simulation.settle(cluster.start(cluster.add(id, [`${kept}:7201`])));
  await pass(cluster, 15_000);
  const post = async (path: string, body: unknown) =>
    await cluster.request(kept, 'POST', path, { headers: JSON_HEADERS, body: JSON.stringify(body) });
  const replace = Object.fromEntries(lost.map((id, i) => [id, `n${6 + i}`]));
  const planned = await post('/v1/ring/plans', { replace, acceptLossOf: lost });
  const { id } = JSON.parse(new TextDecoder().decode(planned.body)) as { readonly id: string };
  expect((await post(`/v1/ring/plans/${id}/apply`, {})).status).toBe(202);
  const end = cluster.simulation.now + 120_000;
  const isOver = () => cluster.running(kept).node.chain.facts()!.ring.change === undefined;
  await cluster.simulation.run(() => isOver() || cluster.simulation.now > end);
  expect(await get(cluster, 'n6')).toBe('v');
});

test('while its owners change the last one that has it may be a former one, and is asked too', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'force moving', nodes: 4 });
  const define = { headers: JSON_HEADERS, body: '{"consistency":"strong"}' };
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/s', define)).status).toBe(200);
  await put(cluster, 'n1', 'v');
  await pass(cluster, 500);
  const [a, b, leaver] = owners(cluster);
  damage(cluster, a, b);
  const post = async (path: string, body: unknown) =>
    await cluster.request(a, 'POST', path, { headers: JSON_HEADERS, body: JSON.stringify(body) });
  const planned = await post('/v1/ring/plans', { leave: [leaver] });
  const { id } = JSON.parse(new TextDecoder().decode(planned.body)) as { readonly id: string };
  expect((await post(`/v1/ring/plans/${id}/apply`, {})).status).toBe(202);
  await pass(cluster, 40_000);
  // The one that comes cannot take over what only the one that goes has.
  const isOver = (): boolean => cluster.running(a).node.chain.facts()!.ring.change === undefined;
  expect(isOver()).toBe(false);
  const view = await shown(cluster, a);
  expect(view.owners.find(({ node }) => node === leaver)).toMatchObject({
    register: 'whole',
    reason: 'a former owner',
  });
  expect([view.refusal, view.keeps?.bytes, await force(cluster, view.id, a)]).toEqual(['', 1, 200]);
  const end = cluster.simulation.now + 60_000;
  await cluster.simulation.run(() => isOver() || cluster.simulation.now > end);
  expect([isOver(), await get(cluster, b)]).toEqual([true, 'v']);
});

test('the only owner of a key has lost it', async () => {
  const cluster = await strongCluster('force single', 1);
  await put(cluster, 'n1', 'v');
  damage(cluster, 'n1');
  const view = await shown(cluster);
  expect([view.keeps, await force(cluster, view.id), await get(cluster, 'n1')]).toEqual([null, 200, 404]);
  await put(cluster, 'n1', 'w');
  expect(await get(cluster, 'n1')).toBe('w');
});

test('the token of a lease that is left is never given again, nor one that was lost', async () => {
  const cluster = await strongCluster('force lease');
  const acquire = async (id: string, holder: string) => {
    const body = JSON.stringify({ holder, ttl: 1000 });
    const answer = await cluster.request(id, 'POST', '/v1/leases/s/k?timeout=20000', { headers: JSON_HEADERS, body });
    return JSON.parse(new TextDecoder().decode(answer.body)) as { readonly token?: number; readonly holder: string };
  };
  const { token } = await acquire('n1', 'a');
  await pass(cluster, 500);
  const [a, b, kept] = owners(cluster);
  loses(cluster, kept, 'register.accept');
  expect((await cluster.request('n1', 'DELETE', `/v1/leases/s/k?token=${token}`)).status).toBe(204);
  const lost = await acquire('n1', 'b');
  cluster.network.clearFaults();
  damage(cluster, a, b);
  const view = await shown(cluster);
  expect([view.keeps?.holder, await force(cluster, view.id)]).toEqual(['a', 200]);
  expect((await acquire('n1', 'b')).holder).toBe('a');
  expect((await acquire('n1', 'a')).token).toBeGreaterThan(lost.token!);
});
