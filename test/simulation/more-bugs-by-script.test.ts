/** Two thirds of the wrong variants that scripts show; the others are in bugs-by-script.test.ts. */

import { test } from 'vitest';
import { PATIENCE_MS, Stagehand } from './bug-runs.ts';
import { BUGS } from './bugs.ts';

const BY_SCRIPT = BUGS.filter(({ foundBy }) => 'scenario' in foundBy).filter((_, i) => i % 3 !== 0);

const stagehand = new Stagehand();

test.each(BY_SCRIPT.map((bug) => [bug.name, bug] as const))(
  '%s is found',
  (_name, bug) => stagehand.finds(bug),
  PATIENCE_MS,
);
