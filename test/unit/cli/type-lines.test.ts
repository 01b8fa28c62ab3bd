import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DataType, Json } from '#client/data-types.ts';
import {
  parseTypedLine,
  stepsTo,
  typedLine,
  type Operation,
  type TypedValue,
  type Types,
} from '../../../src/cli/type-lines.ts';

/** A simple twin of the nodes' data types: what an operation makes of a value that only one client changes. */
function applied(type: DataType, present: TypedValue | undefined, operation: Operation): TypedValue {
  const was = present?.value;
  switch (operation.op) {
    case 'increment':
      return { value: ((was as number | undefined) ?? 0) + operation.by };
    case 'assign':
      return { value: operation.value };
    case 'enable':
    case 'disable':
      return { value: operation.op === 'enable' };
    case 'add':
      return { value: ((was ?? []) as string[]).concat(operation.values as string[]).sort() };
    case 'update': {
      const { value = {}, types = {} } = (present ?? {}) as {
        value?: Record<string, Json>;
        types?: Record<string, Types>;
      };
      const { field, type: kind } = operation;
      const within = typeof types[field] === 'object' ? { types: types[field] } : {};
      const before = Object.hasOwn(value, field) ? { value: value[field]!, ...within } : undefined;
      const after = applied(kind, before, operation.with);
      return { value: { ...value, [field]: after.value }, types: { ...types, [field]: after.types ?? kind } };
    }
    case 'remove': {
      if (type === 'set') {
        const { values } = operation as { values: readonly Json[] };
        return { value: ((was ?? []) as Json[]).filter((one) => !values.includes(one)) };
      }
      const { field } = operation as { field: string };
      const { [field]: _, ...value } = was as Record<string, Json>;
      const { [field]: __, ...types } = present!.types as Record<string, Types>;
      return { value, types };
    }
  }
}

interface Typed {
  readonly type: DataType;
  readonly value: Json;
  readonly types?: Types;
}

const leaf: fc.Arbitrary<Typed> = fc.oneof(
  fc.record({ type: fc.constant('counter' as const), value: fc.integer({ min: -9, max: 9 }) }),
  fc.record({
    type: fc.constant('set' as const),
    value: fc.uniqueArray(fc.stringMatching(/^[a-e]$/)).map((all) => all.sort()),
  }),
  fc.record({ type: fc.constant('register' as const), value: fc.constantFrom(null, 1, 'x', 'y') }),
  fc.record({ type: fc.constant('flag' as const), value: fc.boolean() }),
);

function mapOf(fields: fc.Arbitrary<Typed>): fc.Arbitrary<Typed> {
  return fc.dictionary(fc.stringMatching(/^[p-s]$/), fields, { noNullPrototype: true }).map((all) => ({
    type: 'map' as const,
    value: Object.fromEntries(Object.entries(all).map(([field, { value }]) => [field, value])),
    types: Object.fromEntries(Object.entries(all).map(([field, { type, types }]) => [field, types ?? type])),
  }));
}

const anyTyped = fc.oneof(leaf, mapOf(leaf), mapOf(fc.oneof(leaf, mapOf(leaf))));

describe('the way from what is there to what a line says', () => {
  test('leads there, and then there is no further step', () => {
    fc.assert(
      fc.property(fc.array(anyTyped, { minLength: 2, maxLength: 8 }), (all) => {
        for (const wanted of all) {
          const others = all.filter(({ type }) => type === wanted.type);
          for (const present of [undefined, ...others]) {
            let now: TypedValue | undefined = present;
            for (const step of stepsTo(wanted.type, present, wanted)) now = applied(wanted.type, now, step);
            expect({ value: now!.value, types: now!.types }).toEqual({ value: wanted.value, types: wanted.types });
            expect(stepsTo(wanted.type, now, wanted)).toEqual([]);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test('large sets go in portions', () => {
    const value = Array.from({ length: 1200 }, (_, i) => `${i}`);
    const steps = stepsTo('set', undefined, { value });
    expect(steps.map((step) => (step as { values: readonly Json[] }).values.length)).toEqual([500, 500, 200]);
    const large = stepsTo('set', undefined, { value: Array.from({ length: 5 }, (_, i) => `${i}`.repeat(10_000)) });
    expect(large).toHaveLength(2);
  });
});

test('a line holds what a node shows, but the context', () => {
  const shown = JSON.stringify({ type: 'map', value: { a: 1 }, context: 'c', types: { a: 'counter' } });
  const line = typedLine('k', shown);
  expect(line).toBe('{"key":"k","type":"map","value":{"a":1},"types":{"a":"counter"}}\n');
  expect(parseTypedLine(line, 'map')).toEqual({ key: 'k', type: 'map', value: { a: 1 }, types: { a: 'counter' } });
});

test.each([
  ['counter', '{', 'is not JSON'],
  ['counter', 'null', 'key: must be'],
  ['counter', '{"key":"k","type":"set","value":[]}', 'the line says set'],
  ['counter', '{"key":"k","type":"counter"}', 'value: must be there'],
  ['counter', '{"key":"k","type":"counter","value":"x"}', 'a whole number'],
  ['set', '{"key":"k","type":"set","value":{}}', 'a set is a list'],
  ['flag', '{"key":"k","type":"flag","value":1}', 'true or false'],
  ['map', '{"key":"k","type":"map","value":{"a":1}}', 'does not say what the field "a" is'],
] as const)('%s: %s is refused', (type, line, why) => {
  expect(() => parseTypedLine(line, type)).toThrow(why);
});
