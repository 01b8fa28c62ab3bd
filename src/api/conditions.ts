/**
 * Conditional requests (RFC 9110 section 13): reading `If-Match` and `If-None-Match`.
 */

import type { Conditions, Tag, Tags } from '#coordinator/preconditions.ts';
import type { Incoming } from './exchange.ts';
import { invalid, Problem } from './problem.ts';
import { quoted } from './raw-path.ts';

/** Undefined when the request has none. */
export function parseConditions(incoming: Incoming): Conditions | undefined | Problem {
  const match = incoming.header('if-match');
  const noneMatch = incoming.header('if-none-match');
  if (match === undefined && noneMatch === undefined) return undefined;
  const ifMatch = match === undefined ? undefined : parseTags('If-Match', match);
  if (ifMatch instanceof Problem) return ifMatch;
  const ifNoneMatch = noneMatch === undefined ? undefined : parseTags('If-None-Match', noneMatch);
  if (ifNoneMatch instanceof Problem) return ifNoneMatch;
  return { ifMatch, ifNoneMatch };
}

const ONE_TAG = /^(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/;

function parseTags(field: string, text: string): Tags | Problem {
  if (text.trim() === '*') return '*';
  const tags: Tag[] = [];
  for (const element of text.split(',')) {
    const found = ONE_TAG.exec(element.trim());
    if (found === null)
      return invalid(field, `${quoted(text)} is neither * nor a list of entity tags such as "0123abcd"`);
    tags.push({ weak: found[1] !== undefined, opaque: found[2]! });
  }
  return tags;
}
