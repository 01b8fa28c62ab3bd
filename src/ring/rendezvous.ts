/**
 * Draws that belong to a partition and a member: they look random, so that sets of owners vary, and everybody draws the
 * same (rendezvous hashing, Thaler and Ravishankar 1998).
 */

import type { NodeIndex } from '#kernel/identity.ts';
import { sipHash64, sipKey } from '#kernel/siphash.ts';

/** Any fixed key does: members do not choose their indexes to steer this hash. */
const RENDEZVOUS_KEY = sipKey(new Uint8Array(16));

/** A number from 1 to 2^32. */
export function rendezvous(partition: number, index: NodeIndex): number {
  const bytes = new Uint8Array([partition >> 8, partition, index >> 8, index]);
  return sipHash64(RENDEZVOUS_KEY, bytes).high + 1;
}
