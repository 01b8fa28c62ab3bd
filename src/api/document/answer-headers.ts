/**
 * Every header of answers, once. What HTTP itself says of a connection and a body's length is left out.
 */

import type { Schema } from '#kernel/json-schema.ts';
import { REQUEST_ID_PATTERN } from '#api/exchange.ts';
import { RETRY_AFTER_SECONDS } from '#api/problem.ts';

export interface AnswerHeader {
  readonly schema: Schema;
  readonly means: string;
}

export const ANSWER_HEADERS = {
  'X-Request-Id': {
    schema: { type: 'string', pattern: REQUEST_ID_PATTERN },
    means: 'Names the request in logs and traces: as the client gave it, or made here.',
  },
  'Server-Timing': {
    schema: { type: 'string', pattern: '^total;dur=[0-9.]+', examples: ['total;dur=1.25'] },
    means: 'Milliseconds that the node took; with `traceparent;desc="…"` when the request is traced.',
  },
  'Cache-Control': { schema: { type: 'string' }, means: 'What caches may do.' },
  ETag: {
    schema: { type: 'string', pattern: '^"[^"]+"$', examples: ['"0123456789abcdef"'] },
    means: 'Of what is shown. Siblings have one for the set; a write has that of what is there after it.',
  },
  'Last-Modified': { schema: { type: 'string' }, means: 'When the version was written, by the clock of an owner.' },
  'Quoral-Expires': {
    schema: { type: 'string', format: 'date-time' },
    means: 'When the value ends, where it has a time to live.',
  },
  'Quoral-Context': {
    schema: { type: 'string', pattern: '^[A-Za-z0-9_-]+$' },
    means: 'Covers every version that is shown, and nothing else: send it back with the write that follows.',
  },
  'Quoral-Session': {
    schema: { type: 'string' },
    means: 'The grown token of the session, where the request belongs to one.',
  },
  'Quoral-Replicas': {
    schema: {
      type: 'string',
      pattern: '^acked=[0-9]+; needed=[0-9]+; of=[0-9]+; fallbacks=[0-9]+$',
      examples: ['acked=2; needed=2; of=3; fallbacks=0'],
    },
    means: 'Replicas that agreed, that were needed, the owners of the key, and the fallbacks among those that agreed.',
  },
  'Quoral-Coordinator': {
    schema: { type: 'string' },
    means: 'The owner that made the version, or the node that merged the read.',
  },
  'Quoral-Meta-*': { schema: { type: 'string' }, means: 'As they went in with the value.' },
  'Content-Encoding': { schema: { type: 'string' }, means: 'As it went in with the value.' },
  'X-Content-Type-Options': { schema: { const: 'nosniff' }, means: 'Browsers take the media type as it is.' },
  'Referrer-Policy': { schema: { const: 'no-referrer' }, means: 'Where its links lead learns nothing of the page.' },
  'Retry-After': {
    schema: { type: 'integer', minimum: RETRY_AFTER_SECONDS, 'x-unit': 'seconds' },
    means: 'Seconds after which it makes sense to try again.',
  },
  'WWW-Authenticate': {
    schema: { type: 'string', pattern: '^Bearer realm="quoral"' },
    means: 'What is wrong with the token (RFC 6750).',
  },
  Allow: { schema: { type: 'string' }, means: 'The methods that apply at this path.' },
  'X-Accel-Buffering': { schema: { const: 'no' }, means: 'Proxies hand events on as they come.' },
  Link: {
    schema: { type: 'string', pattern: '^<[^>]+>; rel="next"$' },
    means: 'Where the next page is (RFC 8288).',
  },
  Location: { schema: { type: 'string', pattern: '^/' }, means: 'Where what was made is found.' },
  'Content-Security-Policy': { schema: { type: 'string' }, means: 'What the page may load: nothing.' },
} as const satisfies Readonly<Record<string, AnswerHeader>>;

export type AnswerHeaderName = keyof typeof ANSWER_HEADERS;
