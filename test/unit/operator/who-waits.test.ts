/** A change that does not go on says because of whom, and what to do. */

import { expect, test } from 'vitest';
import type { Facts } from '#consensus/facts.ts';
import { epoch, nodeId, nodeIndex } from '#kernel/identity.ts';
import { whoWaits } from '#operator/who-waits.ts';
import type { MovesReply } from '#repair/moves-message.ts';
import type { MoveStage } from '#ring/moving.ts';
import type { ChangeUnderWay, Member } from '#ring/ring.ts';
import { ringOf } from '../ring/rings.ts';

const FINE: Pick<MovesReply, 'stores' | 'waiting'> = { stores: true, waiting: null };

/** n4 comes, in the place of n3 in every partition. */
function facts(stage: MoveStage, state: ChangeUnderWay['state'] = 'running', consistency = 'eventual'): Facts {
  const ring = ringOf(['z', 'z', 'z', 'z'], 4);
  const [old, now] = [[0, 1, 2].map(nodeIndex), [0, 1, 3].map(nodeIndex)];
  const isBack = stage === 'read-new';
  const move = { stage, others: isBack ? old : now };
  const entry = { owners: isBack ? now : old, changedIn: epoch(2), move };
  const change = { id: 'p', state, moves: 4, comes: [nodeIndex(3)], goes: [], keys: 0, bytes: 0 };
  const members = ring.members.map((one) => (one.index === 3 ? { ...one, state: 'joining' as const } : one));
  return {
    epoch: epoch(2),
    ring: { ...ring, members, change, placements: [{ n: 3, partitions: [entry, entry, entry, entry] }] },
    buckets: [{ name: 'b', incarnation: 0, version: epoch(1), dropped: false, properties: { n: 3, consistency } }],
    tokens: [],
  };
}

const emptied = (one: Member): Member => (one.index === 3 ? { ...one, state: 'refilling' } : one);

function givenUp(at: Facts): Facts {
  return { ...at, ring: { ...at.ring, change: { ...at.ring.change!, lost: [nodeIndex(3)] } } };
}

async function told(
  at: Facts,
  away: string,
  replies: Readonly<Record<string, object>> = {},
  awayFor = 5000,
): Promise<readonly string[]> {
  const views = await whoWaits(
    {
      world: { clock: { monotonic: () => 0 } as never },
      messaging: { call: async (id: string) => ({ kind: 'reply', reply: { ...FINE, ...replies[id] } }) } as never,
      moves: { report: () => ({ ...FINE, ...replies['n1'] }) as MovesReply },
      self: nodeId('n1'),
      reachable: (id) => id !== away,
      away: { for: () => awayFor },
    },
    at,
  );
  return views.map(({ node, milliseconds, reason }) => `${node} ${milliseconds} ${reason}`);
}

test.each(['planned', 'dual'] as const)('in %s it waits for a newcomer that is away', async (stage) => {
  const [reason, ...more] = await told(facts(stage), 'n4');
  expect(more).toEqual([]);
  expect(reason).toContain(
    'n4 0 cannot be reached, and has 4 partitions to take over, which wait for it: start it again',
  );
  expect(reason).toMatch(/, or take the change back \(quoral ring abort\)$/);
  expect(await told(facts(stage, 'aborting'), 'n4')).toEqual([]);
  expect(await told(facts(stage, 'paused'), 'n4')).toEqual([]);
  expect(await told(facts(stage), 'n3')).toEqual([]);
  // It has just become a member, and nobody is connected yet.
  expect(await told(facts(stage), 'n4', {}, 1000)).toEqual([]);
});

test('those that serve reads of strong keys have to vote, too, also when it is taken back', async () => {
  expect(await told(facts('read-new'), 'n4')).toEqual([]);
  for (const state of ['running', 'aborting'] as const) {
    const [reason] = await told(facts('read-new', state, 'strong'), 'n4');
    expect(reason).toContain(state === 'running' ? '(quoral ring abort)' : '(quoral ring abort --accept-loss-of n4)');
    const at = facts('read-new', state, 'strong');
    const refilling = { ...at, ring: { ...at.ring, members: at.ring.members.map(emptied) } };
    expect((await told(refilling, 'n4')).length).toBe(1);
    expect(await told(givenUp(refilling), 'n4')).toEqual([]);
  }
});

test('one that is given up is still to be there where it has begun nothing', async () => {
  const at = facts('planned');
  const refilling = { ...at, ring: { ...at.ring, members: at.ring.members.map(emptied) } };
  expect((await told(givenUp(refilling), 'n4')).length).toBe(1);
});

test('a disk that takes nothing holds up what its node has a part in, whoever is asked', async () => {
  for (const node of ['n1', 'n3', 'n4']) {
    const [reason, ...more] = await told(facts('dual'), '', { [node]: { stores: false } });
    expect([more, reason]).toEqual([
      [],
      `${node} 0 its disk takes nothing, for it is full or has failed, and 4 partitions wait for it: give it space, or stop it`,
    ]);
  }
});

test('a newcomer says itself that it waits for clocks, before anything has begun', async () => {
  const waits = { n4: { waiting: { milliseconds: 5000, reason: 'the clock of n2 is ahead' } } };
  expect(await told(facts('planned'), '', waits)).toEqual(['n4 5000 the clock of n2 is ahead']);
  expect(await told(facts('dual'), '', waits)).toEqual([]);
});

test('nobody is asked when nothing moves', async () => {
  const { change: _, ...ring } = facts('dual').ring;
  expect(await told({ ...facts('dual'), ring }, 'n4')).toEqual([]);
});
