/**
 * All nodes restarted one after the other while clients go on: no request is lost. The clients are plain ones that keep their
 * connections, wait for each answer and repeat nothing. Half of them go to another node only when theirs refuses the connection,
 * the others go to all nodes in turn, and so come to one that has just opened its door.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, Client } from 'undici';
import { expect, test } from 'vitest';
import { http, TestCluster } from './support.ts';

/** One of each kind, each beginning at another node. */
const WORKERS = 4;
/** Between two requests of every second worker; the others send the next one at once. */
const PAUSE_MS = 3;
/**
 * A node that starts lets clients wait, and one that stops waits for what comes on idle connections, longer than by default: there
 * a tenth of a second would do on a machine that has nothing else to do, but not on every one.
 */
const PATIENT = ['--start-patience', '60s', '--stop-idle-grace', '60s', '--stop-timeout', '60s'];
/** Keeps no connection: a node that stops would wait for more to come on it. */
const ASKING = new Agent({ pipelining: 0 });

interface Tally {
  requests: number;
  refused: number;
  readonly lost: string[];
}

class Worker {
  readonly #cluster: TestCluster;
  readonly #name: string;
  readonly #pauses: boolean;
  readonly #roams: boolean;
  readonly #tally: Tally;
  readonly #clients = new Map<string, Client>();
  #at: number;
  /** Who has the last write, and where it went; undefined when nobody has said so. */
  #written: string | undefined;

  constructor(cluster: TestCluster, index: number, tally: Tally) {
    this.#cluster = cluster;
    this.#name = `w${index}`;
    this.#pauses = index % 2 === 0;
    this.#roams = index % 4 >= 2;
    this.#tally = tally;
    this.#at = index % cluster.ids.length;
  }

  /** Writes a number that grows and reads it back, each under several keys in turn. */
  async run(stopping: AbortSignal): Promise<void> {
    for (let round = 1; !stopping.aborted; round++) {
      const path = `/v1/kv/rolling/${this.#name}-${round % 20}`;
      await this.#ask('PUT', path, 204, String(round));
      await this.#ask('GET', path, 200, undefined, String(round));
    }
    await Promise.all([...this.#clients.values()].map((client) => client.close()));
  }

  async #ask(method: 'GET' | 'PUT', path: string, expected: number, body?: string, value?: string): Promise<void> {
    if (this.#pauses) await sleep(PAUSE_MS);
    if (this.#roams) this.#at = (this.#at + 1) % this.#cluster.ids.length;
    for (let refusals = 0; ; refusals++) {
      const id = this.#cluster.ids[this.#at]!;
      if (method === 'PUT') this.#written = undefined;
      try {
        const answer = await this.#client(id).request({ method, path, ...(body === undefined ? {} : { body }) });
        const text = await answer.body.text();
        this.#tally.requests += 1;
        const replicas = `at ${id}: ${String(answer.headers['quoral-replicas'])}`;
        const isSeen = value === undefined || text === value || !(ofOwners(this.#written) && ofOwners(replicas));
        if (method === 'PUT') this.#written = replicas;
        if (answer.statusCode !== expected || !isSeen) {
          this.#tally.lost.push(
            `${method} ${path} ${replicas}, ${answer.statusCode} ${text}, expected ${expected} ${value}, written ${this.#written}`,
          );
        }
        return;
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        if (code === 'ECONNREFUSED' && refusals < 10) {
          this.#tally.refused += 1;
          this.#at = (this.#at + 1) % this.#cluster.ids.length;
          continue;
        }
        this.#tally.lost.push(`${method} ${path} at ${id}: ${code} ${message}`);
        return;
      }
    }
  }

  #client(id: string): Client {
    let client = this.#clients.get(id);
    if (client === undefined) this.#clients.set(id, (client = new Client(this.#cluster.url(id), { allowH2: false })));
    return client;
  }
}

/** Whether two owners of the three have answered: then a read sees what was written before. With fallbacks it may not. */
function ofOwners(replicas: string | undefined): boolean {
  const [, acked, fallbacks] = /acked=(\d+);.*fallbacks=(\d+)/.exec(replicas ?? '') ?? [];
  return Number(acked) - Number(fallbacks) >= 2;
}

/** As an operator would: the node is ready, and every node sees a quorum for the whole ring. */
async function settled(cluster: TestCluster): Promise<void> {
  await cluster.ready(cluster.ids, ASKING);
  for (const id of cluster.ids) {
    while ((await http('GET', `${cluster.url(id)}/healthz`, { dispatcher: ASKING })).status !== 200) await sleep(25);
  }
}

test('four nodes restarted one after the other under load lose no request', async () => {
  const cluster = await TestCluster.prepare(4, { flagsOf: () => PATIENT });
  try {
    cluster.startAll();
    await settled(cluster);
    const tally: Tally = { requests: 0, refused: 0, lost: [] };
    const stopping = new AbortController();
    const workers = Array.from({ length: WORKERS }, (_, index) =>
      new Worker(cluster, index, tally).run(stopping.signal),
    );
    for (const id of cluster.ids) {
      await sleep(300);
      expect(await cluster.signal(id, 'SIGTERM'), id).toBe(0);
      await sleep(300);
      cluster.startNode(id);
      await settled(cluster);
    }
    await sleep(300);
    stopping.abort();
    await Promise.all(workers);
    expect(tally.lost).toEqual([]);
    expect(tally.requests).toBeGreaterThan(100);
    expect(tally.refused, 'some worker met a closed door').toBeGreaterThan(0);
  } finally {
    await cluster.stop();
  }
});
