import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Problem } from '#api/problem.ts';
import { parseQuery } from '#api/query.ts';

const ALLOWED = ['r', 'w', 'sibling'] as const;

function problemOf(raw: string): Problem {
  const query = parseQuery(raw, ALLOWED);
  if (!(query instanceof Problem)) throw new Error(`accepted ${raw}`);
  return query;
}

test('names and values, escapes decoded, a plus as it is', () => {
  const query = parseQuery('r=quorum&sibling=%22a+b%22&w', ALLOWED);
  expect(query).toEqual(
    new Map([
      ['r', 'quorum'],
      ['sibling', '"a+b"'],
      ['w', ''],
    ]),
  );
});

test('no query has no parameters', () => {
  expect(parseQuery('', ALLOWED)).toEqual(new Map());
});

test.each([
  ['x=1', 'x', 'unknown query parameter "x"; known here: r, w, sibling'],
  ['R=1', 'R', 'unknown query parameter'],
  ['r=1&r=2', 'r', 'more than once'],
  ['r=1&%72=1', 'r', 'more than once'],
  ['r=1&&w=1', 'query', 'unknown query parameter ""'],
  ['=1', 'query', 'unknown query parameter ""'],
  ['r=%', 'r', 'not well-formed'],
  ['r=%zz', 'r', 'not well-formed'],
  ['r=%ff', 'r', 'not well-formed'],
  ['r=a b', 'r', 'not well-formed'],
  ['r=é', 'r', 'not well-formed'],
  ['%zz=1', 'query', 'not well-formed'],
])('%s names %j', (raw, field, detail) => {
  expect(problemOf(raw)).toMatchObject({ code: 'invalid-request', extras: { field } });
  expect(problemOf(raw).detail).toContain(detail);
});

test('control bytes are characters like others, as they are in keys', () => {
  expect(parseQuery('r=%00a%7F', ALLOWED)).toEqual(new Map([['r', '\0a\x7f']]));
});

test('a path without parameters says so', () => {
  expect((parseQuery('r=1', []) as Problem).detail).toContain('there are none here');
});

test('agrees with the usual parser on whatever it accepts, apart from the plus', () => {
  const text = fc.stringMatching(/^[a-z%0-9é&=. ]{0,12}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...ALLOWED, 'x'), text), { maxLength: 4 }), (pairs) => {
      const raw = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
      const query = parseQuery(raw, ALLOWED);
      const names = pairs.map(([name]) => name);
      expect(query instanceof Problem).toBe(names.includes('x') || new Set(names).size !== names.length);
      if (!(query instanceof Problem)) expect([...query]).toEqual([...new URLSearchParams(raw)]);
    }),
  );
});
