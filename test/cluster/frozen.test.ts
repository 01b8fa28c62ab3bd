/**
 * A process that is stopped by a signal keeps its connections and answers nothing. The others go on without it, and use it
 * again when it goes on.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { http, TestCluster } from './support.ts';

/** From the freeze on; requests begun later have to succeed. */
const ROUTED_AROUND_MS = 1000;
const FROZEN_MS = 4000;
const TIMEOUT_MS = 2000;
const FROZEN = 'n2';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start(4);
}, 60_000);

afterAll(async () => {
  await cluster.stop();
});

interface Answer {
  /** Milliseconds after the freeze. */
  readonly begun: number;
  readonly took: number;
  readonly what: string;
  readonly status: number;
}

async function ask(id: string, key: number, since: number): Promise<readonly Answer[]> {
  const target = `${cluster.url(id)}/v1/kv/frozen/key${key}?timeout=${TIMEOUT_MS}`;
  const once = async (method: 'GET' | 'PUT', body?: string): Promise<Answer> => {
    const begun = performance.now();
    const { status } = await http(method, target, body === undefined ? {} : { body });
    return { begun: begun - since, took: performance.now() - begun, what: `${method} at ${id}`, status };
  };
  return [await once('PUT', 'x'), await once('GET')];
}

async function reachableAt(id: string): Promise<boolean> {
  const { body } = await http('GET', `${cluster.url(id)}/v1/cluster`);
  const { members } = JSON.parse(body.toString()) as { members: { id: string; reachable: boolean }[] };
  return members.every(({ reachable }) => reachable);
}

test('requests succeed again within a second of a freeze, and all nodes are used again after it', async () => {
  const others = cluster.ids.filter((id) => id !== FROZEN);
  for (let key = 0; key < 60; key++) await ask(others[key % 3]!, key, performance.now());
  await cluster.signal(FROZEN, 'SIGSTOP');
  const since = performance.now();
  const asked: Promise<readonly Answer[]>[] = [];
  for (let key = 0; performance.now() - since < FROZEN_MS; key++) {
    asked.push(ask(others[key % 3]!, key % 60, since));
    await sleep(20);
  }
  const answers = (await Promise.all(asked)).flat();
  const failed = answers.filter(({ status }) => status >= 400);
  const slow = answers.filter(({ took }) => took > 200);
  process.stdout.write(
    `${answers.length} requests, ${failed.length} failed, the last begun ${Math.max(0, ...failed.map(({ begun }) => begun)).toFixed(0)} ms after the freeze; ` +
      `${slow.length} took more than 200 ms, the last begun after ${Math.max(0, ...slow.map(({ begun }) => begun)).toFixed(0)} ms\n`,
  );
  expect(failed.filter(({ begun }) => begun > ROUTED_AROUND_MS)).toEqual([]);
  expect(await reachableAt(others[0]!)).toBe(false);

  await cluster.signal(FROZEN, 'SIGCONT');
  const wentOn = performance.now();
  while (!(await Promise.all(cluster.ids.map(reachableAt))).every(Boolean)) await sleep(20);
  process.stdout.write(`used again by all ${(performance.now() - wentOn).toFixed(0)} ms after it went on\n`);
  for (const id of cluster.ids) {
    const answer = await http('GET', `${cluster.url(id)}/v1/kv/frozen/key1?consistency=all`);
    expect(answer.status, id).toBe(200);
  }
}, 60_000);
