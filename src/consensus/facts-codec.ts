/**
 * Facts as positional arrays, for the wire and for the disk. Readers tolerate elements appended by later versions.
 */

import { epoch } from '#kernel/identity.ts';
import { ringFromWire, ringToWire } from '#ring/ring-codec.ts';
import type { Ring } from '#ring/ring.ts';
import { MalformedMessage } from '#wire/message.ts';
import { asArray, asBoolean, asInteger, asListOf, asString } from '#wire/shape.ts';
import type { BucketRow, Facts } from './facts.ts';

type PropertyValue = string | number | boolean | null;

/** Rows of buckets in one epoch, dropped ones included. */
export const MAXIMUM_BUCKET_ROWS = 4096;
const MAXIMUM_PROPERTIES = 64;
const MAXIMUM_NAME = 128;
const MAXIMUM_PROPERTY_TEXT = 1024;

export function factsToWire(facts: Facts): unknown {
  return [facts.epoch, ringToWire(facts.ring), facts.buckets.map(bucketToWire)];
}

/** @throws MalformedMessage naming what is wrong */
export function factsFromWire(body: unknown): Facts {
  const fields = asArray(body, 3, 'facts');
  const facts: Facts = {
    epoch: epoch(asInteger(fields[0], 'facts epoch', 1)),
    ring: ringOf(fields[1]),
    buckets: asListOf(fields[2], 'facts buckets', MAXIMUM_BUCKET_ROWS, bucketFromWire),
  };
  for (let i = 1; i < facts.buckets.length; i++) {
    if (facts.buckets[i - 1]!.name >= facts.buckets[i]!.name) {
      throw new MalformedMessage('facts buckets: names are not in rising order');
    }
  }
  return facts;
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
  return [row.name, row.incarnation, row.version, row.dropped, properties];
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
