/**
 * What users notice of outages, with real processes: clients that do not wait for each other go on while one of four nodes is
 * killed and comes back, and while another one is frozen and goes on. At the defaults nothing fails but what was at the node
 * that is away, no acknowledged write is lost, and all replicas are equal again without a read that would mend them. The same
 * with bigger numbers, and with times, is `npm run bench:outages`.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { differ, hintsWaiting, lostWrites, ownersOf, sweep, type Held } from '../../bench/load/convergence.ts';
import { deleteAll, risen, tombstones } from '../../bench/load/deletes.ts';
import { fill, now, OpenLoop } from '../../bench/load/open-loop.ts';
import { describe, hasFailed, isAtVictim, type Outage } from '../../bench/load/outage-report.ts';
import { TestCluster, until } from './support.ts';

const BUCKET = 'outages';
const PHASES = ['before', 'killed', 'between', 'frozen', 'after'];
const KEYS = 60;
const AWAY_MS = 2500;

let cluster: TestCluster;

afterEach(async () => cluster.stop());

function urls(): Readonly<Record<string, string>> {
  return Object.fromEntries(cluster.ids.map((id) => [id, cluster.url(id)]));
}

async function noHints(): Promise<boolean> {
  return (await hintsWaiting(urls())) === 0;
}

test('nothing fails but what was at the node that is away, and everything comes home', async () => {
  cluster = await TestCluster.start(4);
  const keysOf = (phase: string): string[] => Array.from({ length: KEYS }, (_, i) => `${phase}-${i}`);
  const keys = PHASES.flatMap(keysOf);
  await fill(Object.values(urls()), BUCKET, keys, 100);
  const owners = await ownersOf(cluster.url('n1'), BUCKET, keys);
  const load = new OpenLoop({
    urls: urls(),
    bucket: BUCKET,
    rate: 60,
    phases: PHASES,
    keys: KEYS,
    bytes: 100,
    probes: true,
  });
  const away: Outage[] = [];
  const outage = async (
    name: string,
    victim: string,
    next: string,
    begin: () => Promise<unknown>,
    end: () => unknown,
  ): Promise<void> => {
    const from = now();
    load.enter(name);
    await begin();
    await sleep(AWAY_MS);
    load.enter(next);
    const over = now();
    await end();
    await cluster.ready([victim]);
    away.push({ name, victim, from, until: over, ready: now() });
    await until(`${name}: hints are delivered`, noHints);
    // Keys that are not written any more: nothing but what the cluster does by itself can make them equal.
    let open: readonly string[] = keysOf(name);
    await until(`${name}: replicas are equal`, async () => {
      const held = await sweep(urls(), BUCKET, owners, open);
      open = [...held].filter(([, answers]) => differ(answers)).map(([key]) => key);
      return open.length === 0;
    });
  };
  await sleep(500);
  await outage(
    'killed',
    'n4',
    'between',
    () => cluster.signal('n4', 'SIGKILL'),
    () => cluster.startNode('n4'),
  );
  await outage(
    'frozen',
    'n2',
    'after',
    () => cluster.signal('n2', 'SIGSTOP'),
    () => cluster.signal('n2', 'SIGCONT'),
  );
  await sleep(500);
  const sent = await load.stop();

  const failed = sent.filter((request) => hasFailed(request) && !isAtVictim(request, away));
  expect(failed.map((request) => describe(request, away[0]!.from))).toEqual([]);
  expect(sent.filter(({ phase }) => phase === 'killed' || phase === 'frozen').length).toBeGreaterThan(200);
  let final: ReadonlyMap<string, readonly Held[]> = new Map();
  await until('all replicas are equal', async () => {
    final = await sweep(urls(), BUCKET, owners, keys);
    return ![...final.values()].some(differ);
  });
  expect(lostWrites(sent, final)).toEqual([]);
});

test('keys that were deleted while an owner was down stay deleted, and leave nothing', async () => {
  const short = ['--reclaim-interval', '500ms', '--reclaim-age', '1s', '--retry-window', '1s', '--reclaim-wait', '1s'];
  cluster = await TestCluster.start(4, [...short, '--repair-settle-time', '200ms', '--partitions', '32']);
  const keys = Array.from({ length: 300 }, (_, i) => `key-${i}`);
  await fill(Object.values(urls()), BUCKET, keys, 20);
  await cluster.signal('n4', 'SIGKILL');
  const others = cluster.ids.filter((id) => id !== 'n4').map((id) => cluster.url(id));
  expect(await deleteAll(others, BUCKET, keys)).toEqual([]);
  expect(await tombstones(Object.fromEntries(others.map((url) => [url, url])))).toBeGreaterThan(0);
  cluster.startNode('n4');
  await cluster.ready(['n4']);
  await until('hints are delivered', noHints);
  await until('tombstones are gone', async () => (await tombstones(urls())) === 0);
  expect(await risen(Object.values(urls()), BUCKET, keys)).toEqual([]);
});
