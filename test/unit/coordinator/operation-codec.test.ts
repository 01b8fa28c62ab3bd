import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DATA_TYPES, depthOf, type Operation } from '#causality/data-type.ts';
import { MAP_DEPTH_MAX, operationFromWire, operationToWire } from '#coordinator/operation-codec.ts';
import { toHex } from '#kernel/bytes.ts';
import { decode, encode } from '#wire/codec.ts';
import { MalformedMessage } from '#wire/message.ts';

const texts = fc.string({ maxLength: 8 });
const simple: fc.Arbitrary<Operation> = fc.oneof(
  fc.maxSafeInteger().map((by) => ({ kind: 'increment' as const, by })),
  fc.record({ kind: fc.constantFrom('add' as const, 'remove' as const), values: fc.array(texts, { maxLength: 4 }) }),
  texts.map((value) => ({ kind: 'assign' as const, value })),
  fc.constantFrom({ kind: 'enable' as const }, { kind: 'disable' as const }),
  texts.map((field) => ({ kind: 'remove-field' as const, field })),
);
const operations: fc.Arbitrary<Operation> = fc
  .tuple(simple, fc.array(fc.tuple(texts, fc.constantFrom(...DATA_TYPES)), { maxLength: 4 }))
  .map(([inner, fields]) =>
    fields.reduce<Operation>((within, [field, type]) => ({ kind: 'update', field, type, with: within }), inner),
  );

test('an operation comes over as it went out', () => {
  fc.assert(
    fc.property(operations, (operation) => {
      expect(operationFromWire(decode(encode(operationToWire(operation))))).toEqual(operation);
    }),
  );
});

test('golden: the bytes of an operation', () => {
  const operation: Operation = {
    kind: 'update',
    field: 'tags',
    type: 'set',
    with: { kind: 'add', values: ['"a"'] },
  };
  expect(toHex(encode(operationToWire(operation)))).toBe('94a6757064617465a474616773a373657492a361646491a3226122');
});

test('what no node sends is refused, also maps that stand too deep in each other', () => {
  let deep: Operation = { kind: 'enable' };
  while (depthOf(deep) <= MAP_DEPTH_MAX) deep = { kind: 'update', field: 'f', type: 'map', with: deep };
  const wrong = [
    null,
    [],
    ['other'],
    ['increment', 1.5],
    ['increment'],
    ['add', 'x'],
    ['add', [1]],
    ['assign', 7],
    ['update', 'f', 'list', ['enable']],
    ['update', 'f', 'flag'],
    operationToWire(deep),
  ];
  for (const body of wrong) expect(() => operationFromWire(body), JSON.stringify(body)).toThrow(MalformedMessage);
});
