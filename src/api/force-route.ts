/** `/v1/ring/force`: the way out when a majority is gone for good. */

import { mismatch, type Schema } from '#kernel/json-schema.ts';
import type { Answer, Exchange } from './exchange.ts';
import { jsonAnswer, withJson } from './json.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';

/** What a client sends to have the ring forced. */
export const FORCE_SCHEMA = {
  type: 'object',
  properties: {
    lost: {
      type: 'array',
      items: { type: 'string', minLength: 1, maxLength: 64, 'x-form': 'the id of a member' },
      minItems: 1,
      maxItems: 256,
      description: 'Members that are gone for good, with their disks.',
    },
    accept: {
      type: 'boolean',
      description: 'Whether to do it, and to accept what is lost; otherwise it is only told what that is.',
    },
  },
  required: ['lost'],
  additionalProperties: false,
} as const satisfies Schema;

export async function forceRing(exchange: Exchange): Promise<Answer> {
  const { services, startedAt } = exchange;
  return withJson(exchange, startedAt + services.settings.requestTimeoutMs, async (body) => {
    const wrong = mismatch(FORCE_SCHEMA, body);
    if (wrong !== undefined) return problemAnswer(invalid(wrong.member || 'body', wrong.detail));
    const { lost, accept = false } = body as { readonly lost: readonly string[]; readonly accept?: boolean };
    const result = await services.force.force([...new Set(lost)], accept);
    switch (result.kind) {
      case 'forced':
        return jsonAnswer(result.view);
      case 'invalid':
        return problemAnswer(invalid('lost', result.detail));
      case 'refused':
        return problemAnswer(new Problem('conflict', result.detail));
      case 'failed':
        return problemAnswer(
          new Problem('quorum-unavailable', result.detail, { ...result.votes, outcome: result.outcome }),
        );
    }
  });
}
