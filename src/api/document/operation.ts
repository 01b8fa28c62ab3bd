/**
 * What is said of one operation beyond what its route says.
 */

import type { Schema } from '#kernel/json-schema.ts';
import type { ParameterName } from '#api/parameters.ts';
import type { ProblemCode } from '#api/problem.ts';
import type { AnswerHeaderName } from './answer-headers.ts';
import type { RequestHeaderName } from './request-headers.ts';

export const TAGS = {
  Keys: 'Values under keys.',
  'Many keys': 'Several keys at once.',
  Buckets: 'Namespaces of keys with their own properties.',
  Leases: 'Locks with an end, in strong buckets.',
  Tokens: 'Who may do what.',
  Cluster: 'Members, the ring, and what every replica has.',
  Health: 'For machines that watch over a node, and for people who look.',
} as const;

export interface Success {
  readonly means: string;
  /** Always there. */
  readonly headers?: readonly AnswerHeaderName[];
  readonly sometimes?: readonly AnswerHeaderName[];
  readonly content?: Readonly<Record<string, Schema>>;
}

export interface RequestBody {
  readonly means: string;
  readonly content: Readonly<Record<string, Schema>>;
  readonly example?: unknown;
  readonly required: boolean;
}

export interface Operation {
  readonly id: string;
  readonly tag: keyof typeof TAGS;
  readonly summary: string;
  readonly text?: string;
  readonly parameters?: readonly ParameterName[];
  /** Of those, the ones that must be given. */
  readonly needs?: readonly ParameterName[];
  readonly headers?: readonly RequestHeaderName[];
  readonly body?: RequestBody;
  /** By status. None for what is not built yet. */
  readonly answers: Readonly<Record<number, Success>>;
  /** Beside those that follow from the route and the body. */
  readonly problems?: readonly ProblemCode[];
  /** What answers with a problem may have beside the headers of the problem. */
  readonly problemHeaders?: Readonly<Partial<Record<ProblemCode, readonly AnswerHeaderName[]>>>;
}

export function json(schema: Schema): Readonly<Record<string, Schema>> {
  return { 'application/json': schema };
}
