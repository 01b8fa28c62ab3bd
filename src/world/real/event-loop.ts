/**
 * How late the event loop is: everything of a node happens on it, so this is what saturates first.
 *
 * A timer measures by how much it is late. Node's own histogram of the delay cannot be handed on in buckets, and without
 * buckets figures of several nodes and times cannot be added up. Twenty-odd wake-ups a second cost next to nothing.
 */

import { performance } from 'node:perf_hooks';
import type { Histogram, Metrics } from '#world/world.ts';

const INTERVAL_MS = 40;
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Slots of the window over which the worst delay is remembered, and how long each is. */
const SLOTS = 10;
const SLOT_MS = 1000;

export interface EventLoop {
  /** The longest delay of the last ten seconds, in milliseconds. */
  worstDelay(): number;
  /** Milliseconds since the process began in which the loop was at work, and in which it waited for something to do. */
  time(): { readonly atWork: number; readonly waited: number };
  stop(): void;
}

export function watchEventLoop(metrics: Metrics): EventLoop {
  const delays = metrics.histogram('quoral_event_loop_delay_seconds', 'By how much the event loop was late', SECONDS);
  const time = (state: 'active' | 'idle'): void =>
    metrics.total(
      'quoral_event_loop_seconds_total',
      'Time that the event loop was at work, and that it waited',
      () => performance.eventLoopUtilization()[state] / 1000,
      { state },
    );
  time('active');
  time('idle');
  return new Watch(delays);
}

class Watch implements EventLoop {
  readonly #delays: Histogram;
  readonly #timer: NodeJS.Timeout;
  /** The worst of each slot, and the number of the slot that it belongs to. */
  readonly #worst = Array.from({ length: SLOTS }, () => ({ slot: -1, delay: 0 }));
  #due: number;

  constructor(delays: Histogram) {
    this.#delays = delays;
    this.#due = performance.now() + INTERVAL_MS;
    this.#timer = setInterval(() => this.#tick(), INTERVAL_MS);
    this.#timer.unref();
  }

  worstDelay(): number {
    const now = performance.now();
    const oldest = Math.floor(now / SLOT_MS) - SLOTS;
    // A tick that is overdue at this moment counts too.
    return this.#worst.reduce(
      (worst, { slot, delay }) => (slot > oldest ? Math.max(worst, delay) : worst),
      now - this.#due,
    );
  }

  time(): { readonly atWork: number; readonly waited: number } {
    const { active, idle } = performance.eventLoopUtilization();
    return { atWork: active, waited: idle };
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const now = performance.now();
    const delay = Math.max(0, now - this.#due);
    this.#due = now + INTERVAL_MS;
    this.#delays.observe(delay / 1000);
    const slot = Math.floor(now / SLOT_MS);
    const entry = this.#worst[slot % SLOTS]!;
    if (entry.slot !== slot) entry.delay = 0;
    entry.slot = slot;
    entry.delay = Math.max(entry.delay, delay);
  }
}
