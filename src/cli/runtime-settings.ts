/**
 * What a node asks of V8 and of the C library beside their defaults, which are those of programs that hold little outside of V8's heap.
 *
 * V8 watches where objects that outlive a collection were made, and has such places make theirs in the old generation at once.
 * In a node all that a request makes lives for milliseconds and is dead at the next collection but for what is under way, so
 * that guess, once made, is wrong for ever: the short-lived objects lie where room is made only seldom, keep alive what they
 * point to, and that makes further places look as if their objects lived long. Collections of half a millisecond become ones
 * of ten (bench/results/load.md).
 *
 * The bytes of values lie outside of V8's heap, and for each 64 MiB of such bytes V8 marks all that it has, although they are dead long
 * before: two thirds of the CPU time of a node that answers GETs of 4 MiB. Where these bytes count as part of the heap instead, the
 * short collections of the young generation free them, at the latest after 128 MiB (bench/results/scale.md). More of them lie about
 * meanwhile, which a node with little memory cannot afford.
 *
 * The C library of most Linux systems, glibc, gives a large block back to the system as soon as it is freed, and the next one
 * comes page by page, each page cleared. It keeps such blocks, up to twice the size of the largest one that it was ever given back, and
 * learns from blocks of 32 MiB at most: so it is given one back.
 */

import { setFlagsFromString } from 'node:v8';

const MIB = 1024 * 1024;
/** With less it matters more that bytes that nobody needs any more are freed at once. */
export const AMPLE_MEMORY_BYTES = 2048 * MIB;
/** Those that know the flag of large values, and where it was tried: one that does not know it would print an error. */
const V8_VERSIONS = { from: 13, to: 14 };
/** The most that glibc learns from, less room for its own head. */
const LARGEST_BLOCK_BYTES = 32 * MIB - 64 * 1024;

/** What a node that may use so much memory, in bytes, asks of such a V8. */
export function v8FlagsFor(memory: number, version: string): readonly string[] {
  const flags = ['--no-allocation-site-pretenuring'];
  const v8 = Number.parseInt(version, 10);
  if (memory >= AMPLE_MEMORY_BYTES && v8 >= V8_VERSIONS.from && v8 <= V8_VERSIONS.to)
    flags.push('--external-memory-accounted-in-global-limit');
  return flags;
}

/** To be called before the code of requests is compiled. `memory` is what the process may use, in bytes. */
export function tuneRuntime(memory: number): void {
  for (const flag of v8FlagsFor(memory, process.versions.v8)) setFlagsFromString(flag);
  if (memory < AMPLE_MEMORY_BYTES) return;
  // Freed by that at once, and never touched, so that it never was memory.
  new ArrayBuffer(LARGEST_BLOCK_BYTES).transfer(0);
}
