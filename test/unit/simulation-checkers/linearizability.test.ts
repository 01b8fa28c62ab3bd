import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linearize } from '../../simulation/checkers/linearizability.ts';
import type { Call } from '../../simulation/checkers/linearizability.ts';
import { REGISTER, withoutUnnoticed } from '../../simulation/checkers/register-model.ts';
import type { RegisterOperation, RegisterState } from '../../simulation/checkers/register-model.ts';
import { checkHistory } from '../../simulation/checkers/check-history.ts';
import { Planted } from './plant.ts';

type Calls = readonly Call<RegisterOperation>[];

const STEPS = 100_000;

function write(value: RegisterState, start: number, end = Infinity): Call<RegisterOperation> {
  return { operation: { kind: 'write', value }, start, end };
}

function read(result: RegisterState, start: number, end: number): Call<RegisterOperation> {
  return { operation: { kind: 'read', result }, start, end };
}

function cas(expected: RegisterState, value: string, swapped: boolean | null, start: number, end = Infinity) {
  return { operation: { kind: 'cas', expected, value, swapped }, start, end } as const;
}

function verdict(calls: Calls): string {
  return linearize(REGISTER, calls, STEPS).kind;
}

describe('histories with known verdicts', () => {
  const GOOD: Readonly<Record<string, Calls>> = {
    nothing: [],
    'reads of nothing': [read(null, 1, 2), read(null, 3, 4)],
    'one after the other': [write('a', 1, 2), read('a', 3, 4), write('b', 5, 6), read('b', 7, 8)],
    'a read beside a write sees the old value': [write('a', 1, 4), read(null, 2, 3)],
    'a read beside a write sees the new value': [write('a', 1, 4), read('a', 2, 3)],
    'two reads beside a write, the later one newer': [write('a', 1, 8), read(null, 2, 3), read('a', 4, 5)],
    'the order of two writes is free while both run': [
      write('a', 1, 10),
      write('b', 1, 10),
      read('b', 2, 3),
      read('a', 4, 5),
    ],
    // Herlihy and Wing 1990, figure 1, in the words of a register.
    'overlapping writes and reads': [
      write('a', 1, 6),
      write('b', 2, 12),
      read('b', 3, 8),
      read('b', 9, 14),
      read('a', 4, 5),
    ],
    'an unknown write that never appears': [write('a', 1, 2), write('b', 3), read('a', 4, 5), read('a', 6, 7)],
    'an unknown write that appears late': [write('a', 1, 2), write('b', 3), read('a', 4, 5), read('b', 60, 70)],
    'an unknown write that appears between two others': [
      write('b', 1),
      write('a', 2, 3),
      read('a', 4, 5),
      read('b', 6, 7),
      write('c', 8, 9),
      read('c', 10, 11),
    ],
    'a chain of swaps': [
      cas(null, 'a', true, 1, 2),
      cas('a', 'b', true, 3, 4),
      cas('a', 'x', false, 5, 6),
      cas('b', 'c', true, 7, 8),
      read('c', 9, 10),
    ],
    'two swaps at once, one wins': [
      write('a', 1, 2),
      cas('a', 'b', true, 3, 6),
      cas('a', 'c', false, 4, 7),
      read('b', 8, 9),
    ],
    'an unknown swap that happened': [write('a', 1, 2), cas('a', 'b', null, 3), read('b', 4, 5)],
    'an unknown swap that failed': [write('a', 1, 2), cas('z', 'b', null, 3), read('a', 4, 5)],
    'an unknown swap noticed only by a refusal': [write('a', 1, 2), cas('a', 'b', null, 3), cas('a', 'c', false, 4, 5)],
    'deletion is a write': [write('a', 1, 2), write(null, 3, 4), read(null, 5, 6), cas(null, 'b', true, 7, 8)],
  };

  it.each(Object.entries(GOOD))('good: %s', (_, calls) => {
    expect(verdict(calls)).toBe('ok');
    expect(verdict(withoutUnnoticed(calls))).toBe('ok');
  });

  const BAD: Readonly<Record<string, Calls>> = {
    'a stale read': [write('a', 1, 2), write('b', 3, 4), read('a', 5, 6)],
    'a value out of nowhere': [write('a', 1, 2), read('z', 3, 4)],
    'a write that is not seen': [write('a', 1, 2), read(null, 3, 4)],
    'reads that go back while a write runs': [write('a', 1, 8), read('a', 2, 3), read(null, 4, 5)],
    'two readers see two writes in different orders': [
      write('a', 1, 2),
      write('b', 1, 2),
      read('a', 3, 4),
      read('b', 5, 6),
      read('a', 7, 8),
    ],
    'a lost update: two swaps from one value': [write('a', 1, 2), cas('a', 'b', true, 3, 6), cas('a', 'c', true, 4, 7)],
    'a swap that was refused for no reason': [write('a', 1, 2), cas('a', 'b', false, 3, 4)],
    'a chain of swaps with a missing link': [cas(null, 'a', true, 1, 2), cas('b', 'c', true, 3, 4)],
    'an unknown write that is applied twice': [
      write('a', 1),
      read('a', 2, 3),
      write('b', 4, 5),
      read('b', 6, 7),
      read('a', 8, 9),
    ],
    'an unknown write that appears and goes away': [write('a', 1, 2), write('b', 3), read('b', 4, 5), read('a', 6, 7)],
    'an unknown write that appears before it was sent': [read('a', 1, 2), write('a', 3)],
    'an unknown swap that happened without its precondition': [
      write('a', 1, 2),
      cas('z', 'b', null, 3),
      read('b', 4, 5),
    ],
    'a read after prepare only: seen, then not seen, then seen': [
      write('a', 1, 2),
      write('b', 3),
      read('b', 4, 5),
      read('a', 6, 7),
      read('b', 8, 9),
    ],
  };

  it.each(Object.entries(BAD))('bad: %s', (_, calls) => {
    expect(verdict(calls)).toBe('violated');
    expect(verdict(withoutUnnoticed(calls))).toBe('violated');
  });

  it('names the call that no order explains, and how far it came', () => {
    const calls = [write('a', 1, 2), read('a', 3, 4), read(null, 5, 6), read('a', 7, 8)];
    expect(linearize(REGISTER, calls, STEPS)).toEqual({ kind: 'violated', order: [0, 1], unexplained: 2 });
  });

  it('tells an order that explains the answers', () => {
    const calls = [write('a', 1, 10), write('b', 1, 10), read('b', 2, 3), read('a', 4, 5), write('c', 6)];
    expect(linearize(REGISTER, calls, STEPS)).toEqual({ kind: 'ok', order: [1, 2, 0, 3] });
  });
});

describe('the budget', () => {
  /** Many unknown swaps, each of which has to be considered anywhere, and an answer that nothing explains. */
  const hard = [
    ...Array.from({ length: 24 }, (_, i) => write(`v${i}`, 1, 100)),
    ...Array.from({ length: 24 }, (_, i) => read(`v${i}`, 2, 99)),
    read('z', 50, 60),
  ];

  it('ends with neither yes nor no', () => {
    expect(linearize(REGISTER, hard, 20_000).kind).toBe('unknown');
  });

  it('is told apart from a verdict in the judgement of a run', () => {
    const planted = new Planted('strong').put('a', { at: [1, 2] }).put('b', { at: [3, 4] });
    planted.read(['b'], { at: [5, 6] });
    const judge = (linearizabilitySteps: number) =>
      checkHistory(planted.history(), planted.whiteBox(), { checks: ['linearizable'], linearizabilitySteps });
    expect(judge(2)).toEqual({ violations: [], undecided: [{ check: 'linearizable', key: 'b/k' }] });
    expect(judge(100)).toEqual({ violations: [], undecided: [] });
  });

  it('suffices for long histories', () => {
    const [calls] = fc.sample(trueHistoryOf({ minLength: 2000, maxLength: 2000 }), { seed: 1, numRuns: 1 });
    expect(calls).toHaveLength(2000);
    expect(linearize(REGISTER, withoutUnnoticed(calls!), 1_000_000).kind).toBe('ok');
  });
});

/** Tries every order of every choice of unknown calls. */
function twin(calls: Calls): 'ok' | 'violated' {
  const extend = (placed: readonly number[], state: RegisterState): boolean => {
    const open = calls.flatMap((_, i) => (placed.includes(i) ? [] : [i]));
    if (open.every((i) => calls[i]!.end === Infinity)) return true;
    return open.some((i) => {
      // Another call that returned before this one began has to come first.
      if (open.some((other) => calls[other]!.end < calls[i]!.start)) return false;
      const next = REGISTER.next(state, calls[i]!.operation);
      return next !== undefined && extend([...placed, i], next);
    });
  };
  return extend([], REGISTER.initial) ? 'ok' : 'violated';
}

const value = fc.constantFrom('a', 'b', 'c');
const result = fc.option(value, { nil: null });

const anyCall: fc.Arbitrary<Call<RegisterOperation>> = fc
  .record({
    operation: fc.oneof(
      fc.record({ kind: fc.constant('read' as const), result }),
      fc.record({ kind: fc.constant('write' as const), value: result }),
      fc.record({
        kind: fc.constant('cas' as const),
        expected: result,
        value: result,
        swapped: fc.constantFrom(true, false, null),
      }),
    ),
    start: fc.nat(12),
    length: fc.nat(6),
    known: fc.boolean(),
  })
  .map(({ operation, start, length, known }) => {
    const isKnown = operation.kind === 'read' || (operation.kind === 'cas' ? operation.swapped !== null : known);
    return { operation, start, end: isKnown ? start + length : Infinity };
  });

/** The true history of a register: each operation takes effect at an instant between its call and its return, or never. */
const trueHistoryOf = (lengths: { readonly minLength?: number; readonly maxLength: number }) =>
  fc
    .array(
      fc.record({
        kind: fc.constantFrom('read' as const, 'write' as const, 'cas' as const),
        hits: fc.boolean(),
        before: fc.nat(30),
        after: fc.nat(30),
        fate: fc.constantFrom('known', 'known', 'known', 'unknown', 'never'),
      }),
      { ...lengths, size: 'max' },
    )
    .map((plan): Calls => {
      let state: RegisterState = null;
      return plan.map(({ kind, hits, before, after, fate }, i): Call<RegisterOperation> => {
        const at = 10 * i + 100;
        const [start, end] = [at - before, at + after];
        if (kind === 'read') return read(state, start, end);
        const fresh = `v${i}`;
        const expected = hits ? state : 'other';
        const isApplied = fate !== 'never' && (kind === 'write' || hits);
        const isKnown = fate === 'known';
        if (isApplied) state = fresh;
        if (kind === 'write') return write(fresh, start, isKnown ? end : Infinity);
        return cas(expected, fresh, isKnown ? hits : null, start, isKnown ? end : Infinity);
      });
    });

const trueHistory = trueHistoryOf({ maxLength: 40 });

describe('random histories', () => {
  it('agrees with the twin that tries everything', () => {
    fc.assert(
      fc.property(fc.array(anyCall, { maxLength: 6 }), (calls) => {
        expect(verdict(calls)).toBe(twin(calls));
        expect(verdict(withoutUnnoticed(calls))).toBe(twin(calls));
      }),
      { numRuns: 3000 },
    );
  });

  it('accepts what a register really answered', () => {
    fc.assert(
      fc.property(trueHistory, (calls) => {
        expect(verdict(calls)).toBe('ok');
        expect(verdict(withoutUnnoticed(calls))).toBe('ok');
      }),
      { numRuns: 500 },
    );
  });

  it('agrees with the twin when one answer of a true history is changed', () => {
    const verdicts = new Set<string>();
    fc.assert(
      fc.property(trueHistory, fc.nat(), fc.nat(), (history, which, what) => {
        const calls = history.slice(0, 7);
        const reads = calls.flatMap(({ operation }, i) => (operation.kind === 'read' ? [i] : []));
        fc.pre(reads.length > 0);
        const at = reads[which % reads.length]!;
        const { start, end } = calls[at]!;
        const mutated = calls.with(at, read(`v${what % 7}`, start, end));
        const expected = twin(mutated);
        verdicts.add(expected);
        expect(verdict(mutated)).toBe(expected);
      }),
      { numRuns: 500 },
    );
    expect([...verdicts].toSorted()).toEqual(['ok', 'violated']);
  });

  it('its orders are real ones', () => {
    fc.assert(
      fc.property(trueHistory, (calls) => {
        const found = linearize(REGISTER, calls, STEPS);
        if (found.kind !== 'ok') throw new Error(found.kind);
        let state: RegisterState = null;
        let latestStart = -Infinity;
        for (const i of found.order) {
          const next = REGISTER.next(state, calls[i]!.operation);
          if (next === undefined) throw new Error(`call ${i} does not fit`);
          state = next;
          expect(calls[i]!.end).toBeGreaterThanOrEqual(latestStart);
          latestStart = Math.max(latestStart, calls[i]!.start);
        }
        const left = calls.filter((_, i) => !found.order.includes(i));
        expect(left.every(({ end }) => end === Infinity)).toBe(true);
      }),
    );
  });
});

describe('the check `linearizable`', () => {
  const check = 'linearizable';
  const replaces = (write: string) => ({ condition: { kind: 'replaces', write } as const });
  const absent = { condition: { kind: 'absent' } as const };
  const refused = { outcome: 'not-applied', preconditionFailed: true } as const;

  it('accepts conditional writes that succeed and fail as they should', () => {
    const planted = new Planted('strong')
      .read([])
      .put('a', absent)
      .put('b', { ...absent, ...refused })
      .read(['a'])
      .put('c', replaces('a'))
      .delete('x', { ...replaces('a'), ...refused })
      .delete('y', replaces('c'))
      .read([])
      .put('d', absent);
    expect(planted.found(check)).toEqual([]);
  });

  it('sees a lost update', () => {
    const planted = new Planted('strong')
      .put('a')
      .put('b', { ...replaces('a'), at: [10, 20] })
      .put('c', { ...replaces('a'), at: [11, 21] });
    expect(planted.violations(check)).toMatchObject([{ check, key: 'b/k' }]);
  });

  it('sees a refused write applied, and one that was simply not applied', () => {
    expect(
      new Planted('strong')
        .put('a')
        .put('b', { ...absent, ...refused })
        .read(['b'])
        .found(check),
    ).toEqual(['b']);
    expect(new Planted('strong').put('a', { outcome: 'not-applied' }).read(['a']).found(check)).toEqual(['a']);
  });

  it('sees a condition refused for no reason', () => {
    expect(new Planted('strong').put('a', { ...absent, ...refused }).found(check)).toEqual(['a']);
    expect(
      new Planted('strong')
        .put('a')
        .put('b', { ...replaces('a'), ...refused })
        .found(check),
    ).toEqual(['b']);
  });

  it('concludes nothing from a conditional write that was not applied for another reason', () => {
    expect(
      new Planted('strong')
        .put('a', { ...absent, outcome: 'not-applied' })
        .read([])
        .found(check),
    ).toEqual([]);
  });

  it('sees siblings', () => {
    expect(new Planted('strong').put('a').put('b').read(['a', 'b']).found(check)).toEqual(['[a,b]']);
  });

  it('takes a retried write for one, which takes effect once, between its first request and its answer', () => {
    const retried = (...reads: readonly string[]) => {
      const planted = new Planted('strong')
        .put('a', { retryOf: 'i', outcome: 'unknown', at: [1, 2] })
        .put('b', { at: [5, 6] })
        .put('a', { retryOf: 'i', at: [9, 10] });
      for (const [i, shown] of reads.entries()) planted.read([shown], { at: [20 + 2 * i, 21 + 2 * i] });
      return planted;
    };
    expect(retried('a').found(check)).toEqual([]);
    expect(retried('b').found(check)).toEqual([]);
    expect(
      retried('b')
        .read(['a'], { at: [3, 4] })
        .found(check),
    ).toEqual([]);
    expect(
      retried('a')
        .read(['a'], { at: [3, 4] })
        .found(check),
    ).toEqual(['a']);
  });

  it('checks each key by itself, and only in strong buckets', () => {
    const keys = new Planted('strong').put('a').put('b', { key: 'other' }).read(['a']).read(['b'], { key: 'other' });
    expect(keys.found(check)).toEqual([]);
    expect(new Planted('lww').put('a').read([]).found(check)).toEqual([]);
  });
});
