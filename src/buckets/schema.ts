/**
 * The properties of a bucket: reading them from what a client sent, and keeping them in the rows of the epoch chain.
 */

import { DATA_TYPES } from '#causality/data-type.ts';
import type { BucketRow } from '#consensus/facts.ts';
import { mismatch, type Schema } from '#kernel/json-schema.ts';
import { resolveQuorum } from '#quorum/resolve.ts';
import { QUORUM_WORDS } from '#quorum/words.ts';
import { REPLICAS_MAX } from '#ring/ring.ts';
import { DEFAULT_PROPERTIES } from './definition.ts';
import type { BucketProperties } from './definition.ts';

export type ParsedProperties =
  | { readonly kind: 'ok'; readonly properties: Partial<BucketProperties> }
  | { readonly kind: 'invalid'; readonly field: string; readonly detail: string };

/** Seconds: a hundred years, so that every instant of expiry is an exact number of milliseconds. */
export const TTL_MAX = 100 * 365 * 24 * 3600;

/** Why a counter that several replicas count has no time to live. */
export const COUNTERS_STAY =
  'what is counted in an eventual bucket does not expire, since its parts lie at several replicas and one would go on with what ' +
  'has ended for another; in a strong bucket it can';

export const BUCKET_NAME_PATTERN = '^(?!\\.{1,2}$)[A-Za-z0-9._-]{1,128}$';
const BUCKET_NAME = new RegExp(BUCKET_NAME_PATTERN);

/** A number of replicas, or a word for it. */
export function replicasSchema(least: number): Schema {
  return { anyOf: [{ type: 'integer', minimum: least, maximum: REPLICAS_MAX }, { enum: QUORUM_WORDS }] };
}

const PROPERTIES: { readonly [K in keyof BucketProperties]: Schema } = {
  n: { type: 'integer', minimum: 1, maximum: REPLICAS_MAX, description: 'Replicas of each key.' },
  r: { ...replicasSchema(1), description: 'Replicas that must answer a read.' },
  w: { ...replicasSchema(1), description: 'Replicas that must accept a write.' },
  pr: { ...replicasSchema(0), description: 'Of the replicas that answer a read, how many must be primaries.' },
  pw: { ...replicasSchema(0), description: 'Of the replicas that accept a write, how many must be primaries.' },
  dw: {
    ...replicasSchema(0),
    description: 'Of the replicas that accept a write, how many must have it on stable storage.',
  },
  sloppy: { type: 'boolean', description: 'Whether fallbacks may stand in for primaries that cannot be reached.' },
  conflicts: {
    enum: ['siblings', 'lww'],
    description: 'What becomes of concurrent writes of values: all are kept (`siblings`), or the latest alone (`lww`).',
  },
  consistency: {
    enum: ['eventual', 'strong'],
    description: 'In a `strong` bucket every read and write is linearizable; it has no siblings.',
  },
  type: {
    enum: ['value', ...DATA_TYPES],
    description: 'Plain values, or a data type.',
  },
  ttl: {
    anyOf: [{ type: 'integer', minimum: 1, maximum: TTL_MAX, 'x-unit': 'seconds' }, { type: 'null' }],
    description: 'Seconds that a value lives; null for ever.',
  },
};

/** What a client may send as a definition. */
export const DEFINITION_SCHEMA: Schema = {
  type: 'object',
  description: 'The properties of a bucket. What is not given has its default.',
  properties: Object.fromEntries(
    Object.entries(PROPERTIES).map(([name, schema]) => [
      name,
      { ...schema, default: DEFAULT_PROPERTIES[name as keyof BucketProperties] },
    ]),
  ),
  additionalProperties: false,
};

/** 1-128 characters of `[A-Za-z0-9._-]`, other than `.` and `..`. */
export function isBucketName(name: string): boolean {
  return BUCKET_NAME.test(name);
}

class Invalid extends Error {
  readonly field: string;

  constructor(field: string, detail: string) {
    super(detail);
    this.field = field;
  }
}

/** Reads what a client sent as JSON. Members that are not given are left out; unknown ones are refused. */
export function parseProperties(input: unknown): ParsedProperties {
  try {
    const properties = readMembers(input);
    requireSense(properties);
    return { kind: 'ok', properties };
  } catch (error) {
    if (error instanceof Invalid) return { kind: 'invalid', field: error.field, detail: error.message };
    throw error;
  }
}

/** The whole definition that a client meant by naming some properties. */
export function fillDefaults(properties: Partial<BucketProperties>): BucketProperties {
  return { ...DEFAULT_PROPERTIES, ...properties };
}

export function rowFromProperties(properties: BucketProperties): BucketRow['properties'] {
  return { ...properties };
}

/**
 * Reads a row of the chain. What an earlier version did not know has its default; what a later version has added is left
 * out. A value that this version does not know cannot be served and throws RangeError.
 */
export function propertiesFromRow(row: BucketRow): BucketProperties {
  if (row.dropped) return DEFAULT_PROPERTIES;
  const known = Object.entries(row.properties).filter(([name]) => isProperty(name));
  try {
    return fillDefaults(readMembers(Object.fromEntries(known)));
  } catch (error) {
    if (!(error instanceof Invalid)) throw error;
    throw new RangeError(`bucket ${row.name} of epoch ${row.version}: ${error.field}: ${error.message}`);
  }
}

function readMembers(input: unknown): Partial<BucketProperties> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new Invalid('body', `expected a JSON object of bucket properties, got ${shown(input)}`);
  }
  for (const [name, value] of Object.entries(input)) {
    if (!isProperty(name)) {
      throw new Invalid(name.slice(0, 128), `not a bucket property; these are: ${Object.keys(PROPERTIES).join(', ')}`);
    }
    const wrong = mismatch(PROPERTIES[name], value);
    if (wrong !== undefined) throw new Invalid(name, wrong.detail);
  }
  return { ...input };
}

function isProperty(name: string): name is keyof BucketProperties {
  return Object.hasOwn(PROPERTIES, name);
}

/** What each property allows by itself can still contradict another. Inherited values give way and are not checked. */
function requireSense(given: Partial<BucketProperties>): void {
  const all = fillDefaults(given);
  for (const name of ['r', 'w', 'pr', 'pw', 'dw'] as const) {
    const value = given[name];
    if (typeof value === 'number' && value > all.n)
      throw new Invalid(name, `${value} is more than n, which is ${all.n}`);
  }
  for (const [part, whole] of [
    ['pr', 'r'],
    ['pw', 'w'],
    ['dw', 'w'],
  ] as const) {
    if (given[part] === undefined || resolveQuorum(all[part], all.n) <= resolveQuorum(all[whole], all.n)) continue;
    throw new Invalid(part, `${all[part]} is more than ${whole}, which is ${all[whole]}, with n = ${all.n}`);
  }
  if (all.consistency === 'strong') requireMajorities(given, all);
  if (all.type === 'counter' && all.consistency === 'eventual' && all.ttl !== null)
    throw new Invalid('ttl', COUNTERS_STAY);
}

/** Every request there takes a majority of the key's owners: whoever asks for another number would wait in vain for what it means. */
function requireMajorities(given: Partial<BucketProperties>, { n }: BucketProperties): void {
  if (given.conflicts === 'siblings')
    throw new Invalid('conflicts', 'a bucket with strong consistency has no siblings');
  for (const name of ['r', 'w'] as const) {
    const value = given[name];
    if (value === undefined || resolveQuorum(value, n) === resolveQuorum('quorum', n)) continue;
    const detail = `in a bucket with strong consistency every request takes a majority of the owners, so it is quorum, not ${value}`;
    throw new Invalid(name, detail);
  }
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 64));
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  return String(value);
}
