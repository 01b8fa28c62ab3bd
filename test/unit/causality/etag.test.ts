import { expect, test } from 'vitest';
import { etagOf } from '#causality/etag.ts';
import type { Version } from '#causality/state.ts';
import { contentOf, dot, stateOf } from './examples.ts';

const { versions } = stateOf([], [dot(1, 5), dot(1, 6), dot(2, 5), dot(2, 5, 3)]);

test('the same set has the same tag in any order, and any other set another one', () => {
  expect(etagOf(versions.toReversed())).toBe(etagOf(versions));
  const sets: Version[][] = [];
  for (let members = 0; members < 2 ** versions.length; members++) {
    sets.push(versions.filter((_, i) => (members & (1 << i)) !== 0));
  }
  const tags = sets.map(etagOf);
  expect(new Set(tags).size).toBe(sets.length);
  for (const tag of tags) expect(tag).toMatch(/^[0-9a-f]{16}$/);
});

test('the tag depends on the dots alone', () => {
  const [version] = versions;
  const other: Version = { ...version!, content: contentOf('other'), expiresAt: 1 };
  expect(etagOf([other])).toBe(etagOf([version!]));
});

test('golden', () => {
  expect(etagOf(versions)).toBe('3008f319f7b13785');
  expect(etagOf(versions.slice(0, 1))).toBe('e1c1760d6c688bba');
});
