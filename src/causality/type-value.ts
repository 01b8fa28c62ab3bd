/**
 * What a reader sees of a data type: the value that its live entries come to. Pure, and the same for all who have the same
 * entries, in whatever order they came.
 */

import { DATA_TYPES, type DataType } from './data-type.ts';
import { compareDotsByTime, type Dot } from './dot.ts';
import { exactSum } from './exact-sum.ts';
import { isEntry, readEntry, type Entry, type Leaf } from './entry.ts';
import type { Version } from './state.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export interface TypeValue {
  readonly value: Json;
  /** Of a register that was assigned at several places at once: all values, the latest last. */
  readonly concurrent?: readonly Json[];
  /** Of a map: what each field is; of a field that is a map what its fields are. */
  readonly types?: Json;
}

interface Placed {
  readonly dot: Dot;
  readonly entry: Entry;
}

/** `versions` are those that are live for the reader, in any order; undefined when there is nothing. */
export function valueOf(type: DataType, versions: readonly Version[]): TypeValue | undefined {
  const placed = versions.filter(isEntry).flatMap(({ dot, content }) => {
    const entry = entryIn(content.value);
    return entry === undefined ? [] : [{ dot, entry }];
  });
  return placed.length === 0 ? undefined : valueAt(type, placed, 0);
}

/** What a later release has written shows nothing in this one. */
function entryIn(bytes: Uint8Array): Entry | undefined {
  try {
    return readEntry(bytes);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Of the entries that stand below one field, or of all at depth 0. */
function valueAt(type: DataType, placed: readonly Placed[], depth: number): TypeValue {
  const here = placed.filter(({ entry }) => entry.path.length === depth);
  switch (type) {
    case 'counter':
      return { value: Number(exactSum(here.map(({ entry }) => amountOf(entry.leaf)))) };
    case 'set':
      return { value: [...new Set(jsonTexts(here, 'element'))].sort().map(parsed) };
    case 'register': {
      const inTime = here.toSorted((a, b) => compareDotsByTime(b.dot, a.dot));
      // Of equal ones the latest.
      const values = [...new Set(jsonTexts(inTime, 'value'))].reverse();
      const latest = values.at(-1);
      const value = latest === undefined ? null : parsed(latest);
      return values.length > 1 ? { value, concurrent: values.map(parsed) } : { value };
    }
    case 'flag':
      return { value: here.some(({ entry: { leaf } }) => leaf.kind === 'flag' && leaf.enabled) };
    case 'map':
      return mapValue(
        placed.filter(({ entry }) => entry.path.length > depth),
        depth,
      );
  }
}

function mapValue(placed: readonly Placed[], depth: number): TypeValue {
  const fields = [...Map.groupBy(placed, ({ entry }) => entry.path[depth]!.field)].sort(([a], [b]) => (a < b ? -1 : 1));
  const values: [string, Json][] = [];
  const types: [string, Json][] = [];
  for (const [field, entries] of fields) {
    const type = latestType(entries, depth);
    const ofType = entries.filter(({ entry }) => entry.path[depth]!.type === type);
    const { value, types: within } = valueAt(type, ofType, depth + 1);
    values.push([field, value]);
    types.push([field, within ?? type]);
  }
  return { value: Object.fromEntries(values), types: Object.fromEntries(types) };
}

/** Two places may have given the field two types at once: then the one that was changed last is shown. */
function latestType(entries: readonly Placed[], depth: number): DataType {
  const latest = entries.reduce((a, b) => (compareDotsByTime(a.dot, b.dot) > 0 ? a : b));
  return latest.entry.path[depth]?.type ?? DATA_TYPES[0];
}

function amountOf(leaf: Leaf): number {
  return leaf.kind === 'total' || leaf.kind === 'increment' ? leaf.amount : 0;
}

function jsonTexts(placed: readonly Placed[], kind: 'element' | 'value'): readonly string[] {
  return placed.flatMap(({ entry: { leaf } }) => (leaf.kind === kind ? [leaf.json] : []));
}

function parsed(json: string): Json {
  return JSON.parse(json) as Json;
}
