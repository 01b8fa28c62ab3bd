/**
 * The audit log: who changed something for the whole cluster, and who was refused. Acts are all kept. Refusals cost an
 * attacker nothing, so within ten seconds only some are kept line by line; the others are counted and told in one line.
 */

import type { Access } from '#access/access.ts';
import type { Answer, Incoming } from './exchange.ts';
import { REFUSAL_REASONS, Stranger, type RefusalReason } from './identify.ts';
import { Problem } from './problem.ts';
import type { Target } from './raw-path.ts';
import type { Need } from './routes.ts';
import type { ApiServices, Fields } from './services.ts';

const WINDOW_MS = 10_000;
/** Of a path: whoever is refused may send one as long as a head can be. */
const TARGET_CHARACTERS_MAX = 256;

export interface Visit {
  readonly incoming: Incoming;
  /** The route's path; undefined when no route fits. */
  readonly route: string | undefined;
  readonly need: Need;
  readonly requestId: string;
  readonly client: Access | Stranger;
}

export class Audit {
  readonly #services: ApiServices;
  readonly #refusals: ReadonlyMap<RefusalReason, { add(): void }>;
  #windowEnds = 0;
  #kept = 0;
  #leftOut = 0;

  constructor(services: ApiServices) {
    this.#services = services;
    const help = 'Client requests refused for want of a token or of a right.';
    this.#refusals = new Map(
      REFUSAL_REASONS.map((reason) => [
        reason,
        services.metrics.counter('quoral_http_refusals_total', help, { reason }),
      ]),
    );
  }

  /** To be called with every answer. */
  answered(visit: Visit, answer: Answer): void {
    const { client, need, incoming } = visit;
    if (client instanceof Stranger) this.#refused(visit, client.reason);
    else if (answer.status === 403) this.#refused(visit, 'forbidden');
    else if (need === 'admin' && incoming.method !== 'GET' && incoming.method !== 'HEAD') {
      // What was made is named by the answer, what is there already by the path.
      const fields = { ...line(visit), status: answer.status, outcome: outcomeOf(answer) };
      this.#services.audit({ ...fields, target: answer.headers['location'] ?? fields.target });
    }
  }

  #refused(visit: Visit, reason: RefusalReason): void {
    this.#refusals.get(reason)?.add();
    const { clock, settings } = this.#services;
    const now = clock.monotonic();
    if (now >= this.#windowEnds && this.#leftOut === 0) {
      this.#windowEnds = now + WINDOW_MS;
      this.#kept = 0;
    }
    if (this.#kept < settings.auditRefusalsMax) {
      this.#kept += 1;
      this.#services.audit({ ...line(visit), outcome: 'refused', reason });
      return;
    }
    this.#leftOut += 1;
    if (this.#leftOut === 1) clock.after(Math.max(0, this.#windowEnds - now), () => this.#tellLeftOut());
  }

  #tellLeftOut(): void {
    this.#services.audit({ outcome: 'refused', leftOut: this.#leftOut });
    this.#leftOut = 0;
  }
}

function line({ incoming, route, requestId, client }: Visit): Fields & { readonly target: string } {
  const { method, target, remote } = incoming;
  return {
    requestId,
    token: client instanceof Stranger ? null : (client.token ?? null),
    remote,
    act: `${method} ${route ?? 'none'}`,
    target: target instanceof Problem ? '' : shownPath(route, target).slice(0, TARGET_CHARACTERS_MAX),
  };
}

/** A key may be private: the path ends before it, and early where nobody knows what it means. */
function shownPath(route: string | undefined, { path, segments }: Target): string {
  const named = route === undefined ? 2 : route.split('/').indexOf(':key') - 1;
  return named < 0 || named >= segments.length ? path : `/${segments.slice(0, named).join('/')}/…`;
}

/** What became of an act, in the words of the answer. */
function outcomeOf({ status, body }: Answer): string {
  if (status < 400) return 'applied';
  if (status < 500) return 'not-applied';
  const { outcome } = JSON.parse(typeof body === 'string' ? body : '{}') as { readonly outcome?: string };
  return outcome ?? 'unknown';
}
