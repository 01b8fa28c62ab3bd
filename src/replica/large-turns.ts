/**
 * Reading a large row holds the thread for as long as hundreds of small requests, and many of them may be asked for at once. So in
 * one turn of the event loop some bytes of large rows are read, one row at least; whoever asks for more waits for a later turn, and
 * everything small comes in between.
 */

import { LARGE_MESSAGE_BYTES } from '#world/limits.ts';
import { Refusal } from '#wire/message.ts';
import type { Clock, Metrics } from '#world/world.ts';
import { OVERLOADED, TOO_LATE } from './refusals.ts';

/** A row of more bytes is read when its turn comes. */
export const LARGE_ROW_BYTES = LARGE_MESSAGE_BYTES;
/** Of large rows, in one turn of the event loop. */
export const TURN_BYTES = 2 * 1024 * 1024;
/** Reads that wait for their turn. */
export const WAITING_MAX = 1024;

interface Waiting {
  readonly bytes: number;
  readonly deadline: number;
  readonly resolve: () => void;
  readonly reject: (refusal: Refusal) => void;
}

export class LargeTurns {
  readonly #clock: Clock;
  readonly #waiting: Waiting[] = [];
  #left = TURN_BYTES;

  constructor(clock: Clock, metrics: Metrics) {
    this.#clock = clock;
    const help = 'Reads of large rows that wait for their turn';
    metrics.gauge('quoral_large_reads_waiting', help, () => this.#waiting.length);
  }

  /** To be called right before so many bytes are read; when it is not the caller's turn yet, resolves in it. Refuses what waits in vain. */
  take(bytes: number, deadline: number): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#mayBegin(bytes)) {
      this.#begin(bytes);
      return undefined;
    }
    if (this.#waiting.length >= WAITING_MAX)
      throw new Refusal(OVERLOADED, `${WAITING_MAX} reads of large values wait for their turn already`);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ bytes, deadline, resolve, reject });
    });
  }

  #mayBegin(bytes: number): boolean {
    return this.#left === TURN_BYTES || bytes <= this.#left;
  }

  #begin(bytes: number): void {
    if (this.#left === TURN_BYTES) this.#clock.defer(() => this.#nextTurn());
    this.#left = Math.max(0, this.#left - bytes);
  }

  #nextTurn(): void {
    this.#left = TURN_BYTES;
    const now = this.#clock.monotonic();
    let over = 0;
    for (const { bytes, deadline, resolve, reject } of this.#waiting) {
      if (deadline <= now) reject(new Refusal(TOO_LATE, 'the deadline passed before the turn of a large value came'));
      else if (!this.#mayBegin(bytes)) break;
      else {
        this.#begin(bytes);
        resolve();
      }
      over += 1;
    }
    this.#waiting.splice(0, over);
  }
}
