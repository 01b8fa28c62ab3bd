import { expect, test } from 'vitest';
import { checkDataTypes } from '../../simulation/checkers/data-types.ts';
import {
  incrementOf,
  type Attempt,
  type Effect,
  type SeenBefore,
  type TypeHistory,
  type TypeOperation,
  type TypeRead,
} from '../../simulation/checkers/type-history.ts';

const READ = { r: 2, pr: 2, sloppy: false } as const;
const WRITE = { ...READ, w: 2, pw: 2, dw: 2 } as const;
const at = (order: number) => ({ order, time: order });

function attempt(start: number, end: number | null, outcome: Attempt['outcome'] = 'applied'): Attempt {
  return { start: at(start), end: end === null ? null : at(end), outcome, quorum: WRITE };
}

function operation(effect: Effect, ...attempts: Attempt[]): TypeOperation {
  return { id: 't', part: 'b/k', effects: [effect], attempts };
}

function read(shown: TypeRead['shown'], start = 90, final = true): TypeRead {
  return { part: 'b/k', start: at(start), end: at(start + 1), quorum: READ, shown, final };
}

function mistakes(
  operations: readonly TypeOperation[],
  reads: readonly TypeRead[],
  changes: Partial<TypeHistory> = {},
) {
  const facts = { owners: 3, most: 3, losesUnsynced: false, disksLost: 0 };
  return checkDataTypes({ operations, reads, ...facts, ...changes }).map(({ detail }) => detail);
}

const inc = (slot: number): Effect => ({ kind: 'increment', slot });
const add: Effect = { kind: 'add', word: 'w' };
const take = (after: SeenBefore | null): Effect => ({ kind: 'take', word: 'w', after });
const sawNothing = (start: number): SeenBefore => ({ start, end: start + 1, quorum: READ, words: [] });
const sawIt = (start: number): SeenBefore => ({ ...sawNothing(start), words: ['w'] });

test('every acknowledged increment counts once, an unknown one at most once', () => {
  const done = [operation(inc(1), attempt(1, 2)), operation(inc(1), attempt(3, null, 'unknown'))];
  expect(mistakes(done, [read(incrementOf(1))])).toEqual([]);
  expect(mistakes(done, [read(2 * incrementOf(1))])).toEqual([]);
  for (const sum of [0, 3 * incrementOf(1), incrementOf(1) + 1, -1])
    expect(mistakes(done, [read(sum)])).toHaveLength(1);
});

test('several attempts at one request are one increment, and one that was refused is none', () => {
  const again = operation(inc(0), attempt(1, 2, 'unknown'), attempt(3, 4));
  expect(mistakes([again], [read(1)])).toEqual([]);
  expect(mistakes([again], [read(2)])).toHaveLength(1);
  expect(mistakes([operation(inc(0), attempt(1, 2, 'not-applied'))], [read(1)])).toHaveLength(1);
});

test('a strict read knows what was acknowledged before it, and what a crash may take it need not know', () => {
  const done = [operation(inc(0), attempt(1, 2))];
  expect(mistakes(done, [read(0, 3, false)])).toHaveLength(1);
  expect(mistakes(done, [read(0, 2, false)])).toEqual([]);
  expect(mistakes(done, [{ ...read(0, 3, false), quorum: { ...READ, r: 1, pr: 1 } }])).toEqual([]);
  const unsynced = [operation(inc(0), { ...attempt(1, 2), quorum: { ...WRITE, dw: 0 } })];
  expect(mistakes(unsynced, [read(0)], { losesUnsynced: true })).toEqual([]);
  expect(mistakes(unsynced, [read(0)])).toHaveLength(1);
});

test('what was added is there until somebody who may have seen it takes it away', () => {
  const added = operation(add, attempt(10, 11));
  expect(mistakes([added], [read([])])).toHaveLength(1);
  expect(mistakes([added], [read(['w'])])).toEqual([]);
  expect(mistakes([added, operation(take(sawNothing(5)), attempt(12, 13))], [read([])])).toHaveLength(1);
  expect(mistakes([added, operation(take(sawIt(12)), attempt(14, 15))], [read([])])).toEqual([]);
  expect(mistakes([added, operation(take(null), attempt(5, 9))], [read([])])).toHaveLength(1);
  expect(mistakes([added, operation(take(null), attempt(5, null, 'unknown'))], [read([])])).toEqual([]);
});

test('it is gone in the end when somebody who has seen it has taken it away, and nobody invents anything', () => {
  const added = operation(add, attempt(10, 11));
  const taken = operation(take(sawIt(12)), attempt(14, 15));
  expect(mistakes([added, taken], [read(['w'])])).toHaveLength(1);
  expect(mistakes([added, operation(take(null), attempt(14, 15))], [read(['w'])])).toHaveLength(1);
  expect(mistakes([added, operation(add, attempt(13, 14)), taken], [read(['w'])])).toEqual([]);
  expect(mistakes([], [read(['w'])])).toHaveLength(1);
});
