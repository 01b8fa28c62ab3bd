/** Changes of the ring under anything that may be known when. */

import { expect, test } from 'vitest';
import fc from 'fast-check';
import { epoch, nodeIndex, type NodeIndex } from '#kernel/identity.ts';
import { advanceChange, type Evidence } from '#operator/ring-change.ts';
import { stageMayEnd, type Installed } from '#ring/moving.ts';
import { placeableMembers } from '#ring/placement.ts';
import type { PartitionOwners } from '#ring/ring.ts';
import { begin, checkStep, checkVoters, entries, factsOf, newcomer, run, steered } from './ring-steps.ts';

/** Some of what is asked is true, some not, otherwise at each step. */
function someEvidence(draw: () => boolean): Evidence {
  return {
    isDone: draw,
    isStuck: draw,
    portion: 4,
    isReady: draw,
    keepsNothing: draw,
    isEmpty: draw,
    mayEnd: draw,
    isAway: () => false,
    isGone: () => false,
  };
}

test('whatever is known when, and however often it is taken back: each step is legal, and it comes to an end', () => {
  const change = fc.record({
    zones: fc.array(fc.constantFrom('z1', 'z2', 'z3'), { minLength: 1, maxLength: 6 }),
    joins: fc.array(fc.constantFrom('z1', 'z2', 'z4'), { maxLength: 3 }),
    leaves: fc.nat(2),
    abortAt: fc.option(fc.nat(6), { nil: undefined }),
    answers: fc.infiniteStream(fc.boolean()),
  });
  fc.assert(
    fc.property(change, ({ zones, joins, leaves, abortAt, answers }) => {
      const facts = factsOf(zones);
      const newcomers = joins.map((zone, i) => newcomer(`m${i}`, zone));
      const leave = zones.slice(0, Math.min(leaves, zones.length + joins.length - 1)).map((_, i) => `n${i + 1}`);
      let now = begin(facts, { join: newcomers.map(({ id }) => id), leave }, newcomers);
      const all = [now];
      const draw = (): boolean => answers.next().value as boolean;
      for (let step = 0; step < 12 && now.ring.change !== undefined; step++) {
        if (step === abortAt) now = steered(now, 'aborting');
        const after = advanceChange(now, someEvidence(draw));
        if (after !== now) checkStep(now, after);
        now = after;
        all.push(now);
      }
      all.push(...run(now));
      checkVoters(all);
      const end = all.at(-1)!;
      expect(end.ring.change).toBeUndefined();
      const left = placeableMembers(end.ring.members);
      expect(end.ring.members.every(({ state }) => state === 'active' || state === 'removed')).toBe(true);
      for (const { owners } of entries(end.ring)) {
        expect(new Set(owners).size).toBe(owners.length);
        if (abortAt === undefined) expect(owners.length).toBe(Math.min(3, left.length));
      }
    }),
    { numRuns: 150 },
  );
});

test('a stage may end when nobody goes by the one before, and those who cannot be asked are no majority', () => {
  const [a, b, c, d] = [0, 1, 2, 3].map(nodeIndex) as [NodeIndex, NodeIndex, NodeIndex, NodeIndex];
  const entry: PartitionOwners = { owners: [a, b, c], changedIn: epoch(3), move: { stage: 'dual', others: [b, c, d] } };
  const may = (standing: Readonly<Record<number, Installed>>): boolean =>
    stageMayEnd(entry, (index) => standing[index] ?? 'installed');
  expect(may({})).toBe(true);
  expect(may({ 3: 'behind' })).toBe(false);
  expect(may({ 0: 'away' })).toBe(true);
  expect(may({ 0: 'away', 3: 'away' })).toBe(true);
  expect(may({ 0: 'away', 1: 'away' })).toBe(false);
  expect(may({ 1: 'away', 3: 'away' })).toBe(false);
});
