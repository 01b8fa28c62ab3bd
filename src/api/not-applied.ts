/** What is said of a write that was turned away before anything of it was done. */

import type { Incoming } from './exchange.ts';
import { Problem, type ProblemExtras } from './problem.ts';

export const WRITES: ReadonlySet<string> = new Set(['PUT', 'POST', 'DELETE']);
const BATCH = '/v1/batch';

export function notApplied(incoming: Incoming): ProblemExtras {
  const { method, target } = incoming;
  return outcomeUnread(method, target instanceof Problem ? '' : target.path, incoming.header('idempotency-key'));
}

/**
 * With an idempotency key there may have been an earlier attempt, of which nothing is known here; the operations of a batch have keys of
 * their own, which nobody has read.
 */
export function outcomeUnread(method: string, path: string, idempotencyKey: unknown): ProblemExtras {
  if (!WRITES.has(method)) return {};
  return { outcome: idempotencyKey === undefined && path !== BATCH ? 'not-applied' : 'unknown' };
}
