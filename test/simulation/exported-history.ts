/** Histories that `quoral bench strong --history` has written, for the search for a linear order. */

import type { Entry } from '../../src/cli/strong-history.ts';
import { linearize, type Call, type Verdict } from './checkers/linearizability.ts';
import { REGISTER, withoutUnnoticed, type RegisterOperation } from './checkers/register-model.ts';

export function readHistory(text: string): readonly Entry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Entry);
}

/** The verdict on each key. */
export function judgeHistory(entries: readonly Entry[], stepsMax: number): ReadonlyMap<string, Verdict> {
  const keys = Map.groupBy(entries, ({ key }) => key);
  return new Map([...keys].map(([key, ofKey]) => [key, linearize(REGISTER, callsOf(ofKey), stepsMax)]));
}

function callsOf(entries: readonly Entry[]): readonly Call<RegisterOperation>[] {
  return withoutUnnoticed(entries.flatMap(callOf));
}

function callOf(entry: Entry): readonly Call<RegisterOperation>[] {
  const { operation, argument, result, outcome, start } = entry;
  const end = outcome === 'unknown' ? Infinity : entry.end;
  switch (operation) {
    case 'read':
      return outcome === 'applied'
        ? [{ operation: { kind: 'read', result: result as string | null }, start, end }]
        : [];
    case 'write':
    case 'delete':
      return outcome === 'not-applied' ? [] : [{ operation: { kind: 'write', value: argument }, start, end }];
    case 'cas': {
      if (outcome === 'not-applied' && result === null) return [];
      const swapped = outcome === 'unknown' ? null : result === true;
      return [{ operation: { kind: 'cas', ...argument, swapped }, start, end }];
    }
  }
}
