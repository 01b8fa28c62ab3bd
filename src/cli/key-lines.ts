/**
 * A key with all that is stored under it as one line of JSON, which an import gives back byte for byte. Two exports of equal
 * data are equal files: what only one cluster could have made (ETags, times of writing) is left out.
 *
 *     {"key":"ann","value":"2 apples","contentType":"text/plain"}
 *     {"key":"bob","siblings":[{"value64":"AAE=","contentType":"image/png"},{"value":"x","contentType":"text/plain"}]}
 *
 * `value` is text; `value64` any bytes, in base64. `contentEncoding`, `meta` and `expires` are there when the value has them.
 * Whoever writes such lines by hand may leave `contentType` out, and give any JSON as `value`.
 */

import type { Entry } from '#client/entry.ts';
import { UsageError } from './output.ts';

export interface StoredValue {
  readonly bytes: Uint8Array;
  readonly contentType: string;
  readonly contentEncoding?: string;
  readonly meta?: Readonly<Record<string, string>>;
  readonly expires?: Date;
}

export interface StoredKey {
  readonly key: string;
  /** One, or siblings in the order of their lines. */
  readonly values: readonly StoredValue[];
  /** Of the key that was exported; only asked for with `--contexts`. */
  readonly context?: string;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function valuesOf({ siblings }: Entry<Uint8Array>): readonly StoredValue[] {
  return siblings.map(({ bytes, contentType, contentEncoding, meta, expires }) => ({
    bytes,
    contentType,
    ...(contentEncoding === undefined ? {} : { contentEncoding }),
    ...(Object.keys(meta).length === 0 ? {} : { meta }),
    ...(expires === undefined ? {} : { expires }),
  }));
}

export function lineOf({ key, values, context }: StoredKey): string {
  const views = values.map(viewOf);
  const seen = context === undefined ? {} : { context };
  if (views.length === 1) return `${JSON.stringify({ key, ...views[0], ...seen })}\n`;
  // Siblings have no order of their own.
  const siblings = views.map((view) => JSON.stringify(view)).sort();
  return `${JSON.stringify({ key, siblings: siblings.map((view) => JSON.parse(view) as unknown), ...seen })}\n`;
}

/** Milliseconds: a time to live counts seconds, from when it is written. */
const SAME_END_MS = 2000;

/** Whether the same is stored, whatever the order of siblings. */
export function sameValues(a: readonly StoredValue[], b: readonly StoredValue[]): boolean {
  return a.length === b.length && lackingIn(a, b).length === 0;
}

/** Those of the wanted values that are not among the others; of equal ones each stands for one. */
export function lackingIn(present: readonly StoredValue[], wanted: readonly StoredValue[]): readonly StoredValue[] {
  const left = inOrderOfEnd(present);
  return inOrderOfEnd(wanted)
    .filter((one) => {
      const at = left.findIndex((other) => isSame(one, other));
      if (at !== -1) left.splice(at, 1);
      return at === -1;
    })
    .map(({ value }) => value);
}

interface Comparable {
  readonly value: StoredValue;
  readonly form: string;
  readonly end: number;
}

function isSame(a: Comparable, b: Comparable): boolean {
  return a.form === b.form && (a.end === b.end || Math.abs(a.end - b.end) <= SAME_END_MS);
}

function inOrderOfEnd(values: readonly StoredValue[]): Comparable[] {
  const all = values.map((value) => {
    const { expires, ...still } = value;
    return { value, form: JSON.stringify(viewOf(still)), end: expires?.getTime() ?? Number.POSITIVE_INFINITY };
  });
  return all.sort((a, b) => a.end - b.end || 0);
}

function viewOf({ bytes, contentType, contentEncoding, meta, expires }: StoredValue): object {
  return {
    ...textOrBase64(bytes),
    contentType,
    ...(contentEncoding === undefined ? {} : { contentEncoding }),
    ...(meta === undefined
      ? {}
      : { meta: Object.fromEntries(Object.entries(meta).sort(([a], [b]) => (a < b ? -1 : 1))) }),
    ...(expires === undefined ? {} : { expires: expires.toISOString() }),
  };
}

function textOrBase64(bytes: Uint8Array): { readonly value: string } | { readonly value64: string } {
  try {
    return { value: decoder.decode(bytes) };
  } catch {
    return { value64: Buffer.from(bytes).toString('base64') };
  }
}

const MEMBERS: ReadonlySet<string> = new Set(['key', 'siblings', 'context']);
const VALUE_MEMBERS: ReadonlySet<string> = new Set([
  'value',
  'value64',
  'contentType',
  'contentEncoding',
  'meta',
  'expires',
]);

/** Throws {@link UsageError} that says what is wrong with the line. */
export function parseLine(text: string): StoredKey {
  const line = objectOf(parsed(text), 'the line');
  const { key, siblings, context } = line;
  if (typeof key !== 'string' || key === '') throw new UsageError('key: must be a text that is not empty');
  const values = siblings === undefined ? [valueOf(line, MEMBERS)] : siblingsOf(line);
  if (context === undefined) return { key, values };
  if (typeof context !== 'string') throw new UsageError('context: must be a text');
  return { key, values, context };
}

function siblingsOf({ siblings, ...rest }: Readonly<Record<string, unknown>>): readonly StoredValue[] {
  const beside = Object.keys(rest).find((name) => !MEMBERS.has(name));
  if (beside !== undefined) throw new UsageError(`${beside}: stands beside siblings`);
  if (!Array.isArray(siblings) || siblings.length === 0) throw new UsageError('siblings: must be a list of values');
  return siblings.map((one) => valueOf(objectOf(one, 'a sibling'), new Set()));
}

function valueOf(view: Readonly<Record<string, unknown>>, others: ReadonlySet<string>): StoredValue {
  const unknown = Object.keys(view).find((name) => !VALUE_MEMBERS.has(name) && !others.has(name));
  if (unknown === 'type')
    throw new UsageError(`type: the bucket holds values, and the line says ${String(view['type'])}`);
  if (unknown !== undefined)
    throw new UsageError(`${unknown}: unknown; known are key, siblings, context, ${[...VALUE_MEMBERS].join(', ')}`);
  const { contentType, contentEncoding, meta, expires } = view;
  const { bytes, type } = bytesOf(view);
  for (const [name, value] of Object.entries({ contentType, contentEncoding, expires })) {
    if (value !== undefined && typeof value !== 'string') throw new UsageError(`${name}: must be a text`);
  }
  const end = expires === undefined ? undefined : new Date(expires as string);
  if (end !== undefined && Number.isNaN(end.getTime()))
    throw new UsageError('expires: must be a time such as 2026-01-31T12:00:00Z');
  return {
    bytes,
    contentType: (contentType as string | undefined) ?? type,
    ...(contentEncoding === undefined ? {} : { contentEncoding: contentEncoding as string }),
    ...(meta === undefined ? {} : { meta: objectOf(meta, 'meta') as Readonly<Record<string, string>> }),
    ...(end === undefined ? {} : { expires: end }),
  };
}

function bytesOf({ value, value64 }: Readonly<Record<string, unknown>>): {
  readonly bytes: Uint8Array;
  readonly type: string;
} {
  if ((value === undefined) === (value64 === undefined))
    throw new UsageError('value, value64: exactly one of them must be there');
  if (typeof value64 === 'string') {
    const bytes = Buffer.from(value64, 'base64');
    if (bytes.toString('base64') === value64) return { bytes, type: 'application/octet-stream' };
  }
  if (value64 !== undefined) throw new UsageError('value64: must be base64 with padding');
  if (typeof value === 'string') return { bytes: Buffer.from(value, 'utf8'), type: 'text/plain; charset=utf-8' };
  return { bytes: Buffer.from(JSON.stringify(value), 'utf8'), type: 'application/json' };
}

function objectOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new UsageError(`${what} must be a JSON object`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new UsageError('is not JSON');
  }
}
