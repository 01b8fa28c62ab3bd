/**
 * What the register of a strong key holds, and how one change makes the next value of it. Pure: a proposer computes it, the
 * owners store the bytes.
 *
 * Beside the key's state (one version or none) a value remembers the changes that were made last, so that an attempt whose
 * fate its proposer does not know finds itself when it is made again, and the requests with idempotency keys for as long as
 * they may be sent again. The lease of the key (a lock with a fencing token) lives in the same register, hence in the same
 * order.
 */

import type { KeyOperation } from '#causality/data-type.ts';
import type { Dot } from '#causality/dot.ts';
import { etagOf } from '#causality/etag.ts';
import { timeOf } from '#causality/hybrid-clock.ts';
import { carryOut, planOperation, Unfitting, withLeastVector } from '#causality/operate.ts';
import type { RequestMark } from '#causality/repeats.ts';
import { EMPTY_STATE, type Content, type State } from '#causality/state.ts';
import { touched } from '#causality/touch.ts';
import { equalBytes } from '#kernel/bytes.ts';
import type { RetryRow } from '#replica/retry-codec.ts';
import { isLive } from './get.ts';
import { judge, type Conditions } from './preconditions.ts';
import { earlierRequest, KEYED_MAX, rowFor, stillAwaited } from './register-keyed.ts';

export interface Lease {
  readonly holder: string;
  /** Grows with each lease of the key that somebody else was given before: the fencing token. */
  readonly token: number;
  /** Milliseconds since 1970, by the clock of the proposer that gave it. */
  readonly expiresAt: number;
}

/** A change that was made: who finds its id here must not make it again. */
export interface RecentChange {
  /** 16 bytes that the attempt was given when it was first made. */
  readonly id: Uint8Array;
  /** The value's version after it. */
  readonly version: number;
  readonly dot: Dot;
  /** Another proposer had been given the change before, and may still be about to make it. */
  readonly retried: boolean;
}

export interface RegisterValue {
  /** Counts the changes. */
  readonly version: number;
  /** At most one version; none is the tombstone. The vector holds the dot of the last write. */
  readonly state: State;
  readonly lease: Lease | null;
  /** The highest token that was ever given. */
  readonly fence: number;
  /** Oldest first. */
  readonly recent: readonly RecentChange[];
  /** Milliseconds since 1970: the latest change that was let go of for its age, by the clocks of those who made it; 0 for none. */
  readonly forgotten: number;
  readonly keyed: readonly RetryRow[];
}

/** What readers are shown of it. */
export type ShownValue = Pick<RegisterValue, 'state' | 'lease'>;

export const NO_VALUE: RegisterValue = {
  version: 0,
  state: EMPTY_STATE,
  lease: null,
  fence: 0,
  recent: [],
  forgotten: 0,
  keyed: [],
};

/** Changes that a value remembers by their ids. More than {@link BATCH_MAX}, so that a batch can find itself. */
export const RECENT_MAX = 64;
/** Beside them: the retried ones, which nothing but time makes forgotten. */
export const RETRIED_MAX = 16;
export const BATCH_MAX = 32;
/** What the clocks of two nodes that serve are apart at most, where nobody has set `clock-apart-max` higher: each may be so far from a third. */
const CLOCKS_DIFFER_MS = 120_000;
/** Longer than any request may take, the clocks' error included: nobody looks for an attempt any more. */
export const RECENT_MS: number = 90_000 + CLOCKS_DIFFER_MS;

export type RegisterChange =
  /** Changes nothing: a read that takes part in the order of changes. */
  | { readonly kind: 'look' }
  | {
      readonly kind: 'write';
      /** Null to delete, and for an operation. */
      readonly content: Content | null;
      /** On the data type that the bucket holds. */
      readonly operation?: KeyOperation | undefined;
      readonly conditions: Conditions | null;
      readonly mark: RequestMark | null;
      readonly expiresAt: number;
      /** Whether the answer shall hold the values. */
      readonly returnBody: boolean;
    }
  | { readonly kind: 'acquire'; readonly holder: string; readonly milliseconds: number }
  | { readonly kind: 'release'; readonly token: number };

export type ChangeResult =
  | { readonly kind: 'state'; readonly state: State; readonly lease: Lease | null }
  /** `written` is the dot of the write, of a request sent again that of the first. */
  | { readonly kind: 'written'; readonly state: State; readonly written: Dot }
  | { readonly kind: 'precondition-failed'; readonly etag: string | undefined }
  | { readonly kind: 'idempotency-mismatch' }
  /** A copy of a request that its client waits for no more: it may have been made, which nobody remembers. */
  | { readonly kind: 'given-up' }
  /** The operation does not fit what is there. */
  | { readonly kind: 'unfitting'; readonly detail: string }
  | { readonly kind: 'too-many-keys' }
  | { readonly kind: 'leased'; readonly lease: Lease }
  /** It was given, to this very request, and has ended. */
  | { readonly kind: 'ended' }
  /** Somebody else holds it. */
  | { readonly kind: 'held'; readonly lease: Lease }
  | { readonly kind: 'released' }
  /** The token is not that of the present lease. */
  | { readonly kind: 'not-held'; readonly lease: Lease | null };

export interface Circumstances {
  /** Of the attempt: the same when it is made again. */
  readonly id: Uint8Array;
  readonly retried: boolean;
  /** Fresh, later than all that the value knows. */
  readonly dot: Dot;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Of an attempt: nobody looks for it any more. */
  readonly isAnswered?: ((id: Uint8Array) => boolean) | undefined;
  /** No token may be lower: the time of the ballot, which outlives a register that was erased. */
  readonly leastToken: number;
}

export interface Changed {
  readonly value: RegisterValue;
  readonly result: ChangeResult;
}

/** The value after the change; the same value when nothing is changed and nothing has expired. */
export function changeValue(before: RegisterValue, change: RegisterChange, circumstances: Circumstances): Changed {
  const value = withoutExpired(before, circumstances.now);
  switch (change.kind) {
    case 'look':
      return { value, result: { kind: 'state', state: value.state, lease: liveLease(value, circumstances.now) } };
    case 'write':
      return write(value, change, circumstances);
    case 'acquire':
      return acquire(value, change, circumstances);
    case 'release':
      return release(value, change.token, circumstances);
  }
}

/**
 * A value expires once, for everybody: by the clock of the proposer that first makes something of it then, and in the order of all
 * changes. Until then it is there, whatever the clocks of others say.
 */
function withoutExpired(value: RegisterValue, now: number): RegisterValue {
  if (!hasExpired(value, now)) return value;
  const versions = value.state.versions.filter((version) => isLive(version, now));
  return { ...value, state: { ...value.state, versions } };
}

/** Whether something of it should be there no longer by this clock: then a change has to find out what is. */
export function hasExpired({ state }: ShownValue, now: number): boolean {
  return state.versions.some((version) => version.content !== null && !isLive(version, now));
}

function write(
  value: RegisterValue,
  change: Extract<RegisterChange, { kind: 'write' }>,
  circumstances: Circumstances,
): Changed {
  const { now } = circumstances;
  const made = madeBefore(value, circumstances);
  if (made !== undefined) return { value, result: { kind: 'written', state: value.state, written: made.dot } };
  const { conditions, mark } = change;
  const remembered = value.keyed.filter((row) => row.until > now);
  const earlier = mark === null ? undefined : earlierRequest(remembered, mark);
  if (earlier !== undefined) {
    if (earlier.kind !== 'made') return { value, result: earlier };
    return { value, result: { kind: 'written', state: value.state, written: earlier.dot } };
  }
  const live = value.state.versions.filter(({ content }) => content !== null);
  const etag = conditions === null || live.length === 0 ? undefined : etagOf(live);
  if (conditions !== null && judge(conditions, etag) !== 'proceed') {
    return { value, result: { kind: 'precondition-failed', etag } };
  }
  const keyed = stillAwaited(remembered, mark?.numbered);
  if (mark !== null && keyed.length >= KEYED_MAX) return { value, result: { kind: 'too-many-keys' } };
  if (change.operation?.kind === 'touch' && live.length === 0)
    return { value, result: { kind: 'precondition-failed', etag } };
  const written = stateAfter(value.state, change, circumstances);
  if (written instanceof Unfitting) return { value, result: { kind: 'unfitting', detail: written.message } };
  const { state, last } = written;
  const next = remember({ ...value, state }, { ...circumstances, dot: last });
  const rows = mark === null ? keyed : [...keyed, rowFor(mark, last)];
  return { value: { ...next, keyed: rows }, result: { kind: 'written', state, written: last } };
}

function stateAfter(
  before: State,
  { content, operation, expiresAt }: Extract<RegisterChange, { kind: 'write' }>,
  { dot, now }: Circumstances,
): { readonly state: State; readonly last: Dot } | Unfitting {
  if (operation === undefined) {
    return { state: { vector: [dot], versions: content === null ? [] : [{ dot, content, expiresAt }] }, last: dot };
  }
  try {
    if (operation.kind === 'touch') {
      const state = touched(before, { context: before.vector, dot, expiresAt, now });
      return { state: withLeastVector(state, dot), last: dot };
    }
    const plan = planOperation(before, operation, { actor: dot, context: null, keyed: false, alone: true, now });
    const { state, last } = carryOut(before, plan, { first: dot, expiresAt, request: undefined });
    return { state: withLeastVector(state, last), last };
  } catch (error) {
    if (error instanceof Unfitting) return error;
    throw error;
  }
}

function acquire(
  value: RegisterValue,
  { holder, milliseconds }: Extract<RegisterChange, { kind: 'acquire' }>,
  circumstances: Circumstances,
): Changed {
  const { now, leastToken } = circumstances;
  const present = liveLease(value, now);
  if (present === null && madeBefore(value, circumstances) !== undefined) return { value, result: { kind: 'ended' } };
  if (present !== null && present.holder !== holder) return { value, result: { kind: 'held', lease: present } };
  const expiresAt = Math.max(now + milliseconds, present?.expiresAt ?? 0);
  const token = present?.token ?? Math.max(value.fence + 1, leastToken);
  const lease = { holder, token, expiresAt };
  return { value: remember({ ...value, lease, fence: token }, circumstances), result: { kind: 'leased', lease } };
}

function release(value: RegisterValue, token: number, circumstances: Circumstances): Changed {
  if (madeBefore(value, circumstances) !== undefined) return { value, result: { kind: 'released' } };
  const present = liveLease(value, circumstances.now);
  if (present?.token !== token) return { value, result: { kind: 'not-held', lease: present } };
  return { value: remember({ ...value, lease: null }, circumstances), result: { kind: 'released' } };
}

function madeBefore({ recent }: RegisterValue, { id }: Pick<Circumstances, 'id'>): RecentChange | undefined {
  return recent.find((change) => equalBytes(change.id, id));
}

function remember(value: RegisterValue, { id, retried, dot, isAnswered }: Circumstances): RegisterValue {
  const version = value.version + 1;
  const until = timeOf(dot.counter) - RECENT_MS;
  const young: RecentChange[] = [];
  let { forgotten } = value;
  for (const change of value.recent) {
    const madeAt = timeOf(change.dot.counter);
    if (madeAt > until) young.push(change);
    else forgotten = Math.max(forgotten, madeAt);
  }
  const recent = withRoom(young, retried, isAnswered);
  recent.push({ id, version, dot, retried });
  return { ...value, version, recent, forgotten };
}

/**
 * Of a full list the oldest goes, even if somebody looks for it, and that it is full says so (see {@link isForgotten}): it must not
 * become shorter but by time. A retried change is found by whoever had it first, whatever the second one has answered.
 */
function withRoom(recent: RecentChange[], retried: boolean, isAnswered: Circumstances['isAnswered']): RecentChange[] {
  let plain = 0;
  let first = -1;
  for (let i = 0; i < recent.length; i++) {
    if (recent[i]!.retried) continue;
    if (first < 0) first = i;
    plain++;
  }
  if (plain < RECENT_MAX) {
    return isAnswered === undefined ? recent : recent.filter((change) => change.retried || !isAnswered(change.id));
  }
  if (!retried) recent.splice(first, 1);
  return recent;
}

/**
 * Whether the change may have been made already without being remembered, or may be made by somebody else later without
 * finding itself: then it must not be made now.
 *
 * `triedAt`: when another proposer was given it (milliseconds since 1970, by another node's clock), 0 for never. Overflow forgets
 * changes before their time, and so does somebody whose clock is ahead, to whom they are old.
 */
export function isForgotten(value: RegisterValue, { id, triedAt }: { id: Uint8Array; triedAt: number }): boolean {
  const { recent } = value;
  if (triedAt === 0 || recent.some((change) => equalBytes(change.id, id))) return false;
  if (wasLetGo(value, triedAt)) return true;
  const plain = recent.filter((change) => !change.retried);
  if (recent.length - plain.length >= RETRIED_MAX) return true;
  const [oldest] = plain;
  if (oldest === undefined || plain.length < RECENT_MAX) return false;
  return timeOf(oldest.dot.counter) >= triedAt - CLOCKS_DIFFER_MS;
}

/** Whether a change that was made at that time or later was let go of for its age. */
export function wasLetGo({ forgotten }: RegisterValue, time: number): boolean {
  return forgotten > 0 && forgotten >= time - CLOCKS_DIFFER_MS;
}

/**
 * From when on the value is nothing that anybody could miss, unless it is changed (milliseconds since 1970): it shows no version
 * and no lease, and nobody looks for what it remembers of its changes and of requests with idempotency keys. Infinity when it
 * holds something that does not end by itself. `age`: how long nothing must have changed, {@link RECENT_MS} at least.
 */
export function nothingFrom({ state, lease, recent, keyed }: RegisterValue, age: number): number {
  const shown = state.versions.filter(({ content }) => content !== null);
  if (shown.some(({ expiresAt }) => expiresAt === 0)) return Infinity;
  const ends = shown.map(({ expiresAt }) => expiresAt + age);
  const forgotten = recent.map(({ dot }) => timeOf(dot.counter) + age);
  return Math.max(0, ...ends, ...forgotten, ...keyed.map(({ until }) => until), lease?.expiresAt ?? 0);
}

/** The lease that holds now. */
export function liveLease({ lease }: ShownValue, now: number): Lease | null {
  return lease !== null && lease.expiresAt > now ? lease : null;
}
