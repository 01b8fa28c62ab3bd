/**
 * Data types at replicas that hear from each other now and then, beside an oracle that knows nothing of dots: it remembers
 * which operations each place has heard of, and reckons from those alone what a reader must see.
 */

import fc from 'fast-check';
import type { DataType, Operation } from '#causality/data-type.ts';
import { takesAway } from '#causality/data-type.ts';
import { joinStates } from '#causality/join.ts';
import { carryOut, dotsOf, planOperation } from '#causality/operate.ts';
import { EMPTY_STATE, type State } from '#causality/state.ts';
import { counterFor } from '#causality/write.ts';
import { applyWrite } from '#causality/write.ts';
import { valueOf, type TypeValue } from '#causality/type-value.ts';
import { dot } from './examples.ts';

export const REPLICAS = 3;

/** One step of a history. */
export type Step =
  | {
      readonly kind: 'operate';
      readonly at: number;
      readonly operation: Operation;
      /** Undefined without an idempotency key. */
      readonly request?: string | undefined;
      /** Whether the client has read somewhere before, and where. */
      readonly readAt?: number | undefined;
    }
  | { readonly kind: 'delete'; readonly at: number }
  | { readonly kind: 'sync'; readonly from: number; readonly to: number };

/** What the oracle knows of one operation. */
export interface Known {
  readonly id: number;
  readonly operation: Operation | 'delete';
  readonly request: string | undefined;
  /** What whoever asked for it had seen. */
  readonly seen: ReadonlySet<number>;
}

interface Place {
  readonly state: State;
  readonly seen: ReadonlySet<number>;
}

const NOTHING: Place = { state: EMPTY_STATE, seen: new Set() };

export class Places {
  readonly #places: Place[] = Array.from({ length: REPLICAS }, () => NOTHING);
  readonly #known: Known[] = [];
  readonly states: State[] = [];
  #ticks = 0;

  constructor(steps: readonly Step[]) {
    for (const step of steps) this.#take(step);
  }

  placeOf(at: number): { readonly state: State; readonly known: readonly Known[] } {
    const { state, seen } = this.#places[at % REPLICAS]!;
    return { state, known: this.#known.filter(({ id }) => seen.has(id)) };
  }

  syncAll(): void {
    for (let round = 0; round < 2; round++) {
      for (let at = 0; at < REPLICAS; at++) this.#take({ kind: 'sync', from: at, to: at + 1 });
    }
  }

  valueAt(at: number, type: DataType): TypeValue | undefined {
    return valueOf(type, this.placeOf(at).state.versions);
  }

  #take(step: Step): void {
    switch (step.kind) {
      case 'sync': {
        const [from, to] = [this.#placeAt(step.from), this.#placeAt(step.to)];
        return this.#put(step.to, unite(to, from));
      }
      case 'delete': {
        const { state, seen } = this.#placeAt(step.at);
        const fresh = dot(step.at % REPLICAS, counterFor(++this.#ticks, state.vector, state));
        const write = {
          context: state.vector,
          dot: fresh,
          content: null,
          expiresAt: 0,
          conflicts: 'siblings',
        } as const;
        return this.#put(step.at, {
          state: applyWrite(state, write),
          seen: this.#note('delete', undefined, seen, seen),
        });
      }
      case 'operate':
        return this.#operate(step);
    }
  }

  #operate({ at, operation, request, readAt }: Extract<Step, { kind: 'operate' }>): void {
    const read = readAt === undefined ? undefined : this.#placeAt(readAt);
    const before = read === undefined ? this.#placeAt(at) : unite(this.#placeAt(at), read);
    // A place that knows of an attempt makes no other.
    if (request !== undefined && this.#known.some((one) => one.request === request && before.seen.has(one.id))) return;
    const node = at % REPLICAS;
    const plan = planOperation(before.state, operation, {
      actor: dot(node, 0),
      context: read?.state.vector ?? null,
      keyed: request !== undefined,
      alone: false,
      now: 0,
    });
    const first = dot(node, counterFor(++this.#ticks, [], before.state));
    this.#ticks += dotsOf(plan);
    const { state } = carryOut(before.state, plan, { first, expiresAt: 0, request });
    const sees = takesAway(operation) || operation.kind === 'assign' ? (read ?? before).seen : before.seen;
    this.#put(at, { state, seen: this.#note(operation, request, sees, before.seen) });
  }

  #note(
    operation: Known['operation'],
    request: string | undefined,
    seen: ReadonlySet<number>,
    atPlace: ReadonlySet<number>,
  ): ReadonlySet<number> {
    const id = this.#known.length;
    this.#known.push({ id, operation, request, seen: new Set(seen) });
    return new Set([...atPlace, id]);
  }

  #placeAt(at: number): Place {
    return this.#places[at % REPLICAS]!;
  }

  #put(at: number, place: Place): void {
    this.#places[at % REPLICAS] = place;
    this.states.push(place.state);
  }
}

function unite(a: Place, b: Place): Place {
  return { state: joinStates(a.state, b.state, 'siblings'), seen: new Set([...a.seen, ...b.seen]) };
}

const places = fc.nat({ max: REPLICAS - 1 });
const words = fc.constantFrom('"a"', '"b"', '"c"');
const requests = fc.constantFrom('11'.repeat(16), '22'.repeat(16), '33'.repeat(16));

function operationsOf(type: DataType): fc.Arbitrary<Operation> {
  const values = fc.uniqueArray(words, { minLength: 1, maxLength: 3 });
  switch (type) {
    case 'counter':
      return fc.integer({ min: -5, max: 9 }).map((by) => ({ kind: 'increment', by }));
    case 'set':
      return fc.tuple(fc.constantFrom('add' as const, 'add' as const, 'remove' as const), values).map(([kind, v]) => ({
        kind,
        values: v,
      }));
    case 'flag':
      return fc.constantFrom('enable' as const, 'disable' as const).map((kind) => ({ kind }));
    case 'register':
      return words.map((value) => ({ kind: 'assign', value }));
    case 'map':
      return fc.tuple(fc.constantFrom('f', 'g'), fc.nat({ max: 3 }), operationsOf('set')).map(([field, kind, inner]) =>
        kind === 0
          ? ({ kind: 'remove-field', field } as const)
          : kind === 1
            ? ({
                kind: 'update',
                field: 'm',
                type: 'map',
                with: { kind: 'update', field, type: 'set', with: inner },
              } as const)
            : ({ kind: 'update', field, type: 'set', with: inner } as const),
      );
  }
}

/** Histories of one type: operations with and without a reading before them, deletions of the key, news between places. */
export function historyOf(type: DataType, deletes: boolean, keyed = false): fc.Arbitrary<readonly Step[]> {
  const operate = fc.record({
    kind: fc.constant('operate' as const),
    at: places,
    operation: operationsOf(type),
    readAt: fc.option(places, { nil: undefined }),
    request: keyed ? fc.option(requests, { nil: undefined }) : fc.constant(undefined),
  });
  const sync = fc.record({ kind: fc.constant('sync' as const), from: places, to: places });
  const remove = fc.record({ kind: fc.constant('delete' as const), at: places });
  const kinds: fc.WeightedArbitrary<Step>[] = [
    { weight: 6, arbitrary: operate },
    { weight: 5, arbitrary: sync },
  ];
  if (deletes) kinds.push({ weight: 1, arbitrary: remove });
  return fc.array(fc.oneof(...kinds), { maxLength: 24 });
}
