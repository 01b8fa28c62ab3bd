/**
 * The access log: at most one line a request. What failed here or was slow is told even when the rest is not, but only so
 * many times a second: an outage must not drown in its own lines. Those beyond are counted, and the count is told.
 *
 * A key may be private, so a line names the route; the path itself stands there only if a setting says so.
 */

import type { Answer, Incoming } from './exchange.ts';
import { Problem } from './problem.ts';
import type { ApiServices, Fields } from './services.ts';

const WINDOW_MS = 1000;
const TRACE_ID = /^[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}/;

export interface Answered {
  readonly incoming: Incoming;
  readonly route: string;
  readonly requestId: string;
  readonly answer: Answer;
  readonly elapsedMs: number;
  /** Of the request's own span, when it has one. */
  readonly traceparent: string | undefined;
}

export type Verdict = 'failed' | 'slow' | 'answered';

export class AccessLog {
  readonly #services: ApiServices;
  readonly #leftOutTotal: { add(): void };
  #windowEnds = -Infinity;
  #written = 0;
  #leftOut = 0;

  constructor(services: ApiServices) {
    this.#services = services;
    this.#leftOutTotal = services.metrics.counter(
      'quoral_access_log_left_out_total',
      'Failed and slow requests without a line of their own, because there were too many.',
    );
  }

  write(verdict: Verdict, request: Answered): void {
    const { log } = this.#services;
    if (verdict === 'answered') log.info('request-answered', this.#fields(request));
    else if (this.#mayWrite())
      log.warn(verdict === 'failed' ? 'request-failed' : 'request-slow', this.#fields(request));
  }

  /** To be asked of every answer: undefined when there is nothing to tell. */
  judge({ status, problem }: Answer, elapsedMs: number): Verdict | undefined {
    const { accessLog, slowRequestMs } = this.#services.settings;
    // A probe that is told of trouble with 503 was answered well.
    const failed = status >= 500 && problem !== undefined && problem !== 'not-implemented';
    if (accessLog !== 'off' && failed) return 'failed';
    if (elapsedMs >= slowRequestMs) return 'slow';
    return accessLog === 'all' ? 'answered' : undefined;
  }

  /** Within one second only so many; the first of the next second says how many were left out. */
  #mayWrite(): boolean {
    const { clock, log, settings } = this.#services;
    const now = clock.monotonic();
    if (now >= this.#windowEnds) {
      this.#windowEnds = now + WINDOW_MS;
      this.#written = 0;
      if (this.#leftOut > 0) log.warn('requests-not-logged', { count: this.#leftOut });
      this.#leftOut = 0;
    }
    if (this.#written < settings.accessLogRate) {
      this.#written += 1;
      return true;
    }
    this.#leftOut += 1;
    this.#leftOutTotal.add();
    return false;
  }

  #fields({ incoming, route, requestId, answer, elapsedMs, traceparent }: Answered): Fields {
    const { method, target } = incoming;
    const traceId = TRACE_ID.exec(traceparent ?? incoming.header('traceparent') ?? '')?.[1];
    const path = this.#services.settings.accessLogKeys && !(target instanceof Problem) ? target.path : undefined;
    return {
      requestId,
      method,
      route,
      ...(path === undefined ? {} : { path }),
      status: answer.status,
      ...(answer.problem === undefined ? {} : { problem: answer.problem }),
      // Of the cluster, with its peers and reasons; what is wrong with the request itself may be told in the client's words.
      ...(answer.status < 500 || answer.detail === undefined ? {} : { reason: answer.detail }),
      durationMs: Math.round(elapsedMs * 100) / 100,
      ...(traceId === undefined ? {} : { traceId }),
    };
  }
}
