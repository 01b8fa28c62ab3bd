/**
 * What a write has come to, said in the contract's words. Pure.
 */

import type { Dot } from '#causality/dot.ts';
import { Unfitting } from '#causality/operate.ts';
import { HINTS_FULL } from '#handoff/hint-table.ts';
import type { NodeId } from '#kernel/identity.ts';
import { DISK_FULL, OVERLOADED, TooLarge, TooManySiblings } from '#replica/refusals.ts';
import type { StoredState } from '#replica/records.ts';
import type { RetryRow } from '#replica/retry-codec.ts';
import { ranOutOfTime } from '#wire/messaging.ts';
import { liveVersions } from './get.ts';
import { REDEFINED } from './environment.ts';
import type { Agreement, Trouble, WriteOutcome, WriteRequest } from './requests.ts';

/** A state that has the write, and what shall be remembered of the request. */
export interface Offer extends StoredState {
  readonly dot: Dot;
  readonly retries: readonly RetryRow[];
}

export type Ending = 'reached' | 'impossible' | 'deadline' | 'not-minted';

export interface NotTaken {
  readonly by: NodeId;
  /** The code with which it refused the write, or the reason of its silence. */
  readonly why: string;
}

/** What is known of a round when it has ended otherwise than well. */
export interface Failure {
  readonly ending: Exclude<Ending, 'reached'>;
  /** Nodes that may hold the write. */
  readonly mayHold: number;
  readonly refusals: readonly NotTaken[];
  /** Owners that could not even be asked, each with the reason. */
  readonly unasked: readonly string[];
  readonly reasonNotMinted: unknown;
  /** The write's dot, if it got one that anybody may know. */
  readonly written: Dot | undefined;
  /** The zone whose owners were to agree; undefined when all were. */
  readonly zone: string | undefined;
}

/** Without what has ended beside the write. */
export function shown(offer: Offer, now: number): Offer {
  const { versions } = offer.state;
  if (versions.every(({ expiresAt }) => expiresAt === 0)) return offer;
  return { ...offer, state: { ...offer.state, versions: liveVersions(offer.state, now) } };
}

export function applied({ state, dot }: Offer, agreement: Agreement, coordinator: NodeId): WriteOutcome {
  return {
    kind: 'applied',
    agreement,
    coordinator,
    versions: state.versions,
    context: state.vector,
    written: dot,
  };
}

export function failed(failure: Failure, agreement: Agreement): WriteOutcome {
  const { ending, mayHold, refusals, reasonNotMinted } = failure;
  if (reasonNotMinted instanceof TooManySiblings) {
    const { message, state } = reasonNotMinted;
    return { kind: 'not-applied', trouble: 'too-many-siblings', detail: message, agreement, context: state.vector };
  }
  const refused = refusedFor(reasonNotMinted);
  if (refused !== undefined) return { kind: 'not-applied', ...refused, agreement };
  const kind = mayHold === 0 ? 'not-applied' : 'unknown';
  const trouble = troubleOf(ending, refusals, mayHold);
  const written = failure.written === undefined ? {} : { written: failure.written };
  return { kind, trouble, detail: detailOf(trouble, failure), agreement, ...written };
}

/** Why the operation on a data type cannot be done, whatever the replicas say. */
function refusedFor(reason: unknown): { readonly trouble: Trouble; readonly detail: string } | undefined {
  if (reason instanceof Unfitting) return { trouble: 'conflict', detail: reason.message };
  if (reason instanceof TooLarge) return { trouble: 'value-too-large', detail: reason.message };
  return undefined;
}

/** A write that some node may hold is not called turned away, which everybody takes for "nothing was done". */
function troubleOf(ending: Failure['ending'], notTaken: readonly NotTaken[], mayHold: number): Trouble {
  const refusals = notTaken.map(({ why }) => why);
  if (refusals.includes(DISK_FULL) || refusals.includes(HINTS_FULL)) return 'disk-full';
  if (refusals.includes(OVERLOADED) && mayHold === 0) return 'overloaded';
  return ending === 'deadline' || refusals.some(ranOutOfTime) ? 'quorum-timeout' : 'quorum-unavailable';
}

function detailOf(trouble: Trouble, { refusals, unasked, zone }: Failure): string {
  const known = [...unasked, ...refusals.map(({ by, why }) => `${by}: ${why}`)];
  const reasons = known.length > 0 ? ` (${known.join(', ')})` : '';
  if (trouble === 'quorum-timeout') return `not enough replicas confirmed the write in time${reasons}`;
  if (trouble === 'disk-full') return `the disk of a replica is full${reasons}`;
  const where = zone === undefined ? '' : ` in zone ${zone}`;
  return `too few replicas${where} can take the write${reasons}`;
}

export function redefined({ w, pw, dw }: WriteRequest): WriteOutcome {
  const agreement = { acked: 0, needed: Math.max(w, pw, dw), of: 0, fallbacks: 0 };
  return { kind: 'not-applied', trouble: 'quorum-unavailable', detail: REDEFINED, agreement };
}
