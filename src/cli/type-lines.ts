/**
 * A key of a data type as a line of JSON, and the way back: the operations that lead from what is there to what the line says. So
 * an import that was broken can be repeated, and nothing counts twice.
 *
 *     {"key":"home","type":"counter","value":12}
 *     {"key":"ann","type":"map","value":{"items":["milk"]},"types":{"items":"set"}}
 */

import type { DataType, Json, Operations } from '#client/data-types.ts';
import { UsageError } from './output.ts';

/** Values of one operation, and their bytes. */
const VALUES_MAX = 500;
const BYTES_MAX = 32 * 1024;

/** What a map's fields are; of one that is a map, what its fields are. */
export type Types = DataType | { readonly [field: string]: Types };

export interface TypedValue {
  readonly value: Json;
  readonly types?: Types;
}

export interface TypedKey extends TypedValue {
  readonly key: string;
  readonly type: DataType;
}

export type Operation = Operations[DataType];

/** `shown` is what a node answers for the key. */
export function typedLine(key: string, shown: string): string {
  const { type, value, types } = JSON.parse(shown) as Omit<TypedKey, 'key'>;
  return `${JSON.stringify({ key, type, value, types })}\n`;
}

/** Throws {@link UsageError} that says what is wrong with the line. */
export function parseTypedLine(text: string, type: DataType): TypedKey {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    throw new UsageError('is not JSON');
  }
  const { key, type: said, value, types } = (line ?? {}) as Partial<TypedKey>;
  if (typeof key !== 'string' || key === '') throw new UsageError('key: must be a text that is not empty');
  if (said !== type)
    throw new UsageError(`type: the bucket holds data of type ${type}, and the line says ${String(said)}`);
  if (value === undefined) throw new UsageError('value: must be there');
  try {
    stepsTo(type, undefined, { value, ...(types === undefined ? {} : { types }) });
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`value: does not fit a ${type}`);
  }
  return { key, type, value, ...(types === undefined ? {} : { types }) };
}

/** What leads from what is there, undefined for nothing, to what is wanted; nothing when they are the same. */
export function stepsTo(type: DataType, present: TypedValue | undefined, wanted: TypedValue): readonly Operation[] {
  switch (type) {
    case 'counter':
      return counterSteps(present?.value, wanted.value);
    case 'set':
      return setSteps(present?.value, wanted.value);
    case 'register':
      if (present !== undefined && same(present.value, wanted.value)) return [];
      return [{ op: 'assign', value: wanted.value }];
    case 'flag':
      if (typeof wanted.value !== 'boolean') throw new UsageError('value: a flag is true or false');
      return present?.value === wanted.value ? [] : [{ op: wanted.value ? 'enable' : 'disable' }];
    case 'map':
      return mapSteps(present, wanted);
  }
}

function counterSteps(present: Json | undefined, wanted: Json): readonly Operation[] {
  if (!Number.isSafeInteger(wanted)) throw new UsageError('value: a counter is a whole number');
  const by = Number(wanted) - Number(present ?? 0);
  return by === 0 && present !== undefined ? [] : [{ op: 'increment', by }];
}

/** What is there and empty has held something. */
const EMPTY_SET: readonly Operation[] = [
  { op: 'add', values: [null] },
  { op: 'remove', values: [null] },
];
const EMPTY_MAP: readonly Operation[] = [
  { op: 'update', field: 'empty', type: 'flag', with: { op: 'disable' } },
  { op: 'remove', field: 'empty' },
];

function setSteps(present: Json | undefined, wanted: Json): readonly Operation[] {
  if (!Array.isArray(wanted)) throw new UsageError('value: a set is a list');
  if (present === undefined && wanted.length === 0) return EMPTY_SET;
  const there = (present ?? []) as Json[];
  const [is, shall] = [new Set(there.map(formOf)), new Set((wanted as Json[]).map(formOf))];
  const added = (wanted as Json[]).filter((one) => !is.has(formOf(one)));
  const removed = there.filter((one) => !shall.has(formOf(one)));
  return [
    ...portions(removed).map((values) => ({ op: 'remove', values }) as const),
    ...portions(added).map((values) => ({ op: 'add', values }) as const),
  ];
}

/** Few enough for one request each: in number, and in bytes unless one alone has more. */
function portions(values: readonly Json[]): readonly (readonly Json[])[] {
  const all: Json[][] = [];
  let bytes = 0;
  for (const value of values) {
    const length = Buffer.byteLength(JSON.stringify(value));
    const last = all.at(-1);
    if (last === undefined || last.length === VALUES_MAX || bytes + length > BYTES_MAX) {
      all.push([value]);
      bytes = length;
    } else {
      last.push(value);
      bytes += length;
    }
  }
  return all;
}

type Fields = Readonly<Record<string, Json>>;

function mapSteps(present: TypedValue | undefined, { value, types }: TypedValue): readonly Operation[] {
  const [is, shall] = [(present?.value ?? {}) as Fields, value as Fields];
  if (present === undefined && Object.keys(shall).length === 0) return EMPTY_MAP;
  const steps: Operation[] = Object.keys(is)
    .filter((field) => !Object.hasOwn(shall, field))
    .map((field) => ({ op: 'remove', field }));
  for (const [field, wanted] of Object.entries(shall)) {
    const kind = kindOf(types, field);
    if (kind === undefined) throw new UsageError(`types: does not say what the field ${JSON.stringify(field)} is`);
    const before = Object.hasOwn(is, field) ? part(is[field]!, present?.types, field) : undefined;
    const fits = before !== undefined && kindOf(present?.types, field) === kind;
    if (before !== undefined && !fits) steps.push({ op: 'remove', field });
    const within = stepsTo(kind, fits ? before : undefined, part(wanted, types, field));
    for (const step of within) steps.push({ op: 'update', field, type: kind, with: step } as Operation);
  }
  return steps;
}

function part(value: Json, types: Types | undefined, field: string): TypedValue {
  const within = typeof types === 'object' ? types[field] : undefined;
  return typeof within === 'object' ? { value, types: within } : { value };
}

function kindOf(types: Types | undefined, field: string): DataType | undefined {
  const kind = typeof types === 'object' && Object.hasOwn(types, field) ? types[field] : undefined;
  return typeof kind === 'object' ? 'map' : kind;
}

function same(a: Json, b: Json): boolean {
  return formOf(a) === formOf(b);
}

/** Equal for equal values, whatever the order of members. */
function formOf(value: Json): string {
  return JSON.stringify(value, (_, one: unknown) =>
    typeof one === 'object' && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  );
}
