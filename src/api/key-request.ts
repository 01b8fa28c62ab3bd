/**
 * What every request for a key has in common: bucket, key, parameters and headers, each checked, with the first mistake
 * as the answer. A mode that is not built yet is refused, never replaced by a weaker one.
 */

import type { Bucket } from '#buckets/definition.ts';
import { decodeContext } from '#causality/context-token.ts';
import type { VersionVector } from '#causality/state.ts';
import { ByteWriter, varintBytes } from '#kernel/binary.ts';
import type { Exchange } from './exchange.ts';
import { decodeBucket, decodeKeyOf } from './key-path.ts';
import { readInteger, type ParameterName } from './parameters.ts';
import { invalid, Problem } from './problem.ts';
import { parseQuery, type Query } from './query.ts';
import { quoted } from './raw-path.ts';
import { parseSession, type RequestSession } from './request-session.ts';
import { parseAsked, QUORUM_PARAMETERS, type Asked } from './request-quorum.ts';

const COMMON_PARAMETERS = [...QUORUM_PARAMETERS, 'session', 'timeout'] as const;
export const READ_PARAMETERS: readonly ParameterName[] = [...COMMON_PARAMETERS, 'sibling'];
export const WRITE_PARAMETERS: readonly ParameterName[] = [...COMMON_PARAMETERS, 'ttl', 'return'];

export interface KeyRequest {
  readonly bucket: Bucket;
  readonly key: Uint8Array;
  /** Names the key in contexts. */
  readonly scope: Uint8Array;
  readonly query: Query;
  readonly asked: Asked;
  /** Undefined when it belongs to none. */
  readonly session: RequestSession | undefined;
  /** An instant of the monotonic clock. */
  readonly deadline: number;
}

/** `/v1/kv/{bucket}/{key}` and `/v1/kv64/{bucket}/{key}`. */
export function parseKeyRequest(exchange: Exchange, parameters: readonly ParameterName[]): KeyRequest | Problem {
  const { services, target, startedAt } = exchange;
  const [, family = '', bucketSegment = '', keySegment = ''] = target.segments;
  const name = decodeBucket(bucketSegment);
  if (name instanceof Problem) return name;
  const key = decodeKeyOf(family, keySegment);
  if (key instanceof Problem) return key;
  const query = parseQuery(target.query, parameters);
  if (query instanceof Problem) return query;
  const timeout = parseTimeout(query, services.settings.requestTimeoutMs);
  if (timeout instanceof Problem) return timeout;
  const asked = parseAsked(query);
  if (asked instanceof Problem) return asked;
  const bucket = services.buckets.resolve(name);
  const refusal = notBuilt(exchange, bucket, query);
  if (refusal !== undefined) return refusal;
  const scope = contextScope(bucket, key);
  const session = parseSession(exchange.incoming, query, scope, services.mac);
  if (session instanceof Problem) return session;
  return { bucket, key, scope, query, asked, session, deadline: startedAt + timeout };
}

export function parseTimeout(query: Query, defaultMs: number): number | Problem {
  const text = query.get('timeout');
  return text === undefined ? defaultMs : readInteger('timeout', text);
}

/** How long the value that is written lives, in milliseconds; 0 for ever. */
export function parseTtl(query: Query, bucketSeconds: number | null): number | Problem {
  const text = query.get('ttl');
  if (text === undefined) return (bucketSeconds ?? 0) * 1000;
  const seconds = readInteger('ttl', text);
  return seconds instanceof Problem ? seconds : seconds * 1000;
}

export function noTtl(query: Query): 0 | Problem {
  return query.has('ttl') ? invalid('ttl', 'a deletion does not expire') : 0;
}

function notBuilt(exchange: Exchange, { name, properties }: Bucket, query: Query): Problem | undefined {
  const { consistency } = properties;
  if (consistency === 'strong') return meaninglessInStrong(exchange, name, query);
  return undefined;
}

/** A majority of the owners takes part in everything there: whoever asks for something else expects another bucket. */
function meaninglessInStrong({ incoming }: Exchange, name: string, query: Query): Problem | undefined {
  const given = QUORUM_PARAMETERS.find((parameter) => query.has(parameter));
  const where = `bucket ${quoted(name)} is strong:`;
  if (given !== undefined) return invalid(given, `${where} every request takes a majority of the key's owners`);
  if (incoming.header('quoral-context') === undefined) return undefined;
  return invalid('Quoral-Context', `${where} it has no siblings and no contexts; use If-Match with the ETag`);
}

/** The client's context; null when it sent none. */
export function parseContext(exchange: Exchange, scope: Uint8Array): VersionVector | null | Problem {
  const text = exchange.incoming.header('quoral-context');
  if (text === undefined) return null;
  const decoded = decodeContext(text, scope, exchange.services.mac);
  switch (decoded.kind) {
    case 'context':
      return decoded.vector;
    case 'invalid':
      return invalid('Quoral-Context', `${decoded.reason}; it must be as an answer for this key gave it`);
  }
}

/** The bytes that name one key of one life of a bucket in contexts. Part of the format of contexts. */
function contextScope({ name, incarnation }: Bucket, key: Uint8Array): Uint8Array {
  const writer = new ByteWriter(varintBytes(name.length) + name.length + varintBytes(incarnation) + key.length);
  writer.text(name);
  writer.varint(incarnation);
  writer.raw(key);
  return writer.finish();
}
