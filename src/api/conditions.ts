/**
 * Conditional requests (RFC 9110 section 13): reading `If-Match` and `If-None-Match`.
 */

import { judge, type Conditions, type Tag, type Tags } from '#coordinator/preconditions.ts';
import type { Incoming } from './exchange.ts';
import { invalid, Problem } from './problem.ts';
import { quoted } from './raw-path.ts';

/** Undefined when the request has none. One on a date means nothing beside `If-Match`, and is never left out in silence otherwise. */
export function parseConditions(incoming: Incoming): Conditions | undefined | Problem {
  const match = incoming.header('if-match');
  const noneMatch = incoming.header('if-none-match');
  if (match === undefined && incoming.header('if-unmodified-since') !== undefined) return UNDATED;
  if (match === undefined && noneMatch === undefined) return undefined;
  const ifMatch = match === undefined ? undefined : parseTags('If-Match', match);
  if (ifMatch instanceof Problem) return ifMatch;
  const ifNoneMatch = noneMatch === undefined ? undefined : parseTags('If-None-Match', noneMatch);
  if (ifNoneMatch instanceof Problem) return ifNoneMatch;
  return { ifMatch, ifNoneMatch };
}

const UNDATED = unbuilt('If-Unmodified-Since', 'conditions on dates are not built yet');

function unbuilt(field: string, detail: string): Problem {
  return new Problem('not-implemented', `${field}: ${detail}`, { field });
}

/** Says which condition does not hold, and for what. `etag` without quotes, undefined when nothing is there. */
export function unmet(conditions: Conditions | undefined, etag: string | undefined): Problem {
  const { ifMatch } = conditions ?? {};
  const matches = ifMatch === undefined || judge({ ifMatch, ifNoneMatch: undefined }, etag) === 'proceed';
  const field = matches ? 'If-None-Match' : 'If-Match';
  const there = etag === undefined ? 'there is nothing under the key' : `what is under the key has the ETag "${etag}"`;
  return new Problem('precondition-failed', `${field}: ${there}`, { field });
}

/**
 * Why a path whose answers have no ETag cannot do what the request asks for: a condition that nobody looks at would be taken for one that
 * holds. A read without its `If-None-Match` is what its sender is ready for.
 */
export function unkeptCondition(incoming: Incoming): Problem | undefined {
  const reads = incoming.method === 'GET' || incoming.method === 'HEAD';
  const names = reads ? OF_READS : OF_CHANGES;
  const given = names.find((name) => incoming.header(name.toLowerCase()) !== undefined);
  return given === undefined ? undefined : unbuilt(given, 'there are no conditions here yet');
}

const OF_READS = ['If-Match', 'If-Unmodified-Since'] as const;
const OF_CHANGES = [...OF_READS, 'If-None-Match'] as const;

/** An element of a list, which may be empty (RFC 9110 section 5.6.1), with the comma and the blanks behind it. */
const ELEMENT = /(?:(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[\t ]*)?(?:,[\t ]*|$)/y;

function parseTags(field: string, given: string): Tags | Problem {
  const text = given.trim();
  if (text === '*') return '*';
  const tags: Tag[] = [];
  for (let at = 0; at < text.length; at = ELEMENT.lastIndex) {
    ELEMENT.lastIndex = at;
    const found = ELEMENT.exec(text);
    if (found === null) return noTags(field, given);
    const [, weak, opaque] = found;
    if (opaque !== undefined) tags.push({ weak: weak !== undefined, opaque });
  }
  return tags.length === 0 ? noTags(field, given) : tags;
}

function noTags(field: string, given: string): Problem {
  return invalid(field, `${quoted(given)} is neither * nor a list of entity tags such as "0123abcd"`);
}
