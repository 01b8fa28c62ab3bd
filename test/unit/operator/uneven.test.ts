/** Members that own more or less than their weights deserve: the plan says so, and what stands in the way. */

import { expect, test } from 'vitest';
import { epoch } from '#kernel/identity.ts';
import { describePlan, type Risk } from '#operator/describe-plan.ts';
import { changeMembers } from '#ring/change.ts';
import { planRing } from '#ring/plan.ts';
import { ringOf } from '../ring/rings.ts';

function unevenIn(zones: readonly string[]): readonly Risk[] {
  const ring = ringOf(zones, 8);
  const three = { name: 'three', incarnation: 0, version: epoch(1), dropped: false, properties: { n: 3 } };
  const weights = [['n1', 0.5]] as const;
  const changed = changeMembers(ring, { join: [], leave: [], replace: [], weights, zones: [] }, []);
  if (changed.kind === 'refused') throw new Error(changed.detail);
  const facts = { epoch: epoch(1), ring, buckets: [three], tokens: [] };
  const { risks } = describePlan(facts, planRing(ring, changed), [], () => true, 1);
  return risks.filter(({ code }) => code.startsWith('uneven-'));
}

test('in one zone it is the replicas of a key, of which a member has one at most', () => {
  expect(unevenIn(['z', 'z', 'z'])).toEqual([
    {
      code: 'uneven-weights',
      detail:
        'for n=3 one member owns 1.67 times its fair share, and one 0.83 times: a member has one replica of a key at most, whatever its weight',
    },
  ]);
});

test('in several it is the zones', () => {
  const [risk] = unevenIn(['a', 'b', 'c']);
  expect(risk).toEqual({ code: 'uneven-zones', detail: expect.stringContaining('over zones first') as unknown });
});
