/** Keys that are deleted while one of their owners is down must not rise when it comes back, and leave nothing in the end. */

import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { hintsWaiting, ownersOf, sweep, type Urls } from './convergence.ts';
import { Nodes } from './nodes.ts';
import { fill } from './open-loop.ts';

const BUCKET = 'deletes';
const VICTIM = 'n4';
const LIMIT_MS = 180_000;
/** So that tombstones go within seconds. */
const SHORT = [
  '--reclaim-interval',
  '2s',
  '--reclaim-age',
  '1s',
  '--reclaim-wait',
  '2s',
  '--repair-settle-time',
  '500ms',
];

export interface Deletes {
  readonly keys: number;
  readonly failed: number;
  /** Keys that some owner still or again answers. */
  readonly risen: readonly string[];
  readonly hintsGoneMs: number;
  readonly tombstonesMost: number;
  readonly tombstonesLeft: number;
  readonly tombstonesGoneMs: number;
}

/** Rows of deleted keys at all nodes, as /metrics tells them. */
export async function tombstones(urls: Urls): Promise<number> {
  const counts = await Promise.all(
    Object.values(urls).map(async (url) => {
      const text = await (await fetch(`${url}/metrics`)).text();
      return Number(/^quoral_tombstones (\d+)/m.exec(text)?.[1] ?? Number.NaN);
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Deletes all of them through nodes that are there; returns how many were not acknowledged. */
export async function deleteAll(urls: readonly string[], bucket: string, keys: readonly string[]): Promise<number> {
  const pools = urls.map((url) => new Pool(url, { connections: 16 }));
  let failed = 0;
  let next = 0;
  const client = async (index: number): Promise<void> => {
    while (next < keys.length) {
      const path = `/v1/kv/${bucket}/${keys[next++]}`;
      const { statusCode, body } = await pools[index % pools.length]!.request({ method: 'DELETE', path });
      await body.dump();
      if (statusCode !== 204) failed += 1;
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, index) => client(index)));
  await Promise.all(pools.map((pool) => pool.close()));
  return failed;
}

export async function deletesWhileAway(count: number, basePort: number, size: number): Promise<Deletes> {
  const nodes = new Nodes(count, basePort, SHORT);
  try {
    await nodes.startAll();
    const { urls } = nodes;
    const keys = Array.from({ length: size }, (_, i) => `key-${i}`);
    await fill(Object.values(urls), BUCKET, keys, 100);
    const owners = await ownersOf(urls['n1']!, BUCKET, keys);
    await nodes.signal(VICTIM, 'SIGKILL');
    const others = nodes.ids.filter((id) => id !== VICTIM).map((id) => urls[id]!);
    const failed = await deleteAll(others, BUCKET, keys);
    const returned = performance.now();
    nodes.start(VICTIM);
    await nodes.ready(VICTIM);
    const within = (): boolean => performance.now() < returned + LIMIT_MS;
    let tombstonesMost = await tombstones(urls);
    while ((await hintsWaiting(urls)) > 0 && within()) await sleep(100);
    const hintsGoneMs = performance.now() - returned;
    tombstonesMost = Math.max(tombstonesMost, await tombstones(urls));
    let tombstonesLeft = tombstonesMost;
    while ((tombstonesLeft = await tombstones(urls)) > 0 && within()) await sleep(250);
    const tombstonesGoneMs = performance.now() - returned;
    const held = await sweep(urls, BUCKET, owners, keys);
    const risen = [...held].filter(([, answers]) => answers.some(({ status }) => status !== 404)).map(([key]) => key);
    return { keys: size, failed, risen, hintsGoneMs, tombstonesMost, tombstonesLeft, tombstonesGoneMs };
  } finally {
    await nodes.stop();
  }
}
