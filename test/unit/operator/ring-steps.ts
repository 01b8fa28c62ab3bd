/** Begins changes of the ring, goes on with them step by step, and checks each step. */

import { expect } from 'vitest';
import type { Facts } from '#consensus/facts.ts';
import { epoch, nodeId, storageId, type NodeIndex } from '#kernel/identity.ts';
import { advanceChange, beginChange, steerChange, type Evidence } from '#operator/ring-change.ts';
import { changeMembers, type Newcomer, type RingChange } from '#ring/change.ts';
import { MOVE_STAGES, newOwners, oldOwners, writersOf } from '#ring/moving.ts';
import { planRing } from '#ring/plan.ts';
import { ringFromWire, ringToWire } from '#ring/ring-codec.ts';
import { VOTERS_MAX, type Member, type PartitionOwners, type Ring } from '#ring/ring.ts';
import { ringOf } from '../ring/rings.ts';

const NOTHING: RingChange = { join: [], leave: [], replace: [], weights: [], zones: [] };

export function factsOf(zones: readonly string[], partitions = 16): Facts {
  const ring = ringOf(zones, partitions);
  const members = ring.members.map((member) => ({ ...member, storageId: diskOf(member.id) }));
  return { epoch: epoch(1), ring: { ...ring, members }, buckets: [], tokens: [] };
}

export function diskOf(id: string): NonNullable<Member['storageId']> {
  return storageId(Buffer.from(id).toString('hex').padStart(32, '0'));
}

export function newcomer(id: string, zone = 'z1'): Newcomer {
  return { id: nodeId(id), storageId: diskOf(id), peer: `${id}:1`, url: `http://${id}`, zone, weight: 1 };
}

/** Everybody has done everything, as long as nothing else is said. */
export function evidence(but: Partial<Evidence> = {}): Evidence {
  const yes = (): boolean => true;
  return {
    isDone: yes,
    isStuck: () => false,
    portion: Infinity,
    isReady: yes,
    keepsNothing: yes,
    isEmpty: yes,
    mayEnd: yes,
    isAway: () => false,
    isGone: () => false,
    ...but,
  };
}

export const SIZE = { keys: 0, bytes: 0 };

export function begin(facts: Facts, change: Partial<RingChange>, newcomers: readonly Newcomer[] = []): Facts {
  const changed = changeMembers(facts.ring, { ...NOTHING, ...change }, newcomers);
  if (changed.kind === 'refused') throw new Error(changed.detail);
  const begun = beginChange(facts, 'some plan', planRing(facts.ring, changed), SIZE);
  if ('refused' in begun) throw new Error(begun.refused);
  return begun;
}

export function steered(facts: Facts, state: 'running' | 'paused' | 'aborting'): Facts {
  const after = steerChange(facts, state);
  if ('refused' in after) throw new Error(after.refused);
  return after;
}

/** Goes on as far as the evidence carries, and checks each step. */
export function run(begun: Facts, given: Evidence = evidence(), most = 100): readonly Facts[] {
  const all = [begun];
  for (let step = 0; step < most; step++) {
    const before = all.at(-1)!;
    const after = advanceChange(before, given);
    if (after === before) {
      checkVoters(all);
      return all;
    }
    checkStep(before, after);
    all.push(after);
  }
  throw new Error('it never comes to rest');
}

/** On the way no fewer voters may be lost than before or in the end, but for one where there are as many as there may be. */
export function checkVoters(steps: readonly Facts[]): void {
  const spare = (count: number): number => Math.ceil(count / 2) - 1;
  const spares = steps.map(({ ring }) => spare(ring.voters.length));
  const isFull = steps.some(({ ring }) => ring.voters.length === VOTERS_MAX);
  // Where it was to lead before it was taken back.
  const planned = steps[0]!.ring.members.filter(({ state }) => state !== 'removed' && state !== 'leaving').length;
  const least = Math.min(spares[0]!, spares.at(-1)!, spare(planned)) - Number(isFull);
  expect(Math.min(...spares)).toBeGreaterThanOrEqual(least);
}

export function entries({ placements }: Ring): readonly PartitionOwners[] {
  return placements.flatMap(({ partitions }) => partitions);
}

const same = (a: readonly NodeIndex[], b: readonly NodeIndex[]): boolean => a.join() === b.join();

/** What every step has to keep, whoever drives. */
export function checkStep(before: Facts, after: Facts): void {
  expect(after.epoch).toBe(before.epoch + 1);
  expect(ringFromWire(ringToWire(after.ring))).toEqual(after.ring);
  const [was, is] = [entries(before.ring), entries(after.ring)];
  for (const [i, entry] of is.entries()) {
    const former = was[i]!;
    if (entry === former || JSON.stringify(entry) === JSON.stringify(former)) continue;
    const stages = [former.move?.stage, entry.move?.stage].map((stage) => MOVE_STAGES.indexOf(stage!));
    const moved = !same(former.owners, entry.owners) || !same(writersOf(former), writersOf(entry));
    // Whoever knows only the stage before must be refused where it would do something else now.
    if (moved) expect(entry.changedIn).toBe(after.epoch);
    if (stages[0] === 1 && stages[1] === 2) expect(entry.owners).toEqual(newOwners(former));
    if (stages[0] === 0 && stages[1] === 1)
      expect([entry.owners, newOwners(entry)]).toEqual([former.owners, newOwners(former)]);
    // Only neighbours: no stage is left out on the way to the new owners, and none on the way back.
    const legal = [
      [-1, -1],
      [0, 1],
      [0, -1],
      [1, 2],
      [2, 1],
      [1, 3],
      [1, -1],
      [2, 3],
      [2, -1],
      [3, -1],
      // Some of those that have something to bring have done so; or had it to bring from before, when a plan is taken back.
      [3, 3],
      [0, 3],
    ];
    expect(legal).toContainEqual(stages);
    if (stages[0] === 1 && stages[1] !== 2) expect(entry.owners).toEqual(oldOwners(former));
    if (stages[0] === 2 && stages[1] !== 1) expect(entry.owners).toEqual(newOwners(former));
  }
  const [voted, votes] = [new Set(before.ring.voters), new Set(after.ring.voters)];
  const difference = [...voted, ...votes].filter((index) => voted.has(index) !== votes.has(index));
  expect(difference.length, 'voters change one at a time').toBeLessThanOrEqual(1);
  const states = new Map(after.ring.members.map(({ index, state }) => [index, state]));
  for (const index of [...after.ring.voters, ...is.flatMap(writersOf)]) expect(states.get(index)).not.toBe('removed');
}

export function shown({ ring }: Facts): string {
  return ring.members.map(({ id, state }) => `${id} ${state}`).join(', ');
}

export function stages({ ring }: Facts): readonly string[] {
  return [...new Set(entries(ring).map(({ move }) => move?.stage ?? 'stable'))].sort();
}

export const FOUR = [newcomer('n4')];
