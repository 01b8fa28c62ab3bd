/**
 * Counts and times of requests, for `/metrics`. Label values come from closed lists, never from what a client sent.
 */

import type { Admission } from './admission.ts';
import type { Answer } from './exchange.ts';
import type { ProblemCode } from './problem.ts';
import type { ApiMetrics } from './services.ts';

export const KNOWN_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE']);
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface Figures {
  readonly seconds: { observe(value: number): void };
  /** By the first digit of the status. */
  readonly byClass: ({ add(): void } | undefined)[];
  readonly problems: Map<ProblemCode, { add(): void }>;
}

export class RequestFigures {
  readonly #metrics: ApiMetrics;
  readonly #byRoute = new Map<string, Map<string, Figures>>();

  constructor(metrics: ApiMetrics, admission: Admission) {
    this.#metrics = metrics;
    metrics.gauge('quoral_http_requests_in_flight', 'Client requests under way.', () => admission.requests);
    const limit = 'Client requests for data that may be under way at once, as busy as the node is.';
    metrics.gauge('quoral_http_requests_limit', limit, () => admission.limit);
    metrics.gauge('quoral_http_body_bytes', 'Memory taken by bodies of client requests.', () => admission.bodyBytes);
    metrics.gauge('quoral_http_streams', 'Answers that are being streamed.', () => admission.streams);
    // A figure that is shown before it is first needed can be told from one that has another name now.
    const nothing = this.#figuresOf('none', 'other');
    this.#requests(nothing, 'none', 'other', 404);
    this.#problem(nothing, 'none', 'not-found');
  }

  count(route: string, method: string, { status, problem }: Answer, seconds: number): void {
    const label = KNOWN_METHODS.has(method) ? method : 'other';
    const figures = this.#figuresOf(route, label);
    this.#requests(figures, route, label, status).add();
    figures.seconds.observe(seconds);
    if (problem !== undefined) this.#problem(figures, route, problem).add();
  }

  #requests({ byClass }: Figures, route: string, method: string, status: number): { add(): void } {
    const statusClass = Math.floor(status / 100);
    return (byClass[statusClass] ??= this.#metrics.counter('quoral_http_requests_total', 'Client requests answered.', {
      route,
      method,
      status: `${statusClass}xx`,
    }));
  }

  #problem({ problems }: Figures, route: string, code: ProblemCode): { add(): void } {
    let counter = problems.get(code);
    if (counter === undefined) {
      const labels = { route, code };
      counter = this.#metrics.counter(
        'quoral_http_problems_total',
        'Answers that tell a problem, by its code.',
        labels,
      );
      problems.set(code, counter);
    }
    return counter;
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
      byMethod.set(method, (figures = { seconds, byClass: [], problems: new Map() }));
    }
    return figures;
  }
}
