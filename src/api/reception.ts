/**
 * What happens to every request around its handler: it gets an id, is let in or sent away, is counted and timed; and
 * whatever a handler throws becomes an answer.
 */

import { UNGUARDED, type Access } from '#access/access.ts';
import { BOOTSTRAP_NAME } from '#access/directory.ts';
import { toHex } from '#kernel/bytes.ts';
import { AccessLog } from './access-log.ts';
import { Admission } from './admission.ts';
import { Audit, type Visit } from './audit.ts';
import { unkeptCondition } from './conditions.ts';
import { unknownHeader } from './content-headers.ts';
import { Cors } from './cors.ts';
import type { Answer, Exchange, Incoming } from './exchange.ts';
import { needOf, objection } from './guard.ts';
import { identify, Stranger } from './identify.ts';
import { notApplied, WRITES } from './not-applied.ts';
import { invalid, Problem, problemAnswer, type ProblemExtras } from './problem.ts';
import { RequestFigures } from './request-figures.ts';
import { WHOLE_SERVER, type Target } from './raw-path.ts';
import { beginRequestSpan, endRequestSpan } from './request-span.ts';
import { methodAt, type Need, type Route } from './routes.ts';
import type { ApiServices } from './services.ts';
import { StartPatience } from './start-patience.ts';
import { OVERLOADED, TurnAway } from './turn-away.ts';
import { REQUEST_ID } from './whole-request.ts';

const BAD_REQUEST_ID = invalid('X-Request-Id', 'must be 1-128 printable ASCII characters without spaces');

/** A request from when it comes in until its answer leaves. */
interface Guest extends Visit, Pick<Exchange, 'startedAt' | 'trace'> {
  client: Access | Stranger;
  /** Whether it was well formed enough to ask who sends it. */
  judged: boolean;
  /** What it is counted as among those under way. */
  counts: 'data' | 'other' | undefined;
}

export class Reception {
  /** The short way out, for the door. */
  readonly turnAway: TurnAway;
  readonly #services: ApiServices;
  readonly #admission: Admission;
  readonly #figures: RequestFigures;
  readonly #audit: Audit;
  readonly #log: AccessLog;
  readonly #patience: StartPatience;
  readonly #cors: Cors | undefined;
  /** Request ids are this and a number, so that two lives of a node never give the same. */
  readonly #idPrefix: string;
  #requests = 0;

  constructor(services: ApiServices) {
    this.#services = services;
    this.#admission = new Admission(services.settings, services.loop);
    this.#figures = new RequestFigures(services.metrics, this.#admission);
    this.#audit = new Audit(services);
    this.#log = new AccessLog(services);
    this.#patience = new StartPatience(services);
    this.#cors = Cors.of(services.settings.corsOrigins);
    this.turnAway = new TurnAway({
      admission: this.#admission,
      figures: this.#figures,
      newRequestId: () => this.newRequestId(),
      settings: services.settings,
    });
    this.#idPrefix = `${services.self}-${toHex(services.random.bytes(4))}-`;
  }

  /** Answers the request; `route` is undefined when no path fits. Never rejects. One promise for all of it: each costs as much as reading a header. */
  async respond(incoming: Incoming, route: Route | undefined): Promise<Answer> {
    const given = incoming.header('x-request-id');
    const valid = given === undefined || REQUEST_ID.test(given);
    const requestId = given !== undefined && valid ? given : this.newRequestId();
    const guest = this.#greet(incoming, route, requestId);
    let answer: Answer;
    try {
      const begun = valid
        ? (this.#cors?.preflight(incoming) ?? this.#judged(guest, route))
        : problemAnswer(incoming.target instanceof Problem ? incoming.target : BAD_REQUEST_ID);
      answer = begun instanceof Promise ? await begun : begun;
    } catch (error) {
      answer = this.#crashed(error, guest);
    }
    this.#seeOff(guest, answer);
    return answer;
  }

  #greet(incoming: Incoming, route: Route | undefined, requestId: string): Guest {
    const startedAt = this.#services.clock.monotonic();
    const trace = beginRequestSpan(this.#services.trace, incoming, route?.path ?? 'none', requestId);
    const need = needOf(route, incoming.method);
    return {
      incoming,
      route: route?.path,
      need,
      requestId,
      startedAt,
      trace,
      client: UNGUARDED,
      judged: false,
      counts: undefined,
    };
  }

  #seeOff(guest: Guest, answer: Answer): void {
    const { incoming, route = 'none', requestId, startedAt, trace, counts } = guest;
    const now = this.#services.clock.monotonic();
    const elapsed = now - startedAt;
    if (counts !== undefined) this.#admission.leave(counts === 'data' ? elapsed : undefined, now);
    if (guest.judged) this.#audit.answered(guest, answer);
    this.#cors?.mark(incoming, answer);
    answer.headers['x-request-id'] = requestId;
    answer.headers['server-timing'] = `total;dur=${elapsed.toFixed(2)}`;
    if (trace !== undefined) endRequestSpan(trace, answer);
    this.#figures.count(route, incoming.method, answer, elapsed / 1000);
    const verdict = this.#log.judge(answer, elapsed);
    if (verdict !== undefined) {
      const traceparent = trace?.parent.traceparent;
      this.#log.write(verdict, { incoming, route, requestId, answer, elapsedMs: elapsed, traceparent });
    }
  }

  /** Judges the request and begins to carry it out. */
  #judged(guest: Guest, route: Route | undefined): Answer | Promise<Answer> {
    const { incoming, need } = guest;
    const { target } = incoming;
    if (target instanceof Problem) return problemAnswer(target);
    guest.judged = true;
    const client = (guest.client = identify(incoming, need, this.#services.guard));
    if (!(client instanceof Stranger)) return this.#begin(guest, client, route, target);
    const mayBeWrong = client.reason === 'unknown-token' || client.reason === 'expired';
    const refusal = mayBeWrong ? this.#services.refusal() : undefined;
    if (refusal === undefined) return client.answer();
    // A token may have been made while this node was away.
    const waits = guest.counts === undefined && this.#patience.isLeft() && this.#admission.enter(false);
    // One has expired by a clock that may be wrong: other nodes can tell.
    const othersKnow = client.reason === 'expired' && route?.kind === 'data';
    if (!waits) return othersKnow ? notReady(refusal, incoming) : client.answer();
    guest.counts = 'other';
    return this.#onceReady(guest, route);
  }

  #begin(guest: Guest, access: Access, route: Route | undefined, target: Target): Answer | Promise<Answer> {
    const { incoming, need, requestId, startedAt, trace } = guest;
    const { method } = incoming;
    if (route === undefined) return target.path === WHOLE_SERVER ? ofWholeServer(method) : nowhere(target);
    const handler = methodAt(route, method)?.[1];
    if (handler === undefined) return methodNotAllowed(method, methodsOf(route));
    const missing = objection(access, need, route, target);
    if (missing !== undefined) return problemAnswer(missing);
    const unkept = route.keepsConditions === true ? undefined : unkeptCondition(incoming);
    const mistake = unkept ?? unknownHeader(incoming);
    if (mistake !== undefined) return problemAnswer(mistake);
    const services = this.#services;
    const admission = this.#admission;
    const exchange: Exchange = { services, admission, incoming, target, access, requestId, startedAt, trace };
    if (route.kind === 'watch') return handler(exchange);
    const isData = route.kind === 'data';
    const refusal = isData || this.#mayBeRevoked(need, access) ? services.refusal() : undefined;
    const hasEntered = guest.counts !== undefined;
    const waits = refusal !== undefined && !hasEntered && this.#patience.isLeft();
    if (refusal !== undefined && !waits) return notReady(refusal, incoming);
    if (!hasEntered) {
      if (!admission.enter(isData)) {
        return problemAnswer(new Problem('overloaded', OVERLOADED, notApplied(incoming)));
      }
      guest.counts = isData ? 'data' : 'other';
    }
    return waits ? this.#onceReady(guest, route) : handler(exchange);
  }

  /** Judges the request once more: this node knows then which tokens were made and revoked while it was away. */
  async #onceReady(guest: Guest, route: Route | undefined): Promise<Answer> {
    await this.#patience.refusal();
    return this.#judged(guest, route);
  }

  /** A node that has just started does not know yet which tokens were revoked meanwhile; enough to look, not to act. */
  #mayBeRevoked(need: Need, { token }: Access): boolean {
    return need === 'admin' && this.#services.guard.required && token !== BOOTSTRAP_NAME;
  }

  /** Whatever is thrown here is a bug; the client learns no more of it than the id under which the log has it. */
  #crashed(error: unknown, { incoming: { method }, route, requestId }: Guest): Answer {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#services.log.error('request-crashed', { requestId, method, route, reason });
    const extras: ProblemExtras = WRITES.has(method) ? { outcome: 'unknown' } : {};
    return problemAnswer(new Problem('internal-error', `see the log of this node for request ${requestId}`, extras));
  }

  newRequestId(): string {
    this.#requests += 1;
    return this.#idPrefix + this.#requests.toString(36);
  }
}

function notReady(refusal: string, incoming: Incoming): Answer {
  return problemAnswer(new Problem('not-ready', refusal, notApplied(incoming)));
}

function methodNotAllowed(method: string, allowed: readonly string[]): Answer {
  const detail = `${method} does not apply here; these methods do: ${allowed.join(', ')}`;
  return problemAnswer(new Problem('method-not-allowed', detail), { allow: allowed.join(', ') });
}

function methodsOf({ methods }: Route): readonly string[] {
  return Object.keys(methods).flatMap((name) => (name === 'GET' ? ['GET', 'HEAD'] : [name]));
}

/** What may be asked of some path. */
const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'];

function ofWholeServer(method: string): Answer {
  if (method === 'OPTIONS') return methodNotAllowed(method, METHODS);
  return problemAnswer(invalid('path', 'must begin with a slash'));
}

function nowhere({ segments: [version, family, ...rest] }: Target): Answer {
  const isKey = version === 'v1' && (family === 'kv' || family === 'kv64') && rest.length > 2;
  const hint = isKey
    ? '; a slash in a key is written %2F'
    : '; keys are at /v1/kv/{bucket}/{key}, and /docs shows all there is';
  return problemAnswer(new Problem('not-found', `there is no such path${hint}`));
}
