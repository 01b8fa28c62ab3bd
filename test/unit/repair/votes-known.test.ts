import { expect, test } from 'vitest';
import { nodeIndex, type NodeIndex } from '#kernel/identity.ts';
import { judgeVotes, type VotesHeard } from '#repair/votes-known.ts';

const [a, b, c, d] = [0, 1, 2, 3].map(nodeIndex) as [NodeIndex, NodeIndex, NodeIndex, NodeIndex];

/** The fourth takes the place of the third, which cannot be reached. */
function judged(but: Partial<VotesHeard> = {}): string {
  const usual = { old: [a, b, c], now: [a, b, d], self: d, heard: new Set([a, b]), damagedAt: [], isLost: () => false };
  return judgeVotes({ ...usual, ...but });
}

test('of three old owners two are enough, and one is not', () => {
  expect(judged()).toBe('known');
  expect(judged({ heard: new Set([a]) })).toBe('lacking');
  expect(judged({ heard: new Set([a]), isLost: () => true })).toBe('lacking');
});

test('an owner at which a register is damaged has not been heard of that one', () => {
  expect(judged({ damagedAt: [new Set([b])] })).toBe('lacking');
  expect(judged({ damagedAt: [new Set([b])], heard: new Set([a, b, c]) })).toBe('known');
  expect(judged({ damagedAt: [new Set([a]), new Set([b])], heard: new Set([a, b, c]) })).toBe('known');
  expect(judged({ damagedAt: [new Set([a, b])], heard: new Set([a, b, c]) })).toBe('lacking');
});

test('what nobody can say any more is given up, but not the last one that is whole', () => {
  const lost = { isLost: (index: NodeIndex) => index === c };
  expect(judged({ ...lost, damagedAt: [new Set([b])] })).toBe('given-up');
  expect(judged({ ...lost, damagedAt: [new Set([b])], now: [b, d] })).toBe('lacking');
  expect(judged({ ...lost, damagedAt: [new Set([a, b])] })).toBe('given-up');
  expect(judged({ damagedAt: [new Set([a, b])], heard: new Set([a, b, c]), now: [c, d] })).toBe('given-up');
  // The one that was the only owner has lost it: so have those that come.
  expect(judged({ old: [a], now: [a, b, d], heard: new Set([a]), damagedAt: [new Set([a])] })).toBe('given-up');
  // Who stays has a row of its own.
  expect(judged({ ...lost, self: a, now: [a, b], damagedAt: [new Set([b])] })).toBe('lacking');
});
