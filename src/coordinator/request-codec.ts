/**
 * The parts of a client's request as positional arrays: what it stores, what it has seen, what it demands.
 */

import type { Dot } from '#causality/dot.ts';
import type { Numbered, RequestMark } from '#causality/repeats.ts';
import type { Content, VersionVector } from '#causality/state.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { asMarkBytes } from '#replica/retry-codec.ts';
import { MalformedMessage } from '#wire/message.ts';
import { asArray, asBoolean, asBytes, asInteger, asListOf, asString } from '#wire/shape.ts';
import { MAX_MESSAGE_BYTES } from '#world/limits.ts';
import type { Conditions, Tag, Tags } from './preconditions.ts';

const VECTOR_MAX = 4096;
/** More than a request's head has room for. */
const TAGS_MAX = 32_768;

/** Elements that were appended later may be missing. */
export function isGiven(element: unknown): boolean {
  return element !== undefined && element !== null;
}

export function contentToWire(content: Content | null): unknown {
  if (content === null) return null;
  return [content.value, content.contentType, content.contentEncoding, content.meta.flat()];
}

export function contentFromWire(body: unknown): Content | null {
  if (body === null) return null;
  const fields = asArray(body, 4, 'content');
  const flat = asArray(fields[3], 0, 'meta').map((text) => asString(text, 'meta', 16_384));
  const meta: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) meta.push([flat[i]!, flat[i + 1]!]);
  return {
    value: asBytes(fields[0], 'value', MAX_MESSAGE_BYTES),
    contentType: asString(fields[1], 'contentType', 16_384),
    contentEncoding: asString(fields[2], 'contentEncoding', 16_384),
    meta,
  };
}

export function vectorToWire(vector: VersionVector): unknown {
  return vector.flatMap(({ node, tenure, counter }) => [node, tenure, counter]);
}

export function dotToWire({ node, tenure, counter }: Dot): unknown {
  return [node, tenure, counter];
}

export function dotFromWire(body: unknown): Dot {
  const fields = asArray(body, 3, 'dot');
  return {
    node: nodeIndex(asInteger(fields[0], 'dot')),
    tenure: asInteger(fields[1], 'dot'),
    counter: asInteger(fields[2], 'dot'),
  };
}

export function vectorFromWire(body: unknown): VersionVector {
  const numbers = asArray(body, 0, 'vector').map((number) => asInteger(number, 'vector', 0));
  if (numbers.length % 3 !== 0 || numbers.length > VECTOR_MAX * 3)
    throw new MalformedMessage(`vector of ${numbers.length} numbers`);
  const vector = [];
  for (let i = 0; i < numbers.length; i += 3) {
    vector.push({ node: nodeIndex(numbers[i]!), tenure: numbers[i + 1]!, counter: numbers[i + 2]! });
  }
  return vector;
}

function tagsToWire(tags: Tags | undefined): unknown {
  if (tags === undefined || tags === '*') return tags ?? null;
  return tags.map(({ weak, opaque }) => [weak, opaque]);
}

function tagsFromWire(body: unknown): Tags | undefined {
  if (!isGiven(body)) return undefined;
  if (body === '*') return body;
  return asListOf(body, 'tags', TAGS_MAX, (element): Tag => {
    const [weak, opaque] = asArray(element, 2, 'tag');
    return { weak: asBoolean(weak, 'weak'), opaque: asString(opaque, 'tag', 32_768) };
  });
}

export function conditionsToWire(conditions: Conditions | null): unknown {
  return conditions === null ? null : [tagsToWire(conditions.ifMatch), tagsToWire(conditions.ifNoneMatch)];
}

export function conditionsFromWire(body: unknown): Conditions | null {
  if (!isGiven(body)) return null;
  const fields = asArray(body, 2, 'conditions');
  return { ifMatch: tagsFromWire(fields[0]), ifNoneMatch: tagsFromWire(fields[1]) };
}

export function markToWire(mark: RequestMark | null): unknown {
  if (mark === null) return null;
  const { id, fingerprint, numbered } = mark;
  return numbered === undefined ? [id, fingerprint] : [id, fingerprint, ...numberedToWire(numbered)];
}

export function markFromWire(body: unknown): RequestMark | null {
  if (!isGiven(body)) return null;
  const fields = asArray(body, 2, 'mark');
  const mark = { id: asMarkBytes(fields[0], 'id'), fingerprint: asMarkBytes(fields[1], 'fingerprint') };
  return isGiven(fields[2]) ? { ...mark, numbered: numberedFromWire(fields.slice(2)) } : mark;
}

/** Elements that follow others in an array. */
export function numberedToWire({ series, number, answeredBelow }: Numbered): readonly unknown[] {
  return [series, number, answeredBelow];
}

export function numberedFromWire(elements: readonly unknown[]): Numbered {
  const fields = asArray(elements, 3, 'numbered');
  return {
    series: asMarkBytes(fields[0], 'series'),
    number: asInteger(fields[1], 'number', 1),
    answeredBelow: asInteger(fields[2], 'answeredBelow'),
  };
}
