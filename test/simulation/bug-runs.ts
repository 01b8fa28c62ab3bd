/** Plays what has to show a wrong variant. */

import { expect } from 'vitest';
import { BUG_RUNS, type Bug } from './bugs.ts';
import { performAll } from './pool.ts';
import type { ScenarioName } from './scenarios.ts';
import type { SeedTask, Task } from './tasks.ts';

const { seeds, changes } = BUG_RUNS;

export const RANDOM_RUNS: readonly SeedTask[] = seeds.map((seed) => ({
  kind: 'seed',
  seed,
  changes,
  twice: false,
  traceWidth: 0,
  hasty: true,
}));

/** The product has to pass them hastily, too: what ends a run of a variant before its time must be a broken promise. */
export function scripted(name: ScenarioName): Task {
  return { kind: 'scenario', name, traceWidth: 0, hasty: true };
}

/** Far more than a variant takes on a machine that has nothing else to do. */
export const PATIENCE_MS = 300_000;

export async function expectFound({ name, foundBy }: Bug): Promise<void> {
  const tasks = 'seed' in foundBy ? beginningWith(foundBy.seed) : [scripted(foundBy.scenario)];
  const checks = await failedChecks(tasks, name);
  expect(checks).not.toEqual([]);
  // What shows a bug is a broken promise, not an exception in the variant itself.
  expect(checks).not.toContain('crash');
}

/** All random runs: which of them shows a variant may change with whatever is added to the simulator. */
function beginningWith(seed: number): readonly Task[] {
  return RANDOM_RUNS.toSorted((a, b) => Number(b.seed === seed) - Number(a.seed === seed));
}

/** The checks that fail in the first of the tasks in which any does. */
async function failedChecks(tasks: readonly Task[], bug: string): Promise<readonly string[]> {
  for await (const { report } of performAll(tasks, 1, bug)) {
    if (report.findings.length > 0) return report.findings.map(({ check }) => check);
  }
  return [];
}
