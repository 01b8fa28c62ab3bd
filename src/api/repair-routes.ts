/**
 * `/v1/ring/repair`: repairs the whole cluster now, and tells how far that is.
 */

import { isBucketName } from '#buckets/schema.ts';
import type { Answer, Exchange } from './exchange.ts';
import { jsonAnswer, withJson } from './json.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';

export async function beginRepair(exchange: Exchange): Promise<Answer> {
  const deadline = exchange.startedAt + exchange.services.settings.requestTimeoutMs;
  return withJson(exchange, deadline, async (body) => {
    const wish = readWish(body);
    if (wish instanceof Problem) return problemAnswer(wish);
    const run = exchange.services.repair.begin(wish.bucket);
    if (run === undefined) return problemAnswer(new Problem('conflict', 'this node is repairing the cluster already'));
    return jsonAnswer(run, 202, { location: '/v1/ring/repair' });
  });
}

export async function showRepair({ services }: Exchange): Promise<Answer> {
  const run = services.repair.current();
  if (run === undefined)
    return problemAnswer(new Problem('not-found', 'this node has not repaired the cluster since its start'));
  return jsonAnswer(run);
}

/** The bucket that is to be repaired; undefined for all. */
function readWish(body: unknown): { readonly bucket: string | undefined } | Problem {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return invalid('body', 'must be an object such as {} or {"bucket":"carts"}');
  }
  const unknown = Object.keys(body).find((name) => name !== 'bucket');
  if (unknown !== undefined) return invalid(unknown.slice(0, 128), 'is not a member of this request, which has bucket');
  const { bucket } = body as { bucket?: unknown };
  if (bucket === undefined) return { bucket };
  if (typeof bucket === 'string' && isBucketName(bucket)) return { bucket };
  return invalid('bucket', 'must be the name of a bucket');
}
