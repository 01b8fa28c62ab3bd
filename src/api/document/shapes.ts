/**
 * Words to describe JSON with. `object` asks for a line for each member of a type, so that a member which is added there does
 * not compile before it is described.
 */

import type { Schema } from '#kernel/json-schema.ts';

export const text: Schema = { type: 'string' };
export const flag: Schema = { type: 'boolean' };
export const count: Schema = { type: 'integer', minimum: 0 };
export const share: Schema = { type: 'number', minimum: 0, maximum: 1 };
export const instant: Schema = { type: 'string', format: 'date-time' };

export function described(schema: Schema, description: string): Schema {
  return { ...schema, description };
}

export function list(items: Schema, description?: string): Schema {
  return { type: 'array', items, ...(description === undefined ? {} : { description }) };
}

/** All members are there, but for the optional ones. */
export function object<T>(
  properties: Readonly<Record<keyof T & string, Schema>>,
  optional: readonly (keyof T)[] = [],
): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name as keyof T));
  return { type: 'object', properties, ...(required.length === 0 ? {} : { required }) };
}

export function nullable(schema: Schema): Schema {
  return { anyOf: [schema, { type: 'null' }] };
}
