/**
 * A process that is stopped by a signal keeps its connections and answers nothing. The others go on without it, and use it
 * again when it goes on.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { http, TestCluster, until } from './support.ts';

/** Requests at each of the others that begin when all of them know of the freeze. */
const ROUTED_AROUND = 50;
const TIMEOUT_MS = 2000;
const FROZEN = 'n2';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start(4);
});

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

test('requests succeed again as soon as the others know of a freeze, and all nodes are used again after it', async () => {
  const others = cluster.ids.filter((id) => id !== FROZEN);
  for (let key = 0; key < 60; key++) await ask(others[key % 3]!, key, performance.now());
  await cluster.signal(FROZEN, 'SIGSTOP');
  const since = performance.now();
  const known = { at: Infinity };
  const noticing = until('the others know', async () => (await cluster.reach(others, FROZEN)) === 'none').then(() => {
    known.at = performance.now() - since;
  });
  // That nobody notices is told below.
  noticing.catch(() => (known.at = 0));
  const asked: Promise<readonly Answer[]>[] = [];
  for (let key = 0, left = ROUTED_AROUND * 3; left > 0; key++) {
    asked.push(ask(others[key % 3]!, key % 60, since));
    if (known.at < Infinity) left -= 1;
    await sleep(20);
  }
  await noticing;
  const answers = (await Promise.all(asked)).flat();
  const failed = answers.filter(({ status }) => status >= 400);
  const slow = answers.filter(({ took }) => took > 200);
  process.stdout.write(
    `${answers.length} requests, ${failed.length} failed, the last begun ${Math.max(0, ...failed.map(({ begun }) => begun)).toFixed(0)} ms after the freeze; ` +
      `${slow.length} took more than 200 ms, the last begun after ${Math.max(0, ...slow.map(({ begun }) => begun)).toFixed(0)} ms\n`,
  );
  expect(failed.filter(({ begun }) => begun > known.at)).toEqual([]);

  await cluster.signal(FROZEN, 'SIGCONT');
  const wentOn = performance.now();
  await until('all use each other', async () => {
    const used = await Promise.all(
      cluster.ids.map(async (id) =>
        cluster.reach(
          cluster.ids.filter((other) => other !== id),
          id,
        ),
      ),
    );
    return used.every((by) => by === 'all');
  });
  process.stdout.write(`used again by all ${(performance.now() - wentOn).toFixed(0)} ms after it went on\n`);
  for (const id of cluster.ids) {
    const answer = await http('GET', `${cluster.url(id)}/v1/kv/frozen/key1?consistency=all`);
    expect(answer.status, id).toBe(200);
  }
});
