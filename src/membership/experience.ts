/**
 * What this node's own calls have taught it of one peer: how long answers take, and whether they come at all.
 */

import type { CallEnding } from '#wire/messaging.ts';
import { Breaker } from './breaker.ts';
import { HoldDown } from './hold-down.ts';
import { LatencyDigest } from './latency-digest.ts';

/** Refusals that say that the work failed, not that it was declined. */
const FAILURES: ReadonlySet<string> = new Set(['internal', 'disk-failed']);
/** Refusals of a node that has too much to do. */
const SHEDDING: ReadonlySet<string> = new Set(['overloaded']);
/** A call that was given less time than this says nothing about the peer when it ends without an answer. */
const PATIENCE_MS = 250;
/** After a refusal for overload a peer gets no second calls for so long. */
const SHEDDING_MS = 1000;
const QUANTILE = 0.95;
/** Of the latest answer in the average. */
const AVERAGE_WEIGHT = 0.1;
/** Fewer answers than this are no experience. */
const OBSERVATIONS_LEAST = 20;

export class Experience {
  readonly breaker = new Breaker();
  readonly holdDown = new HoldDown();
  /** By message name: a read and a sync take different times. */
  readonly #latencies = new Map<string, LatencyDigest>();
  readonly #averages = new Map<string, number>();
  #shedAt = Number.NEGATIVE_INFINITY;

  constructor(measured: readonly string[]) {
    for (const name of measured) this.#latencies.set(name, new LatencyDigest(QUANTILE));
  }

  /** `explained` when it is known anyway that the peer does not answer: then silence says nothing about its work. */
  ended({ name, result, reason, elapsed }: CallEnding, now: number, explained: boolean): void {
    const latency = this.#latencies.get(name);
    // Only work is judged: probes are the failure detector's, and answers to them prove nothing about the work.
    if (latency === undefined) return;
    if (result === 'reply') {
      latency.observe(elapsed);
      const average = this.#averages.get(name) ?? elapsed;
      this.#averages.set(name, average + AVERAGE_WEIGHT * (elapsed - average));
      this.breaker.succeeded(now);
    } else if (result === 'refused') {
      if (FAILURES.has(reason)) this.breaker.failed(now);
      else if (this.breaker.state(now) !== 'closed') this.breaker.succeeded(now);
      if (SHEDDING.has(reason)) this.#shedAt = now;
    } else if (result === 'lost' && reason === 'timeout' && elapsed >= PATIENCE_MS) {
      if (explained) return;
      latency.observe(elapsed);
      this.breaker.failed(now);
    }
  }

  /** Milliseconds that nineteen of twenty answers to this message took at most; undefined without experience. */
  usualLatency(name: string): number | undefined {
    const latency = this.#latencies.get(name);
    return latency === undefined || latency.size < OBSERVATIONS_LEAST ? undefined : latency.quantile();
  }

  /** Milliseconds that answers to this message take of late; undefined without any. */
  average(name: string): number | undefined {
    return this.#averages.get(name);
  }

  isShedding(now: number): boolean {
    return now - this.#shedAt < SHEDDING_MS;
  }
}
