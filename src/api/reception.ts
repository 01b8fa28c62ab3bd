/**
 * What happens to every request around its handler: it gets an id, is let in or sent away, is counted and timed; and
 * whatever a handler throws becomes an answer.
 */

import { toHex } from '#kernel/bytes.ts';
import { Admission } from './admission.ts';
import type { Answer, Exchange, Incoming } from './exchange.ts';
import { invalid, Problem, problemAnswer, type ProblemExtras } from './problem.ts';
import { RequestFigures } from './request-figures.ts';
import type { Handler, Route } from './routes.ts';
import type { ApiServices } from './services.ts';

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
const WRITES: ReadonlySet<string> = new Set(['PUT', 'POST', 'DELETE']);

export class Reception {
  readonly #services: ApiServices;
  readonly #admission: Admission;
  readonly #figures: RequestFigures;
  /** Request ids are this and a number, so that two lives of a node never give the same. */
  readonly #idPrefix: string;
  #requests = 0;

  constructor(services: ApiServices) {
    this.#services = services;
    this.#admission = new Admission(services.settings);
    this.#figures = new RequestFigures(services.metrics, this.#admission);
    this.#idPrefix = `${services.self}-${toHex(services.random.bytes(4))}-`;
  }

  /** Answers the request; `route` is undefined when no path fits. Never rejects. */
  async respond(incoming: Incoming, route: Route | undefined): Promise<Answer> {
    const { clock } = this.#services;
    const startedAt = clock.monotonic();
    const given = incoming.header('x-request-id');
    const requestId = given !== undefined && REQUEST_ID.test(given) ? given : this.#newRequestId();
    const answer =
      given === undefined || given === requestId
        ? await this.#answer(incoming, route, requestId, startedAt)
        : problemAnswer(invalid('X-Request-Id', 'must be 1-128 printable ASCII characters without spaces'));
    const elapsed = clock.monotonic() - startedAt;
    answer.headers['x-request-id'] = requestId;
    answer.headers['server-timing'] = `total;dur=${elapsed.toFixed(2)}`;
    this.#figures.count(route?.path ?? 'none', incoming.method, answer.status, elapsed / 1000);
    return answer;
  }

  async #answer(incoming: Incoming, route: Route | undefined, requestId: string, startedAt: number): Promise<Answer> {
    const { target, method } = incoming;
    if (target instanceof Problem) return problemAnswer(target);
    if (route === undefined) return problemAnswer(noSuchPath(target.segments));
    const handler = handlerOf(route, method);
    if (handler === undefined) return methodNotAllowed(method, route);
    if (route.kind === 'watch') return this.#run(handler, { incoming, target, requestId, startedAt });
    const refusal = route.kind === 'data' ? this.#services.refusal() : undefined;
    if (refusal !== undefined) return problemAnswer(new Problem('not-ready', refusal, notApplied(method)));
    if (!this.#admission.enter()) {
      return problemAnswer(new Problem('overloaded', 'too many requests are under way', notApplied(method)));
    }
    try {
      return await this.#run(handler, { incoming, target, requestId, startedAt });
    } finally {
      this.#admission.leave();
    }
  }

  /** A handler that throws has a bug; the client learns no more of it than the id under which the log has it. */
  async #run(handler: Handler, parts: Omit<Exchange, 'services' | 'admission'>): Promise<Answer> {
    try {
      return await handler({ ...parts, services: this.#services, admission: this.#admission });
    } catch (error) {
      const { requestId, incoming } = parts;
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#services.log.error('request-crashed', {
        requestId,
        method: incoming.method,
        path: parts.target.path,
        reason,
      });
      const extras: ProblemExtras = WRITES.has(incoming.method) ? { outcome: 'unknown' } : {};
      return problemAnswer(new Problem('internal-error', `see the log of this node for request ${requestId}`, extras));
    }
  }

  #newRequestId(): string {
    this.#requests += 1;
    return this.#idPrefix + this.#requests.toString(36);
  }
}

function handlerOf({ methods }: Route, method: string): Handler | undefined {
  switch (method) {
    case 'GET':
    case 'HEAD':
      return methods.GET;
    case 'PUT':
    case 'POST':
    case 'DELETE':
      return methods[method];
    default:
      return undefined;
  }
}

function notApplied(method: string): ProblemExtras {
  return WRITES.has(method) ? { outcome: 'not-applied' } : {};
}

function methodNotAllowed(method: string, { methods }: Route): Answer {
  const allowed = Object.keys(methods).flatMap((name) => (name === 'GET' ? ['GET', 'HEAD'] : [name]));
  const detail = `${method} does not apply here; these methods do: ${allowed.join(', ')}`;
  return problemAnswer(new Problem('method-not-allowed', detail), { allow: allowed.join(', ') });
}

function noSuchPath([version, family, ...rest]: readonly string[]): Problem {
  const isKey = version === 'v1' && (family === 'kv' || family === 'kv64') && rest.length > 2;
  const hint = isKey ? '; a slash in a key is written %2F' : '';
  return new Problem('not-found', `there is no such path${hint}`);
}
