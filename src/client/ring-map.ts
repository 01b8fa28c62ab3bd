/**
 * Which nodes own a key, computed where the request is made: it then goes to an owner at once and needs no forwarding. A map
 * that is out of date costs a detour and nothing else, since every node serves every key.
 */

import { utf8 } from '#kernel/bytes.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import { QuoralError } from './errors.ts';
import { jsonBody } from './json-body.ts';

/** `GET /v1/ring`. */
export interface RingView {
  readonly epoch: number;
  readonly partitions: number;
  readonly hashSeed: string;
  readonly members: readonly { readonly id: string; readonly url: string; readonly zone: string }[];
  readonly placements: Readonly<Record<string, readonly (readonly string[])[]>>;
}

/** The owners of the key in a bucket with n replicas, in order; none when the ring has no table for that n. */
export function ownersOf(ring: RingView, n: number, bucket: string, key: string): readonly string[] {
  const table = ring.placements[String(n)];
  if (table === undefined) return [];
  const partition = partitionOf({ partitionCount: ring.partitions }, hashKey(ring, bucket, utf8(key)));
  return table[partition] ?? [];
}

export function parseRing(body: string): RingView {
  const ring = jsonBody<Partial<RingView>>(body);
  const complete =
    Number.isSafeInteger(ring.partitions) &&
    typeof ring.hashSeed === 'string' &&
    /^[0-9a-f]{32}$/.test(ring.hashSeed) &&
    Array.isArray(ring.members) &&
    typeof ring.placements === 'object';
  if (!complete) throw new QuoralError('bad-answer', 'the ring lacks what is needed to find the owners of a key');
  return ring as RingView;
}
