/**
 * From a key to its place: the keyed 64-bit hash of (bucket, key), and the partition, which is the top bits of that hash.
 * Both are fixed for the life of a cluster, since the rows on every disk are filed under them.
 */

import { concatBytes, endsWith, fromHex, utf8 } from '#kernel/bytes.ts';
import { present } from '#kernel/assert.ts';
import type { Hash64, SipKey } from '#kernel/siphash.ts';
import { sipHash64, sipKey } from '#kernel/siphash.ts';
import type { Ring } from './ring.ts';

/** Stands between bucket and key; bucket names cannot hold it, so no two pairs give the same bytes. */
const SEPARATOR = new Uint8Array([0]);

/** A process serves one cluster, so remembering the last seed is all the caching that is needed. */
let lastSeed: { readonly text: string; readonly key: SipKey } | undefined;

function keyOfSeed(seed: string): SipKey {
  if (lastSeed?.text !== seed) lastSeed = { text: seed, key: sipKey(present(fromHex(seed), 'hash seed in hex')) };
  return lastSeed.key;
}

/** With the separator. */
let lastBucket: { readonly name: string; readonly bytes: Uint8Array } | undefined;

/** What was hashed last, in that bucket: a request asks several times in a row where its key lives. */
let lastHash: { readonly seed: string; readonly hashed: Uint8Array; readonly hash: Hash64 } | undefined;

/** SipHash-2-4 of `bucket`, a zero byte and `key`, under the ring's seed. */
export function hashKey(ring: Pick<Ring, 'hashSeed'>, bucket: string, key: Uint8Array): Hash64 {
  const seed = ring.hashSeed;
  if (lastBucket?.name !== bucket) {
    lastBucket = { name: bucket, bytes: concatBytes([utf8(bucket), SEPARATOR]) };
    lastHash = undefined;
  }
  const { bytes } = lastBucket;
  if (lastHash?.seed === seed && endsWith(lastHash.hashed, bytes.length, key)) return lastHash.hash;
  const hashed = new Uint8Array(bytes.length + key.length);
  hashed.set(bytes);
  hashed.set(key, bytes.length);
  const hash = sipHash64(keyOfSeed(seed), hashed);
  lastHash = { seed, hashed, hash };
  return hash;
}

/** The top log2(partitionCount) bits of the hash: 0 to partitionCount - 1. */
export function partitionOf(ring: Pick<Ring, 'partitionCount'>, hash: Hash64): number {
  // Both factors are exact (the count is a power of two), and unlike a shift this also holds for a single partition.
  return Math.floor(hash.high * (ring.partitionCount / 2 ** 32));
}
