/**
 * The calls of one connection that wait for an answer. Instead of a timer for each call there is one for the earliest
 * deadline; since most calls are answered long before theirs, it hardly ever has to be set anew.
 */

import { ByNumber } from '#kernel/by-number.ts';
import type { Clock, Timer } from '#world/world.ts';
import type { CallResult } from './messaging.ts';

export type Unanswered = Exclude<CallResult<never>, { readonly kind: 'reply' }>;

export interface PendingCall {
  /** An instant of the monotonic clock. */
  readonly deadline: number;
  /** Of the encoded request, which whoever waits for the answer may still hold. */
  readonly bytes: number;
  /** Throws MalformedMessage when the body does not fit. */
  reply(body: unknown): void;
  unanswered(result: Unanswered): void;
}

/** Deadlines that lie closer together are handled together; a call may end that much late. */
const DEADLINE_PRECISION_MS = 10;
/** Calls end so much later than their deadline: whoever waits for several until then learns first that time is up. */
const GRACE_MS = 1;
const TIMEOUT: Unanswered = { kind: 'lost', reason: 'timeout' };

export class PendingCalls {
  readonly #clock: Clock;
  #calls = new ByNumber<PendingCall>();
  #lastId = 0;
  #bytes = 0;
  #timer: Timer | undefined;
  /** When the timer fires: not later than any deadline, but for the precision. */
  #wakeAt = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** Bytes of the requests that wait for an answer. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The id that the next call gets. */
  get nextId(): number {
    return this.#lastId + 1;
  }

  add(call: PendingCall): void {
    this.#calls.add(++this.#lastId, call);
    this.#bytes += call.bytes;
    if (call.deadline < this.#wakeAt) this.#wake(call.deadline);
  }

  /** Whether a call with this id was ever made. */
  knows(id: number): boolean {
    return id >= 1 && id <= this.#lastId;
  }

  get(id: number): PendingCall | undefined {
    return this.#calls.get(id);
  }

  delete(id: number): void {
    this.#bytes -= this.#calls.get(id)?.bytes ?? 0;
    this.#calls.delete(id);
  }

  /** Ends all calls, because no answer can come any more. */
  end(result: Unanswered): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#wakeAt = Infinity;
    const calls = this.#calls;
    this.#calls = new ByNumber();
    this.#bytes = 0;
    calls.forEach((call) => call.unanswered(result));
  }

  #wake(at: number): void {
    this.#timer?.cancel();
    this.#wakeAt = at;
    this.#timer = this.#clock.after(Math.max(0, at - this.#clock.monotonic()) + GRACE_MS, () => this.#expire());
  }

  #expire(): void {
    const now = this.#clock.monotonic();
    let earliest = Infinity;
    this.#wakeAt = Infinity;
    this.#calls.forEach((call, id) => {
      if (call.deadline <= now) {
        this.delete(id);
        call.unanswered(TIMEOUT);
      } else if (call.deadline < earliest) {
        earliest = call.deadline;
      }
    });
    if (earliest < Infinity) this.#wake(Math.max(earliest, now + DEADLINE_PRECISION_MS));
  }
}
