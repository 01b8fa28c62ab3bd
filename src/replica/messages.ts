/**
 * What a coordinator asks of a replica: store this state, fetch yours. Bodies are positional; the scope comes first and is
 * the same in both.
 */

import type { Abridged } from '#causality/abridged.ts';
import type { State } from '#causality/state.ts';
import { epoch } from '#kernel/identity.ts';
import type { MessageType } from '#wire/message.ts';
import type { CallResult } from '#wire/messaging.ts';
import { MAX_MESSAGE_BYTES } from '#world/limits.ts';
import { asArray, asBoolean, asBytes, asInteger, asListOf, asString } from '#wire/shape.ts';
import { asMarkBytes, retryFromWire, retryToWire, type RetryRow } from './retry-codec.ts';
import type { Scope } from './scope.ts';

const KEY_BYTES_MAX = 1024;

export interface StoreRequest {
  readonly scope: Scope;
  readonly requestId: string;
  readonly key: Uint8Array;
  /** An encoded state, to be joined with what the replica has. */
  readonly state: Uint8Array;
  /** Whether to answer only when the write is on stable storage. */
  readonly durable: boolean;
  /**
   * The hybrid time of the sender before the operation read or made anything of what it sends. A replica that has given up
   * tombstones since refuses what would be news: see floors.ts.
   */
  readonly origin: number;
  /** What requests with idempotency keys have become, as far as the sender knows of this key; none without it. */
  readonly retries?: readonly RetryRow[] | undefined;
}

export interface StoreReply {
  readonly durable: boolean;
}

/** Of several stores that travel together each has its own answer. */
export type StoreResult = Extract<CallResult<StoreReply>, { kind: 'reply' | 'refused' }>;

/** Stores in one message. */
export const STORES_MAX = 128;

export interface FetchRequest {
  readonly scope: Scope;
  readonly requestId: string;
  readonly key: Uint8Array;
  /** Also wanted: what the request with this hashed idempotency key has become. */
  readonly retryId?: Uint8Array | undefined;
  /** Of a state that is longer, the outline is enough; not together with `retryId`. */
  readonly valuesUpTo?: number | undefined;
  /** An abridged state (causality/abridged.ts): where the replica has the same, saying so is enough; not together with `retryId`. */
  readonly unless?: Abridged | undefined;
  /** Together with `retryId`, the rest of the request's mark: if the replica knows nothing of the request, that is enough. */
  readonly fingerprint?: Uint8Array | undefined;
}

export type FetchReply = WholeReply | OutlineReply | NewReply | SameReply;

/** The replica has the state that was not wanted again. */
export interface SameReply {
  readonly isSame: true;
  readonly isNew?: undefined;
  readonly state?: undefined;
  readonly decoded?: undefined;
  readonly outline?: undefined;
  readonly retry?: undefined;
  readonly retriesFull?: undefined;
}

/** The replica knows nothing of the request, and has room for what it becomes. */
export interface NewReply {
  readonly isSame?: undefined;
  readonly isNew: true;
  readonly state?: undefined;
  readonly decoded?: undefined;
  readonly outline?: undefined;
  readonly retry?: undefined;
  readonly retriesFull?: undefined;
}

/** The state is longer than was wanted. */
export interface OutlineReply {
  readonly isSame?: undefined;
  readonly isNew?: undefined;
  readonly outline: Uint8Array;
  readonly state?: undefined;
  readonly decoded?: undefined;
  readonly retry?: undefined;
  readonly retriesFull?: undefined;
}

export interface WholeReply {
  readonly isSame?: undefined;
  readonly isNew?: undefined;
  /** The encoded state, or null when the replica never heard of the key. */
  readonly state: Uint8Array | null;
  /** What `state` holds, where the replica is this node's own, which has decoded it to see that it is whole. Not sent. */
  readonly decoded?: State;
  readonly outline?: undefined;
  /** What the request has become that was asked for; null when the replica knows of none. */
  readonly retry?: RetryRow | null;
  /** The replica remembers as many idempotency keys as it may. */
  readonly retriesFull?: boolean;
}

const RETRIES_MAX = 4096;

export function scopeToWire(scope: Scope): readonly unknown[] {
  return [scope.epoch, scope.n, scope.partition, scope.bucket, scope.incarnation, scope.definition];
}

export function scopeFromWire(body: unknown): Scope {
  const fields = asArray(body, 6, 'scope');
  return {
    epoch: epoch(asInteger(fields[0], 'epoch', 0)),
    n: asInteger(fields[1], 'n', 1, 7),
    partition: asInteger(fields[2], 'partition', 0, 65_535),
    bucket: asString(fields[3], 'bucket', 128),
    incarnation: asInteger(fields[4], 'incarnation', 0, 0xffff_ffff),
    definition: epoch(asInteger(fields[5], 'definition', 0)),
  };
}

export const StoreMessage: MessageType<StoreRequest, StoreReply> = {
  name: 'replica.store',
  encodeRequest: ({ scope, requestId, key, state, durable, retries = [], origin }) => [
    scopeToWire(scope),
    requestId,
    key,
    state,
    durable,
    retries.map(retryToWire),
    origin,
  ],
  decodeRequest: (body) => {
    const fields = asArray(body, 5, 'replica.store');
    const retries = asListOf(fields[5] ?? [], 'retries', RETRIES_MAX, retryFromWire);
    return {
      scope: scopeFromWire(fields[0]),
      requestId: asString(fields[1], 'requestId', 128),
      key: asBytes(fields[2], 'key', KEY_BYTES_MAX),
      state: asBytes(fields[3], 'state', MAX_MESSAGE_BYTES),
      durable: asBoolean(fields[4], 'durable'),
      // A sender that names none has to be taken for one from before everything.
      origin: asInteger(fields[6] ?? 0, 'origin'),
      retries: retries.length === 0 ? undefined : retries,
    };
  },
  encodeReply: ({ durable }) => [durable],
  decodeReply: (body) => ({ durable: asBoolean(asArray(body, 1, 'replica.store reply')[0], 'durable') }),
};

/** Several stores in one message, which are committed together. */
export const StoresMessage: MessageType<readonly StoreRequest[], readonly StoreResult[]> = {
  name: 'replica.stores',
  measuredAs: StoreMessage.name,
  encodeRequest: (stores) => [stores.map(StoreMessage.encodeRequest)],
  decodeRequest: (body) =>
    asListOf(asArray(body, 1, 'replica.stores')[0], 'stores', STORES_MAX, StoreMessage.decodeRequest),
  encodeReply: (results) => [
    results.map((result) =>
      result.kind === 'reply' ? result.reply.durable : [result.code, result.detail, result.value],
    ),
  ],
  decodeReply: (body) =>
    asListOf(asArray(body, 1, 'replica.stores reply')[0], 'results', STORES_MAX, storeResultFromWire),
};

function storeResultFromWire(result: unknown): StoreResult {
  if (!Array.isArray(result)) return { kind: 'reply', reply: { durable: asBoolean(result, 'durable') } };
  const [code, detail, value] = asArray(result, 3, 'refusal');
  return {
    kind: 'refused',
    code: asString(code, 'code', 64),
    detail: asString(detail, 'detail', 4096),
    value: asInteger(value, 'value', Number.MIN_SAFE_INTEGER),
  };
}

export const FetchMessage: MessageType<FetchRequest, FetchReply> = {
  name: 'replica.fetch',
  encodeRequest: ({ scope, requestId, key, retryId, valuesUpTo, fingerprint, unless }) => {
    if (unless !== undefined) {
      const { head, check } = unless;
      return [scopeToWire(scope), requestId, key, null, valuesUpTo ?? null, null, head, check];
    }
    if (fingerprint !== undefined) return [scopeToWire(scope), requestId, key, retryId ?? null, null, fingerprint];
    if (valuesUpTo !== undefined) return [scopeToWire(scope), requestId, key, retryId ?? null, valuesUpTo];
    const body = [scopeToWire(scope), requestId, key];
    return retryId === undefined ? body : [...body, retryId];
  },
  decodeRequest: (body) => {
    const fields = asArray(body, 3, 'replica.fetch');
    return {
      scope: scopeFromWire(fields[0]),
      requestId: asString(fields[1], 'requestId', 128),
      key: asBytes(fields[2], 'key', KEY_BYTES_MAX),
      retryId: isGiven(fields[3]) ? asMarkBytes(fields[3], 'retryId') : undefined,
      valuesUpTo: isGiven(fields[4]) ? asInteger(fields[4], 'valuesUpTo', 0) : undefined,
      fingerprint: isGiven(fields[5]) ? asMarkBytes(fields[5], 'fingerprint') : undefined,
      unless: isGiven(fields[6]) ? abridgedFromWire(fields[6], fields[7]) : undefined,
    };
  },
  // An outline is a list where a state is bytes; that the request is new is `true`, that the state is the same `false`.
  encodeReply: (reply) => {
    if (reply.isSame === true) return [false];
    if (reply.isNew === true) return [true];
    return reply.outline === undefined ? wholeToWire(reply) : [[reply.outline]];
  },
  decodeReply: (body) => {
    const [state] = asArray(body, 1, 'replica.fetch reply');
    if (state === true) return { isNew: true };
    if (state === false) return { isSame: true };
    if (!Array.isArray(state)) return wholeFromWire(body);
    return { outline: asBytes(asArray(state, 1, 'outline')[0], 'outline', MAX_MESSAGE_BYTES) };
  },
};

export function wholeToWire({ state, retry, retriesFull }: WholeReply): readonly unknown[] {
  return retry === undefined ? [state] : [state, retry === null ? null : retryToWire(retry), retriesFull === true];
}

export function wholeFromWire(body: unknown): WholeReply {
  const fields = asArray(body, 1, 'replica.fetch reply');
  const state = fields[0] === null ? null : asBytes(fields[0], 'state', MAX_MESSAGE_BYTES);
  // Shorter: nothing was asked for, or it came from a release that keeps no such rows.
  if (fields.length < 3) return { state };
  const retry = isGiven(fields[1]) ? retryFromWire(fields[1]) : null;
  return { state, retry, retriesFull: asBoolean(fields[2], 'retriesFull') };
}

function abridgedFromWire(head: unknown, check: unknown): Abridged {
  return { head: asBytes(head, 'unless', MAX_MESSAGE_BYTES), check: asInteger(check, 'check', 0, 0xffff_ffff) };
}

function isGiven(element: unknown): boolean {
  return element !== undefined && element !== null;
}
