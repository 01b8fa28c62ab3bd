/**
 * A machine of the simulation and the processes that run on it, one after the other. A process that was killed never runs
 * again: its timers, its connections and whatever its code still tries belong to a life that is over. A paused one
 * (SIGSTOP) does not lose its events, they all come when it goes on.
 */

import { assert } from '#kernel/assert.ts';
import type { Timer } from '#world/world.ts';
import type { Simulation } from './scheduler.ts';
import type { SeededRandom } from './random.ts';

export class SimulatedHost {
  readonly name: string;
  readonly simulation: Simulation;
  /** Forked from the simulation's by the host's name. To be forked further, not drawn from. */
  readonly random: SeededRandom;
  readonly clock: HostClock;
  #process: SimulatedProcess | undefined;
  #starts = 0;
  #held: (() => void)[] | undefined;

  constructor(simulation: Simulation, name: string) {
    this.name = name;
    this.simulation = simulation;
    this.random = simulation.random.fork(name);
    this.clock = new HostClock(simulation);
  }

  /** The process that runs now. */
  get process(): SimulatedProcess | undefined {
    return this.#process;
  }

  get paused(): boolean {
    return this.#held !== undefined;
  }

  /** A new life; the former one must have ended. */
  start(): SimulatedProcess {
    assert(this.#process === undefined, `a process runs on ${this.name} already`);
    this.#process = new SimulatedProcess(this, ++this.#starts);
    return this.#process;
  }

  /** Ends the process at once, as `kill -9` does. */
  kill(): void {
    const process = this.#process;
    this.#process = undefined;
    this.#held = undefined;
    process?.end();
  }

  /** Stops the process; its clocks go on. */
  pause(): void {
    this.#held ??= [];
  }

  resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    // One event each, in the order in which they came due.
    let next = 0;
    for (const _ of held) this.simulation.schedule(0, `resumed ${this.name}`, () => this.deliver(held[next++]!));
  }

  /** Runs the event, or keeps it while the host is paused. */
  deliver(run: () => void): void {
    if (this.#held === undefined) run();
    else this.#held.push(run);
  }
}

export class SimulatedProcess {
  readonly host: SimulatedHost;
  /** 1 for the first on its host. */
  readonly generation: number;
  readonly random: SeededRandom;
  #alive = true;
  readonly #labels = new Map<string, string>();
  readonly #atEnd = new Set<() => void>();

  constructor(host: SimulatedHost, generation: number) {
    this.host = host;
    this.generation = generation;
    this.random = host.random.fork(`process ${generation}`);
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** As Simulation.schedule, for code of this process: not called when it is dead by then. */
  schedule(delay: number, what: string, run: () => void, detail = 0): Timer {
    if (!this.#alive) return { cancel() {} };
    let cancelled = false;
    const guarded = () => {
      if (this.#alive && !cancelled) run();
    };
    const timer = this.host.simulation.schedule(delay, this.#label(what), () => this.host.deliver(guarded), detail);
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  /** Calls back when the process is killed, for what the world outside notices of that. The result takes it back. */
  onEnd(callback: () => void): () => void {
    this.#atEnd.add(callback);
    return () => this.#atEnd.delete(callback);
  }

  /** Called by the host. */
  end(): void {
    this.#alive = false;
    for (const callback of this.#atEnd) callback();
  }

  #label(what: string): string {
    let label = this.#labels.get(what);
    if (label === undefined) {
      label = `${what} ${this.host.name}`;
      this.#labels.set(what, label);
    }
    return label;
  }
}

/** The host's two clocks, which may run wrong. */
export class HostClock {
  readonly #simulation: Simulation;
  /** Local milliseconds for each virtual one. */
  #rate = 1;
  #since = 0;
  #localAtSince = 0;
  #wallOffset = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  monotonic(): number {
    return this.#localAtSince + (this.#simulation.now - this.#since) * this.#rate;
  }

  wall(): number {
    return Math.floor(START_OF_TIME + this.monotonic() + this.#wallOffset);
  }

  /** The virtual time in which so much local time passes. */
  virtual(local: number): number {
    return local / this.#rate;
  }

  /** Both clocks run faster (or slower, if negative) by so many millionths from now on. */
  setDrift(partsPerMillion: number): void {
    this.#localAtSince = this.monotonic();
    this.#since = this.#simulation.now;
    this.#rate = 1 + partsPerMillion / 1_000_000;
  }

  /** The calendar clock is put forward (or back) by so many milliseconds. */
  jump(milliseconds: number): void {
    this.#wallOffset += milliseconds;
  }
}

/** 2026-01-01T00:00:00Z: the calendar's day when every simulation begins. */
const START_OF_TIME = 1_767_225_600_000;
