/**
 * The body of a POST to a key: an operation on the data type that the bucket holds. The shapes stand here once for each type;
 * clients' bodies are judged by them and the description shows them.
 */

import { canonicalJson, JSON_DEPTH_MAX } from '#causality/canonical-json.ts';
import {
  DATA_TYPES,
  innermost,
  mayExpire,
  takesAway,
  type DataType,
  type KeyOperation,
  type Operation,
} from '#causality/data-type.ts';
import type { BucketProperties } from '#buckets/definition.ts';
import { COUNTERS_STAY } from '#buckets/schema.ts';
import { MAP_DEPTH_MAX } from '#coordinator/operation-codec.ts';
import { mismatch, type Schema } from '#kernel/json-schema.ts';
import { parseTtl } from './key-request.ts';
import { invalid, type Problem } from './problem.ts';
import type { Query } from './query.ts';
import { quoted } from './raw-path.ts';

/** Elements that one operation adds or removes. */
const VALUES_MAX = 10_000;
/** Characters of a field's name. */
const FIELD_MAX = 1024;

const BY: Schema = {
  type: 'integer',
  minimum: Number.MIN_SAFE_INTEGER,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'What is added; negative to subtract.',
};
const VALUES: Schema = {
  type: 'array',
  items: {},
  minItems: 1,
  maxItems: VALUES_MAX,
  description:
    'Any JSON; equal values are one element. Numbers are doubles: a whole one that would be rounded is refused.',
};
const FIELD: Schema = { type: 'string', minLength: 1, maxLength: FIELD_MAX };

function shape(op: string, members: Readonly<Record<string, Schema>>, description: string): Schema {
  const properties = { op: { enum: [op] }, ...members };
  return { type: 'object', description, properties, required: Object.keys(properties), additionalProperties: false };
}

/** By type and `op`. */
const SHAPES: Readonly<Record<DataType, Readonly<Record<string, Schema>>>> = {
  counter: { increment: shape('increment', { by: BY }, 'Counter: adds.') },
  set: {
    add: shape('add', { values: VALUES }, 'Set: adds elements.'),
    remove: shape('remove', { values: VALUES }, 'Set: removes elements, as far as the client has seen them added.'),
  },
  map: {
    update: shape(
      'update',
      {
        field: FIELD,
        type: { enum: DATA_TYPES },
        with: { type: 'object', description: 'An operation on what the field holds, which is of that type.' },
      },
      'Map: does something to a field, which is there from then on.',
    ),
    remove: shape('remove', { field: FIELD }, 'Map: removes a field, as far as the client has seen what is in it.'),
  },
  register: {
    assign: shape(
      'assign',
      { value: {} },
      'Register: assigns any JSON. A whole number that a double would round is refused.',
    ),
  },
  flag: { enable: shape('enable', {}, 'Flag: switches on.'), disable: shape('disable', {}, 'Flag: switches off.') },
};

const TOUCH = shape(
  'touch',
  {},
  'Lets what is there live for another `ttl`. It changes nothing else, not even the ETag.',
);

export const OPERATION_SCHEMA: Schema = {
  description: "What is to be done to the key's counter, set, map, register or flag; a value can be touched.",
  anyOf: [...DATA_TYPES.flatMap((type) => Object.values(SHAPES[type])), TOUCH],
};

/** What the client wants to be done to a key of the bucket; a 400 names what is wrong. */
export function parseKeyOperation(body: unknown, { type, consistency }: BucketProperties): KeyOperation | Problem {
  const wrong = mismatch(TOUCH, body);
  if (wrong === undefined) return touchOf(type, consistency);
  if (opOf(body) === 'touch') return invalid(wrong.member, wrong.detail);
  if (type !== 'value') return parseOperation(body, type);
  return invalid('bucket', 'holds values, which are written by PUT; by POST they can be touched');
}

/** Each part of a data type has an end of its own, and whoever writes next lets go of those that have ended, seen or unseen. */
function touchOf(type: BucketProperties['type'], consistency: BucketProperties['consistency']): KeyOperation | Problem {
  if (type === 'value' || consistency === 'strong') return { kind: 'touch' };
  return invalid('op', `the parts of a ${type} end one by one: write them again, with a ttl, to let them live longer`);
}

/** What the client wants to be done to something of this type; a 400 names what is wrong. */
export function parseOperation(body: unknown, type: DataType, within = '', depth = 0): Operation | Problem {
  const name = (member: string): string => `${within}${member}`;
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return invalid(within === '' ? 'body' : within.slice(0, -1), 'expected a JSON object with an op');
  const op = opOf(body);
  const known = typeof op === 'string' && Object.hasOwn(SHAPES[type], op) ? SHAPES[type][op] : undefined;
  if (known === undefined) {
    const given = typeof op === 'string' ? quoted(op) : op === undefined ? 'not given' : 'no text';
    return invalid(name('op'), `is ${given}; of a ${type} it can be ${Object.keys(SHAPES[type]).join(', ')}`);
  }
  const wrong = mismatch(known, body);
  if (wrong !== undefined) return invalid(name(wrong.member === '' ? 'body' : wrong.member), wrong.detail);
  return readOperation(body as Body, type, within, depth);
}

function opOf(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, 'op')) return undefined;
  return (body as { readonly op: unknown }).op;
}

/** Milliseconds that what the operation writes lives; 0 for ever. A bucket's own ttl is for what can have one. */
export function ttlOf(
  operation: KeyOperation,
  query: Query,
  { consistency, ttl }: Pick<BucketProperties, 'consistency' | 'ttl'>,
): number | Problem {
  if (operation.kind === 'touch') {
    const given = parseTtl(query, ttl);
    return given === 0 ? invalid('ttl', 'how long is it to live? The bucket has no ttl of its own') : given;
  }
  if (mayExpire(operation, consistency)) return parseTtl(query, ttl);
  const counts = innermost(operation).kind === 'increment';
  if (counts && ttl !== null) return invalid('type', `the bucket has a ttl, but ${COUNTERS_STAY}`);
  if (!query.has('ttl')) return 0;
  return invalid('ttl', takesAway(operation) ? 'what takes something away does not expire' : COUNTERS_STAY);
}

interface Body {
  readonly op: string;
  readonly by: number;
  readonly values: readonly unknown[];
  readonly value: unknown;
  readonly field: string;
  readonly type: DataType;
  readonly with: unknown;
}

function readOperation(body: Body, type: DataType, within: string, depth: number): Operation | Problem {
  switch (type) {
    case 'counter':
      return { kind: 'increment', by: body.by };
    case 'flag':
      return { kind: body.op === 'enable' ? 'enable' : 'disable' };
    case 'register': {
      const value = canonicalJson(body.value);
      return value === undefined ? notJson(`${within}value`) : { kind: 'assign', value };
    }
    case 'set': {
      const texts = body.values.map((value) => canonicalJson(value));
      const values = texts.filter((text) => text !== undefined);
      if (values.length < texts.length) return notJson(`${within}values`);
      return { kind: body.op === 'add' ? 'add' : 'remove', values: [...new Set(values)] };
    }
    case 'map':
      return readMapOperation(body, within, depth);
  }
}

function readMapOperation(body: Body, within: string, depth: number): Operation | Problem {
  const { op, field, type } = body;
  if (depth >= MAP_DEPTH_MAX)
    return invalid(within.slice(0, -1), `at most ${MAP_DEPTH_MAX} maps may stand in each other`);
  if (!field.isWellFormed()) return invalid(`${within}field`, 'holds half a character (a lone surrogate)');
  if (op === 'remove') return { kind: 'remove-field', field };
  const inner = parseOperation(body.with, type, `${within}with.`, depth + 1);
  return 'kind' in inner ? { kind: 'update', field, type, with: inner } : inner;
}

function notJson(field: string): Problem {
  return invalid(
    field,
    `holds a number that a double does not hold (whole ones above 2^53-1 go as text), or lists and objects more than ${JSON_DEPTH_MAX} deep`,
  );
}
