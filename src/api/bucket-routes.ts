/**
 * `/v1/buckets`: the definitions of buckets.
 */

import type { Bucket } from '#buckets/definition.ts';
import type { Answer, Exchange } from './exchange.ts';
import { jsonAnswer, withJson } from './json.ts';
import { decodeBucket } from './key-path.ts';
import { parseTimeout } from './key-request.ts';
import type { ParameterName } from './parameters.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';
import { parseQuery } from './query.ts';
import type { BucketTrouble } from './services.ts';

/** Of requests that change a definition. */
export const BUCKET_PARAMETERS = ['timeout'] as const;

/** Those with which the client has anything to do. */
export async function listBuckets({ services, access }: Exchange): Promise<Answer> {
  const buckets = services.buckets.list().filter(({ name }) => access.concerns(name));
  return jsonAnswer({ buckets: buckets.map(({ name, properties }) => ({ name, properties })) });
}

/** A bucket that nobody has defined has the defaults, so there is always an answer. */
export async function showBucket(exchange: Exchange): Promise<Answer> {
  const request = parseBucketRequest(exchange, []);
  if (request instanceof Problem) return problemAnswer(request);
  return definitionAnswer(exchange.services.buckets.resolve(request.name));
}

export async function defineBucket(exchange: Exchange): Promise<Answer> {
  const request = parseBucketRequest(exchange, BUCKET_PARAMETERS);
  if (request instanceof Problem) return problemAnswer(request);
  return withJson(exchange, request.deadline, async (properties) => {
    const outcome = await exchange.services.buckets.define(request.name, properties, request.deadline);
    switch (outcome.kind) {
      case 'defined':
        return definitionAnswer(outcome.bucket);
      case 'invalid':
        return problemAnswer(invalid(outcome.field, outcome.detail));
      case 'conflict':
        return problemAnswer(new Problem(outcome.kind, outcome.detail, { field: outcome.field ?? 'body' }));
      case 'failed':
        return troubleAnswer(outcome);
    }
  });
}

/** As of a key that is not there, 204 when there is nothing to drop. */
export async function dropBucket(exchange: Exchange): Promise<Answer> {
  const request = parseBucketRequest(exchange, BUCKET_PARAMETERS);
  if (request instanceof Problem) return problemAnswer(request);
  const outcome = await exchange.services.buckets.drop(request.name, request.deadline);
  switch (outcome.kind) {
    case 'dropped':
      return { status: 204, headers: {}, body: null };
    case 'conflict':
      return problemAnswer(new Problem('conflict', outcome.detail, { field: 'bucket' }));
    case 'failed':
      return troubleAnswer(outcome);
  }
}

interface BucketRequest {
  readonly name: string;
  /** An instant of the monotonic clock. */
  readonly deadline: number;
}

function parseBucketRequest(
  { services, startedAt, target }: Exchange,
  parameters: readonly ParameterName[],
): BucketRequest | Problem {
  const name = decodeBucket(target.segments[2] ?? '');
  if (name instanceof Problem) return name;
  const query = parseQuery(target.query, parameters);
  if (query instanceof Problem) return query;
  const timeout = parseTimeout(query, services.settings.requestTimeoutMs);
  return timeout instanceof Problem ? timeout : { name, deadline: startedAt + timeout };
}

/** Exactly what a client may send back. */
function definitionAnswer({ properties }: Bucket): Answer {
  return jsonAnswer(properties);
}

function troubleAnswer({ trouble, detail, applied, votes }: BucketTrouble): Answer {
  return problemAnswer(new Problem(trouble, detail, { ...votes, outcome: applied }));
}
