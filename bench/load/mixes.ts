/** What the clients do: PUT and GET alone, and the workloads of YCSB but E, which scans. */

import type { Distribution } from './key-choice.ts';

export type Step = 'read' | 'update' | 'insert' | 'readModifyWrite';

export interface Mix {
  /** Shares of the operations; together 1. */
  readonly steps: Readonly<Partial<Record<Step, number>>>;
  /** In place of the distribution that was asked for. */
  readonly keys?: Distribution;
}

export const MIXES = {
  put: { steps: { update: 1 } },
  get: { steps: { read: 1 } },
  a: { steps: { read: 0.5, update: 0.5 } },
  b: { steps: { read: 0.95, update: 0.05 } },
  c: { steps: { read: 1 } },
  d: { steps: { read: 0.95, insert: 0.05 }, keys: 'latest' },
  f: { steps: { read: 0.5, readModifyWrite: 0.5 } },
} as const satisfies Record<string, Mix>;

export type MixName = keyof typeof MIXES;

export const MIX_NAMES = Object.keys(MIXES) as readonly MixName[];

/** A step by chance, as often as the mix says. */
export function drawStep({ steps }: Mix): Step {
  let left = Math.random();
  for (const [step, share] of Object.entries(steps)) {
    left -= share;
    if (left < 0) return step as Step;
  }
  return 'read';
}
