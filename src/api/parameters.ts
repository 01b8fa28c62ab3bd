/**
 * Every query parameter there is, once: what it may be and what it means. Parsers judge by these lines and the description of
 * the API shows them; a parameter without a line cannot be read.
 */

import { replicasSchema, TTL_MAX } from '#buckets/schema.ts';
import { formOf, mismatch, type Schema } from '#kernel/json-schema.ts';
import { CONSISTENCY_WORDS } from '#quorum/resolve.ts';
import { invalid, type Problem } from './problem.ts';
import { quoted } from './raw-path.ts';

export const MAX_TIMEOUT_MS = 60_000;

export interface Parameter {
  readonly schema: Schema;
  readonly means: string;
}

const OF_THE_BUCKET = "The bucket's own when it is not given.";

export const PARAMETERS = {
  r: { schema: replicasSchema(1), means: `Replicas that must answer a read; at most the bucket's n. ${OF_THE_BUCKET}` },
  w: {
    schema: replicasSchema(1),
    means: `Replicas that must accept a write; at most the bucket's n. ${OF_THE_BUCKET}`,
  },
  pr: { schema: replicasSchema(0), means: `Of the replicas of r, how many must be primaries. ${OF_THE_BUCKET}` },
  pw: { schema: replicasSchema(0), means: `Of the replicas of w, how many must be primaries. ${OF_THE_BUCKET}` },
  dw: {
    schema: replicasSchema(0),
    means: `Of the replicas of w, how many must have the write on stable storage. ${OF_THE_BUCKET}`,
  },
  sloppy: {
    schema: { type: 'boolean' },
    means: `Whether fallbacks may stand in for primaries that cannot be reached. ${OF_THE_BUCKET}`,
  },
  consistency: {
    schema: { enum: CONSISTENCY_WORDS },
    means:
      'One word for r, w, pr, pw, dw and sloppy, given instead of them: `one` (1, 1, dw 1), `quorum`, `strict_quorum` ' +
      '(quorum, pr and pw a quorum, no fallbacks), `all` (all, no fallbacks), `local_quorum` (a majority of the ' +
      "key's owners in the zone of the node that is asked).",
  },
  session: {
    schema: { type: 'string', minLength: 1 },
    means:
      '`new`, or the Quoral-Session tokens of earlier answers with commas between them: reads see what the session ' +
      'has written and never less than it has read. Every answer then has a grown token.',
  },
  timeout: {
    schema: { type: 'integer', minimum: 1, maximum: MAX_TIMEOUT_MS, default: 5000, 'x-unit': 'milliseconds' },
    means: 'Milliseconds that the whole request may take. The default is a setting of the node.',
  },
  ttl: {
    schema: { type: 'integer', minimum: 1, maximum: TTL_MAX, 'x-unit': 'seconds' },
    means: `Seconds that the value lives, from now on. ${OF_THE_BUCKET}`,
  },
  return: {
    schema: { enum: ['body'] },
    means: '`body` for an answer with the object as it is after the write.',
  },
  sibling: {
    schema: { type: 'string', minLength: 1, 'x-form': 'the ETag of a version' },
    means: 'The ETag of the one of several concurrent versions that is wanted, with or without its quotes.',
  },
  prefix: {
    schema: { type: 'string', maxLength: 1024 },
    means: 'Only keys that begin so. At most 1024 bytes. A space in it is %20: a plus is a plus.',
  },
  after: {
    schema: { type: 'string', minLength: 1 },
    means: 'Where to go on: the `next` of an earlier page with the same bucket and prefix.',
  },
  limit: {
    schema: { type: 'integer', minimum: 1, maximum: 1000 },
    means: 'How many keys to show at most: 1000 without it, and in a stream all.',
  },
  token: {
    schema: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    means: 'The token of the lease that ends.',
  },
} as const satisfies Readonly<Record<string, Parameter>>;

export type ParameterName = keyof typeof PARAMETERS;

type Names<T extends Schema['type']> = {
  [K in ParameterName]: (typeof PARAMETERS)[K]['schema'] extends { readonly type: T } ? K : never;
}[ParameterName];

/** The number that the text is in its shortest form. */
export function readInteger(name: Names<'integer'>, text: string): number | Problem {
  const value = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  return mismatch(PARAMETERS[name].schema, value) === undefined ? value : malformed(name, text);
}

export function readBoolean(name: Names<'boolean'>, text: string): boolean | Problem {
  return text === 'true' || text === 'false' ? text === 'true' : malformed(name, text);
}

export function malformed(name: ParameterName, text: string): Problem {
  return invalid(name, `${quoted(text)} is not ${formOf(PARAMETERS[name].schema)}`);
}
