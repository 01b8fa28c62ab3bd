/**
 * The alarm must ring: each known wrong variant of the protocol is found by the checker that the right one passes.
 */

import { describe, expect, it, vi } from 'vitest';
import type { NodeId, StorageId } from '#kernel/identity.ts';
import type { Facts } from '#consensus/facts.ts';
import { ChainCluster } from './chain-cluster.ts';
import type { Scenario } from './chain-cluster.ts';

const wrong = vi.hoisted(() => ({ foundersDecide: false, wipedDisksVote: false, acceptedIgnored: false }));

vi.mock('#consensus/electorate.ts', async (original) => {
  const right = await original<typeof import('#consensus/electorate.ts')>();
  return {
    ...right,
    electorateAfter: (facts: Facts | undefined, founders: readonly NodeId[]) => {
      const { voters, majority } = right.electorateAfter(facts, founders);
      return { voters, majority: wrong.foundersDecide ? right.majorityOf(3) : majority };
    },
    mayVoteAfter: (facts: Facts, id: NodeId, storage: StorageId) => {
      const index = right.memberNamed(facts, id)?.index;
      if (wrong.wipedDisksVote) return index !== undefined && facts.ring.voters.includes(index);
      return right.mayVoteAfter(facts, id, storage);
    },
  };
});

vi.mock('#consensus/acceptor.ts', async (original) => {
  const right = await original<typeof import('#consensus/acceptor.ts')>();
  const valueToAdopt: typeof right.valueToAdopt = (promises) =>
    wrong.acceptedIgnored ? undefined : right.valueToAdopt(promises);
  return { ...right, valueToAdopt };
});

const HARSH: Omit<Scenario, 'seed'> = {
  faults: { loss: 0.2, delay: 12 },
  wipes: false,
  voterChanges: false,
  duration: 1200,
};

/** Histories searched; a wrong variant shows itself in one of some ten to some hundred. */
const SEARCHED_MAX = 1000;

/** Starts with a seed that is known to be near a finding, only to be quick. */
async function violationFrom(first: number, scenario: Omit<Scenario, 'seed'>, count = SEARCHED_MAX): Promise<string> {
  for (let seed = first; seed < first + count; seed++) {
    const cluster = new ChainCluster({ ...scenario, seed });
    await cluster.run();
    const found = cluster.violations.find((violation) => /two values|is lost|and was$/.test(violation));
    if (found !== undefined) return found;
  }
  return 'none';
}

async function whileWrong(variant: keyof typeof wrong, check: () => Promise<void>): Promise<void> {
  wrong[variant] = true;
  try {
    await check();
  } finally {
    wrong[variant] = false;
  }
}

describe('the checker finds', () => {
  it('a vote that was not on disk before it was answered', async () => {
    const faults = { ...HARSH.faults, forgetfulVotes: true, crashAtCommit: 0.1 };
    expect(await violationFrom(220, { ...HARSH, faults })).toMatch(/two values/);
  });

  it('a proposer that ignores what a voter has accepted', async () => {
    await whileWrong('acceptedIgnored', async () => {
      expect(await violationFrom(1, HARSH)).toMatch(/two values/);
    });
  });

  it('a majority of as many as there were founders instead of the voters', async () => {
    await whileWrong('foundersDecide', async () => {
      expect(await violationFrom(16, { ...HARSH, voterChanges: true })).toMatch(/two values/);
    });
  });

  it('a voter that lost its disk and votes on', async () => {
    await whileWrong('wipedDisksVote', async () => {
      expect(await violationFrom(140, { ...HARSH, wipes: true, unrest: 20 })).toMatch(/two values/);
    });
  });

  it('nothing in the same histories when nothing is wrong', async () => {
    expect(await violationFrom(1, { ...HARSH, wipes: true }, 5)).toBe('none');
    expect(await violationFrom(1, { ...HARSH, voterChanges: true }, 5)).toBe('none');
  });
});
