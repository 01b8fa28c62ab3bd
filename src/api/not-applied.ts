/** What is said of a write that was turned away before anything of it was done. */

import type { Incoming } from './exchange.ts';
import type { ProblemExtras } from './problem.ts';

export const WRITES: ReadonlySet<string> = new Set(['PUT', 'POST', 'DELETE']);

/** With an idempotency key there may have been an earlier attempt, of which nothing is known here. */
export function notApplied(incoming: Incoming): ProblemExtras {
  if (!WRITES.has(incoming.method)) return {};
  return { outcome: incoming.header('idempotency-key') === undefined ? 'not-applied' : 'unknown' };
}
