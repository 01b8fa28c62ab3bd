/**
 * The properties of a bucket: reading them from what a client sent, and keeping them in the rows of the epoch chain.
 */

import type { BucketRow } from '#consensus/facts.ts';
import { resolveQuorum } from '#quorum/resolve.ts';
import type { QuorumWord } from '#quorum/words.ts';
import { REPLICAS_MAX } from '#ring/ring.ts';
import { DEFAULT_PROPERTIES } from './definition.ts';
import type { BucketProperties } from './definition.ts';

export type ParsedProperties =
  | { readonly kind: 'ok'; readonly properties: Partial<BucketProperties> }
  | { readonly kind: 'invalid'; readonly field: string; readonly detail: string };

/** Seconds: a hundred years, so that every instant of expiry is an exact number of milliseconds. */
export const TTL_MAX = 100 * 365 * 24 * 3600;

const BUCKET_NAME = /^[A-Za-z0-9._-]{1,128}$/;

const CONFLICTS = ['siblings', 'lww'] as const;
const CONSISTENCIES = ['eventual', 'strong'] as const;
const TYPES = ['value', 'counter', 'set', 'map', 'register', 'flag'] as const;
const WORDS = ['one', 'quorum', 'all'] as const;

/** 1-128 characters of `[A-Za-z0-9._-]`, other than `.` and `..`. */
export function isBucketName(name: string): boolean {
  return BUCKET_NAME.test(name) && name !== '.' && name !== '..';
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

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

const READERS: { readonly [K in keyof BucketProperties]: (value: unknown) => BucketProperties[K] } = {
  n: (value) => wholeNumber('n', value, 1, REPLICAS_MAX),
  r: (value) => replicas('r', value, 1),
  w: (value) => replicas('w', value, 1),
  pr: (value) => replicas('pr', value, 0),
  pw: (value) => replicas('pw', value, 0),
  dw: (value) => replicas('dw', value, 0),
  sloppy: (value) => (typeof value === 'boolean' ? value : refuse('sloppy', 'true or false', value)),
  conflicts: (value) => oneOf('conflicts', value, CONFLICTS),
  consistency: (value) => oneOf('consistency', value, CONSISTENCIES),
  type: (value) => oneOf('type', value, TYPES),
  ttl: (value) => (value === null ? null : wholeNumber('ttl', value, 1, TTL_MAX, 'seconds or null')),
};

function readMembers(input: unknown): Partial<BucketProperties> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new Invalid('body', `expected a JSON object of bucket properties, got ${shown(input)}`);
  }
  const properties: Partial<Mutable<BucketProperties>> = {};
  for (const [name, value] of Object.entries(input)) {
    if (!isProperty(name)) {
      throw new Invalid(name.slice(0, 128), `not a bucket property; these are: ${Object.keys(READERS).join(', ')}`);
    }
    read(properties, name, value);
  }
  return properties;
}

function isProperty(name: string): name is keyof BucketProperties {
  return Object.hasOwn(READERS, name);
}

function read<K extends keyof BucketProperties>(
  into: Partial<Mutable<BucketProperties>>,
  name: K,
  value: unknown,
): void {
  into[name] = READERS[name](value);
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
  if (all.consistency === 'strong' && given.conflicts === 'siblings') {
    throw new Invalid('conflicts', 'a bucket with strong consistency has no siblings');
  }
}

function replicas(field: string, value: unknown, least: number): QuorumWord {
  const word = WORDS.find((candidate) => candidate === value);
  return word ?? wholeNumber(field, value, least, REPLICAS_MAX, `or ${WORDS.join(', ')}`);
}

function wholeNumber(field: string, value: unknown, least: number, most: number, more = ''): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  return refuse(field, `a whole number from ${least} to ${most} ${more}`.trimEnd(), value);
}

function oneOf<T extends string>(field: string, value: unknown, allowed: readonly T[]): T {
  return allowed.find((candidate) => candidate === value) ?? refuse(field, `one of ${allowed.join(', ')}`, value);
}

function refuse(field: string, allowed: string, value: unknown): never {
  throw new Invalid(field, `expected ${allowed}, got ${shown(value)}`);
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 64));
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  return String(value);
}
