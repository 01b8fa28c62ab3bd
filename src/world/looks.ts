/**
 * Looks again and again for what there is to do, as long as there may be something; while there is nothing, no timer runs. A look
 * that fails is told of, and the next one comes all the same.
 */

import type { Clock, Timer } from './world.ts';

export interface LooksOptions {
  readonly clock: Pick<Clock, 'after'>;
  /** Milliseconds from the end of a look to the next. */
  readonly interval: number;
  /** Whether there may be something to do. When not, nothing happens until the next {@link Looks.wake}. */
  readonly wanted: () => boolean;
  readonly look: () => Promise<void>;
  readonly failed: (error: unknown) => void;
}

export class Looks {
  readonly #options: LooksOptions;
  #timer: Timer | undefined;
  #stopped = true;
  #busy = false;

  constructor(options: LooksOptions) {
    this.#options = options;
  }

  start(): void {
    this.#stopped = false;
    this.wake();
  }

  /** A look that is under way goes on; there is no other after it. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** To be called when there may be something to do. Nothing changes when a look is under way or near anyway. */
  wake(): void {
    if (!this.#busy && this.#timer === undefined) this.#later(0);
  }

  #later(delay: number): void {
    const { clock, wanted } = this.#options;
    if (!this.#stopped && wanted()) this.#timer = clock.after(delay, () => void this.#turn());
  }

  async #turn(): Promise<void> {
    const { look, failed, interval } = this.#options;
    this.#timer = undefined;
    this.#busy = true;
    try {
      await look();
    } catch (error) {
      failed(error);
    }
    this.#busy = false;
    this.#later(interval);
  }
}
