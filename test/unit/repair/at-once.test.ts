/** How much repair has under way at once: more exchanges where ways are long, and few pages of states whatever the way. */

import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { EXCHANGES_MAX, exchangesAtOnce, Gate, Pages, STATES_UNDER_WAY_MAX, workOn } from '#repair/at-once.ts';
import type { Member } from '#ring/ring.ts';

const MIB = 1024 ** 2;

function atOnce(least: number, ...roundTrips: readonly number[]): number {
  const members = roundTrips.map((_, i) => ({ id: i }) as unknown as Member);
  return exchangesAtOnce({ roundTrip: (id) => roundTrips[Number(id)]! }, { members }, least);
}

test('the farthest member says how many exchanges there are, within the bound', () => {
  expect(atOnce(1, 0, 9)).toBe(1);
  expect(atOnce(2, 0, 1, 50)).toBe(7);
  expect(atOnce(2, 0, 4000)).toBe(EXCHANGES_MAX);
  expect(atOnce(20, 0, 4000)).toBe(20);
});

/** Work that ends when it is told to. */
class Works {
  readonly begun: number[] = [];
  readonly #ends = new Map<number, (error?: Error) => void>();

  readonly work = async (one: number): Promise<void> => {
    this.begun.push(one);
    await new Promise<void>((resolve, reject) => {
      this.#ends.set(one, (error) => (error === undefined ? resolve() : reject(error)));
    });
  };

  async end(one: number, error?: Error): Promise<void> {
    this.#ends.get(one)!(error);
    await turn();
  }
}

test('so many are worked on at once', async () => {
  const works = new Works();
  const all = workOn([1, 2, 3, 4], 2, works.work);
  expect(works.begun).toEqual([1, 2]);
  await works.end(2);
  expect(works.begun).toEqual([1, 2, 3]);
  await works.end(3);
  for (const one of [1, 4]) await works.end(one);
  await all;
  expect(works.begun).toEqual([1, 2, 3, 4]);
});

test('when one fails no other is begun, and it is told when none is under way', async () => {
  const works = new Works();
  let failure: unknown;
  const all = workOn([1, 2, 3, 4], 2, works.work).catch((error: unknown) => (failure = error));
  await works.end(1, new Error('the first'));
  expect([works.begun, failure]).toEqual([[1, 2], undefined]);
  await works.end(2);
  await all;
  expect([works.begun, failure]).toEqual([[1, 2], new Error('the first')]);
});

test('a gate lets so many in at once, in their order', async () => {
  const works = new Works();
  const gate = new Gate(() => 2);
  const all = [1, 2, 3, 4].map(async (one) => await gate.pass(async () => await works.work(one)));
  expect(works.begun).toEqual([1, 2]);
  await works.end(2);
  expect(works.begun).toEqual([1, 2, 3]);
  await works.end(1);
  expect(works.begun).toEqual([1, 2, 3, 4]);
  for (const one of [3, 4]) await works.end(one);
  await Promise.all(all);
});

test('pages of states wait for each other by what they have, and one that is larger than the bound goes alone', async () => {
  const works = new Works();
  const pages = new Pages();
  const sizes = [0.5 * MIB, 0.5 * MIB, 0.125 * MIB, 2 * STATES_UNDER_WAY_MAX];
  const all = sizes.map(async (bytes, one) => await pages.underWay(bytes, async () => await works.work(one)));
  expect(works.begun).toEqual([0, 1]);
  await works.end(0);
  expect(works.begun).toEqual([0, 1, 2]);
  await works.end(1);
  expect(works.begun).toEqual([0, 1, 2]);
  await works.end(2);
  expect(works.begun).toEqual([0, 1, 2, 3]);
  await works.end(3);
  await Promise.all(all);
});

test('a large page is not passed by smaller ones that came later', async () => {
  const works = new Works();
  const pages = new Pages();
  const sizes = [0.5 * MIB, 0.375 * MIB, 0.875 * MIB, 0.125 * MIB, 0.125 * MIB];
  const all = sizes.map(async (bytes, one) => await pages.underWay(bytes, async () => await works.work(one)));
  await works.end(0);
  expect(works.begun).toEqual([0, 1]);
  const late = pages.underWay(0.125 * MIB, async () => await works.work(5));
  await works.end(1);
  expect(works.begun).toEqual([0, 1, 2, 3]);
  await works.end(2);
  expect(works.begun).toEqual([0, 1, 2, 3, 4, 5]);
  for (const one of [3, 4, 5]) await works.end(one);
  await Promise.all([...all, late]);
});

/** How many pages that are asked for get under way. */
async function asked(pages: Pages): Promise<number> {
  const works = new Works();
  const all = Array.from({ length: 40 }, async (_, one) => {
    await pages.underWay(undefined, async () => await works.work(one));
  });
  await turn();
  const { length } = works.begun;
  for (let one = 0; one < all.length; one++) await works.end(one);
  await Promise.all(all);
  return length;
}

test('of pages that are asked for the last few say how large they are', async () => {
  const pages = new Pages();
  expect(await asked(pages)).toBe(4);
  for (let i = 0; i < 10; i++) pages.came(64 * 1024);
  expect(await asked(pages)).toBe(16);
  pages.came(MIB);
  expect(await asked(pages)).toBe(1);
});
