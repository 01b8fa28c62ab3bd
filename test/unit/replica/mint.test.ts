import { expect, test } from 'vitest';
import type { DataType, Operation } from '#causality/data-type.ts';
import { HybridClock } from '#causality/hybrid-clock.ts';
import { EMPTY_STATE, type State } from '#causality/state.ts';
import { valueOf } from '#causality/type-value.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { checkSize, mintOn, type MintedWrite } from '#replica/mint.ts';
import { TooLarge, TooManySiblings } from '#replica/refusals.ts';
import { Refusal } from '#wire/message.ts';

const NOW = Date.UTC(2026, 0, 1);
const MINTER = {
  node: nodeIndex(1),
  tenure: 7,
  clock: new HybridClock({ wall: () => NOW }),
  conflicts: 'siblings',
  request: undefined,
  now: NOW,
} as const;
const LIMITS = { siblingsMax: 2, entriesMax: 3, stateBytesMax: 1000 };

function writing(operation: Operation, more: Partial<MintedWrite> = {}): MintedWrite {
  return { content: null, operating: { operation, base: null }, context: [], expiresAt: 0, after: 0, ...more };
}

const add = (...values: readonly string[]): MintedWrite => writing({ kind: 'add', values });
const sized = (state: State, bytes = 10) => ({ state, bytes });

test('an operation gets as many dots in a row as it has entries, which the clock gives to nobody else', () => {
  const { state, dot } = mintOn(EMPTY_STATE, add('1', '2', '3'), MINTER);
  const counters = state.versions.map((version) => version.dot.counter);
  expect(counters).toEqual([dot.counter - 2, dot.counter - 1, dot.counter]);
  expect(state.vector).toEqual([dot]);
  expect(MINTER.clock.tick()).toBeGreaterThan(dot.counter);
  const later = mintOn(state, writing({ kind: 'remove', values: ['2'] }, { after: dot.counter + 100 }), MINTER);
  expect(later.dot.counter).toBe(dot.counter + 101);
  expect(valueOf('set', later.state.versions)).toEqual({ value: [1, 3] });
});

test('without a base the context means nothing, for it may name what is not here', () => {
  const { state } = mintOn(EMPTY_STATE, add('1'), MINTER);
  const removal = { operation: { kind: 'remove', values: ['1'] } } as const;
  const seen = { content: null, context: [], expiresAt: 0, after: 0 };
  const kept = mintOn(state, { ...seen, operating: { ...removal, base: { state, origin: 1 } } }, MINTER);
  expect(valueOf('set', kept.state.versions)).toEqual({ value: [1] });
  const gone = mintOn(state, { ...seen, operating: { ...removal, base: null } }, MINTER);
  expect(valueOf('set', gone.state.versions)).toEqual({ value: [] });
});

test('what grows beyond a limit is refused, what is there may shrink', () => {
  const three = mintOn(EMPTY_STATE, add('1', '2', '3'), MINTER).state;
  const four = mintOn(three, add('4'), MINTER).state;
  const five = mintOn(four, add('5'), MINTER).state;
  expect(() => checkSize(add('4'), sized(three), sized(four), LIMITS, NOW)).toThrow(TooLarge);
  expect(() => checkSize(add('4'), sized(five), sized(four), LIMITS, NOW)).not.toThrow();
  expect(() => checkSize(add('4'), sized(three), sized(three, 1001), LIMITS, NOW)).toThrow(TooLarge);
  expect(() => checkSize(add('4'), sized(three, 2000), sized(three, 1001), LIMITS, NOW)).not.toThrow();
});

test('concurrent versions that have ended are no siblings any more, and have a limit of their own', () => {
  const put = (before: State, now: number): State => {
    const content = { value: new Uint8Array(1), contentType: '', contentEncoding: '', meta: [] };
    const write = { content, operating: null, context: [], expiresAt: NOW + 5, after: 0 };
    const { state } = mintOn(before, write, MINTER);
    checkSize(write, sized(before), sized(state), LIMITS, now);
    return state;
  };
  const two = put(put(EMPTY_STATE, NOW), NOW);
  expect(() => put(two, NOW + 4)).toThrow(TooManySiblings);
  const three = put(two, NOW + 5);
  expect(three.versions).toHaveLength(3);
  expect(() => put(three, NOW + 5)).toThrow('0 concurrent versions, and 4 that have ended');
});

test('a counter that keeps as many increments apart as it may has too much to do for now', () => {
  const keyed = { ...MINTER, request: 'ab'.repeat(16) };
  const increment = writing({ kind: 'increment', by: 1 });
  let state = EMPTY_STATE;
  for (let i = 0; i < 3; i++) ({ state } = mintOn(state, increment, { ...keyed, request: `${i}0`.repeat(16) }));
  const more = mintOn(state, increment, keyed).state;
  expect(() => checkSize(increment, sized(state), sized(more), LIMITS, NOW)).toThrow(Refusal);
  const total = mintOn(state, increment, MINTER).state;
  expect(valueOf('counter', total.versions)).toEqual({ value: 4 });
});

test('a map that is full of other things has no room for a counter, however long one waits', () => {
  const inMap = (field: string, operation: Operation, type: DataType): MintedWrite =>
    writing({ kind: 'update', field, type, with: operation });
  const full = mintOn(EMPTY_STATE, inMap('s', { kind: 'add', values: ['1', '2', '3'] }, 'set'), MINTER).state;
  const counting = inMap('c', { kind: 'increment', by: 1 }, 'counter');
  for (const request of [undefined, 'ab'.repeat(16)]) {
    const { state } = mintOn(full, counting, { ...MINTER, request });
    expect(() => checkSize(counting, sized(full), sized(state), LIMITS, NOW)).toThrow(TooLarge);
  }
});
