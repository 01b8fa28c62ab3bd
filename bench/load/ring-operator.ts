/** What an operator does, by HTTP: plans a change, applies it and waits for its end. */

import { setTimeout as sleep } from 'node:timers/promises';
import { now } from './open-loop.ts';

export interface RingChangeBody {
  readonly join?: readonly string[];
  readonly leave?: readonly string[];
  readonly replace?: Readonly<Record<string, string>>;
  /** Not part of the plan: bytes a second of each node, null for as many as it can. */
  readonly throttle?: number | null;
}

export interface AppliedChange {
  readonly from: number;
  readonly until: number;
  readonly moves: number;
  readonly leastMoves: number;
  /** What the plan says that moves. */
  readonly keys: number;
  readonly bytes: number;
  /** States that replicas took over meanwhile. */
  readonly taken: number;
}

interface Plan {
  readonly id: string;
  readonly summary: {
    readonly moves: number;
    readonly leastMoves: number;
    readonly keys: number;
    readonly bytes: number;
  };
}

const WAIT_MS = 300_000;
const POLL_MS = 200;

/** Asks the node at `url`; `all` are those whose figures count. */
export async function applied(
  url: string,
  all: readonly string[],
  { throttle, ...body }: RingChangeBody,
): Promise<AppliedChange> {
  const plan = await planned(url, body);
  const takenBefore = await taken(all);
  const from = now();
  const rate = throttle === undefined ? {} : { throttle };
  await post(`${url}/v1/ring/plans/${plan.id}/apply`, rate);
  for (let state = ''; state !== 'idle';) {
    if (now() - from > WAIT_MS)
      throw new Error(`not done after ${WAIT_MS} ms: ${JSON.stringify(await get(`${url}/v1/ring/transfers`))}`);
    await sleep(POLL_MS);
    ({ state } = (await get(`${url}/v1/ring/transfers`)) as { state: string });
  }
  const until = now();
  return { from, until, ...plan.summary, taken: (await taken(all)) - takenBefore };
}

/** Nodes that wait to join make themselves known every two seconds. */
async function planned(url: string, body: RingChangeBody): Promise<Plan> {
  for (let attempt = 0; ; attempt++) {
    const answer = await post(`${url}/v1/ring/plans`, body).catch((error: unknown) => error);
    if (!(answer instanceof Error)) return answer as Plan;
    if (attempt > 60) throw answer;
    await sleep(250);
  }
}

/**
 * States that new owners have taken over, or that were brought to replicas by comparisons of trees, which go on meanwhile. What
 * former owners gave back is not among them.
 */
async function taken(urls: readonly string[]): Promise<number> {
  const texts = await Promise.all(
    urls.map((url) =>
      fetch(`${url}/metrics`).then(
        (response) => response.text(),
        () => '',
      ),
    ),
  );
  const sum = (pattern: RegExp): number =>
    texts.flatMap((text) => [...text.matchAll(pattern)]).reduce((total, [, count]) => total + Number(count), 0);
  const repaired = sum(/^quoral_repaired_keys_total\{.*\} (\d+)$/gm);
  return repaired + sum(/^quoral_moved_keys_total\{direction="taken"\} (\d+)$/gm);
}

async function get(url: string): Promise<unknown> {
  return await (await fetch(url)).json();
}

async function post(url: string, body: unknown): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return await response.json();
}
