/**
 * The host's fast digests. They are pure, so both worlds share them.
 */

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Digest } from './world.ts';

export const digest: Digest = {
  crc32: (bytes) => crc32(bytes),
  sha256: (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest()),
  hmacSha256: (key, bytes) => new Uint8Array(createHmac('sha256', key).update(bytes).digest()),
  // The length of a secret is not a secret; the host's comparison wants equal lengths.
  equalSecrets: (a, b) => a.length === b.length && timingSafeEqual(a, b),
};
