/**
 * `/v1/ring/plans`, `/v1/ring/transfers`: what a change of the ring would do, doing it, and how far it is.
 */

import { mismatch, type Schema } from '#kernel/json-schema.ts';
import type { ApplyResult } from '#operator/ring-plans.ts';
import type { RingChange } from '#ring/change.ts';
import type { Answer, Exchange } from './exchange.ts';
import { jsonAnswer, withOptionalJson } from './json.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';

/** Nodes that one list of a plan may name. */
const NAMES_MAX = 256;

const NODE = { type: 'string', minLength: 1, maxLength: 512, 'x-form': 'the id of a node' } as const satisfies Schema;
const NODES = { type: 'array', items: NODE, maxItems: NAMES_MAX } as const satisfies Schema;
const WEIGHT = { type: 'number', minimum: 0.001, maximum: 1000 } as const satisfies Schema;
const ZONE = {
  type: 'string',
  pattern: '^[A-Za-z0-9._-]{1,64}$',
  'x-form': '1-64 characters of A-Z a-z 0-9 . _ -',
} as const satisfies Schema;

function forEachNode(value: Schema, description: string): Schema {
  return {
    type: 'object',
    additionalProperties: value,
    'x-form': 'an object with a member for each node',
    description,
  };
}

/** What a client sends to have a change of the ring planned. */
export const PLAN_SCHEMA = {
  type: 'object',
  properties: {
    join: { ...NODES, description: 'Nodes that wait, by their id or their peer address.' },
    leave: { ...NODES, description: 'Members that go.' },
    replace: forEachNode(NODE, 'For a member, alive or dead, the waiting node that takes its place.'),
    weights: forEachNode(WEIGHT, 'Shares of the data relative to the other nodes.'),
    zones: forEachNode(ZONE, 'Failure domains.'),
    acceptLossOf: {
      ...NODES,
      description:
        'Members among those that go that are dead for good, with their disks: what only they had is given up, as the plan says in ' +
        'givesUp. Otherwise the change waits for them where too few other owners are left.',
    },
  },
  additionalProperties: false,
} as const satisfies Schema;

interface PlanBody {
  readonly join?: readonly string[];
  readonly leave?: readonly string[];
  readonly replace?: Readonly<Record<string, string>>;
  readonly weights?: Readonly<Record<string, number>>;
  readonly zones?: Readonly<Record<string, string>>;
  readonly acceptLossOf?: readonly string[];
}

export async function makePlan(exchange: Exchange): Promise<Answer> {
  const { services, startedAt } = exchange;
  const deadline = startedAt + services.settings.requestTimeoutMs;
  return withOptionalJson(exchange, deadline, async (body) => {
    const change = readChange(body);
    if (change instanceof Problem) return problemAnswer(change);
    const result = await services.plans.plan(change, deadline);
    switch (result.kind) {
      case 'planned':
        return jsonAnswer(result.plan);
      case 'invalid':
        return problemAnswer(invalid(result.field, result.detail));
      case 'refused':
        return problemAnswer(new Problem('conflict', result.detail));
    }
  });
}

/** Bytes a second: slower than the least, a change would hardly ever end. */
const [THROTTLE_MIN, THROTTLE_MAX] = [1024, 64 * 1024 ** 3];

/** What a client may send along to have a plan applied. */
export const APPLY_SCHEMA = {
  type: 'object',
  properties: {
    throttle: {
      anyOf: [{ type: 'integer', minimum: THROTTLE_MIN, maximum: THROTTLE_MAX }, { type: 'null' }],
      'x-form': `bytes a second, a whole number from ${THROTTLE_MIN} to ${THROTTLE_MAX}, or null`,
      description: 'Bytes a second that each node may spend; null: as many as it can. Left out: what its settings say.',
    },
  },
  additionalProperties: false,
} as const satisfies Schema;

/** `/v1/ring/plans/{id}/apply` */
export async function applyPlan(exchange: Exchange): Promise<Answer> {
  const { services, startedAt, target } = exchange;
  const [, , , id = ''] = target.segments;
  const deadline = startedAt + services.settings.requestTimeoutMs;
  return withOptionalJson(exchange, deadline, async (body) => {
    const wrong = mismatch(APPLY_SCHEMA, body);
    if (wrong !== undefined) return problemAnswer(invalid(wrong.member || 'body', wrong.detail));
    return changeAnswer(await services.plans.apply(id, deadline, (body as { throttle?: number | null }).throttle));
  });
}

export async function showTransfers({ services }: Exchange): Promise<Answer> {
  return jsonAnswer(await services.plans.transfers());
}

const ID = {
  id: {
    type: 'string',
    pattern: '^[0-9a-f]{16}$',
    'x-form': '16 hex digits',
    description: 'The change that is meant, as its plan was named; refused when it is not the one that is under way.',
  },
} as const satisfies Schema['properties'];

/** What a client may send along to have a change wait. */
export const PAUSE_SCHEMA = { type: 'object', properties: ID, additionalProperties: false } as const satisfies Schema;

/** What a client may send along to have a change go on, or taken back. */
export const STEER_SCHEMA = {
  type: 'object',
  properties: {
    ...ID,
    acceptLossOf: {
      ...NODES,
      description:
        'Members that are dead for good, with their disks, for which the change waits: what only they had is given up. ' +
        'Partitions that cannot be taken back to them go on to their new owners. Those that come with the change can be given up when ' +
        'it is taken back.',
    },
  },
  additionalProperties: false,
} as const satisfies Schema;

/** `/v1/ring/transfers/pause`, `/v1/ring/transfers/resume`, `/v1/ring/transfers/abort` */
export function steer(state: 'paused' | 'running' | 'aborting') {
  const schema = state === 'paused' ? PAUSE_SCHEMA : STEER_SCHEMA;
  return async (exchange: Exchange): Promise<Answer> => {
    const { services, startedAt } = exchange;
    const deadline = startedAt + services.settings.requestTimeoutMs;
    return withOptionalJson(exchange, deadline, async (body) => {
      const wrong = mismatch(schema, body);
      if (wrong !== undefined) return problemAnswer(invalid(wrong.member || 'body', wrong.detail));
      const { id, acceptLossOf: lost } = body as { readonly id?: string; readonly acceptLossOf?: readonly string[] };
      return changeAnswer(await services.plans.steer(state, deadline, { id, lost }));
    });
  };
}

function changeAnswer(result: ApplyResult): Answer {
  switch (result.kind) {
    case 'begun':
      return jsonAnswer(result.view, 202, { location: '/v1/ring/transfers' });
    case 'unknown': {
      const detail = 'this node keeps no plan of that id: plans are kept in the memory of the node that made them';
      return problemAnswer(new Problem('not-found', detail));
    }
    case 'refused':
      return problemAnswer(new Problem('conflict', result.detail));
    case 'failed':
      return problemAnswer(
        new Problem('quorum-unavailable', result.detail, { ...result.votes, outcome: result.outcome }),
      );
  }
}

/** The body's objects as pairs: names of nodes are no names of members in this program. */
function readChange(body: unknown): RingChange | Problem {
  const wrong = mismatch(PLAN_SCHEMA, body);
  if (wrong !== undefined) return invalid(wrong.member || 'body', wrong.detail);
  const { join = [], leave = [], replace = {}, weights = {}, zones = {}, acceptLossOf = [] } = body as PlanBody;
  return {
    ...{ join, leave, acceptLossOf },
    replace: Object.entries(replace),
    weights: Object.entries(weights),
    zones: Object.entries(zones),
  };
}
