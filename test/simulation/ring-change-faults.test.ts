/** Ring changes under load while nodes crash, links break, writes come late and nodes learn nothing. */

import { expect, test } from 'vitest';
import { runRingChange, type ChangeCase } from './ring-change-run.ts';

const CASES: readonly Omit<ChangeCase, 'seed'>[] = [
  { founders: 3, joiners: ['n4'], change: { join: ['n4'] }, faults: 'nodes' },
  { founders: 4, joiners: ['n5'], change: { join: ['n5'], leave: ['n2'] }, faults: 'nodes' },
  { founders: 3, joiners: ['n4'], change: { replace: { n3: 'n4' } }, dead: 'n3', faults: 'nodes' },
  { founders: 5, joiners: ['n6'], change: { join: ['n6'] }, faults: 'messages' },
  { founders: 5, joiners: ['n6'], change: { replace: { n2: 'n6' } }, faults: 'messages' },
  // Seed 1 is one in which a write that had begun before the move counted a node that owned nothing any more.
  { founders: 5, joiners: [], change: { leave: ['n4'] }, faults: 'messages' },
];

test.each(CASES.map((one, i) => [JSON.stringify(one.change), i, one] as const))(
  '%s (%i)',
  async (_, i, one) => {
    const run = await runRingChange({ seed: `1-${i % 3}`, ...one });
    expect(run.violations).toEqual([]);
    expect(run.finished).toBe(true);
    expect(run.acknowledged).toBeGreaterThan(100);
  },
  60_000,
);
