/** Four real nodes, one of which is killed under writes and comes back: fallbacks stand in for it, and it gets what it missed. */

import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { http, runQuoral, TestCluster, until } from './support.ts';

let cluster: TestCluster;

afterEach(async () => await cluster.stop());

interface Written {
  readonly key: string;
  readonly value: string;
  readonly status: number;
  /** Begun when all others knew of the death. */
  readonly warned: boolean;
  readonly fallbacks: number;
  readonly answer: string;
}

const VICTIM = 'n4';
const WRITERS = 6;

/** Writers that go on until told to stop. */
class Load {
  readonly written: Written[] = [];
  isKnown = false;
  #stopping = false;
  readonly #done: Promise<unknown>;

  constructor(nodes: readonly string[]) {
    this.#done = Promise.all(Array.from({ length: WRITERS }, (_, i) => this.#write(i, nodes)));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
  }

  async #write(writer: number, nodes: readonly string[]): Promise<void> {
    for (let i = 0; !this.#stopping; i++) {
      // Each key is written several times, so that hints meet hints.
      const key = `w${writer}-${i % 15}`;
      const value = `${writer} ${i}`;
      const warned = this.isKnown;
      const url = `${cluster.url(nodes[i % nodes.length]!)}/v1/kv/b/${key}`;
      const { status, headers, body } = await http('PUT', url, { body: value });
      const fallbacks = Number(/fallbacks=(\d)/.exec(String(headers['quoral-replicas']))?.[1] ?? 0);
      this.written.push({ key, value, status, warned, fallbacks, answer: body.toString() });
      await sleep(5);
    }
  }
}

async function hintsWaiting(ids: readonly string[]): Promise<number> {
  const views = await Promise.all(ids.map((id) => http('GET', `${cluster.url(id)}/v1/cluster`)));
  return views.reduce(
    (sum, { body }) => sum + (JSON.parse(body.toString()) as { hintsWaiting: number }).hintsWaiting,
    0,
  );
}

/** What each owner has of the key, asked at that owner. */
async function atItsOwners(key: string): Promise<readonly string[]> {
  const { body } = await http('GET', `${cluster.url('n1')}/v1/ring/locate/b/${key}`);
  const { primaries } = JSON.parse(body.toString()) as { primaries: readonly string[] };
  return Promise.all(
    primaries.map(async (id) => {
      const answer = await http('GET', `${cluster.url(id)}/v1/kv/b/${key}?r=1&sloppy=false`);
      return `${answer.status} ${answer.body.toString()}`;
    }),
  );
}

test('writes go on while an owner is dead; it comes back and gets all of them, kept hints outlive a kill of their keeper', async () => {
  cluster = await TestCluster.start(4);
  const others = cluster.ids.filter((id) => id !== VICTIM);
  const load = new Load(others);
  const { written } = load;
  await until('each writer has written each of its keys', () => written.length > 15 * WRITERS);
  await cluster.signal(VICTIM, 'SIGKILL');
  await until('the others know', async () => (await cluster.reach(others, VICTIM)) === 'none');
  load.isKnown = true;
  const covered = () => written.filter(({ warned, fallbacks }) => warned && fallbacks > 0);
  await until('fallbacks have stood in for it', () => covered().length > 10 * WRITERS);
  await load.stop();
  // What was under way at the victim has lost its answer; nothing that began when the others knew has failed.
  const failed = written.filter(({ status }) => status !== 204);
  expect(failed.filter(({ warned }) => warned)).toEqual([]);
  expect(failed.length).toBeLessThanOrEqual(WRITERS);
  for (const { answer } of failed) expect(JSON.parse(answer)).toMatchObject({ outcome: 'unknown' });
  expect(await hintsWaiting(others)).toBeGreaterThan(10);
  const missed = covered().at(-1)!.key;
  const explained = await runQuoral(['key', 'explain', 'b', missed, '--url', cluster.url('n2')]);
  expect(explained.stdout, explained.stderr).toMatch(
    /the replicas DIFFER[^]*n4 +primary +NO[^]*hint at n\d for n4[^]*n4 did not/,
  );

  await cluster.signal('n1', 'SIGKILL');
  cluster.startNode('n1');
  await cluster.ready(['n1']);
  cluster.startNode(VICTIM);
  await cluster.ready();
  await until('all hints are delivered', async () => (await hintsWaiting(cluster.ids)) === 0);
  for (const key of new Set(written.map((write) => write.key))) {
    const values = await atItsOwners(key);
    expect(new Set(values).size, `${key}: ${values.join(', ')}`).toBe(1);
    // One writer writes a key, one write after the other: the last acknowledged one, or a later one without an answer.
    const ofKey = written.filter((write) => write.key === key);
    const last = ofKey.findLastIndex(({ status }) => status === 204);
    const absent = last < 0 ? ['404'] : [];
    const possible = ofKey.slice(Math.max(last, 0)).map(({ value }) => `200 ${value}`);
    expect([...absent, ...possible]).toContain(values[0]!.replace(/^404.*/, '404'));
  }
});
