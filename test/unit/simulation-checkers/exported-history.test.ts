import { expect, test } from 'vitest';
import type { Entry } from '../../../src/cli/strong-history.ts';
import { judgeHistory, readHistory } from '../../simulation/exported-history.ts';

const read = (client: string, result: string | null, start: number, end: number): Entry => ({
  ...{ client, key: 'k', operation: 'read', argument: null, result, outcome: 'applied', start, end },
});
const swap = (
  value: string,
  expected: string | null,
  outcome: Entry['outcome'],
  start: number,
  end: number,
): Entry => ({
  ...{ client: 'c', key: 'k', operation: 'cas', argument: { expected, value }, outcome, start, end },
  result: outcome === 'unknown' ? null : outcome === 'applied',
});

function verdict(...entries: readonly Entry[]): string | undefined {
  const text = entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
  return judgeHistory(readHistory(text), 10_000).get('k')?.kind;
}

test('what was exported is judged: swaps of unknown outcome may show later, values that were replaced may not', () => {
  const first = swap('1', null, 'applied', 0, 10);
  expect(verdict(first, read('a', '1', 11, 12), swap('2', '1', 'not-applied', 13, 14))).toBe('violated');
  expect(verdict(first, swap('2', '1', 'unknown', 11, 12), read('a', '1', 13, 14), read('a', '2', 15, 16))).toBe('ok');
  expect(verdict(first, swap('2', '1', 'applied', 11, 12), read('a', '1', 13, 14))).toBe('violated');
  expect(verdict(first, swap('2', '1', 'applied', 11, 15), read('a', '1', 13, 14))).toBe('ok');
  expect(verdict(first, { ...swap('2', null, 'not-applied', 11, 12), result: null }, read('a', '1', 13, 14))).toBe(
    'ok',
  );
});
