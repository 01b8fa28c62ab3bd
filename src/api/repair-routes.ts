/**
 * `/v1/ring/repair`: repairs the whole cluster now, and tells how far that is.
 */

import { BUCKET_NAME_PATTERN } from '#buckets/schema.ts';
import { mismatch, type Schema } from '#kernel/json-schema.ts';
import type { Answer, Exchange } from './exchange.ts';
import { jsonAnswer, withOptionalJson } from './json.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';

/** What a client sends to begin a repair. */
export const REPAIR_SCHEMA = {
  type: 'object',
  properties: {
    bucket: {
      type: 'string',
      pattern: BUCKET_NAME_PATTERN,
      'x-form': 'the name of a bucket',
      description: 'The bucket to repair; all without it.',
    },
    reclaim: { type: 'boolean', description: 'Whether to give tombstones up too, as far as that is safe.' },
  },
  additionalProperties: false,
} as const satisfies Schema;

export async function beginRepair(exchange: Exchange): Promise<Answer> {
  const deadline = exchange.startedAt + exchange.services.settings.requestTimeoutMs;
  return withOptionalJson(exchange, deadline, async (body) => {
    const wish = readWish(body);
    if (wish instanceof Problem) return problemAnswer(wish);
    const run = exchange.services.repair.begin(wish.bucket, wish.reclaim);
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

interface Wish {
  /** Undefined for all. */
  readonly bucket: string | undefined;
  readonly reclaim: boolean;
}

function readWish(body: unknown): Wish | Problem {
  const wrong = mismatch(REPAIR_SCHEMA, body);
  if (wrong !== undefined) return invalid(wrong.member || 'body', wrong.detail);
  const { bucket, reclaim = false } = body as { readonly bucket?: string; readonly reclaim?: boolean };
  return { bucket, reclaim };
}
