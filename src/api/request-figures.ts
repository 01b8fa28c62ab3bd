/**
 * Counts and times of requests, for `/metrics`. Label values come from closed lists, never from what a client sent.
 */

import type { Admission } from './admission.ts';
import type { ApiMetrics } from './services.ts';

export const KNOWN_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE']);
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface Figures {
  readonly seconds: { observe(value: number): void };
  /** By the first digit of the status. */
  readonly byClass: ({ add(): void } | undefined)[];
}

export class RequestFigures {
  readonly #metrics: ApiMetrics;
  readonly #byRoute = new Map<string, Map<string, Figures>>();

  constructor(metrics: ApiMetrics, admission: Admission) {
    this.#metrics = metrics;
    metrics.gauge('quoral_http_requests_in_flight', 'Client requests under way.', () => admission.requests);
    metrics.gauge('quoral_http_body_bytes', 'Memory taken by bodies of client requests.', () => admission.bodyBytes);
  }

  count(route: string, method: string, status: number, seconds: number): void {
    const label = KNOWN_METHODS.has(method) ? method : 'other';
    const figures = this.#figuresOf(route, label);
    const statusClass = Math.floor(status / 100);
    const counter = (figures.byClass[statusClass] ??= this.#metrics.counter(
      'quoral_http_requests_total',
      'Client requests answered.',
      { route, method: label, status: `${statusClass}xx` },
    ));
    counter.add();
    figures.seconds.observe(seconds);
  }

  #figuresOf(route: string, method: string): Figures {
    let byMethod = this.#byRoute.get(route);
    if (byMethod === undefined) this.#byRoute.set(route, (byMethod = new Map()));
    let figures = byMethod.get(method);
    if (figures === undefined) {
      const seconds = this.#metrics.histogram(
        'quoral_http_request_seconds',
        'Time from a request to its answer.',
        SECONDS,
        { route, method },
      );
      byMethod.set(method, (figures = { seconds, byClass: [] }));
    }
    return figures;
  }
}
