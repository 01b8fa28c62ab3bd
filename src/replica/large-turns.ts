/**
 * Reading a large row holds the thread for as long as hundreds of small requests, and many of them may be asked for at once. So in
 * one turn of the event loop some bytes of large rows are read, one row at least; whoever asks for more waits for a later turn, and
 * everything small comes in between. What is to be sent to another node is not even read while so much waits to be sent there that
 * the answer would only fill the memory.
 */

import { LARGE_MESSAGE_BYTES } from '#world/limits.ts';
import { Refusal } from '#wire/message.ts';
import type { AnswerWay } from '#wire/messaging.ts';
import type { Clock, Metrics } from '#world/world.ts';
import { OVERLOADED, TOO_LATE } from './refusals.ts';

/** A row of more bytes is read when its turn comes. */
export const LARGE_ROW_BYTES = LARGE_MESSAGE_BYTES;
/** Of large rows, in one turn of the event loop. */
export const TURN_BYTES = 2 * 1024 * 1024;
/** Reads that wait for their turn, or for room on the way of their answer. */
export const WAITING_MAX = 1024;
/** How often those who wait for room look whether there is some. */
export const ROOM_POLL_MS = 10;

/** What tells how many wait. */
const GAUGE = { name: 'quoral_large_reads_waiting', help: 'Reads of large rows that wait for their turn' };

interface Waiting {
  readonly bytes: number;
  readonly deadline: number;
  readonly way: AnswerWay | undefined;
  readonly resolve: () => void;
  readonly reject: (refusal: Refusal) => void;
}

export class LargeTurns {
  readonly #clock: Clock;
  readonly #waiting: Waiting[] = [];
  /** Those whose answers have no room on their way. */
  #held: Waiting[] = [];
  #polling = false;
  #left = TURN_BYTES;
  /** What has begun in this turn, by way: that waits to leave only when it was read. */
  readonly #begun = new Map<AnswerWay, number>();

  constructor(clock: Clock, metrics: Metrics, { name, help } = GAUGE) {
    this.#clock = clock;
    metrics.gauge(name, help, () => this.#waiting.length + this.#held.length);
  }

  /**
   * To be called right before so many bytes are read, to be sent on the `way`; when it is not the caller's turn yet, resolves in it.
   * Refuses what waits in vain.
   */
  take(bytes: number, deadline: number, way?: AnswerWay): Promise<void> | undefined {
    const isHeld = way !== undefined && (!this.#hasRoom(way) || this.#held.some((held) => held.way === way));
    if (!isHeld && this.#waiting.length === 0 && this.#mayBegin(bytes)) {
      this.#begin(bytes, way);
      return undefined;
    }
    if (this.#waiting.length + this.#held.length >= WAITING_MAX)
      throw new Refusal(OVERLOADED, `${WAITING_MAX} reads of large values wait for their turn already`);
    return new Promise((resolve, reject) => {
      const waiting = { bytes, deadline, way, resolve, reject };
      if (isHeld) this.#hold(waiting);
      else this.#waiting.push(waiting);
    });
  }

  #hold(waiting: Waiting): void {
    this.#held.push(waiting);
    if (this.#polling) return;
    this.#polling = true;
    this.#clock.after(ROOM_POLL_MS, () => this.#poll());
  }

  /** Those with room on their way ask for a turn again. */
  #poll(): void {
    this.#polling = false;
    const held = this.#held;
    this.#held = [];
    const now = this.#clock.monotonic();
    for (const waiting of held) {
      if (!this.#hasRoom(waiting.way) && waiting.deadline > now) this.#hold(waiting);
      else this.#waiting.push(waiting);
    }
    // Else that turn is to come.
    if (this.#left === TURN_BYTES) this.#nextTurn();
  }

  #mayBegin(bytes: number): boolean {
    return this.#left === TURN_BYTES || bytes <= this.#left;
  }

  #hasRoom(way: AnswerWay | undefined): boolean {
    return way === undefined || way.room > (this.#begun.get(way) ?? 0);
  }

  #begin(bytes: number, way: AnswerWay | undefined): void {
    if (this.#left === TURN_BYTES) this.#clock.defer(() => this.#nextTurn());
    this.#left = Math.max(0, this.#left - bytes);
    if (way !== undefined) this.#begun.set(way, (this.#begun.get(way) ?? 0) + bytes);
  }

  #nextTurn(): void {
    this.#left = TURN_BYTES;
    this.#begun.clear();
    const now = this.#clock.monotonic();
    let over = 0;
    for (const waiting of this.#waiting) {
      const { bytes, deadline, way, resolve, reject } = waiting;
      if (deadline <= now) reject(new Refusal(TOO_LATE, 'the deadline passed before the turn of a large value came'));
      else if (!this.#hasRoom(way)) this.#hold(waiting);
      else if (!this.#mayBegin(bytes)) break;
      else {
        this.#begin(bytes, way);
        resolve();
      }
      over += 1;
    }
    this.#waiting.splice(0, over);
  }
}
