/** `/v1/ring/force/{bucket}/{key}` and `/v1/ring/force64/{bucket}/{key}`: the way out for a strong key that too many of its owners have lost. */

import { mismatch, type Schema } from '#kernel/json-schema.ts';
import type { Bucket } from '#buckets/definition.ts';
import type { Answer, Exchange } from './exchange.ts';
import { jsonAnswer, withJson } from './json.ts';
import { decodeBucket, decodeKeyOf } from './key-path.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';
import { quoted } from './raw-path.ts';

/** What a client sends to have it done. */
export const KEY_FORCE_SCHEMA = {
  type: 'object',
  properties: {
    id: {
      type: 'string',
      pattern: '^[0-9a-f]{16}$',
      'x-form': '16 hex digits',
      description: 'That of what was shown: it is accepted that this may be lost.',
    },
  },
  required: ['id'],
  additionalProperties: false,
} as const satisfies Schema;

export async function showKeyForce(exchange: Exchange): Promise<Answer> {
  const asked = strongKey(exchange);
  if (asked instanceof Problem) return problemAnswer(asked);
  const { services, startedAt } = exchange;
  const deadline = startedAt + services.settings.requestTimeoutMs;
  return jsonAnswer(await services.keyForce.show(asked.bucket, asked.key, deadline));
}

export async function forceKey(exchange: Exchange): Promise<Answer> {
  const asked = strongKey(exchange);
  if (asked instanceof Problem) return problemAnswer(asked);
  const { services, startedAt } = exchange;
  const deadline = startedAt + services.settings.requestTimeoutMs;
  return withJson(exchange, deadline, async (body) => {
    const wrong = mismatch(KEY_FORCE_SCHEMA, body);
    if (wrong !== undefined) return problemAnswer(invalid(wrong.member || 'body', wrong.detail));
    const { id } = body as { readonly id: string };
    const result = await services.keyForce.force(asked.bucket, asked.key, id, deadline);
    switch (result.kind) {
      case 'shown':
        return jsonAnswer(result.view);
      case 'refused':
        return problemAnswer(new Problem('conflict', result.detail));
      case 'failed':
        return problemAnswer(
          new Problem('quorum-unavailable', result.detail, { ...result.votes, outcome: result.outcome }),
        );
    }
  });
}

function strongKey({ services, target }: Exchange): { readonly bucket: Bucket; readonly key: Uint8Array } | Problem {
  const [, , family = '', bucketSegment = '', keySegment = ''] = target.segments;
  const name = decodeBucket(bucketSegment);
  if (name instanceof Problem) return name;
  const key = decodeKeyOf(family, keySegment);
  if (key instanceof Problem) return key;
  const bucket = services.buckets.resolve(name);
  if (bucket.properties.consistency === 'strong') return { bucket, key };
  return invalid(
    'bucket',
    `${quoted(name)} is not strong: only keys of strong buckets wait for owners that have lost them`,
  );
}
