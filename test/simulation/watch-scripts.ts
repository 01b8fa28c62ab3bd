/**
 * Scripts about watches and about values that expire. They use buckets of their own, which the other checkers know nothing of.
 */

import type { Arena } from './arena.ts';
import type { Machine, SimulatedCluster } from './cluster.ts';
import type { RingStage } from './ring-stage.ts';
import type { Stage } from './stage.ts';
import { ownersOfKey } from './white-box.ts';
import { WatchingClient } from './watching-client.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const STATES = /^(replica\.store|handoff\.|repair\.)/;
const ROUNDS = 8;

type Script = (stage: Stage, ring: RingStage) => Promise<void>;

/** The tag of what was written; undefined when it was not acknowledged. */
async function put(
  cluster: SimulatedCluster,
  { id }: Machine,
  path: string,
  value: string,
): Promise<string | undefined> {
  const { status, headers } = await cluster.request(id, 'PUT', `/v1/kv/${path}`, { body: value });
  return status === 204 ? headers.get('etag')?.replaceAll('"', '') : undefined;
}

/** A bucket each of whose keys has one owner. */
async function single(cluster: SimulatedCluster, name: string): Promise<void> {
  await cluster.request('n1', 'PUT', `/v1/buckets/${name}`, { headers: JSON_TYPE, body: '{"n":1}' });
}

function requireTold(
  arena: Arena,
  bucket: string,
  written: readonly (string | undefined)[],
  told: WatchingClient[],
): void {
  const tags = new Set(told.flatMap(({ events }) => events.map(({ etag }) => etag)));
  const missing = written.filter((tag) => tag !== undefined && !tags.has(tag));
  if (missing.length === 0) return;
  const detail = `${missing.length} of ${written.length} acknowledged writes were not told of`;
  arena.find({ check: 'watches', key: bucket, detail });
}

async function makeStrong(cluster: SimulatedCluster, name: string): Promise<void> {
  await cluster.request('n1', 'PUT', `/v1/buckets/${name}`, { headers: JSON_TYPE, body: '{"consistency":"strong"}' });
}

async function comesToNothing(
  stage: Stage,
  bucket: string,
  name: string,
  watched = (): Promise<void> => Promise.resolve(),
): Promise<void> {
  const { arena } = stage;
  const { cluster } = arena;
  const key = `${bucket}/${name}`;
  const [first, second, third] = ownersOfKey(cluster, bucket, name) as readonly [Machine, Machine, Machine];
  const watches = [await WatchingClient.open(cluster, first.id, bucket)];
  watches.push(await WatchingClient.open(cluster, third.id, bucket));
  await watched();
  const written = [await put(cluster, first, key, 'before')];
  stage.loses(/^register\.accept$/);
  await put(cluster, first, `${key}?timeout=60`, 'nothing');
  stage.clear();
  stage.cut(
    first,
    cluster.machines.filter((machine) => machine !== first),
  );
  await stage.pass(8000);
  written.push(await put(cluster, second, key, 'after'));
  stage.clear();
  await stage.pass(8000);
  requireTold(arena, bucket, written, [watches[0]!]);
  requireTold(arena, bucket, written, [watches[1]!]);
  // What an owner got late of another key is told of again.
  const told = watches.flatMap(({ events }) => events.filter((event) => event.key === name).map(({ etag }) => etag));
  if (told.every((etag) => written.includes(etag ?? undefined))) return;
  arena.find({ check: 'watches', key, detail: 'a write was told of that came to nothing' });
}

export const WATCHED_RING_SCRIPTS = {
  /** A node joins and becomes the only owner of keys that a watch was begun for before. */
  'watched-while-its-owners-change': async (stage, ring) => {
    const { arena } = stage;
    const { cluster } = arena;
    const [first] = stage.machines();
    await single(cluster, 'single');
    const watch = await WatchingClient.open(cluster, first.id, 'single');
    await ring.newcomer('n6');
    const { id } = await ring.plan(first, { replace: { n5: 'n6' } });
    await ring.apply(first, id);
    await ring.over();
    const written: (string | undefined)[] = [];
    for (let i = 0; i < 40; i++) written.push(await put(cluster, first, `single/k${i}`, 'x'));
    await stage.pass(3000);
    requireTold(arena, 'single', written, [watch]);
  },
} satisfies Readonly<Record<string, Script>>;

export const WATCH_SCRIPTS = {
  /** A client comes back; while it is told of what it has missed, more is written where it has missed something. */
  'watched-again-while-more-comes': async (stage) => {
    const { arena } = stage;
    const { cluster } = arena;
    await single(cluster, 'single');
    const [first, second, third] = stage.machines();
    // Keeps the node's own watch of the bucket alive.
    await WatchingClient.open(cluster, first.id, 'single');
    for (let round = 0; round < ROUNDS; round++) {
      const watch = await WatchingClient.open(cluster, first.id, 'single');
      watch.close();
      const written: (string | undefined)[] = [];
      for (let i = 0; i < 12; i++) written.push(await put(cluster, first, `single/r${round}-${i}`, 'x'));
      for (const other of [second, third]) cluster.network.setFault(first.host, other.host, { delay: 40 });
      const back = await WatchingClient.open(cluster, first.id, 'single', { cursor: watch.cursor, settles: false });
      for (let i = 0; i < 12; i++) written.push(await put(cluster, second, `single/s${round}-${i}`, 'x'));
      stage.clear();
      await stage.pass(3000);
      requireTold(arena, 'single', written, [back]);
      back.close();
    }
  },
  /** An owner of a strong key accepts a write that nobody else gets, and another write is made without it. */
  'watched-what-came-to-nothing': async (stage) => {
    const { cluster } = stage.arena;
    await makeStrong(cluster, 'sure');
    for (let round = 0; round < 3; round++) await comesToNothing(stage, 'sure', `k${round}`);
    // The same where the watches are there before the bucket becomes strong.
    await comesToNothing(stage, 'later', 'k', () => makeStrong(cluster, 'later'));
  },
  /** Somebody whose clock is behind makes anew what he has only read to be deleted. */
  'made-anew-by-a-slow-clock': async (stage) => {
    const { arena } = stage;
    const { cluster } = arena;
    const [first, , third] = ownersOfKey(cluster, 'anew', 'k') as unknown as readonly [Machine, Machine, Machine];
    first.host.clock.jump(400);
    stage.loses(STATES, third);
    await put(cluster, first, 'anew/k', 'old');
    await cluster.request(first.id, 'DELETE', '/v1/kv/anew/k');
    const headers = { 'if-none-match': '*' };
    const made = await cluster.request(third.id, 'PUT', '/v1/kv/anew/k', { headers, body: 'new' });
    stage.clear();
    first.host.clock.jump(-400);
    await stage.pass(20_000);
    const { status } = await cluster.request(first.id, 'GET', '/v1/kv/anew/k?r=all');
    if (made.status === 204 && status === 200) return;
    arena.find({
      check: 'last-write-wins',
      key: 'anew/k',
      detail: `made anew with ${made.status}, and then it is ${status}`,
    });
  },
  /** One replica missed that a value was replaced by one that expires, and comes back when that is over. */
  'expired-while-one-is-away': async (stage) => {
    const { arena } = stage;
    const { cluster } = arena;
    for (let round = 0; round < 3; round++) {
      const key = `k${round}`;
      const [first, , away] = ownersOfKey(cluster, 'brief', key) as unknown as readonly [Machine, Machine, Machine];
      await put(cluster, first, `brief/${key}?w=all`, 'for ever');
      stage.loses(STATES, away);
      await put(cluster, first, `brief/${key}?w=2&ttl=1`, 'for a second');
      await stage.pass(6000);
      stage.clear();
      await stage.pass(30_000);
      const { status, body } = await cluster.request(away.id, 'GET', `/v1/kv/brief/${key}?r=all`);
      if (status === 404) continue;
      const detail = `a value that was replaced by one that has expired is back: ${status} ${new TextDecoder().decode(body)}`;
      arena.find({ check: 'no-resurrection', key: `brief/${key}`, detail });
    }
  },
} satisfies Readonly<Record<string, Script>>;
