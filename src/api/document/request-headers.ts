/**
 * Every request header that is looked at, once. A test holds this table and the code that reads headers together.
 */

import type { Schema } from '#kernel/json-schema.ts';
import { REQUEST_ID_PATTERN } from '#api/exchange.ts';
import { MAX_IDEMPOTENCY_KEY } from '#api/idempotency-key.ts';

export interface RequestHeader {
  /** As people write it. */
  readonly name: string;
  readonly schema: Schema;
  readonly means: string;
}

const TAGS: Schema = { type: 'string', examples: ['"0123456789abcdef"', '*'] };

export const REQUEST_HEADERS = {
  'quoral-context': {
    name: 'Quoral-Context',
    schema: { type: 'string' },
    means:
      'The context that the last read gave: what is written replaces all that it covers. Without one a write is ' +
      'concurrent with whatever is there. Not in strong buckets. To a read it means nothing; one that is broken, or of another key, ' +
      'is refused there too.',
  },
  'quoral-session': {
    name: 'Quoral-Session',
    schema: { type: 'string' },
    means: 'The same as the parameter session; one of the two. Listings, watches and batches refuse it.',
  },
  'idempotency-key': {
    name: 'Idempotency-Key',
    schema: { type: 'string', minLength: 1, maxLength: MAX_IDEMPOTENCY_KEY, pattern: '^[\\x20-\\x7e]+$' },
    means:
      'Names the request, for ten minutes and this key: sent again, to any node, it makes no second version and its ' +
      'answer tells of the first.',
  },
  'quoral-answered-below': {
    name: 'Quoral-Answered-Below',
    schema: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
    means:
      'With an Idempotency-Key of the form SERIES:NUMBER, of a number no lower than this: of the requests to this key with keys of ' +
      'the same series none with a number below this will be sent again, nor waited for. A strong key forgets them; a late copy of ' +
      'one gets 422. Clients that write one strong key more than once a second want it. Means nothing in other buckets.',
  },
  'last-event-id': {
    name: 'Last-Event-ID',
    schema: { type: 'string' },
    means: 'The id of the last event that was received: the watch goes on behind it. Browsers send it by themselves.',
  },
  'if-match': {
    name: 'If-Match',
    schema: TAGS,
    means: 'Only when the object has one of these ETags; `*`: when it is there (RFC 9110).',
  },
  'if-none-match': {
    name: 'If-None-Match',
    schema: TAGS,
    means: 'Only when the object has none of these ETags; `*`: when it is not there (RFC 9110).',
  },
  accept: {
    name: 'Accept',
    schema: { type: 'string' },
    means: 'Whether siblings come as `multipart/mixed`, as they do when this says nothing, or as `application/json`.',
  },
  'content-type': {
    name: 'Content-Type',
    schema: { type: 'string' },
    means: 'Comes back as it went in; `application/octet-stream` when it is not given.',
  },
  'content-encoding': {
    name: 'Content-Encoding',
    schema: { type: 'string' },
    means: 'Comes back as it went in; nothing is encoded or decoded here.',
  },
  'quoral-meta-*': {
    name: 'Quoral-Meta-*',
    schema: { type: 'string' },
    means:
      'Any number of fields with names that begin so; they come back as they went in. 8 KiB together with Content-Encoding.',
  },
  'content-range': {
    name: 'Content-Range',
    schema: false,
    means: 'Refused: a value is always written as a whole.',
  },
  'if-unmodified-since': {
    name: 'If-Unmodified-Since',
    schema: false,
    means: 'Refused with 501: conditions on dates are not built yet.',
  },
  'x-request-id': {
    name: 'X-Request-Id',
    schema: { type: 'string', pattern: REQUEST_ID_PATTERN },
    means: 'Names the request in the answer, logs and traces; made here when it is not given.',
  },
  traceparent: {
    name: 'traceparent',
    schema: { type: 'string' },
    means: 'The span that this request is a part of (W3C Trace Context); looked at when the node sends traces.',
  },
  tracestate: { name: 'tracestate', schema: { type: 'string' }, means: 'Goes with traceparent.' },
  authorization: {
    name: 'Authorization',
    schema: false,
    means: '`Bearer` and a token, where the cluster asks for tokens. Described as the security scheme.',
  },
  origin: {
    name: 'Origin',
    schema: false,
    means: 'What page of a browser asks: those of `cors-origins` may see the answer.',
  },
  'access-control-request-method': {
    name: 'Access-Control-Request-Method',
    schema: false,
    means: 'A browser that asks first, with OPTIONS.',
  },
  'content-length': {
    name: 'Content-Length',
    schema: false,
    means: 'A body that is announced as too large is refused unread.',
  },
} as const satisfies Readonly<Record<string, Omit<RequestHeader, 'schema'> & { readonly schema: Schema | false }>>;

export type RequestHeaderName = keyof typeof REQUEST_HEADERS;
