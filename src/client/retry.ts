/**
 * When to try again, and after how long. Pure: the caller brings the time and the chance.
 *
 * Pauses grow exponentially with full jitter (Brooker, "Exponential Backoff And Jitter", 2015), so that clients that failed
 * together do not come back together. A budget keeps all retries of a client within a share of its requests: when everything
 * fails, retries would be what keeps it failing.
 */

import type { ErrorCode, QuoralError } from './errors.ts';

export interface RetrySettings {
  /** Attempts for one operation, the first among them. */
  readonly attempts: number;
  /** The pause before the second attempt is at most this, and doubles from there. Milliseconds. */
  readonly pauseMs: number;
  readonly pauseMaxMs: number;
  /** Retries that each request earns. */
  readonly budgetShare: number;
  /** Retries that may be saved up, and that a client begins with. */
  readonly budgetMax: number;
}

export const RETRY_DEFAULTS: RetrySettings = {
  attempts: 6,
  pauseMs: 25,
  pauseMaxMs: 2000,
  budgetShare: 0.2,
  budgetMax: 100,
};

export class RetryBudget {
  readonly #share: number;
  readonly #max: number;
  #saved: number;

  constructor({ budgetShare, budgetMax }: Pick<RetrySettings, 'budgetShare' | 'budgetMax'>) {
    this.#share = budgetShare;
    this.#max = budgetMax;
    this.#saved = budgetMax;
  }

  earn(): void {
    this.#saved = Math.min(this.#max, this.#saved + this.#share);
  }

  /** Whether there was enough for one more. */
  spend(): boolean {
    if (this.#saved < 1) return false;
    this.#saved -= 1;
    return true;
  }
}

/** What passes by itself, or is different at another node. */
const PASSES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'unreachable',
  'timed-out',
  'bad-answer',
  'request-timeout',
  'overloaded',
  'internal-error',
  'quorum-unavailable',
  'not-ready',
  'quorum-timeout',
  'session-not-met',
  'disk-full',
]);

/** What says nothing about the cluster, only about the node that was asked: another one may be asked at once, for nothing. */
const OF_THE_NODE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['unreachable', 'not-ready']);

export interface Situation {
  /** Attempts made so far. */
  readonly attempts: number;
  /** Whether the same request may arrive twice without a difference. */
  readonly repeatable: boolean;
  /** Whether there are nodes that this operation has not asked yet. */
  readonly others: boolean;
  /** Milliseconds until the operation's time is over. */
  readonly leftMs: number;
}

/** The pause before the next attempt in milliseconds, or undefined when there is to be none. */
export function nextPause(
  error: QuoralError,
  { attempts, repeatable, others, leftMs }: Situation,
  settings: RetrySettings,
  budget: RetryBudget,
  random: () => number,
): number | undefined {
  if (attempts >= settings.attempts || !PASSES.has(error.code)) return undefined;
  if (!repeatable && error.outcome !== 'not-applied') return undefined;
  const elsewhere = others && OF_THE_NODE.has(error.code);
  const ceiling = Math.min(settings.pauseMaxMs, settings.pauseMs * 2 ** (attempts - 1));
  // Who has asked to be left alone for a while is, unless somebody else can be asked.
  const least = others ? 0 : Math.min(error.facts.retryAfterMs ?? 0, settings.pauseMaxMs);
  const pause = elsewhere ? 0 : least + random() * ceiling;
  if (pause >= leftMs) return undefined;
  return elsewhere || budget.spend() ? pause : undefined;
}
