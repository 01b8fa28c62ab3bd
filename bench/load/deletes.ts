/** Keys that are deleted while one of their owners is down must not rise when it comes back, and leave nothing in the end. */

import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { hintsWaiting, type Urls } from './convergence.ts';
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
  '--retry-window',
  '1s',
  '--reclaim-wait',
  '2s',
  '--repair-settle-time',
  '500ms',
];

export interface Deletes {
  readonly keys: number;
  readonly failed: readonly string[];
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

/** Deletes all of them through these nodes; returns those of which that was not acknowledged. */
export async function deleteAll(urls: readonly string[], bucket: string, keys: readonly string[]): Promise<string[]> {
  return unlike(204, 'DELETE', urls, bucket, keys, '');
}

/** Those that any owner still or again has. */
export async function risen(urls: readonly string[], bucket: string, keys: readonly string[]): Promise<string[]> {
  return unlike(404, 'GET', urls, bucket, keys, '?consistency=all');
}

/** The keys of which a request is answered by another status. */
async function unlike(
  expected: number,
  method: 'GET' | 'DELETE',
  urls: readonly string[],
  bucket: string,
  keys: readonly string[],
  query: string,
): Promise<string[]> {
  const pools = urls.map((url) => new Pool(url, { connections: 16 }));
  const others: string[] = [];
  let next = 0;
  const client = async (index: number): Promise<void> => {
    while (next < keys.length) {
      const key = keys[next++]!;
      const path = `/v1/kv/${bucket}/${key}${query}`;
      const { statusCode, body } = await pools[index % pools.length]!.request({ method, path });
      await body.dump();
      if (statusCode !== expected) others.push(`${key}: ${statusCode}`);
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, index) => client(index)));
  await Promise.all(pools.map((pool) => pool.close()));
  return others;
}

export async function deletesWhileAway(count: number, basePort: number, size: number): Promise<Deletes> {
  const nodes = new Nodes(count, basePort, SHORT);
  try {
    await nodes.startAll();
    const { urls } = nodes;
    const keys = Array.from({ length: size }, (_, i) => `key-${i}`);
    await fill(Object.values(urls), BUCKET, keys, 100);
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
    const live = await risen(Object.values(urls), BUCKET, keys);
    return { keys: size, failed, risen: live, hintsGoneMs, tombstonesMost, tombstonesLeft, tombstonesGoneMs };
  } finally {
    await nodes.stop();
  }
}
