/**
 * Reading, writing and deleting one key.
 */

import { READ_PARAMETERS, WRITE_PARAMETERS } from '#api/key-request.ts';
import type { ProblemCode } from '#api/problem.ts';
import type { Schema } from '#kernel/json-schema.ts';
import type { AnswerHeaderName } from './answer-headers.ts';
import { component } from './components.ts';
import { json, type Operation, type Success } from './operation.ts';

const ANY: Schema = {};
const TOLD = ['Quoral-Replicas', 'Quoral-Coordinator'] as const;
const SESSION = ['Quoral-Session'] as const;

const VALUE: Success = {
  means: 'The value, as it was written; of a data type what it comes to, as JSON.',
  headers: [...TOLD, 'ETag', 'Last-Modified', 'Cache-Control', 'X-Content-Type-Options'],
  sometimes: ['Quoral-Context', ...SESSION, 'Quoral-Expires', 'Content-Encoding', 'Quoral-Meta-*'],
  content: { '*/*': ANY },
};

const SIBLINGS: Success = {
  means:
    'Several concurrent versions. A part of the multipart body for each, with its own Content-Type, ETag and ' +
    'Last-Modified; or JSON, for those that accept it. A write with the Quoral-Context replaces them all.',
  headers: [...TOLD, 'ETag', 'Quoral-Context', 'Cache-Control'],
  sometimes: SESSION,
  content: { 'multipart/mixed': { type: 'string' }, 'application/json': component('Siblings') },
};

const WRITTEN: Success = {
  means: 'Done, on as many replicas as were asked for. Quoral-Context is there when nothing else is live beside it.',
  headers: [...TOLD, 'ETag'],
  sometimes: ['Quoral-Context', ...SESSION],
};

const DELETED: Success = {
  means: 'Done, also when there was nothing. ETag is that of what is live all the same.',
  headers: TOLD,
  sometimes: ['ETag', 'Quoral-Context', ...SESSION],
};

const ALL = [...TOLD, ...SESSION];

const PROBLEM_HEADERS: Readonly<Partial<Record<ProblemCode, readonly AnswerHeaderName[]>>> = {
  'not-found': [...ALL, 'Quoral-Context'],
  'precondition-failed': [...ALL, 'ETag'],
  'too-many-siblings': [...ALL, 'Quoral-Context'],
  'quorum-unavailable': ALL,
  'quorum-timeout': ALL,
  'session-not-met': ALL,
  'idempotency-mismatch': ALL,
  'disk-full': ALL,
  overloaded: ALL,
  'not-ready': ALL,
  'value-too-large': ALL,
  'request-timeout': SESSION,
};

const WRITE_HEADERS = [
  'quoral-context',
  'quoral-session',
  'idempotency-key',
  'quoral-answered-below',
  'if-match',
  'if-none-match',
  'accept',
] as const;

const QUORUM: readonly ProblemCode[] = ['quorum-unavailable', 'quorum-timeout'];

const WRITE_PROBLEMS: readonly ProblemCode[] = [
  'precondition-failed',
  'idempotency-mismatch',
  'headers-too-large',
  'value-too-large',
  ...QUORUM,
  'session-not-met',
  'disk-full',
];

/** What the same operation at `/v1/kv64` is called. */
export function keyOperations(suffix: string): Readonly<Record<'GET' | 'PUT' | 'POST' | 'DELETE', Operation>> {
  return {
    GET: {
      id: `getValue${suffix}`,
      tag: 'Keys',
      summary: 'Reads a key',
      parameters: READ_PARAMETERS,
      headers: ['quoral-context', 'quoral-session', 'if-match', 'if-none-match', 'accept'],
      answers: {
        200: VALUE,
        300: SIBLINGS,
        304: {
          means: 'If-None-Match has the ETag of what is there.',
          headers: [...TOLD, 'ETag', 'Cache-Control'],
          sometimes: ['Quoral-Context', ...SESSION, 'Last-Modified'],
        },
      },
      problems: ['not-found', 'precondition-failed', ...QUORUM, 'session-not-met'],
      problemHeaders: PROBLEM_HEADERS,
    },
    PUT: {
      id: `putValue${suffix}`,
      tag: 'Keys',
      summary: 'Writes a key',
      text:
        'Where tokens are asked for, If-Match, If-None-Match and `return=body` want the right to read as well, as their ' +
        'answers tell what is there.',
      parameters: WRITE_PARAMETERS,
      headers: [...WRITE_HEADERS, 'content-type', 'content-encoding', 'quoral-meta-*'],
      body: {
        means: 'The value: any bytes. 4 MiB, if the node has no other limit.',
        content: { '*/*': ANY },
        required: false,
      },
      answers: {
        200: { ...VALUE, means: 'Done; the value that is there now, for `return=body`.' },
        204: WRITTEN,
        300: { ...SIBLINGS, means: `Done, for \`return=body\`. ${SIBLINGS.means}` },
      },
      problems: [...WRITE_PROBLEMS, 'too-many-siblings'],
      problemHeaders: PROBLEM_HEADERS,
    },
    DELETE: {
      id: `deleteValue${suffix}`,
      tag: 'Keys',
      summary: 'Deletes a key',
      text: 'Without a context it removes what a read at r finds; a concurrent write that it has not seen stays in buckets with siblings.',
      parameters: WRITE_PARAMETERS.filter((name) => name !== 'ttl'),
      headers: WRITE_HEADERS,
      answers: {
        200: { ...VALUE, means: 'Done; the value that is live all the same, for `return=body`.' },
        204: DELETED,
        300: {
          ...SIBLINGS,
          means: `Done; versions that are live all the same, for \`return=body\`. ${SIBLINGS.means}`,
        },
      },
      problems: WRITE_PROBLEMS,
      problemHeaders: PROBLEM_HEADERS,
    },
    POST: operate(suffix),
  };
}

function operate(suffix: string): Operation {
  return {
    id: `operateValue${suffix}`,
    tag: 'Keys',
    summary: 'Changes a counter, set, map, register or flag, or lets a value live longer',
    text:
      'Operations on the data type that the bucket holds. Operations that are made at the same time at different nodes all count. What takes something ' +
      'away takes what the context covers, or without one what a read at r finds; an increment that is sent again with its ' +
      'Idempotency-Key counts once. A touch lets what a read at r finds live for another `ttl`, longer than now or as long: it is ' +
      'no new version, so it brings back nothing that was deleted and replaces nothing that it has not seen. Where tokens are ' +
      'asked for, it wants the right to read as well. In eventual buckets of data types there is none: their parts end one by one.',
    parameters: WRITE_PARAMETERS,
    headers: WRITE_HEADERS,
    body: {
      means: 'What is to be done; as large as a value may be.',
      content: json(component('DataOperation')),
      example: { op: 'increment', by: 5 },
      required: true,
    },
    answers: {
      200: {
        means: 'Done; what is there now, for `return=body`.',
        headers: VALUE.headers ?? [],
        sometimes: VALUE.sometimes ?? [],
        content: { ...json(component('DataType')), '*/*': ANY },
      },
      204: { means: 'Done, on as many replicas as were asked for.', headers: TOLD, sometimes: ['ETag', ...SESSION] },
      300: { ...SIBLINGS, means: `Touched, for \`return=body\`. ${SIBLINGS.means}` },
    },
    problems: [...WRITE_PROBLEMS, 'conflict', 'not-found'],
    problemHeaders: {
      ...PROBLEM_HEADERS,
      'not-found': ALL,
      conflict: ALL,
      'invalid-request': SESSION,
      'unsupported-media-type': SESSION,
    },
  };
}
