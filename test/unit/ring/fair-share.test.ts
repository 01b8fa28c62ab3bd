import { expect, test } from 'vitest';
import { fairShares } from '#ring/fair-share.ts';

const unbounded = { least: 0, most: Number.MAX_SAFE_INTEGER };

test('shares follow weights', () => {
  const members = [1, 1, 2].map((weight) => ({ weight, most: 100 }));
  expect(fairShares([{ ...unbounded, members }], 100)).toEqual([[25, 25, 50]]);
});

test('what a full member cannot hold goes to the others by their weights', () => {
  const members = [
    { weight: 10, most: 40 },
    { weight: 1, most: 40 },
    { weight: 2, most: 40 },
  ];
  expect(fairShares([{ ...unbounded, members }], 100)).toEqual([[40, 20, 40]]);
  expect(fairShares([{ ...unbounded, members }], 70)).toEqual([[40, 10, 20]]);
  expect(fairShares([{ ...unbounded, members }], 120)).toEqual([[40, 40, 40]]);
});

test('fractions are rounded up where they are largest', () => {
  const members = [3, 3, 1].map((weight) => ({ weight, most: 100 }));
  // 4.29, 4.29, 1.43
  expect(fairShares([{ ...unbounded, members }], 10)).toEqual([[4, 4, 2]]);
});

test('a zone at its lower or upper bound shares that among its own members', () => {
  const small = { members: [{ weight: 1, most: 64 }], least: 64, most: 64 };
  const large = { members: [4, 4, 8].map((weight) => ({ weight, most: 64 })), least: 64, most: 128 };
  expect(fairShares([small, large], 192)).toEqual([[64], [32, 32, 64]]);
  const capped = { members: [9, 9].map((weight) => ({ weight, most: 64 })), least: 0, most: 64 };
  expect(fairShares([capped, large], 160)).toEqual([
    [32, 32],
    [24, 24, 48],
  ]);
});

test('weights far apart', () => {
  const members = [1e-6, 1, 1e6].map((weight) => ({ weight, most: 256 }));
  expect(fairShares([{ ...unbounded, members }], 512)).toEqual([[0, 256, 256]]);
  expect(fairShares([{ ...unbounded, members }], 768)).toEqual([[256, 256, 256]]);
});
