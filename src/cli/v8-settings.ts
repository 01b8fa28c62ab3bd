/**
 * What a node asks of V8 beside its defaults.
 *
 * V8 watches where objects that outlive a collection were made, and has such places make theirs in the old generation at once.
 * In a node all that a request makes lives for milliseconds and is dead at the next collection but for what is under way, so
 * that guess, once made, is wrong for ever: the short-lived objects lie where room is made only seldom, keep alive what they
 * point to, and that makes further places look as if their objects lived long. Collections of half a millisecond become ones
 * of ten (bench/results/load.md).
 */

import { setFlagsFromString } from 'node:v8';

/** To be called before the code of requests is compiled. */
export function tuneV8(): void {
  setFlagsFromString('--no-allocation-site-pretenuring');
}
