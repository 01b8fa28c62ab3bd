/**
 * What happens to every request around its handler: it gets an id, is let in or sent away, is counted and timed; and
 * whatever a handler throws becomes an answer.
 */

import { toHex } from '#kernel/bytes.ts';
import { Admission } from './admission.ts';
import type { Answer, Exchange, Incoming } from './exchange.ts';
import { invalid, Problem, problemAnswer, type ProblemExtras } from './problem.ts';
import { RequestFigures } from './request-figures.ts';
import { beginRequestSpan, endRequestSpan } from './request-span.ts';
import type { Handler, Route } from './routes.ts';
import type { ApiServices } from './services.ts';

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
const BAD_REQUEST_ID = invalid('X-Request-Id', 'must be 1-128 printable ASCII characters without spaces');
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
    const valid = given === undefined || REQUEST_ID.test(given);
    const requestId = given !== undefined && valid ? given : this.#newRequestId();
    const path = route?.path ?? 'none';
    const trace = beginRequestSpan(this.#services.trace, incoming, path, requestId);
    let answer: Answer;
    try {
      answer = valid
        ? await this.#answer(incoming, route, { requestId, startedAt, trace })
        : problemAnswer(BAD_REQUEST_ID);
    } catch (error) {
      answer = this.#crashed(error, incoming, requestId);
    }
    const elapsed = clock.monotonic() - startedAt;
    answer.headers['x-request-id'] = requestId;
    answer.headers['server-timing'] = `total;dur=${elapsed.toFixed(2)}`;
    if (trace !== undefined) endRequestSpan(trace, answer);
    this.#figures.count(path, incoming.method, answer.status, elapsed / 1000);
    return answer;
  }

  #answer(
    incoming: Incoming,
    route: Route | undefined,
    request: Pick<Exchange, 'requestId' | 'startedAt' | 'trace'>,
  ): Answer | Promise<Answer> {
    const { target, method } = incoming;
    if (target instanceof Problem) return problemAnswer(target);
    if (route === undefined) return problemAnswer(noSuchPath(target.segments));
    const handler = handlerOf(route, method);
    if (handler === undefined) return methodNotAllowed(method, route);
    const services = this.#services;
    const exchange: Exchange = { services, admission: this.#admission, incoming, target, ...request };
    if (route.kind === 'watch') return handler(exchange);
    const refusal = route.kind === 'data' ? services.refusal() : undefined;
    if (refusal !== undefined) return problemAnswer(new Problem('not-ready', refusal, notApplied(method)));
    if (!this.#admission.enter()) {
      return problemAnswer(new Problem('overloaded', 'too many requests are under way', notApplied(method)));
    }
    return this.#counted(handler, exchange);
  }

  async #counted(handler: Handler, exchange: Exchange): Promise<Answer> {
    try {
      return await handler(exchange);
    } finally {
      this.#admission.leave();
    }
  }

  /** Whatever is thrown here is a bug; the client learns no more of it than the id under which the log has it. */
  #crashed(error: unknown, { method, target }: Incoming, requestId: string): Answer {
    const path = target instanceof Problem ? '' : target.path;
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#services.log.error('request-crashed', { requestId, method, path, reason });
    const extras: ProblemExtras = WRITES.has(method) ? { outcome: 'unknown' } : {};
    return problemAnswer(new Problem('internal-error', `see the log of this node for request ${requestId}`, extras));
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
