/**
 * The host's fast digests. They are pure, so both worlds share them.
 */

import { Buffer } from 'node:buffer';
import { createHmac, createSecretKey, hash, timingSafeEqual, type KeyObject } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Digest } from './world.ts';

/** Of the few secrets that there are: to make the host's key of one takes three times as long as an HMAC with it. */
const keys = new WeakMap<Uint8Array, KeyObject>();

function keyOf(secret: Uint8Array): KeyObject {
  const known = keys.get(secret);
  if (known !== undefined) return known;
  const made = createSecretKey(secret);
  keys.set(secret, made);
  return made;
}

export const digest: Digest = {
  crc32: (bytes) => crc32(bytes),
  equal: (a, b) => Buffer.compare(a, b) === 0,
  // In one call, which costs half of an object that is fed and asked.
  sha256: (bytes) => new Uint8Array(hash('sha256', bytes, 'buffer')),
  hmacSha256: (key, bytes) => new Uint8Array(createHmac('sha256', keyOf(key)).update(bytes).digest()),
  // The length of a secret is not a secret; the host's comparison wants equal lengths.
  equalSecrets: (a, b) => a.length === b.length && timingSafeEqual(a, b),
};
