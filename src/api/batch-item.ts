/**
 * One operation of a batch as the request for a key that it stands for, and the answer to that as a member of the batch's
 * answer. So an operation means exactly what the same request by itself would mean.
 */

import { toBase64url } from '#kernel/base64.ts';
import { EMPTY_BYTES, fromUtf8, utf8 } from '#kernel/bytes.ts';
import type { Schema } from '#kernel/json-schema.ts';
import { TTL_MAX } from '#buckets/schema.ts';
import type { Answer, Exchange, Incoming } from './exchange.ts';
import { GivenRequest } from './given-request.ts';
import { isoDate } from './http-date.ts';
import { jsonWithBase64 } from './json.ts';
import { checkedBucket } from './key-path.ts';
import { invalid, Problem } from './problem.ts';
import { quoted, type Target } from './raw-path.ts';

/** What a header may hold: values come back in one. */
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/;
const HEADER_TEXT = '^[\\t\\x20-\\x7e\\x80-\\xff]*$';
const HEADER_FORM = 'at most 1024 characters that a header field can hold';

export const BATCH_OPERATION: Schema = {
  type: 'object',
  properties: {
    op: { enum: ['get', 'put', 'delete'] },
    bucket: { type: 'string', description: 'Its name.' },
    key: { type: 'string', description: 'This or `key64`.' },
    key64: { type: 'string', description: 'Base64url of its bytes, without padding.' },
    value: { type: 'string', description: 'Of a `put`: this, or `value64`. In MessagePack it may be bytes.' },
    value64: { type: 'string', contentEncoding: 'base64' },
    contentType: { type: 'string', maxLength: 1024, pattern: HEADER_TEXT, 'x-form': HEADER_FORM },
    contentEncoding: { type: 'string', maxLength: 1024, pattern: HEADER_TEXT, 'x-form': HEADER_FORM },
    meta: {
      type: 'object',
      additionalProperties: { type: 'string', pattern: HEADER_TEXT, 'x-form': 'text that a header field can hold' },
      description: 'As the headers Quoral-Meta-*, without that prefix.',
    },
    context: { type: 'string', description: 'As in the header Quoral-Context.' },
    ttl: { type: 'integer', minimum: 1, maximum: TTL_MAX, 'x-unit': 'seconds' },
    idempotencyKey: { type: 'string', description: 'As in the header Idempotency-Key, of this operation alone.' },
    answeredBelow: {
      type: 'integer',
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'As in the header Quoral-Answered-Below.',
    },
    ifMatch: { type: 'string', description: 'As the header, or one etag as answers show it.' },
    ifNoneMatch: { type: 'string', description: 'As the header, or one etag as answers show it.' },
  },
  required: ['op', 'bucket'],
  additionalProperties: false,
};

export interface BatchOperation {
  readonly op: 'get' | 'put' | 'delete';
  readonly bucket: string;
  readonly key?: string;
  readonly key64?: string;
  readonly value?: string | Uint8Array;
  readonly value64?: string;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly meta?: Readonly<Record<string, string>>;
  readonly context?: string;
  readonly ttl?: number;
  readonly idempotencyKey?: string;
  readonly answeredBelow?: number;
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
}

/** `query` is that of the batch, which holds for each operation. */
export function exchangeOf(
  { incoming, requestId, ...rest }: Exchange,
  operation: BatchOperation,
  place: number,
  query: string,
): Exchange | Problem {
  const contradiction = contradictionIn(operation);
  if (contradiction !== undefined) return contradiction;
  const { bucket, key, ttl } = operation;
  const misnamed = checkedBucket(bucket);
  if (misnamed instanceof Problem) return misnamed;
  if (key !== undefined && !key.isWellFormed()) return invalid('key', 'is not well-formed text');
  const value = valueOf(operation);
  if (value instanceof Problem) return value;
  const segments = ['v1', 'kv64', bucket, key === undefined ? operation.key64! : toBase64url(utf8(key))];
  const own = ttl === undefined ? '' : `ttl=${ttl}`;
  const target: Target = { path: '', segments, query: query === '' ? own : own === '' ? query : `${query}&${own}` };
  const request = requestOf(incoming, operation, target, value);
  return { ...rest, incoming: request, target, requestId: `${requestId.slice(0, 120)}/${place}` };
}

function contradictionIn({ op, key, key64, value, value64, ...others }: BatchOperation): Problem | undefined {
  if ((key === undefined) === (key64 === undefined)) return invalid('key', 'give either key or key64');
  const wrongName = Object.keys(others.meta ?? {}).find((name) => !HEADER_NAME.test(name));
  if (wrongName !== undefined) return invalid('meta', `${quoted(wrongName)} is no name for a header`);
  if (op === 'put') {
    return (value === undefined) === (value64 === undefined)
      ? invalid('value', 'give either value or value64')
      : undefined;
  }
  if (value !== undefined || value64 !== undefined) return invalid('value', `a ${op} has none`);
  const { ttl, context, idempotencyKey, answeredBelow } = others;
  for (const name of ['contentType', 'contentEncoding', 'meta'] as const) {
    if (others[name] !== undefined) return invalid(name, `a ${op} has none`);
  }
  if (op === 'delete') return undefined;
  if (ttl !== undefined) return invalid('ttl', 'a get has none');
  if (context !== undefined) return invalid('context', 'a get has none');
  if (answeredBelow !== undefined) return invalid('answeredBelow', 'a get has none');
  return idempotencyKey === undefined ? undefined : invalid('idempotencyKey', 'a get has none');
}

function valueOf({ value, value64 }: BatchOperation): Uint8Array | Problem {
  if (value instanceof Uint8Array) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value !== undefined) return value.isWellFormed() ? utf8(value) : invalid('value', 'is not well-formed text');
  if (value64 === undefined) return EMPTY_BYTES;
  // A lone character at the end holds no whole byte: something was cut off.
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(value64) || value64.replace(/=+$/, '').length % 4 === 1)
    return invalid('value64', 'is not base64');
  const bytes = Buffer.from(value64, 'base64');
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function requestOf({ remote }: Incoming, operation: BatchOperation, target: Target, body: Uint8Array): Incoming {
  const headers = new Map([
    ['content-length', String(body.length)],
    ['accept', 'application/json'],
  ]);
  const {
    contentType,
    contentEncoding,
    meta = {},
    context,
    idempotencyKey,
    answeredBelow,
    ifMatch,
    ifNoneMatch,
  } = operation;
  const given = {
    ...{ 'content-type': contentType, 'content-encoding': contentEncoding, 'quoral-context': context },
    ...{ 'idempotency-key': idempotencyKey, 'quoral-answered-below': answeredBelow?.toString() },
    ...{ 'if-match': asTag(ifMatch), 'if-none-match': asTag(ifNoneMatch) },
  };
  for (const [name, value] of Object.entries(given)) if (value !== undefined) headers.set(name, value);
  for (const [name, text] of Object.entries(meta)) headers.set(META_PREFIX + name.toLowerCase(), text);
  return new GivenRequest({ method: operation.op.toUpperCase(), target, remote, headers, body });
}

/** In JSON an etag stands without its quotes. */
function asTag(given: string | undefined): string | undefined {
  return given === undefined || !/^[0-9a-f]+$/.test(given) ? given : `"${given}"`;
}

/** Where a member of a result comes from. */
const HEADERS: readonly (readonly [header: string, member: string])[] = [
  ['quoral-context', 'context'],
  ['quoral-replicas', 'replicas'],
  ['quoral-coordinator', 'coordinator'],
  ['content-encoding', 'contentEncoding'],
  ['quoral-expires', 'expires'],
];
const META_PREFIX = 'quoral-meta-';

/** For MessagePack, where a value is bytes. Tags and times look as they do among siblings. */
export function packableResult(answer: Answer): Record<string, unknown> {
  const result = fieldsOf(answer);
  if (answer.status === 300)
    return { ...result, ...(JSON.parse(fromUtf8(answer.body as Uint8Array)) as Record<string, unknown>) };
  return answer.status === 200 ? { ...result, value: valueIn(answer) } : result;
}

/** In JSON, in parts. A value is text where it is UTF-8, since most values are. */
export function jsonResult(answer: Answer): readonly Uint8Array[] {
  const result = fieldsOf(answer);
  if (answer.status === 300) {
    const siblings = answer.body as Uint8Array;
    return [utf8(`${JSON.stringify(result).slice(0, -1)},`), siblings.subarray(1)];
  }
  if (answer.status !== 200) return [utf8(JSON.stringify(result))];
  const value = valueIn(answer);
  try {
    return [utf8(JSON.stringify({ ...result, value: fromUtf8(value) }))];
  } catch {
    return jsonWithBase64(result, 'value64', value);
  }
}

/** What a data type shows is text. */
function valueIn({ body }: Answer): Uint8Array {
  return typeof body === 'string' ? utf8(body) : (body as Uint8Array);
}

/** All but values. */
function fieldsOf(answer: Answer): Record<string, unknown> {
  const { status, headers, body, problem, modifiedAt } = answer;
  const result: Record<string, unknown> = { status };
  if (headers['etag'] !== undefined) result['etag'] = headers['etag'].slice(1, -1);
  if (modifiedAt !== undefined) result['lastModified'] = isoDate(modifiedAt);
  for (const [header, member] of HEADERS) if (headers[header] !== undefined) result[member] = headers[header];
  if (problem !== undefined) return { ...result, problem: JSON.parse(body as string) as unknown };
  if (status !== 200) return result;
  result['contentType'] = headers['content-type'];
  const meta = Object.entries(headers).filter(([name]) => name.startsWith(META_PREFIX));
  if (meta.length > 0)
    result['meta'] = Object.fromEntries(meta.map(([name, text]) => [name.slice(META_PREFIX.length), text]));
  return result;
}

/** About what the result takes in memory. */
export function bytesOf({ body }: Answer): number {
  return typeof body === 'string' || body instanceof Uint8Array ? body.length : 0;
}
