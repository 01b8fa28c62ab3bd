/**
 * `/v1/cluster` and `/v1/ring`: who the members are and what they own.
 */

import { judge, parseConditions } from './conditions.ts';
import type { Answer, Exchange } from './exchange.ts';
import { jsonAnswer } from './json.ts';
import { decodeBucket, decodeKey } from './key-path.ts';
import { Problem, problemAnswer } from './problem.ts';

export async function showCluster({ services }: Exchange): Promise<Answer> {
  return jsonAnswer(services.cluster());
}

/** The epoch decides the whole ring, so it is the entity tag. */
export async function showRing({ incoming, services }: Exchange): Promise<Answer> {
  const conditions = parseConditions(incoming);
  if (conditions instanceof Problem) return problemAnswer(conditions);
  const ring = services.ring();
  const headers = { etag: `"${ring.epoch}"`, 'cache-control': 'no-cache' };
  switch (conditions === undefined ? 'proceed' : judge(conditions, String(ring.epoch))) {
    case 'proceed':
      return jsonAnswer(ring, 200, headers);
    case 'not-modified':
      return { status: 304, headers, body: null };
    case 'failed':
      return problemAnswer(new Problem('precondition-failed', 'the ring has another ETag'), headers);
  }
}

/** `/v1/ring/locate/{bucket}/{key}` */
export async function locateKey({ services, target }: Exchange): Promise<Answer> {
  const [, , , bucketSegment = '', keySegment = ''] = target.segments;
  const name = decodeBucket(bucketSegment);
  if (name instanceof Problem) return problemAnswer(name);
  const key = decodeKey(keySegment);
  if (key instanceof Problem) return problemAnswer(key);
  return jsonAnswer(services.locate(services.buckets.resolve(name), key));
}
