/**
 * `/v1/cluster`, `/v1/ring`, `/v1/explain`: who the members are, what they own, and what they have of one key.
 */

import { judge } from '#coordinator/preconditions.ts';
import { parseConditions } from './conditions.ts';
import type { Answer, Exchange } from './exchange.ts';
import { jsonAnswer } from './json.ts';
import { decodeBucket, decodeKeyOf } from './key-path.ts';
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

/** `/v1/ring/locate/{bucket}/{key}` and `/v1/ring/locate64/{bucket}/{key}` */
export async function locateKey({ services, target }: Exchange): Promise<Answer> {
  const place = bucketAndKey(target.segments.slice(2));
  if (place instanceof Problem) return problemAnswer(place);
  return jsonAnswer(services.locate(services.buckets.resolve(place.bucket), place.key));
}

/** `/v1/explain/{bucket}/{key}` and `/v1/explain64/{bucket}/{key}` */
export async function explainKey({ services, target }: Exchange): Promise<Answer> {
  const place = bucketAndKey(target.segments.slice(1));
  if (place instanceof Problem) return problemAnswer(place);
  const deadline = services.clock.monotonic() + services.settings.requestTimeoutMs;
  return jsonAnswer(await services.explain(services.buckets.resolve(place.bucket), place.key, deadline));
}

function bucketAndKey([family = '', bucketSegment = '', keySegment = '']: readonly string[]):
  | { readonly bucket: string; readonly key: Uint8Array }
  | Problem {
  const bucket = decodeBucket(bucketSegment);
  if (bucket instanceof Problem) return bucket;
  const key = decodeKeyOf(family, keySegment);
  return key instanceof Problem ? key : { bucket, key };
}
