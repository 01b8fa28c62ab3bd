/** Bodies of operations on data types: what is taken is what is described, and nothing that is sent does harm. */

import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseJson } from '#api/json.ts';
import { OPERATION_SCHEMA, parseKeyOperation, parseOperation } from '#api/operation-body.ts';
import { Problem } from '#api/problem.ts';
import { DEFAULT_PROPERTIES } from '#buckets/definition.ts';
import { DATA_TYPES, depthOf, type DataType } from '#causality/data-type.ts';
import { carryOut, planOperation, Unfitting } from '#causality/operate.ts';
import { EMPTY_STATE } from '#causality/state.ts';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import { valueOf } from '#causality/type-value.ts';
import { MAP_DEPTH_MAX, operationFromWire, operationToWire } from '#coordinator/operation-codec.ts';
import { utf8 } from '#kernel/bytes.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { digest } from '#world/digest.ts';
import { decode, encode } from '#wire/codec.ts';

const value = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, -3, 1.5, 'a', '', 2 ** 53, 'counter', 'set', 'flag'),
  fc.array(fc.constantFrom<unknown>(1, 'a', null), { maxLength: 3 }),
  fc.constantFrom({ op: 'enable' }, { op: 'increment', by: 1 }, { op: 'add', values: [1] }, {}),
);
const ops = fc.constantFrom(
  'increment',
  'add',
  'remove',
  'update',
  'assign',
  'enable',
  'disable',
  'other',
  '__proto__',
);
const bodies = fc
  .tuple(ops, fc.dictionary(fc.constantFrom('by', 'values', 'value', 'field', 'type', 'with', 'more'), value))
  .map(([op, members]): unknown => ({ op, ...members }));

/** The described shapes of one type: they say so in front. */
function shapesOf(type: DataType): readonly object[] {
  const shapes = OPERATION_SCHEMA.anyOf ?? [];
  return shapes.filter(({ description }) => description?.toLowerCase().startsWith(`${type}:`) === true);
}

test.each(DATA_TYPES.filter((type) => type !== 'map'))('%s: a body is taken when the description says so', (type) => {
  const validate = new Ajv2020({ strict: false }).compile({ anyOf: shapesOf(type) });
  fc.assert(
    fc.property(bodies, (body) => {
      expect(!(parseOperation(body, type) instanceof Problem), JSON.stringify(body)).toBe(validate(body));
    }),
    { numRuns: 500 },
  );
});

test('whatever is taken can be sent, made and shown', () => {
  const anything = fc.oneof(bodies, fc.jsonValue());
  fc.assert(
    fc.property(anything, fc.constantFrom(...DATA_TYPES), (body, type) => {
      const operation = parseOperation(body, type);
      if (operation instanceof Problem) {
        expect(operation.code).toBe('invalid-request');
        return;
      }
      expect(operationFromWire(decode(encode(operationToWire(operation))))).toEqual(operation);
      const first = { node: nodeIndex(1), tenure: 1, counter: 1 };
      const circumstances = { actor: first, context: null, keyed: false, alone: false, now: 0 };
      try {
        const plan = planOperation(EMPTY_STATE, operation, circumstances);
        const { state } = carryOut(EMPTY_STATE, plan, { first, expiresAt: 0, request: undefined });
        expect(decodeState(encodeState(state, digest.crc32), digest.crc32)).toEqual(state);
        JSON.stringify(valueOf(type, state.versions));
      } catch (error) {
        expect(error).toBeInstanceOf(Unfitting);
      }
    }),
    { numRuns: 1000 },
  );
});

test('maps stand in each other up to a bound, and the mistake is named where it is', () => {
  const nested = (depth: number, inner: unknown): unknown =>
    depth === 0
      ? inner
      : { op: 'update', field: 'f', type: depth === 1 ? 'flag' : 'map', with: nested(depth - 1, inner) };
  const deepest = parseOperation(nested(MAP_DEPTH_MAX, { op: 'enable' }), 'map');
  if (deepest instanceof Problem) expect.fail(deepest.detail);
  expect(depthOf(deepest)).toBe(MAP_DEPTH_MAX);
  expect(operationFromWire(operationToWire(deepest))).toEqual(deepest);
  const field = Array(MAP_DEPTH_MAX).fill('with').join('.');
  for (const inner of [
    { op: 'update', field: 'f', type: 'flag', with: { op: 'enable' } },
    { op: 'remove', field: 'f' },
  ]) {
    const maps = Array.from({ length: MAP_DEPTH_MAX }).reduce(
      (within: unknown) => ({ op: 'update', field: 'f', type: 'map', with: within }),
      inner,
    );
    expect(parseOperation(maps, 'map')).toMatchObject({ code: 'invalid-request', extras: { field } });
  }
  expect(parseOperation(nested(3, { op: 'on' }), 'map')).toMatchObject({ extras: { field: 'with.with.with.op' } });
  expect(parseOperation({ op: 'remove', field: '\ud800' }, 'map')).toMatchObject({ extras: { field: 'field' } });
});

test.each(['value', 'counter'] as const)('a touch of a %s that says more is told what is too much', (type) => {
  const properties = { ...DEFAULT_PROPERTIES, type };
  expect(parseKeyOperation({ op: 'touch', ttl: 5 }, properties)).toMatchObject({
    detail: 'ttl: unknown member; known here: op',
  });
  expect(parseKeyOperation({ op: 'push' }, properties)).toBeInstanceOf(Problem);
});

test('a whole number that would be rounded is refused, and one that is exact is not', () => {
  const parsed = (json: string): unknown => parseOperation(parseJson(utf8(`{"op":"add","values":[${json}]}`)), 'set');
  for (const rounded of ['9007199254740993', '-12345678901234567891', `1${'0'.repeat(30)}1`, '1e400', '9'.repeat(400)])
    expect(parsed(rounded), rounded).toBeInstanceOf(Problem);
  expect(parseOperation(parseJson(utf8('{"op":"increment","by":9007199254740993}')), 'counter')).toMatchObject({
    detail: expect.stringMatching(/^by: .* to 9007199254740991, got a number that a double does not hold$/) as string,
  });
  for (const exact of [
    '9007199254740992',
    '100000000000000000000',
    '1e300',
    '0.12345678901234567',
    '"9007199254740993"',
  ])
    expect(parsed(exact), exact).toMatchObject({ kind: 'add' });
  expect(parseJson(utf8('{"__proto__":[12345678901234567891,1234567890123456]}'))).toEqual(
    JSON.parse('{"__proto__":[1e999,1234567890123456]}'),
  );
});
