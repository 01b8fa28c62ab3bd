/** Wrong variants that random runs see, where the product itself passes. */

import { expect, test } from 'vitest';
import { PATIENCE_MS, RANDOM_RUNS, Stagehand } from './bug-runs.ts';
import { BUGS } from './bugs.ts';

const BY_CHANCE = BUGS.filter(({ foundBy }) => 'seed' in foundBy);

const stagehand = new Stagehand();

test.each(BY_CHANCE.map((bug) => [bug.name, bug] as const))(
  '%s is found',
  (_name, bug) => stagehand.finds(bug),
  PATIENCE_MS,
);

test.each(RANDOM_RUNS)(
  'the product passes the run of seed $seed, which may show bugs',
  async (run) => {
    expect(await stagehand.findings(run)).toEqual([]);
  },
  PATIENCE_MS,
);
