/**
 * Whether one object could have given these answers if it had executed the operations one at a time, each at some instant
 * between its call and its return. (Herlihy and Wing 1990. The search is that of Wing and Gong 1993 with the memory of
 * Lowe 2017, as in the checker Porcupine: it places operations one by one, and never twice explores the same set of
 * placed operations with the same state.)
 *
 * An operation whose outcome is unknown has no return: it takes effect at any time after its call, or never.
 *
 * The problem is NP-complete, so the search has a budget. When that is used up the verdict is `unknown`, never `ok`.
 */

import { assert } from '#kernel/assert.ts';

/** One object, executing one operation after the other. */
export interface Model<State, Operation> {
  readonly initial: State;
  /** The state after the operation, or undefined when the object would not have given that answer. */
  readonly next: (state: State, operation: Operation) => State | undefined;
  /** Different for states that are different. */
  readonly nameOf: (state: State) => string;
}

export interface Call<Operation> {
  readonly operation: Operation;
  readonly start: number;
  /** Not below `start`; Infinity when the outcome is unknown. Calls that touch at one instant count as overlapping. */
  readonly end: number;
}

export type Verdict =
  /** An order that explains everything: indices of the calls; those that never took effect are left out. */
  | { readonly kind: 'ok'; readonly order: readonly number[] }
  /** No order does. `order` is the longest that was found, `unexplained` the call that no order got past. */
  | { readonly kind: 'violated'; readonly order: readonly number[]; readonly unexplained: number }
  | { readonly kind: 'unknown' };

/** `stepsMax` bounds both the time, and the memory for what was explored. */
export function linearize<State, Operation>(
  model: Model<State, Operation>,
  calls: readonly Call<Operation>[],
  stepsMax: number,
): Verdict {
  return new Search(model, calls).run(stepsMax);
}

/** A call or a return, in a list from which placed operations are taken out. */
interface Event {
  readonly call: number;
  readonly isReturn: boolean;
  readonly order: number;
  previous: Event | undefined;
  next: Event | undefined;
}

class Search<State, Operation> {
  readonly #model: Model<State, Operation>;
  readonly #calls: readonly Call<Operation>[];
  readonly #head: Event = { call: -1, isReturn: false, order: -Infinity, previous: undefined, next: undefined };
  readonly #returns: (Event | undefined)[];
  readonly #placed: Uint16Array;
  readonly #explored = new Set<string>();
  readonly #stack: { readonly event: Event; readonly before: State }[] = [];
  #state: State;
  #longest: readonly number[] = [];
  #unexplained = -1;
  /** Calls that returned and are not placed. */
  #missing: number;

  constructor(model: Model<State, Operation>, calls: readonly Call<Operation>[]) {
    this.#model = model;
    this.#calls = calls;
    this.#state = model.initial;
    this.#placed = new Uint16Array(Math.ceil(calls.length / 16));
    this.#returns = calls.map(() => undefined);
    this.#missing = calls.filter(({ end }) => end < Infinity).length;
    this.#link();
  }

  run(stepsMax: number): Verdict {
    let event = this.#head.next;
    for (let steps = 0; this.#missing > 0; steps++) {
      if (steps >= stepsMax) return { kind: 'unknown' };
      assert(event !== undefined, 'the search ran past the return of a call that is not placed');
      if (!event.isReturn) {
        event = this.#place(event) ? this.#head.next : event.next;
        continue;
      }
      // Everything that could come before this return has been tried, and its own call is not placed.
      this.#remember(event.call);
      const undone = this.#undo();
      if (undone === undefined) return { kind: 'violated', order: this.#longest, unexplained: this.#unexplained };
      event = undone.next;
    }
    return { kind: 'ok', order: this.#order() };
  }

  /** Places the call next in the order, if its answer fits and this has not been explored. */
  #place(event: Event): boolean {
    const next = this.#model.next(this.#state, this.#calls[event.call]!.operation);
    if (next === undefined) return false;
    this.#flip(event.call);
    const name = `${String.fromCharCode(...this.#placed)} ${this.#model.nameOf(next)}`;
    if (this.#explored.has(name)) {
      this.#flip(event.call);
      return false;
    }
    this.#explored.add(name);
    this.#stack.push({ event, before: this.#state });
    this.#state = next;
    takeOut(event);
    const end = this.#returns[event.call];
    if (end !== undefined) {
      takeOut(end);
      this.#missing -= 1;
    }
    return true;
  }

  /** Takes the call placed last back, and returns its event. */
  #undo(): Event | undefined {
    const last = this.#stack.pop();
    if (last === undefined) return undefined;
    const end = this.#returns[last.event.call];
    if (end !== undefined) {
      putBack(end);
      this.#missing += 1;
    }
    putBack(last.event);
    this.#state = last.before;
    this.#flip(last.event.call);
    return last.event;
  }

  #flip(call: number): void {
    this.#placed[call >> 4]! ^= 1 << (call & 15);
  }

  #remember(blocked: number): void {
    if (this.#unexplained >= 0 && this.#stack.length <= this.#longest.length) return;
    this.#longest = this.#order();
    this.#unexplained = blocked;
  }

  #order(): readonly number[] {
    return this.#stack.map(({ event }) => event.call);
  }

  #link(): void {
    const events = this.#calls.flatMap(({ start, end }, call): Event[] => {
      assert(start <= end, `call ${call} ends at ${end}, before its start at ${start}`);
      const bare = { call, previous: undefined, next: undefined };
      const begin = { ...bare, isReturn: false, order: start };
      if (end === Infinity) return [begin];
      const finish = { ...bare, isReturn: true, order: end };
      this.#returns[call] = finish;
      return [begin, finish];
    });
    events.sort((a, b) => a.order - b.order || Number(a.isReturn) - Number(b.isReturn));
    let last = this.#head;
    for (const event of events) {
      event.previous = last;
      last.next = event;
      last = event;
    }
  }
}

/** The event keeps its own links, so that {@link putBack} in reverse order restores the list. */
function takeOut(event: Event): void {
  event.previous!.next = event.next;
  if (event.next !== undefined) event.next.previous = event.previous;
}

function putBack(event: Event): void {
  event.previous!.next = event;
  if (event.next !== undefined) event.next.previous = event;
}
