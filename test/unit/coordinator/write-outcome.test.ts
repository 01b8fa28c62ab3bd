import { expect, test } from 'vitest';
import { withDoubt } from '#coordinator/doubt.ts';
import { nodeId } from '#kernel/identity.ts';
import { failed, type Failure } from '#coordinator/write-outcome.ts';

const AGREEMENT = { acked: 1, needed: 2, of: 3, fallbacks: 0 };

function failure(more: Partial<Failure>): Failure {
  const nothing = { unasked: [], reasonNotMinted: undefined, written: undefined, zone: undefined };
  return { ending: 'impossible', mayHold: 0, refusals: [], ...nothing, ...more };
}

test('a write that a node may hold is not called turned away for the others that had too much to do', () => {
  const refusals = ['n1', 'n2'].map((by) => ({ by: nodeId(by), why: 'overloaded' }));
  expect(failed(failure({ refusals, mayHold: 1 }), AGREEMENT)).toEqual({
    kind: 'unknown',
    trouble: 'quorum-unavailable',
    detail: 'too few replicas can take the write (n1: overloaded, n2: overloaded)',
    agreement: AGREEMENT,
  });
  expect(failed(failure({ refusals }), AGREEMENT)).toMatchObject({ kind: 'not-applied', trouble: 'overloaded' });
});

test('nor is a change of a strong key that an owner was given before', () => {
  const turnedAway = { kind: 'failed', reason: 'overloaded', detail: 'many wait', mayBeMade: false } as const;
  expect(withDoubt(turnedAway, 1)).toEqual({ ...turnedAway, reason: 'unavailable', mayBeMade: true });
  expect(withDoubt(turnedAway, 0)).toEqual(turnedAway);
});
