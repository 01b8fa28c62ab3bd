import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DATA_TYPES, type DataType, type Operation } from '#causality/data-type.ts';
import { equalStates, joinStates } from '#causality/join.ts';
import { dotsOf, carryOut, planFolding, planOperation, Unfitting, withLeastVector } from '#causality/operate.ts';
import { EMPTY_STATE, type State } from '#causality/state.ts';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import { valueOf, type Json } from '#causality/type-value.ts';
import { counterFor } from '#causality/write.ts';
import { crc32 } from 'node:zlib';
import { dot } from './examples.ts';
import { historyOf, Places, type Known } from './operations.ts';

const runs = { numRuns: 150 };

for (const type of DATA_TYPES) {
  test(`${type}: the join of states is commutative, associative and idempotent`, () => {
    fc.assert(
      fc.property(historyOf(type, type !== 'counter', true), fc.nat(), fc.nat(), fc.nat(), (steps, ...picks) => {
        const states = [EMPTY_STATE, ...new Places(steps).states];
        const [a, b, c] = picks.map((pick) => states[pick % states.length]!) as [State, State, State];
        const join = (x: State, y: State): State => joinStates(x, y, 'siblings');
        expect(equalStates(join(a, b), join(b, a))).toBe(true);
        expect(equalStates(join(a, join(b, c)), join(join(a, b), c))).toBe(true);
        expect(join(a, a)).toBe(a);
      }),
      runs,
    );
  });

  test(`${type}: all places that know the same show the same, and states survive their bytes`, () => {
    fc.assert(
      fc.property(historyOf(type, type !== 'counter', true), (steps) => {
        const places = new Places(steps);
        places.syncAll();
        const [first, ...others] = [0, 1, 2].map((at) => places.valueAt(at, type));
        for (const other of others) expect(other).toEqual(first);
        for (const state of places.states) expect(decodeState(encodeState(state, crc32), crc32)).toEqual(state);
      }),
      runs,
    );
  });
}

/** Each place shows at each time what the operations that it has heard of come to. */
function agrees(
  type: DataType,
  deletes: boolean,
  expected: (known: readonly Known[]) => Json | undefined,
  keyed = false,
) {
  fc.assert(
    fc.property(historyOf(type, deletes, keyed), (steps) => {
      const places = new Places(steps);
      for (const at of [0, 1, 2]) {
        expect(places.valueAt(at, type)?.value).toEqual(expected(places.placeOf(at).known));
      }
      places.syncAll();
      expect(places.valueAt(0, type)?.value).toEqual(expected(places.placeOf(0).known));
    }),
    { numRuns: 400 },
  );
}

/** Whether nobody who had seen it has taken it away. */
function standing({ id }: Known, takers: readonly Known[]): boolean {
  return !takers.some(({ seen }) => seen.has(id));
}

test('a counter is the sum of all increments that are known, wherever they were made', () => {
  agrees('counter', false, (known) =>
    known.length === 0 ? undefined : known.reduce((sum, { operation }) => sum + byOf(operation), 0),
  );
});

test('an increment that was made at several places for one request counts once', () => {
  // The attempts of one request are alike.
  const same = historyOf('counter', false, true).map((steps) =>
    steps.map((step) => {
      if (step.kind !== 'operate' || step.request === undefined) return step;
      return { ...step, operation: { kind: 'increment', by: Number(step.request.slice(0, 2)) } as const };
    }),
  );
  fc.assert(
    fc.property(same, (steps) => {
      const places = new Places(steps);
      for (const at of [0, 1, 2]) {
        const { known } = places.placeOf(at);
        const once = known.filter(
          ({ request }, index) =>
            request === undefined || known.findIndex((other) => other.request === request) === index,
        );
        const sum = once.reduce((total, { operation }) => total + byOf(operation), 0);
        expect(places.valueAt(at, 'counter')?.value).toBe(known.length === 0 ? undefined : sum);
      }
    }),
    { numRuns: 400 },
  );
});

function byOf(operation: Known['operation']): number {
  return operation !== 'delete' && operation.kind === 'increment' ? operation.by : 0;
}

/** Elements whose adding is known and that nobody who saw it has removed. */
function elements(
  known: readonly Known[],
  field: string | undefined,
  path: (o: Operation) => Operation | undefined,
): Json[] {
  const at = (op: Known): Operation | undefined => (op.operation === 'delete' ? undefined : path(op.operation));
  const left = known.flatMap((adding) => {
    const add = at(adding);
    if (add?.kind !== 'add') return [];
    return add.values.filter((value) => {
      const takers = known.filter((other) => {
        if (other.operation === 'delete') return true;
        if (field !== undefined && other.operation.kind === 'remove-field') return other.operation.field === field;
        const removing = at(other);
        return removing?.kind === 'remove' && removing.values.includes(value);
      });
      return standing(adding, takers);
    });
  });
  return [...new Set(left)].sort().map((text) => JSON.parse(text) as Json);
}

/** Whether something is there, be it empty: something was added that no deletion took, or emptied since. */
function shownOrEmpty(places: Places, at: number): boolean {
  return places.placeOf(at).state.versions.length > 0;
}

test('an element is in a set when it was added and nobody who had seen that has removed it', () => {
  fc.assert(
    fc.property(historyOf('set', true), (steps) => {
      const places = new Places(steps);
      for (const at of [0, 1, 2]) {
        const expected = elements(places.placeOf(at).known, undefined, (operation) => operation);
        const value = places.valueAt(at, 'set')?.value;
        expect(value ?? []).toEqual(expected);
        expect(value !== undefined).toBe(shownOrEmpty(places, at));
      }
    }),
    { numRuns: 400 },
  );
});

test('sets in the fields of a map, and of maps within it, follow the same rule; removing a field takes what was seen', () => {
  fc.assert(
    fc.property(historyOf('map', true), (steps) => {
      const places = new Places(steps);
      for (const at of [0, 1, 2]) {
        const { known } = places.placeOf(at);
        const value = (places.valueAt(at, 'map')?.value ?? {}) as Record<string, Json>;
        const inner = (value['m'] ?? {}) as Record<string, Json>;
        for (const field of ['f', 'g']) {
          const outer = elements(known, field, (o) => (o.kind === 'update' && o.field === field ? o.with : undefined));
          expect(value[field] ?? []).toEqual(outer);
          const nested = elements(known, undefined, (o) =>
            o.kind === 'update' && o.with.kind === 'update' && o.with.field === field ? o.with.with : undefined,
          );
          expect(inner[field] ?? []).toEqual(nested);
        }
      }
    }),
    { numRuns: 400 },
  );
});

test('a flag is on when it was enabled and nobody who had seen that has disabled it', () => {
  fc.assert(
    fc.property(historyOf('flag', true), (steps) => {
      const places = new Places(steps);
      for (const at of [0, 1, 2]) {
        const { known } = places.placeOf(at);
        const takers = known.filter(({ operation }) => operation === 'delete' || operation.kind === 'disable');
        const on = known.some(
          (one) => one.operation !== 'delete' && one.operation.kind === 'enable' && standing(one, takers),
        );
        expect(places.valueAt(at, 'flag')?.value ?? false).toBe(on);
      }
    }),
    { numRuns: 400 },
  );
});

test('a register shows the latest value, and all that nobody who had seen them has replaced', () => {
  fc.assert(
    fc.property(historyOf('register', true), (steps) => {
      const places = new Places(steps);
      for (const at of [0, 1, 2]) {
        const { known } = places.placeOf(at);
        const left = known.flatMap((one) =>
          one.operation !== 'delete' && one.operation.kind === 'assign' && standing(one, known)
            ? [JSON.parse(one.operation.value) as Json]
            : [],
        );
        const shown = places.valueAt(at, 'register');
        const all = shown === undefined ? [] : (shown.concurrent ?? [shown.value]);
        expect(new Set(all)).toEqual(new Set(left));
        if (shown !== undefined) expect(shown.value).toEqual(all.at(-1));
      }
    }),
    { numRuns: 400 },
  );
});

// --- One place ---------------------------------------------------------------------------------------------------------

const CIRCUMSTANCES = { actor: dot(1, 0), context: null, keyed: false, alone: false, now: 0 };

function operate(state: State, operation: Operation, changes: Partial<typeof CIRCUMSTANCES> = {}): State {
  const plan = planOperation(state, operation, { ...CIRCUMSTANCES, ...changes });
  const first = { ...(changes.actor ?? CIRCUMSTANCES.actor), counter: counterFor(1, [], state) };
  return carryOut(state, plan, { first, expiresAt: 0, request: changes.keyed === true ? 'ab'.repeat(16) : undefined })
    .state;
}

test('what is emptied is empty, and what was never there is not there', () => {
  const added = operate(EMPTY_STATE, { kind: 'add', values: ['1'] });
  expect(valueOf('set', operate(added, { kind: 'remove', values: ['1'] }).versions)).toEqual({ value: [] });
  expect(valueOf('set', operate(EMPTY_STATE, { kind: 'remove', values: ['1'] }).versions)).toBeUndefined();
  const off = operate(EMPTY_STATE, { kind: 'disable' });
  expect(valueOf('flag', off.versions)).toEqual({ value: false });
  const filled = operate(EMPTY_STATE, {
    kind: 'update',
    field: 'x',
    type: 'counter',
    with: { kind: 'increment', by: 2 },
  });
  expect(valueOf('map', filled.versions)).toEqual({ value: { x: 2 }, types: { x: 'counter' } });
  expect(valueOf('map', operate(filled, { kind: 'remove-field', field: 'x' }).versions)).toEqual({
    value: {},
    types: {},
  });
});

test('a field keeps its type, and a counter stays exact', () => {
  const filled = operate(EMPTY_STATE, { kind: 'update', field: 'x', type: 'flag', with: { kind: 'enable' } });
  const other = { kind: 'update', field: 'x', type: 'counter', with: { kind: 'increment', by: 1 } } as const;
  expect(() => planOperation(filled, other, CIRCUMSTANCES)).toThrow(Unfitting);
  const large = operate(EMPTY_STATE, { kind: 'increment', by: Number.MAX_SAFE_INTEGER });
  expect(() => planOperation(large, { kind: 'increment', by: 1 }, CIRCUMSTANCES)).toThrow(Unfitting);
});

test('what two sides have counted together is their exact sum, and comes back from beyond what is exact', () => {
  const most = Number.MAX_SAFE_INTEGER;
  const counted = (by: number, node: number, on = EMPTY_STATE): State =>
    operate(on, { kind: 'increment', by }, { actor: dot(node, 0) });
  const far = joinStates(counted(most, 1), counted(most - 1, 2), 'siblings');
  const near = joinStates(far, counted(-most, 3), 'siblings');
  expect(valueOf('counter', near.versions)).toEqual({ value: most - 1 });
  expect(() => planOperation(far, { kind: 'increment', by: 1 }, CIRCUMSTANCES)).toThrow(Unfitting);
  expect(valueOf('counter', counted(-most, 1, counted(-1, 1, far)).versions)).toEqual({ value: most - 2 });
});

test('a field that got two types at once is of the one that is shown, and goes on as such', () => {
  const update = (type: 'set' | 'counter'): Operation =>
    type === 'set'
      ? { kind: 'update', field: 'x', type, with: { kind: 'add', values: ['1'] } }
      : { kind: 'update', field: 'x', type, with: { kind: 'increment', by: 2 } };
  const [first, second] = [
    operate(EMPTY_STATE, update('set')),
    operate(EMPTY_STATE, update('counter'), { actor: dot(2, 0) }),
  ];
  const both = joinStates(first, second, 'siblings');
  expect(valueOf('map', both.versions)).toMatchObject({ value: { x: 2 } });
  expect(() => planOperation(both, update('set'), CIRCUMSTANCES)).toThrow('the field is a counter already, and no set');
  expect(valueOf('map', operate(both, update('counter'), { actor: dot(2, 0) }).versions)).toMatchObject({
    value: { x: 4 },
  });
});

test('what has ended is nothing to go by, although it stays for a while', () => {
  const ending = (state: State, operation: Operation): State =>
    carryOut(state, planOperation(state, operation, CIRCUMSTANCES), {
      first: dot(1, counterFor(1, [], state)),
      expiresAt: 5,
      request: undefined,
    }).state;
  const field = ending(EMPTY_STATE, { kind: 'update', field: 'x', type: 'flag', with: { kind: 'enable' } });
  const other = { kind: 'update', field: 'x', type: 'counter', with: { kind: 'increment', by: 1 } } as const;
  expect(() => planOperation(field, other, { ...CIRCUMSTANCES, now: 4 })).toThrow(Unfitting);
  expect(valueOf('map', operate(field, other, { now: 5 }).versions)).toMatchObject({ value: { x: 1 } });
  const set = operate(ending(EMPTY_STATE, { kind: 'add', values: ['1'] }), { kind: 'add', values: ['2'] });
  const emptied = operate(set, { kind: 'remove', values: ['2'] }, { now: 5 });
  const live = emptied.versions.filter(({ expiresAt }) => expiresAt === 0);
  expect(valueOf('set', live)).toEqual({ value: [] });
});

test('increments are added up to one total without a change of the sum, in each field by itself', () => {
  const update = (field: string, by: number): Operation => ({
    kind: 'update',
    field,
    type: 'counter',
    with: { kind: 'increment', by },
  });
  let state = operate(EMPTY_STATE, update('x', 1));
  for (const field of ['x', 'y', 'x']) state = operate(state, update(field, 10), { keyed: true });
  const other = carryOut(
    state,
    planOperation(state, update('x', 5), { ...CIRCUMSTANCES, actor: dot(2, 0), keyed: true }),
    {
      first: dot(2, 500),
      expiresAt: 0,
      request: 'cd'.repeat(16),
    },
  ).state;
  const dots = other.versions.map((version) => version.dot);
  const plan = planFolding(other, { kind: 'fold', dots }, dot(1, 0));
  const { state: folded } = carryOut(other, plan, { first: dot(1, 900), expiresAt: 0, request: undefined });
  expect(valueOf('map', folded.versions)).toEqual(valueOf('map', other.versions));
  // What another node has made stays.
  expect(folded.versions).toHaveLength(3);
  expect(() => planFolding(EMPTY_STATE, { kind: 'fold', dots }, dot(1, 0))).toThrow(Unfitting);
});

test('a field named __proto__ is a field', () => {
  const filled = operate(EMPTY_STATE, { kind: 'update', field: '__proto__', type: 'flag', with: { kind: 'enable' } });
  expect(JSON.stringify(valueOf('map', filled.versions)?.value)).toBe('{"__proto__":true}');
});

test('the increments of one actor are one entry, keyed ones stand apart, and whoever is alone makes one of all', () => {
  let state = EMPTY_STATE;
  for (let i = 0; i < 3; i++) state = operate(state, { kind: 'increment', by: 2 });
  expect(state.versions).toHaveLength(1);
  state = operate(state, { kind: 'increment', by: 5 }, { keyed: true });
  expect(state.versions).toHaveLength(2);
  const plan = planOperation(state, { kind: 'increment', by: 1 }, { ...CIRCUMSTANCES, alone: true });
  const minting = { first: dot(3, 100), expiresAt: 0, request: undefined };
  const { state: one, last } = carryOut(state, plan, minting);
  expect(dotsOf(plan)).toBe(1);
  expect(withLeastVector(one, last)).toEqual({ vector: [dot(3, 100)], versions: one.versions });
  expect(valueOf('counter', one.versions)).toEqual({ value: 12 });
});
