/**
 * When each problem occurs, for the description of the API. A code without a line does not compile.
 */

import type { ProblemCode } from '#api/problem.ts';

export const PROBLEM_CAUSES: Readonly<Record<ProblemCode, string>> = {
  'invalid-request': 'Something of the request is malformed, unknown or contradicts the rest; `field` names it.',
  unauthorized: 'The cluster asks for tokens and there is none, or one that is unknown, revoked or expired.',
  forbidden: 'The token lacks the right that is needed; the detail names it.',
  'not-found': 'What is asked for is not there.',
  'method-not-allowed': 'The path does not have that method; Allow names those that it has.',
  'request-timeout': 'The request or its body did not arrive in time.',
  conflict: 'The request is at odds with what is there.',
  'too-many-siblings': 'The key would get too many concurrent versions, or too many bytes of them; resolve them first.',
  gone: 'A cursor is too old to go on from.',
  'precondition-failed': 'If-Match or If-None-Match does not hold.',
  'value-too-large': 'The body is larger than is allowed.',
  'unsupported-media-type': 'The body is not application/json.',
  'expectation-failed': 'Expect asks for something other than 100-continue.',
  'idempotency-mismatch':
    'The Idempotency-Key was used for another request to this key, or for one that its client waits for no more.',
  overloaded: 'The node has too much under way; nothing of the request was done, or as `outcome` says.',
  'headers-too-large': 'The header fields, or those that are kept with the value, are too large.',
  'internal-error': 'The node made a mistake; its log has it under the X-Request-Id.',
  'not-implemented': 'What is asked for is not built yet, and nothing weaker is done instead.',
  'quorum-unavailable': 'Too few replicas can be reached for what the request or the bucket asks for.',
  'not-ready': 'The node does not serve yet, or not any more.',
  'quorum-timeout': 'Too few replicas answered in time.',
  'session-not-met': 'No replica in reach has what the session has seen.',
  'disk-full': 'The disk of a replica that is needed is full.',
};
