import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formOf, mismatch, type Schema } from '#kernel/json-schema.ts';

const SCHEMAS: Readonly<Record<string, Schema>> = {
  number: { type: 'number', minimum: 1, maximum: 2.5 },
  whole: { type: 'integer', minimum: -1, maximum: 3 },
  text: { type: 'string', minLength: 1, maxLength: 3, pattern: '^[a-c]*$' },
  word: { enum: ['one', 'all', 2] },
  constant: { const: 'a' },
  either: { anyOf: [{ type: 'integer', minimum: 1 }, { type: 'null' }, { enum: ['one'] }] },
  list: { type: 'array', items: { type: 'boolean' }, minItems: 1, maxItems: 2 },
  open: { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] },
  dictionary: { type: 'object', additionalProperties: { type: 'integer' } },
  anything: {},
  closed: {
    type: 'object',
    properties: { a: { type: 'integer' }, b: { type: 'array', items: { type: 'string' } }, c: { type: 'null' } },
    required: ['a', 'c'],
    additionalProperties: false,
  },
};

const scalar = fc.oneof(
  fc.constantFrom(...[null, true, false, '', 'a', 'abc', 'abca', 'd', 'one', 'all', 2, 0, 2.5, 3, 4, -1, -2, 1e300]),
  fc.anything({ maxDepth: 0 }).filter((value) => value !== undefined && typeof value !== 'bigint'),
);
const anyValue = fc.oneof(
  scalar,
  fc.array(scalar, { maxLength: 3 }),
  fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'constructor', '__proto__'), fc.oneof(scalar, fc.array(scalar))),
);

describe.each(Object.entries(SCHEMAS))('%s', (_, schema) => {
  test('judges as a validator of the standard does', () => {
    const reference = new Ajv2020({ strict: false }).compile(schema);
    fc.assert(
      fc.property(anyValue, (given) => {
        const value: unknown = JSON.parse(JSON.stringify(given) ?? 'null');
        expect(mismatch(schema, value) === undefined).toBe(reference(value));
      }),
      { numRuns: 300 },
    );
  });
});

test('what is wrong is named, with what would be right', () => {
  const closed = SCHEMAS['closed']!;
  expect(mismatch(closed, [])).toEqual({ member: '', detail: 'expected a JSON object with a, b, c, got a list' });
  expect(mismatch({ type: 'object' }, [])).toEqual({ member: '', detail: 'expected a JSON object, got a list' });
  expect(mismatch({ type: 'array', minItems: 1 }, [])?.detail).toBe('expected a list, got a list of 0');
  expect(mismatch({ type: 'array', items: { type: 'null' } }, [null, 'x'])?.detail).toBe(
    'expected a list, each null, got a list with "x" at 1',
  );
  expect(mismatch({ type: 'object', required: ['x'] }, {})?.detail).toBe('is not given');
  expect(mismatch(closed, { a: 1 })).toEqual({ member: 'c', detail: 'expected null, and it is not given' });
  expect(mismatch(closed, { d: 1 })).toEqual({ member: 'd', detail: 'unknown member; known here: a, b, c' });
  expect(mismatch(closed, { a: 'x', c: null })?.detail).toBe('expected a whole number, got "x"');
  expect(mismatch(closed, { ['x'.repeat(999)]: 1 })?.member).toHaveLength(128);
  expect(mismatch(closed, { __proto__: null, constructor: 1 })?.member).toBe('constructor');
  const weights: Schema = { type: 'object', properties: { weights: { type: 'object', additionalProperties: closed } } };
  expect(mismatch(weights, { weights: { n3: { a: null } } })).toMatchObject({ member: 'weights.n3.a' });
  for (const number of [Infinity, -Infinity])
    expect(mismatch({ type: 'integer' }, number)?.detail).toBe(
      'expected a whole number, got a number that a double does not hold',
    );
});

test('the words for what fits', () => {
  expect(formOf({ type: 'integer', minimum: 1, maximum: 9, 'x-unit': 'seconds' })).toBe(
    'a whole number of seconds from 1 to 9',
  );
  expect(formOf({ type: 'number', minimum: 1, maximum: 9 })).toBe('a number from 1 to 9');
  expect(formOf(SCHEMAS['either']!)).toBe('a whole number or null or one');
  expect(formOf(SCHEMAS['list']!)).toBe('a list of 1-2 items, each true or false');
  expect(formOf(SCHEMAS['text']!)).toBe('a text of 1-3 characters');
  expect(formOf(SCHEMAS['constant']!)).toBe('a');
  expect(formOf({})).toBe('anything');
});
