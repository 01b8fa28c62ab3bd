/** Wrong variants that scripts show, where the product itself passes. A checker that never speaks proves nothing. */

import { expect, test } from 'vitest';
import { expectFound, PATIENCE_MS, scripted } from './bug-runs.ts';
import { BUGS } from './bugs.ts';
import { performAll } from './pool.ts';
import { SCENARIO_NAMES, WAITING_FOR_A_FIX } from './scenarios.ts';
import { edited } from './source-edits.ts';
import type { ScenarioTask } from './tasks.ts';

// The others are looked for in more-bugs-by-script.test.ts, at the same time.
const BY_SCRIPT = BUGS.filter(({ foundBy }) => 'scenario' in foundBy).filter((_, i) => i % 2 === 0);

test.each(BY_SCRIPT.map((bug) => [bug.name, bug] as const))(
  '%s is found',
  (_name, bug) => expectFound(bug),
  PATIENCE_MS,
);

test(
  'the product passes all scenarios but those that wait for a fix',
  async () => {
    const tasks = SCENARIO_NAMES.map(scripted);
    const failed: string[] = [];
    for await (const { task, report } of performAll(tasks, 1, undefined)) {
      if (report.findings.length > 0) failed.push((task as ScenarioTask).name);
    }
    expect(failed).toEqual(Object.keys(WAITING_FOR_A_FIX));
  },
  PATIENCE_MS,
);

test('an edit has to fit in one place, however the text is laid out', () => {
  const edit = { file: 'x.ts', from: 'a.b(c) + d', to: 'nothing' };
  expect(edited('let y = a.b(c) +\n  d;', [edit])).toBe('let y = nothing;');
  expect(() => edited('let y = 1;', [edit])).toThrow('x.ts has 0 places');
  expect(() => edited('a.b(c) + d; a.b(c) + d;', [edit])).toThrow('x.ts has 2 places');
});
