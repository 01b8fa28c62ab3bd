/** What a checker has to say: nothing, or which promise was broken where. */

import type { WriteId } from '../history.ts';

/** The checks by name, in the order in which their violations are told: what is broken most plainly comes first. */
export const CHECK_NAMES = [
  'only-written-values',
  'not-applied-invisible',
  'unique-dots',
  'idempotent-retries',
  'concurrent-siblings',
  'last-write-wins',
  'no-resurrection',
  'strict-reads',
  'session-guarantees',
  'durable-coverage',
  'no-lost-update',
  'convergence',
  'linearizable',
  'ends-by-deadline',
  'bounded-resources',
] as const;

export type CheckName = (typeof CHECK_NAMES)[number];

export interface Violation {
  readonly check: CheckName;
  /** `bucket/key`, or the node when no key is concerned. */
  readonly key: string;
  readonly detail: string;
  /** The writes concerned; the first one is what the violation is about. */
  readonly writes: readonly WriteId[];
}
