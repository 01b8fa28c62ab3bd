/** Wrong variants that random runs see, where the product itself passes. */

import { expect, test } from 'vitest';
import { expectFound, PATIENCE_MS, RANDOM_RUNS } from './bug-runs.ts';
import { BUGS } from './bugs.ts';
import { performAll } from './pool.ts';

const BY_CHANCE = BUGS.filter(({ foundBy }) => 'seed' in foundBy);

test.each(BY_CHANCE.map((bug) => [bug.name, bug] as const))(
  '%s is found',
  (_name, bug) => expectFound(bug),
  PATIENCE_MS,
);

test(
  'the product passes the runs that show bugs',
  async () => {
    for await (const { report } of performAll(RANDOM_RUNS, 1, undefined)) expect(report.findings).toEqual([]);
  },
  PATIENCE_MS,
);
