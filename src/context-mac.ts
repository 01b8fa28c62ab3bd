/**
 * What signs the contexts of a cluster.
 */

import { utf8 } from '#kernel/bytes.ts';
import type { Mac } from '#kernel/native.ts';
import { hash64ToBytes, sipHash64, sipKey } from '#kernel/siphash.ts';
import type { World } from '#world/world.ts';

/**
 * Contexts are signed under a key of their own, so that a signature can serve for nothing else. SipHash is a MAC of just
 * the eight bytes that a context carries, and costs a tenth of an HMAC.
 */
export function contextMac(world: Pick<World, 'digest'>, secret: Uint8Array): Mac {
  const key = sipKey(world.digest.hmacSha256(secret, utf8('quoral context 1')).subarray(0, 16));
  return (bytes) => hash64ToBytes(sipHash64(key, bytes));
}
