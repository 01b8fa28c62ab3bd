/**
 * The operating system's random source, read in pools: one call for each number would cost a microsecond.
 */

import { randomFillSync } from 'node:crypto';
import type { Random } from '#world/world.ts';

const POOL_NUMBERS = 256;

export function realRandom(): Random {
  const pool = new Uint32Array(POOL_NUMBERS);
  let used = POOL_NUMBERS;
  return {
    uint32() {
      if (used === POOL_NUMBERS) {
        randomFillSync(pool);
        used = 0;
      }
      return pool[used++]!;
    },
    bytes: (length) => randomFillSync(new Uint8Array(length)),
  };
}
