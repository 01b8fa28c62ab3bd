/**
 * The simulation: a virtual clock and the one queue of everything that is going to happen in a whole cluster. One event
 * runs at a time, then all promise reactions that follow from it, then the next event; time jumps from event to event. As
 * long as the code under test awaits nothing real, equal seeds give equal runs.
 */

import { assert } from '#kernel/assert.ts';
import type { Timer } from '#world/world.ts';
import { EventHash } from './event-hash.ts';
import { EventQueue, type QueuedEvent } from './event-queue.ts';
import { SeededRandom } from './random.ts';

/** Events at one instant before the simulation is declared to run in circles. */
const MAX_EVENTS_AT_ONE_INSTANT = 1_000_000;
const DEFAULT_LIMIT_MS = 600_000;
/** Events for one turn of the host's loop, which looks for input and timers each time and would cost as much as an event. */
const EVENTS_A_TURN = 64;

export class SimulationError extends Error {
  override readonly name = 'SimulationError';
}

interface SimulatedEvent extends QueuedEvent {
  readonly label: string;
  readonly detail: number;
  readonly run: () => void;
}

export interface SimulationOptions {
  readonly seed: string | number;
  /** Gets a line for each event: time, label, detail. */
  readonly trace?: (line: string) => void;
}

export class Simulation {
  /** To be forked, not drawn from. */
  readonly random: SeededRandom;
  /** Called after each event and all promise reactions to it: looks, and changes nothing. */
  afterEvent: (() => void) | undefined;
  readonly #tieBreaks: SeededRandom;
  readonly #queue = new EventQueue<SimulatedEvent>();
  readonly #hash = new EventHash();
  readonly #trace: ((line: string) => void) | undefined;
  #now = 0;
  #sequence = 0;
  #events = 0;
  #eventsAtNow = 0;
  #running = false;
  #halted = false;

  constructor(options: SimulationOptions) {
    this.random = new SeededRandom(options.seed);
    this.#tieBreaks = this.random.fork('tie-breaks');
    this.#trace = options.trace;
  }

  /** Virtual milliseconds since the start. */
  get now(): number {
    return this.#now;
  }

  /** Events that have run. */
  get events(): number {
    return this.#events;
  }

  /** Fingerprint of all events so far: 16 hex digits. */
  hash(): string {
    return this.#hash.toString();
  }

  /**
   * Runs `run` after `delay` virtual milliseconds. `label` says what happens, in few different words; what varies freely is
   * a number in `detail`. Both stand in the trace and in the hash. Code of a host belongs into SimulatedProcess.schedule.
   */
  schedule(delay: number, label: string, run: () => void, detail = 0): Timer {
    const time = this.#now + (delay > 0 ? delay : 0);
    const tieBreak = this.#tieBreaks.uint32();
    const event: SimulatedEvent = { time, tieBreak, sequence: this.#sequence++, over: false, label, detail, run };
    this.#queue.add(event);
    return { cancel: () => this.#queue.cancel(event) };
  }

  /**
   * Runs events up to a virtual instant, or until the condition holds, which is looked at after each event. Rejects with
   * what an event threw, and with a {@link SimulationError} when the condition does not hold within `limit` milliseconds.
   */
  async run(until: number | (() => boolean), limit = DEFAULT_LIMIT_MS): Promise<void> {
    const end = typeof until === 'number' ? until : this.#now + limit;
    const done = typeof until === 'number' ? never : until;
    assert(!this.#running, 'the simulation is running already');
    this.#running = true;
    try {
      if (await this.#runEvents(end, done)) return;
    } finally {
      this.#running = false;
    }
    this.#now = Math.max(this.#now, end);
    if (typeof until === 'number') return;
    throw new SimulationError(`the condition does not hold at ${this.#now} ms, ${this.#queue.size} events are waiting`);
  }

  /** Nothing happens any more: whoever waits for the simulation waits for ever. */
  halt(): void {
    this.#halted = true;
  }

  /** Runs until the promise has settled, and gives its result. */
  async settle<T>(promise: Promise<T>, limit = DEFAULT_LIMIT_MS): Promise<T> {
    let settled = false;
    const settle = () => {
      settled = true;
    };
    promise.then(settle, settle);
    await this.run(() => settled, limit);
    return promise;
  }

  /** One event in an immediate of the host's loop: between two of them all promise reactions have run. */
  #runEvents(end: number, done: () => boolean): Promise<boolean> {
    return new Promise((resolve, reject) => {
      let over = false;
      const settle = (holds: boolean): void => {
        over = true;
        resolve(holds);
      };
      const step = (): void => {
        if (over) return;
        try {
          this.afterEvent?.();
          if (this.#halted) {
            over = true;
            return;
          }
          if (done()) return settle(true);
          const event = this.#queue.peek();
          if (event === undefined || event.time > end) return settle(false);
          this.#execute(this.#queue.take()!);
        } catch (error) {
          over = true;
          reject(error);
        }
      };
      const turn = (): void => {
        step();
        if (over) return;
        for (let i = 1; i < EVENTS_A_TURN; i++) setImmediate(step);
        setImmediate(turn);
      };
      // The reactions to what happened before the run come first.
      setImmediate(turn);
    });
  }

  #execute(event: SimulatedEvent): void {
    this.#eventsAtNow = event.time === this.#now ? this.#eventsAtNow + 1 : 0;
    if (this.#eventsAtNow > MAX_EVENTS_AT_ONE_INSTANT) {
      throw new SimulationError(`time stands still at ${this.#now} ms, last event: ${event.label}`);
    }
    this.#now = event.time;
    this.#events++;
    this.#hash.add(event.time, event.label, event.detail);
    this.#trace?.(`${event.time.toFixed(3)} ${event.label} ${event.detail >>> 0}`);
    event.run();
  }
}

function never(): boolean {
  return false;
}
