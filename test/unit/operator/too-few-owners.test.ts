/** Partitions of which too few owners are left to move them: the plan warns of it, and the change says whom it waits for. */

import { expect, test } from 'vitest';
import { epoch, nodeId, storageId, type NodeId } from '#kernel/identity.ts';
import type { Facts } from '#consensus/facts.ts';
import { describePlan } from '#operator/describe-plan.ts';
import { beginChange } from '#operator/ring-change.ts';
import { changeWaitsFor } from '#operator/too-few-owners.ts';
import { changeMembers } from '#ring/change.ts';
import { planRing } from '#ring/plan.ts';
import type { Ring } from '#ring/ring.ts';
import { ringOf } from '../ring/rings.ts';

/** Four nodes; beside the partitions of n=3 some of keys with one replica. */
function ring(): Ring {
  const founded = ringOf(['z', 'z', 'z', 'z'], 8);
  const { partitions } = founded.placements[0]!;
  const single = partitions.map((entry) => ({ ...entry, owners: entry.owners.slice(0, 1) }));
  return { ...founded, placements: [{ n: 1, partitions: single }, ...founded.placements] };
}

function replaced(id: string, acceptLossOf: readonly string[] = []): ReturnType<typeof planRing> {
  const newcomer = {
    id: nodeId('n5'),
    storageId: storageId('5'.repeat(32)),
    peer: 'n5:1',
    url: '',
    zone: 'z',
    weight: 1,
  };
  const replace = [[id, 'n5']] as const;
  const changed = changeMembers(ring(), { join: [], leave: [], replace, weights: [], zones: [], acceptLossOf }, [
    newcomer,
  ]);
  if (changed.kind === 'refused') throw new Error(changed.detail);
  return planRing(ring(), changed);
}

const SINGLE = { name: 'single', incarnation: 0, version: epoch(1), dropped: false, properties: { n: 1 } };
const THREE = { ...SINGLE, name: 'three', properties: { n: 3 } };
const FACTS = { epoch: epoch(1), ring: ring(), buckets: [SINGLE], tokens: [] };
const owned = FACTS.ring.placements[0]!.partitions.filter(({ owners }) => owners[0] === 3).length;

function risksOf(reachable: (id: NodeId) => boolean, facts: Facts = FACTS): readonly string[] {
  return describePlan(facts, replaced('n4'), [], reachable, 1).risks.map(({ code, detail }) => `${code}: ${detail}`);
}

test('a plan to replace a dead member that is the only owner of something says so, and what to do', () => {
  expect(owned).toBeGreaterThan(0);
  const risks = risksOf((id) => id !== 'n4').join('\n');
  expect(risks).toContain(`too-few-owners: ${owned} partitions of n=1 have too few owners without n4`);
  expect(risks).toMatch(/start it again, with an empty directory if its disk is lost/);
  expect(risks).toContain('comes from the other owners, as far as there are any');
});

test('a plan without it says nothing of the kind', () => {
  expect(risksOf(() => true).join('\n')).not.toContain('too-few-owners');
  expect(risksOf((id) => id !== 'n1').join('\n')).not.toContain('too-few-owners');
});

test('of two that are away the one that is given up is waited for by nobody, and the other one is named', () => {
  const plan = replaced('n4', ['n4']);
  const reachable = (id: NodeId): boolean => id !== 'n4' && id !== 'n1';
  const { risks } = describePlan({ ...FACTS, buckets: [THREE] }, plan, [], reachable, 1);
  const told = risks.filter(({ code }) => code === 'too-few-owners').map(({ detail }) => detail);
  expect(told).toEqual([expect.stringMatching(/^\d+ partitions of n=3 have too few owners without n1:/)]);
  const begun = beginChange({ ...FACTS, buckets: [THREE] }, 'p', plan, { keys: 0, bytes: 0 });
  if ('refused' in begun) throw new Error(begun.refused);
  expect(changeWaitsFor(begun, reachable).map(({ node }) => node)).toEqual(['n1']);
});

test('of an n that no bucket has any more nothing is said', () => {
  expect(risksOf((id) => id !== 'n4', { ...FACTS, buckets: [] }).join('\n')).not.toContain('too-few-owners');
});

test('a plan tells of fewer replicas only where some bucket keeps so many', () => {
  const wide = { ...ring(), placements: [...ring().placements, { ...ring().placements[1]!, n: 7 }] };
  const told = (n: number): readonly string[] => {
    const facts = { ...FACTS, ring: wide, buckets: [{ ...SINGLE, properties: { n } }] };
    const changed = changeMembers(wide, { join: [], leave: ['n4'], replace: [], weights: [], zones: [] }, []);
    if (changed.kind === 'refused') throw new Error(changed.detail);
    return describePlan(facts, planRing(wide, changed), [], () => true, 1).risks.map(({ code }) => code);
  };
  expect(told(7)).toContain('fewer-replicas');
  expect(told(1)).not.toContain('fewer-replicas');
});

function inDual(facts: Facts): Facts {
  const placements = facts.ring.placements.map(({ n, partitions }) => ({
    n,
    partitions: partitions.map((entry) =>
      entry.move === undefined ? entry : { ...entry, move: { ...entry.move, stage: 'dual' as const } },
    ),
  }));
  return { ...facts, ring: { ...facts.ring, placements } };
}

test('a plan that gives something to a dead member says that it would wait', () => {
  expect(risksOf((id) => id !== 'n5').join('\n')).not.toContain('what it gets');
  const changed = changeMembers(ring(), { join: [], leave: ['n1'], replace: [], weights: [], zones: [] }, []);
  if (changed.kind === 'refused') throw new Error(changed.detail);
  const { risks } = describePlan(FACTS, planRing(ring(), changed), [], (id) => id !== 'n4', 1);
  const told = risks.filter(({ code }) => code === 'unreachable').map(({ detail }) => detail);
  expect(told).toEqual(['n4 cannot be reached; what it gets waits until it is there, and the change with it']);
});

test('a change that cannot go on says whom it waits for, while it runs and while it is taken back', () => {
  const begun = beginChange(FACTS, 'p', replaced('n4'), { keys: 0, bytes: 0 });
  if ('refused' in begun) throw new Error(begun.refused);
  for (const state of ['running', 'aborting'] as const) {
    const under = { ...begun, ring: { ...begun.ring, change: { ...begun.ring.change!, state } } };
    expect(changeWaitsFor(under, (id) => id !== 'n4')).toEqual([
      { node: 'n4', milliseconds: 0, reason: expect.stringContaining(`${owned} partitions of n=1`) },
    ]);
    const told = (facts: Facts, away: string): readonly string[] =>
      changeWaitsFor(facts, (id) => id !== away).map(({ reason }) => reason);
    expect(told(under, 'n4')[0]).toContain('quoral ring resume --accept-loss-of n4');
    // A newcomer has begun nothing at first; what it has then others have, too.
    expect(told(under, 'n5')).toEqual([]);
    expect(told(inDual(under), 'n5')[0]).toContain('quoral ring abort --accept-loss-of n5');
    expect(changeWaitsFor(under, () => true)).toEqual([]);
    expect(changeWaitsFor(under, (id) => id !== 'n1')).toEqual([]);
    expect(changeWaitsFor({ ...under, buckets: [{ ...SINGLE, dropped: true }] }, (id) => id !== 'n4')).toEqual([]);
  }
});

test('nobody is waited for when nothing moves', () => {
  expect(changeWaitsFor(FACTS, () => false)).toEqual([]);
});
