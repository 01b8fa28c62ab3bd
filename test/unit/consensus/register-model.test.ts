/**
 * Registers that are erased, as a small random model: acceptors, proposers and an eraser whose messages arrive late, twice or
 * never. Histories must be linearizable; without one of the rules of erasing they soon are not.
 */

import { describe, expect, it } from 'vitest';
import { compareBallots } from '#consensus/ballot.ts';
import { valueToAdopt, type Accepted } from '#consensus/acceptor.ts';
import type { Ballot } from '#consensus/facts.ts';
import { acceptRegister, emptyRegister, mayErase, prepareRegister, type Register } from '#consensus/register.ts';
import type { NodeIndex } from '#kernel/identity.ts';
import { linearize, type Call } from '../../simulation/checkers/linearizability.ts';
import { REGISTER, type RegisterOperation } from '../../simulation/checkers/register-model.ts';

type Value = string | null;

/** The rules of erasing; a wrong variant lacks one. */
interface Rules {
  readonly floor: boolean;
  readonly promiseMustFit: boolean;
  readonly allMustAccept: boolean;
}

const RIGHT: Rules = { floor: true, promiseMustFit: true, allMustAccept: true };
const OWNERS = 3;
const OPERATIONS = 7;

/** A generator of small numbers that is the same for equal seeds (xorshift). */
function numbers(seed: number): (below: number) => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

class Owner {
  #register: Register<Value> | undefined;
  #floor: Ballot | null = null;
  readonly #rules: Rules;

  constructor(rules: Rules) {
    this.#rules = rules;
  }

  get register(): Register<Value> {
    return this.#register ?? emptyRegister(this.#rules.floor ? this.#floor : null);
  }

  prepare(ballot: Ballot): Accepted<Value> | null | 'no' {
    const step = prepareRegister(this.register, ballot);
    if (step.kind === 'rejected') return 'no';
    this.#register = step.register;
    return step.register.accepted;
  }

  accept(accepted: Accepted<Value>): 'yes' | 'no' {
    const step = acceptRegister(this.register, accepted, null, (a, b) => a === b);
    if (step.kind === 'rejected') return 'no';
    this.#register = step.register;
    return 'yes';
  }

  erase(ballot: Ballot): void {
    const { accepted } = this.register;
    const fits = this.#rules.promiseMustFit
      ? mayErase(this.register, ballot)
      : accepted !== null && compareBallots(accepted.ballot, ballot) === 0;
    if (!fits) return;
    this.#register = undefined;
    if (this.#floor === null || compareBallots(ballot, this.#floor) > 0) this.#floor = ballot;
  }
}

/** Runs steps of several actors in random order; what they send may be late, come twice or get lost. */
class Run {
  readonly calls: Call<RegisterOperation>[] = [];
  readonly #owners: readonly Owner[];
  readonly #random: (below: number) => number;
  readonly #rules: Rules;
  readonly #waiting: (() => void)[] = [];
  #time = 0;
  #ballots = 0;

  constructor(seed: number, rules: Rules) {
    this.#rules = rules;
    this.#random = numbers(seed);
    this.#owners = Array.from({ length: OWNERS }, () => new Owner(rules));
  }

  play(): void {
    for (let i = 0; i < OPERATIONS; i++) this.#later(() => this.#begin(i));
    for (let i = 0; i < 3; i++) this.#later(() => this.#eraser());
    for (; this.#waiting.length > 0 && this.#time < 3000; this.#time++) {
      // Mostly what was begun last goes on, so that rounds come to an end and some messages are much later than others.
      const at = this.#random(4) > 0 ? this.#waiting.length - 1 : this.#random(this.#waiting.length);
      const [step] = this.#waiting.splice(at, 1);
      step!();
    }
  }

  #later(step: () => void): void {
    this.#waiting.push(step);
  }

  /** The ballot is drawn early, so that others overtake it. */
  #ballot(): Ballot {
    return { time: ++this.#ballots, node: 0 as NodeIndex, boot: 1 };
  }

  #begin(number: number): void {
    const start = this.#time;
    const kind = this.#random(10);
    const name = `v${number}`;
    const done = (operation: RegisterOperation, end: number): void => void this.calls.push({ operation, start, end });
    const change = (current: Value): { value: Value; operation: RegisterOperation } => {
      if (kind < 4) return { value: current, operation: { kind: 'read', result: current } };
      if (kind < 7) return { value: null, operation: { kind: 'write', value: null } };
      const swapped = current === null;
      return { value: swapped ? name : current, operation: { kind: 'cas', expected: null, value: name, swapped } };
    };
    this.#round(2, change, (operation, confirmed) => {
      if (confirmed) done(operation, this.#time);
      else if (operation.kind === 'write' || (operation.kind === 'cas' && operation.swapped === true)) {
        done(operation.kind === 'cas' ? { ...operation, swapped: null } : operation, Infinity);
      }
    });
  }

  #eraser(): void {
    const needed = this.#rules.allMustAccept ? OWNERS : 2;
    const keep = (current: Value): { value: Value; operation: RegisterOperation } | undefined =>
      current === null ? { value: null, operation: { kind: 'read', result: null } } : undefined;
    const ballot = this.#round(needed, keep, (_, confirmed) => {
      if (!confirmed) return;
      for (const owner of this.#owners) this.#send(() => owner.erase(ballot));
    });
  }

  /** Both phases; calls back once when it is decided, and once with `false` when a change was proposed. */
  #round(
    needed: number,
    change: (current: Value) => { value: Value; operation: RegisterOperation } | undefined,
    ended: (operation: RegisterOperation, confirmed: boolean) => void,
  ): Ballot {
    const ballot = this.#ballot();
    const promises: (Accepted<Value> | null)[] = [];
    let proposed = false;
    for (const owner of this.#owners) {
      this.#send(() => {
        const answer = owner.prepare(ballot);
        this.#later(() => {
          if (answer === 'no' || proposed) return;
          promises.push(answer);
          if (promises.length < needed) return;
          proposed = true;
          const next = change(valueToAdopt(promises) ?? null);
          if (next !== undefined) this.#propose(ballot, next.value, needed, (yes) => ended(next.operation, yes));
        });
      });
    }
    return ballot;
  }

  #propose(ballot: Ballot, value: Value, needed: number, ended: (confirmed: boolean) => void): void {
    let accepted = 0;
    let open = OWNERS;
    const count = (answer: 'yes' | 'no'): void => {
      open -= 1;
      if (answer === 'yes' && ++accepted === needed) ended(true);
      else if (accepted < needed && accepted + open < needed) ended(false);
    };
    for (const owner of this.#owners) {
      let counted = false;
      const deliver = (): void => {
        const answer = owner.accept({ ballot, value });
        this.#later(() => {
          if (!counted) count(answer);
          counted = true;
        });
      };
      this.#later(deliver);
      // The same message again, perhaps much later.
      if (this.#random(2) === 0) this.#later(() => this.#later(() => this.#later(deliver)));
    }
  }

  #send(deliver: () => void): void {
    if (this.#random(20) > 0) this.#later(deliver);
  }
}

/** The first seed whose history no order explains. */
function violation(rules: Rules, runs: number): number | undefined {
  for (let seed = 0; seed < runs; seed++) {
    const run = new Run(seed, rules);
    run.play();
    if (linearize(REGISTER, run.calls, 20_000).kind === 'violated') return seed;
  }
  return undefined;
}

describe('erasing registers', () => {
  it('loses nothing', () => {
    expect(violation(RIGHT, 20_000)).toBeUndefined();
  });

  it.each(['floor', 'promiseMustFit', 'allMustAccept'] as const)('without the rule "%s" it loses something', (rule) => {
    expect(violation({ ...RIGHT, [rule]: false }, 200_000)).toBeTypeOf('number');
  });
});
