/**
 * What a JSON value may be, as a value: the part of JSON Schema 2020-12 that this program needs. The same schema judges what
 * clients send and stands in the description that they are given, so the two cannot say different things.
 */

export interface Schema {
  readonly $ref?: string;
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean' | 'null';
  readonly const?: string | number | boolean;
  readonly enum?: readonly (string | number)[];
  readonly anyOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /** What members may be that have no line in `properties`; false for none. */
  readonly additionalProperties?: Schema | false;
  // For people and tools; nothing is judged by these.
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly format?: string;
  readonly contentEncoding?: string;
  /** What a number counts, such as `milliseconds`. */
  readonly 'x-unit'?: string;
  /** What fits, in better words than those of the rest. */
  readonly 'x-form'?: string;
}

/** The first thing that does not fit: `member` is its path, empty when it is the value itself. */
export interface Mismatch {
  readonly member: string;
  readonly detail: string;
}

const MEMBER_SHOWN = 128;
const ANYTHING = 'anything';

/** Judges the value; undefined when it fits. References are not followed: what clients send is described in one piece. */
export function mismatch(schema: Schema, value: unknown): Mismatch | undefined {
  if (schema.type === 'object' && isObject(value)) return memberMismatch(schema, value);
  if (fits(schema, value)) return undefined;
  const list = schema.type === 'array' && Array.isArray(value) ? ofList(schema, value) : '';
  return { member: '', detail: `expected ${formOf(schema)}, got ${shown(value)}${list}` };
}

function ofList({ items = {}, minItems = 0, maxItems = Infinity }: Schema, list: readonly unknown[]): string {
  if (list.length < minItems || list.length > maxItems) return ` of ${list.length}`;
  const at = list.findIndex((item) => mismatch(items, item) !== undefined);
  return ` with ${shown(list[at])} at ${at}`;
}

function memberMismatch({ properties = {}, required = [], additionalProperties }: Schema, value: object) {
  for (const [name, member] of Object.entries(value)) {
    const schema = Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    if (schema === undefined) continue;
    if (schema === false) {
      const known = Object.keys(properties).join(', ');
      return { member: name.slice(0, MEMBER_SHOWN), detail: `unknown member; known here: ${known}` };
    }
    const wrong = mismatch(schema, member);
    if (wrong !== undefined) {
      const member = name.slice(0, MEMBER_SHOWN);
      return { member: wrong.member === '' ? member : `${member}.${wrong.member}`, detail: wrong.detail };
    }
  }
  const missing = required.find((name) => !Object.hasOwn(value, name));
  if (missing === undefined) return undefined;
  const form = formOf(properties[missing] ?? {});
  return { member: missing, detail: form === ANYTHING ? 'is not given' : `expected ${form}, and it is not given` };
}

function fits(schema: Schema, value: unknown): boolean {
  const { anyOf, minimum, maximum } = schema;
  if (anyOf !== undefined) return anyOf.some((choice) => mismatch(choice, value) === undefined);
  if (schema.const !== undefined) return value === schema.const;
  if (schema.enum !== undefined) return schema.enum.some((word) => word === value);
  switch (schema.type) {
    case 'integer':
    case 'number':
      if (typeof value !== 'number' || !Number.isFinite(value)) return false;
      if (schema.type === 'integer' && !Number.isInteger(value)) return false;
      return (minimum === undefined || value >= minimum) && (maximum === undefined || value <= maximum);
    case 'string':
      return typeof value === 'string' && textFits(schema, value);
    case 'boolean':
      return typeof value === 'boolean';
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value) && listFits(schema, value);
    case 'object':
      return isObject(value);
    default:
      return true;
  }
}

/** Lengths are counted in UTF-16 units, so this never takes more than the standard, which counts characters. */
function textFits({ minLength = 0, maxLength = Infinity, pattern }: Schema, text: string): boolean {
  if (text.length < minLength || text.length > maxLength) return false;
  return pattern === undefined || new RegExp(pattern, 'u').test(text);
}

function listFits({ items = {}, minItems = 0, maxItems = Infinity }: Schema, list: readonly unknown[]): boolean {
  if (list.length < minItems || list.length > maxItems) return false;
  return list.every((item) => mismatch(items, item) === undefined);
}

/** What would fit, in words. */
export function formOf(schema: Schema): string {
  const of = schema['x-unit'] === undefined ? '' : ` of ${schema['x-unit']}`;
  if (schema['x-form'] !== undefined) return schema['x-form'];
  if (schema.anyOf !== undefined) return schema.anyOf.map((one) => one.enum?.join(', ') ?? formOf(one)).join(' or ');
  if (schema.const !== undefined) return String(schema.const);
  if (schema.enum !== undefined)
    return schema.enum.length === 1 ? String(schema.enum[0]) : `one of ${schema.enum.join(', ')}`;
  switch (schema.type) {
    case 'integer':
      return `a whole number${of}${range(schema.minimum, schema.maximum)}`;
    case 'number':
      return `a number${of}${range(schema.minimum, schema.maximum)}`;
    case 'string':
      return `a text${lengths('characters', schema.minLength, schema.maxLength)}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return `a list${lengths('items', schema.minItems, schema.maxItems)}${eachOf(schema.items ?? {})}`;
    case 'object': {
      const members = Object.keys(schema.properties ?? {});
      return members.length === 0 ? 'a JSON object' : `a JSON object with ${members.join(', ')}`;
    }
    case 'null':
      return 'null';
    default:
      return ANYTHING;
  }
}

function eachOf(items: Schema): string {
  const form = formOf(items);
  return form === ANYTHING ? '' : `, each ${form}`;
}

function range(least: number | undefined, most: number | undefined): string {
  if (least === undefined || most === undefined) return '';
  return ` from ${least} to ${most}`;
}

function lengths(what: string, least = 0, most: number | undefined): string {
  if (most === undefined) return '';
  return least === 0 ? ` of at most ${most} ${what}` : ` of ${least}-${most} ${what}`;
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 64));
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  // What is read from JSON is one when it was too large, or a whole number that would have been rounded.
  if (typeof value === 'number' && !Number.isFinite(value)) return 'a number that a double does not hold';
  return String(value);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
