/**
 * Putting large values together for a client, and taking them apart that came in one body, holds the thread as reading them does: base64,
 * JSON, and copies of all of it. So that takes turns as well (replica/large-turns), apart from those of reading, lest what nearly has its
 * answer wait behind everything that was asked for since. What waits is in memory already, so its bytes have a bound.
 */

import { LargeTurns } from '#replica/large-turns.ts';
import { Refusal } from '#wire/message.ts';
import { LARGE_MESSAGE_BYTES } from '#world/limits.ts';
import type { Clock, Metrics } from '#world/world.ts';

const GAUGE = {
  name: 'quoral_large_answers_waiting',
  help: 'Answers, and bodies of batches, with large values that wait for their turn to be put together or read',
};

export class AnswerTurns {
  readonly #turns: LargeTurns;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(clock: Clock, metrics: Metrics, bytesMax: number) {
    this.#turns = new LargeTurns(clock, metrics, GAUGE);
    this.#bytesMax = bytesMax;
  }

  /**
   * To be called right before values of so many bytes are worked on; when it is not the caller's turn yet, resolves in it. False: there
   * are too many who wait, or the turn did not come in time.
   */
  take(bytes: number, deadline: number): boolean | Promise<boolean> {
    if (bytes <= LARGE_MESSAGE_BYTES) return true;
    if (this.#bytes > 0 && this.#bytes + bytes > this.#bytesMax) return false;
    try {
      const turn = this.#turns.take(bytes, deadline);
      return turn === undefined || this.#wait(bytes, turn);
    } catch (error) {
      return refused(error);
    }
  }

  async #wait(bytes: number, turn: Promise<void>): Promise<boolean> {
    this.#bytes += bytes;
    try {
      await turn;
      return true;
    } catch (error) {
      return refused(error);
    } finally {
      this.#bytes -= bytes;
    }
  }
}

function refused(error: unknown): false {
  if (!(error instanceof Refusal)) throw error;
  return false;
}
