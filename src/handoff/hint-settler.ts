/**
 * Tells fallbacks which of their hints are not the only copy any more, because enough owners have the write. Many are told
 * in one message, a moment later and once: one that is lost or left out leaves a hint that is kept more carefully than it
 * need be, until it is delivered.
 */

import type { NodeId } from '#kernel/identity.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { Clock, Counter, Metrics } from '#world/world.ts';
import { SETTLED_MAX, SettleMessage, type SettledHint } from './messages.ts';

export interface HintSettlerOptions {
  readonly world: { readonly clock: Clock; readonly metrics: Metrics };
  readonly messaging: Messaging;
}

/** Milliseconds that hints are gathered for. */
const GATHER_MS = 100;
/** Milliseconds that a fallback has to take the message. */
const TIMEOUT_MS = 5000;
/** Hints gathered for one fallback; more are left out. */
const WAITING_MAX = 4096;

export class HintSettler {
  readonly #options: HintSettlerOptions;
  readonly #leftOut: Counter;
  readonly #waiting = new Map<NodeId, SettledHint[]>();
  #scheduled = false;

  constructor(options: HintSettlerOptions) {
    this.#options = options;
    this.#leftOut = options.world.metrics.counter(
      'quoral_hints_settling_left_out_total',
      'Hints that a fallback was not told to be no only copies, because too many were to be told',
    );
  }

  add(fallback: NodeId, hint: SettledHint): void {
    let waiting = this.#waiting.get(fallback);
    if (waiting === undefined) this.#waiting.set(fallback, (waiting = []));
    if (waiting.length >= WAITING_MAX) {
      this.#leftOut.add();
      return;
    }
    waiting.push(hint);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#options.world.clock.after(GATHER_MS, () => this.#tell());
  }

  #tell(): void {
    this.#scheduled = false;
    const { messaging, world } = this.#options;
    const deadline = world.clock.monotonic() + TIMEOUT_MS;
    for (const [fallback, hints] of this.#waiting) {
      for (let i = 0; i < hints.length; i += SETTLED_MAX) {
        void messaging.call(fallback, SettleMessage, hints.slice(i, i + SETTLED_MAX), { deadline, channel: 'bulk' });
      }
    }
    this.#waiting.clear();
  }
}
