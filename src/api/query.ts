/**
 * Query parameters, strictly: each known, each once, each well formed. A parameter that is misspelt or given twice must
 * never be left out in silence, for it may be the one that asks for safety.
 */

import { fromUtf8 } from '#kernel/bytes.ts';
import type { ParameterName } from './parameters.ts';
import { invalid, type Problem } from './problem.ts';
import { escapedByte, isPlain, quoted } from './raw-path.ts';

export type Query = ReadonlyMap<ParameterName, string>;

const NO_PARAMETERS: Query = new Map();

/** Reads the raw query; `allowed` are the parameters that mean something here. */
export function parseQuery(raw: string, allowed: readonly ParameterName[]): Query | Problem {
  if (raw === '') return NO_PARAMETERS;
  const query = new Map<ParameterName, string>();
  for (const pair of raw.split('&')) {
    const equals = pair.indexOf('=');
    const name = decode(equals === -1 ? pair : pair.slice(0, equals));
    const value = equals === -1 ? '' : decode(pair.slice(equals + 1));
    if (name === undefined) return invalid('query', `${quoted(pair)} is not well-formed percent-encoded UTF-8`);
    if (!isIn(allowed, name)) return invalid(name === '' ? 'query' : name, unknownParameter(name, allowed));
    if (value === undefined) return invalid(name, `${quoted(pair)} is not well-formed percent-encoded UTF-8`);
    if (query.has(name)) return invalid(name, 'given more than once');
    query.set(name, value);
  }
  return query;
}

function isIn(allowed: readonly ParameterName[], name: string): name is ParameterName {
  return (allowed as readonly string[]).includes(name);
}

function unknownParameter(name: string, allowed: readonly string[]): string {
  const known = allowed.length === 0 ? 'there are none here' : `known here: ${allowed.join(', ')}`;
  return `unknown query parameter ${quoted(name)}; ${known}`;
}

/** A plus stays a plus: that it means a space is a custom of HTML forms only. Undefined when malformed. */
function decode(text: string): string | undefined {
  const bytes: number[] = [];
  let plain = true;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (!isPlain(code)) return undefined;
    if (code !== 0x25) {
      bytes.push(code);
      continue;
    }
    const byte = escapedByte(text, i);
    if (byte < 0) return undefined;
    bytes.push(byte);
    plain = false;
    i += 2;
  }
  if (plain) return text;
  try {
    return fromUtf8(Uint8Array.from(bytes));
  } catch {
    return undefined;
  }
}
