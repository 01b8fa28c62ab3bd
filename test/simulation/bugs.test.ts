/** Every known-wrong variant is seen, where the product itself passes. A checker that never speaks proves nothing. */

import { expect, test } from 'vitest';
import { BUG_RUNS, BUGS, type Bug } from './bugs.ts';
import { performAll } from './pool.ts';
import { SCENARIO_NAMES, WAITING_FOR_A_FIX } from './scenarios.ts';
import { edited } from './source-edits.ts';
import type { ScenarioTask, Task } from './tasks.ts';

const { seeds, changes } = BUG_RUNS;
const RANDOM_RUNS: readonly Task[] = seeds.map((seed) => ({
  kind: 'seed',
  seed,
  changes,
  twice: false,
  traceWidth: 0,
}));

function tasksFor({ foundBy }: Bug): readonly Task[] {
  return foundBy === 'random' ? RANDOM_RUNS : [{ kind: 'scenario', name: foundBy.scenario, traceWidth: 0 }];
}

/** The checks that fail in the first of the tasks in which any does. */
async function failedChecks(tasks: readonly Task[], bug: string): Promise<readonly string[]> {
  for await (const { report } of performAll(tasks, 1, bug)) {
    if (report.findings.length > 0) return report.findings.map(({ check }) => check);
  }
  return [];
}

test.each(BUGS.map((bug) => [bug.name, bug] as const))(
  '%s is found',
  async (name, bug) => {
    const checks = await failedChecks(tasksFor(bug), name);
    expect(checks).not.toEqual([]);
    // What shows a bug is a broken promise, not an exception in the variant itself.
    expect(checks).not.toContain('crash');
  },
  60_000,
);

test('the product passes all scenarios but those that wait for a fix', async () => {
  const tasks = SCENARIO_NAMES.map((name) => ({ kind: 'scenario' as const, name, traceWidth: 0 }));
  const failed: string[] = [];
  for await (const { task, report } of performAll(tasks, 1, undefined)) {
    if (report.findings.length > 0) failed.push((task as ScenarioTask).name);
  }
  expect(failed).toEqual(Object.keys(WAITING_FOR_A_FIX));
}, 60_000);

test('the product passes the runs that show bugs', async () => {
  for await (const { report } of performAll(RANDOM_RUNS, 1, undefined)) expect(report.findings).toEqual([]);
}, 60_000);

test('an edit has to fit in one place, however the text is laid out', () => {
  const edit = { file: 'x.ts', from: 'a.b(c) + d', to: 'nothing' };
  expect(edited('let y = a.b(c) +\n  d;', [edit])).toBe('let y = nothing;');
  expect(() => edited('let y = 1;', [edit])).toThrow('x.ts has 0 places');
  expect(() => edited('a.b(c) + d; a.b(c) + d;', [edit])).toThrow('x.ts has 2 places');
});
