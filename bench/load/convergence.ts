/** Whether all owners hold the same, asked at each owner by reads that mend nothing, and whether a write was lost. */

import { createHash } from 'node:crypto';
import { Agent, request } from 'undici';
import { numberOf, type Sent } from './open-loop.ts';

export type Urls = Readonly<Record<string, string>>;

/** What one owner answered: a status, a hash of all that makes up the object, the number at the value's beginning. */
export interface Held {
  readonly node: string;
  readonly status: number;
  readonly hash: string;
  readonly number: number;
}

const agent = new Agent({ connections: 16 });

export async function getJson(url: string): Promise<unknown> {
  const { body } = await request(url, { dispatcher: agent, headersTimeout: 5000, bodyTimeout: 5000 });
  return body.json();
}

/** Hints that wait anywhere, for whoever or for one member. */
export async function hintsWaiting(urls: Urls, member?: string): Promise<number> {
  const counts = await Promise.all(
    Object.values(urls).map(async (url) => {
      const view = (await getJson(`${url}/v1/cluster`)) as ClusterView;
      if (member === undefined) return view.hintsWaiting;
      return view.members.find(({ id }) => id === member)?.hintsWaiting ?? 0;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

interface ClusterView {
  readonly hintsWaiting: number;
  readonly members: readonly { readonly id: string; readonly hintsWaiting: number }[];
}

async function inTurn<T, R>(items: readonly T[], atOnce: number, what: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = Array.from({ length: items.length });
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      results[index] = await what(items[index]!);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

/** The owners of each key by name. */
export async function ownersOf(
  url: string,
  bucket: string,
  keys: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const owners = await inTurn(keys, 8, async (key) => {
    const { primaries } = (await getJson(`${url}/v1/ring/locate/${bucket}/${key}`)) as { primaries: string[] };
    return [key, primaries] as const;
  });
  return new Map(owners);
}

/** An owner that is asked with `r=1&sloppy=false` answers from its own replica. */
async function heldBy(node: string, url: string): Promise<Held> {
  const { statusCode, headers, body } = await request(`${url}?r=1&sloppy=false`, { dispatcher: agent });
  const value = Buffer.from(await body.arrayBuffer());
  // A 404 carries a context when it is a tombstone; its text may name the request.
  const content = statusCode === 404 ? (headers['quoral-context'] === undefined ? 'absent' : 'deleted') : value;
  const hash = createHash('sha1')
    .update(String(headers['etag'] ?? ''))
    .update(content)
    .digest('hex');
  return { node, status: statusCode, hash, number: statusCode === 200 ? numberOf(value) : Number.NaN };
}

/** Keys that are looked at at once: looking shall not be what slows the clients down. */
const LOOKS_AT_ONCE = 2;

/** What each owner holds of each of the keys. */
export async function sweep(
  urls: Urls,
  bucket: string,
  owners: ReadonlyMap<string, readonly string[]>,
  keys: readonly string[],
): Promise<ReadonlyMap<string, readonly Held[]>> {
  const held = await inTurn(keys, LOOKS_AT_ONCE, async (key) => {
    const answers = await Promise.all(
      owners.get(key)!.map((node) => heldBy(node, `${urls[node]!}/v1/kv/${bucket}/${key}`)),
    );
    return [key, answers] as const;
  });
  return new Map(held);
}

export function differ(held: readonly Held[]): boolean {
  return new Set(held.map(({ status, hash }) => `${status} ${hash}`)).size > 1;
}

/** How much later a write must have begun before it surely wins over one that had been answered. */
const SURELY_LATER_MS = 50;

/**
 * Keys that do not hold what they must: a value that nobody wrote, or one that an acknowledged write has replaced which began
 * after it had been answered. A write without an answer may win over anything.
 */
export function lostWrites(sent: readonly Sent[], final: ReadonlyMap<string, readonly Held[]>): readonly string[] {
  const writes = Map.groupBy(
    sent.filter(({ method }) => method === 'PUT'),
    ({ key }) => key,
  );
  const lost: string[] = [];
  for (const [key, held] of final) {
    const ofKey = writes.get(key) ?? [];
    const acknowledged = ofKey.filter(({ status }) => status === 204);
    for (const { node, status, number } of held) {
      const holds = number === 0 ? undefined : ofKey.find((write) => write.number === number);
      const unknown = holds !== undefined && holds.status !== 204;
      const end = holds === undefined ? -Infinity : holds.due + holds.took;
      const later = acknowledged.find(({ begun }) => begun > end + SURELY_LATER_MS);
      const forged = status !== 200 || (number !== 0 && holds === undefined);
      if (forged) lost.push(`${key} at ${node}: ${status}, number ${number}, which nobody wrote`);
      else if (!unknown && later !== undefined)
        lost.push(`${key} at ${node}: number ${number}, but ${later.number} was acknowledged later`);
    }
  }
  return lost;
}
