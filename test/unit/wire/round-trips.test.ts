import { expect, test } from 'vitest';
import { RoundTrips } from '#wire/round-trips.ts';

function after(...took: readonly number[]): number {
  const trips = new RoundTrips();
  for (const milliseconds of took) trips.took(milliseconds);
  return trips.typical;
}

test('a few that came back late, or one that was luckily short, say nothing of the way', () => {
  expect(after()).toBe(0);
  expect(after(20)).toBe(20);
  expect(after(20, 900, 21, 3000, 22)).toBe(21);
  expect(after(1, 20, 21, 22, 23)).toBe(20);
});

test('a way that has become slow, or fast again, is known for it a few questions later', () => {
  expect(after(1, 1, 1, 1, 1, 400, 400, 400, 400)).toBe(400);
  expect(after(400, 400, 400, 400, 400, 1, 1)).toBe(1);
});
