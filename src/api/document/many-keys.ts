/**
 * Listing, changing and watching many keys at once.
 */

import { BATCH_PARAMETERS, BATCH_SCHEMA } from '#api/batch-routes.ts';
import { LIST_PARAMETERS } from '#api/list-keys.ts';
import { WATCH_PARAMETERS } from '#api/watch-bucket.ts';
import type { ProblemCode } from '#api/problem.ts';
import { component } from './components.ts';
import type { Operation } from './operation.ts';

const AGREED: readonly ProblemCode[] = ['quorum-unavailable', 'quorum-timeout'];

export const LIST_KEYS: Operation = {
  id: 'listKeys',
  tag: 'Many keys',
  summary: 'Lists keys in order',
  text:
    'In the order of their bytes. A key that is live on all its owners is always there, and so is one whose write had a quorum ' +
    'where r and w overlap; of keys that come or go meanwhile nothing is promised, for there is no snapshot. A page may have ' +
    'few keys or none although more follow: go on until `next` is null. With `Accept: application/x-ndjson` the keys come as ' +
    'lines `{"key":…}`, and at last a line with `next`: null after the last key; otherwise where to go on, after `limit` keys or, ' +
    'beside a `problem`, after a failure. A stream without that line was cut. `timeout` is then that of each page on the way.',
  parameters: LIST_PARAMETERS,
  headers: ['accept'],
  answers: {
    200: {
      means: 'Keys, and where to go on.',
      headers: ['Cache-Control'],
      sometimes: ['Link'],
      content: { 'application/json': component('Keys'), 'application/x-ndjson': { type: 'string' } },
    },
  },
  problems: AGREED,
};

export const BATCH: Operation = {
  id: 'batch',
  tag: 'Many keys',
  summary: 'Many operations in one request',
  text:
    'Each operation means what the same request by itself would mean, has its own status, and wants its own right. Those ' +
    'on the same key are done in their order, all others together; there is no atomicity. Those that begin together share their messages ' +
    'and commits. Parameters hold for every operation. MessagePack, asked for by the Content-Type, has the same members, with values as ' +
    'bytes; the answer has the type of the request. What an idempotency key promises holds for an operation as for a request.',
  parameters: BATCH_PARAMETERS,
  body: {
    means: 'The operations. 8 MiB, if the node has no other limit.',
    content: { 'application/json': BATCH_SCHEMA, 'application/msgpack': {} },
    example: {
      operations: [{ op: 'put', bucket: 'carts', key: 'user-17', value: '2 apples', contentType: 'text/plain' }],
    },
    required: true,
  },
  answers: {
    200: {
      means: 'A result for each operation, in their order, whatever became of them.',
      headers: ['Cache-Control'],
      content: { 'application/json': component('BatchResults'), 'application/msgpack': {} },
    },
  },
};

export const WATCH: Operation = {
  id: 'watchBucket',
  tag: 'Many keys',
  summary: 'Tells of changes as they come',
  text:
    'Server-sent events `data: {"bucket","key","etag","deleted"}`, where `etag` is null of a key that is not there any more. Every ' +
    'write that is acknowledged while the watch is on is told of at least once, by whichever node it was made and whatever is ' +
    'lost meanwhile, as long as one of the nodes that have it is there; writes that follow closely on one key may be told of as one. ' +
    'Within a connection a key never goes back to what it was before; after coming back with a cursor events may repeat. ' +
    'The `id` of an event, and of the signs of life that come when nothing happens, is a cursor: with it as `Last-Event-ID`, or as ' +
    '`after`, the watch goes on where it was, at any node. A stream that the node ends has a last event of type `end` that says why, such as ' +
    '`slow-consumer`, or `unauthorized` when its token was revoked or has expired. With `timeout` the watch ends after so many milliseconds. ' +
    'Of a strong bucket only changes that were made are told of. What has expired is told of as deleted some seconds later; in a ' +
    'strong bucket as soon as somebody reads the key, or else when it is cleared away. As long as a member keeps no log of changes ' +
    '(`watch-log-max` is 0 there) the answer is 501, and watches end.',
  parameters: WATCH_PARAMETERS,
  headers: ['last-event-id'],
  answers: {
    200: {
      means: 'Events, for as long as the client listens.',
      headers: ['Cache-Control', 'X-Accel-Buffering'],
      content: { 'text/event-stream': { type: 'string' } },
    },
  },
  problems: ['gone'],
};
