/** Wrong variants that scripts show, where the product itself passes. A checker that never speaks proves nothing. */

import { expect, test } from 'vitest';
import { PATIENCE_MS, scripted, Stagehand } from './bug-runs.ts';
import { BUGS } from './bugs.ts';
import { SCENARIO_NAMES, WAITING_FOR_A_FIX } from './scenarios.ts';
import { edited } from './source-edits.ts';

// The other two thirds are looked for in more-bugs-by-script.test.ts, beside tests that take longer.
const BY_SCRIPT = BUGS.filter(({ foundBy }) => 'scenario' in foundBy).filter((_, i) => i % 3 === 0);

const stagehand = new Stagehand();

test.each(BY_SCRIPT.map((bug) => [bug.name, bug] as const))(
  '%s is found',
  (_name, bug) => stagehand.finds(bug),
  PATIENCE_MS,
);

test.each(SCENARIO_NAMES)(
  'the product passes %s, unless that waits for a fix',
  async (name) => {
    const found = await stagehand.findings(scripted(name));
    if (Object.hasOwn(WAITING_FOR_A_FIX, name)) expect(found).not.toEqual([]);
    else expect(found).toEqual([]);
  },
  PATIENCE_MS,
);

test('an edit has to fit in one place, however the text is laid out', () => {
  const edit = { file: 'x.ts', from: 'a.b(c) + d', to: 'nothing' };
  expect(edited('let y = a.b(c) +\n  d;', [edit])).toBe('let y = nothing;');
  expect(() => edited('let y = 1;', [edit])).toThrow('x.ts has 0 places');
  expect(() => edited('a.b(c) + d; a.b(c) + d;', [edit])).toThrow('x.ts has 2 places');
});
