/**
 * What a coordinator asks of a replica: store this state, fetch yours. Bodies are positional; the scope comes first and is
 * the same in both.
 */

import { epoch } from '#kernel/identity.ts';
import type { MessageType } from '#wire/message.ts';
import { MAX_MESSAGE_BYTES } from '#world/limits.ts';
import { asArray, asBoolean, asBytes, asInteger, asString } from '#wire/shape.ts';
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
}

export interface StoreReply {
  readonly durable: boolean;
}

export interface FetchRequest {
  readonly scope: Scope;
  readonly requestId: string;
  readonly key: Uint8Array;
}

export interface FetchReply {
  /** The encoded state, or null when the replica never heard of the key. */
  readonly state: Uint8Array | null;
}

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
  encodeRequest: ({ scope, requestId, key, state, durable }) => [scopeToWire(scope), requestId, key, state, durable],
  decodeRequest: (body) => {
    const fields = asArray(body, 5, 'replica.store');
    return {
      scope: scopeFromWire(fields[0]),
      requestId: asString(fields[1], 'requestId', 128),
      key: asBytes(fields[2], 'key', KEY_BYTES_MAX),
      state: asBytes(fields[3], 'state', MAX_MESSAGE_BYTES),
      durable: asBoolean(fields[4], 'durable'),
    };
  },
  encodeReply: ({ durable }) => [durable],
  decodeReply: (body) => ({ durable: asBoolean(asArray(body, 1, 'replica.store reply')[0], 'durable') }),
};

export const FetchMessage: MessageType<FetchRequest, FetchReply> = {
  name: 'replica.fetch',
  encodeRequest: ({ scope, requestId, key }) => [scopeToWire(scope), requestId, key],
  decodeRequest: (body) => {
    const fields = asArray(body, 3, 'replica.fetch');
    return {
      scope: scopeFromWire(fields[0]),
      requestId: asString(fields[1], 'requestId', 128),
      key: asBytes(fields[2], 'key', KEY_BYTES_MAX),
    };
  },
  encodeReply: ({ state }) => [state],
  decodeReply: (body) => {
    const state = asArray(body, 1, 'replica.fetch reply')[0];
    return { state: state === null ? null : asBytes(state, 'state', MAX_MESSAGE_BYTES) };
  },
};
