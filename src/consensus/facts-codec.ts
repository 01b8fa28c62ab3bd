/**
 * Facts as positional arrays, for the wire and for the disk. Readers tolerate elements appended by later versions.
 */

import { epoch } from '#kernel/identity.ts';
import { ringFromWire, ringToWire } from '#ring/ring-codec.ts';
import type { Ring } from '#ring/ring.ts';
import { MalformedMessage } from '#wire/message.ts';
import { asArray, asBoolean, asBytes, asInteger, asListOf, asString } from '#wire/shape.ts';
import type { BucketRow, Facts, TokenRow } from './facts.ts';

type PropertyValue = string | number | boolean | null;

/** Rows of buckets in one epoch, dropped ones included. */
export const MAXIMUM_BUCKET_ROWS = 4096;
/** Rows of tokens in one epoch. */
export const MAXIMUM_TOKEN_ROWS = 256;
/** Scopes of one token. */
export const MAXIMUM_SCOPES = 32;
const MAXIMUM_SCOPE_TEXT = 256;
const DIGEST_BYTES = 32;
const MAXIMUM_PROPERTIES = 64;
const MAXIMUM_NAME = 128;
const MAXIMUM_PROPERTY_TEXT = 1024;

/** Facts without tokens have the bytes that they had before there were tokens, so a digest of old facts stays what it was. */
export function factsToWire(facts: Facts): unknown {
  const fields = [facts.epoch, ringToWire(facts.ring), facts.buckets.map(bucketToWire)];
  return facts.tokens.length === 0 ? fields : [...fields, facts.tokens.map(tokenToWire)];
}

/** @throws MalformedMessage naming what is wrong */
export function factsFromWire(body: unknown): Facts {
  const fields = asArray(body, 3, 'facts');
  const facts: Facts = {
    epoch: epoch(asInteger(fields[0], 'facts epoch', 1)),
    ring: ringOf(fields[1]),
    buckets: asListOf(fields[2], 'facts buckets', MAXIMUM_BUCKET_ROWS, bucketFromWire),
    tokens: fields.length < 4 ? [] : asListOf(fields[3], 'facts tokens', MAXIMUM_TOKEN_ROWS, tokenFromWire),
  };
  requireOrder(facts.buckets, 'facts buckets');
  requireOrder(facts.tokens, 'facts tokens');
  return facts;
}

function requireOrder(rows: readonly { readonly name: string }[], what: string): void {
  for (let i = 1; i < rows.length; i++) {
    if (rows[i - 1]!.name >= rows[i]!.name) throw new MalformedMessage(`${what}: names are not in rising order`);
  }
}

function ringOf(body: unknown): Ring {
  try {
    return ringFromWire(body);
  } catch (cause) {
    throw new MalformedMessage(`facts: ${String(cause)}`, { cause });
  }
}

function bucketToWire(row: BucketRow): unknown {
  const properties = Object.entries(row.properties).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const fields = [row.name, row.incarnation, row.version, row.dropped, properties];
  return row.frozen === true ? [...fields, true] : fields;
}

function bucketFromWire(body: unknown): BucketRow {
  const fields = asArray(body, 5, 'bucket row');
  return {
    name: asString(fields[0], 'bucket name', MAXIMUM_NAME),
    incarnation: asInteger(fields[1], 'bucket incarnation', 0, 0xffff_ffff),
    version: epoch(asInteger(fields[2], 'bucket version')),
    dropped: asBoolean(fields[3], 'bucket dropped'),
    // Object.fromEntries defines own properties, so no name can reach a prototype.
    properties: Object.fromEntries(asListOf(fields[4], 'bucket properties', MAXIMUM_PROPERTIES, propertyFromWire)),
    ...(fields[5] === true ? { frozen: true as const } : {}),
  };
}

function tokenToWire(row: TokenRow): unknown {
  return [row.name, row.digest, row.scopes, row.createdAt, row.expiresAt];
}

function tokenFromWire(body: unknown): TokenRow {
  const fields = asArray(body, 5, 'token row');
  const digest = asBytes(fields[1], 'token digest', DIGEST_BYTES);
  if (digest.length !== DIGEST_BYTES) throw new MalformedMessage(`token digest: expected ${DIGEST_BYTES} bytes`);
  return {
    name: asString(fields[0], 'token name', MAXIMUM_NAME),
    // A copy: the row outlives the message that it came in.
    digest: digest.slice(),
    scopes: asListOf(fields[2], 'token scopes', MAXIMUM_SCOPES, (scope) =>
      asString(scope, 'token scope', MAXIMUM_SCOPE_TEXT),
    ),
    createdAt: asInteger(fields[3], 'token creation'),
    expiresAt: asInteger(fields[4], 'token expiry'),
  };
}

function propertyFromWire(body: unknown): [string, PropertyValue] {
  const pair = asArray(body, 2, 'bucket property');
  return [asString(pair[0], 'bucket property name', MAXIMUM_NAME), propertyValue(pair[1])];
}

function propertyValue(value: unknown): PropertyValue {
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'number') return asInteger(value, 'bucket property', Number.MIN_SAFE_INTEGER);
  return asString(value, 'bucket property', MAXIMUM_PROPERTY_TEXT);
}
