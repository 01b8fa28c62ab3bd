/**
 * Conditional requests (RFC 9110 section 13): `If-Match` and `If-None-Match`, judged against the state of the whole key.
 */

import type { Incoming } from './exchange.ts';
import { invalid, Problem } from './problem.ts';
import { quoted } from './raw-path.ts';

/** Entity tags without quotes, or any tag at all. */
type Tags = '*' | readonly Tag[];

interface Tag {
  readonly weak: boolean;
  readonly opaque: string;
}

export interface Conditions {
  readonly ifMatch: Tags | undefined;
  readonly ifNoneMatch: Tags | undefined;
}

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

/**
 * - `proceed`: do what was asked.
 * - `not-modified`: an `If-None-Match` names what is there. A read answers 304, a write fails.
 * - `failed`: an `If-Match` does not name what is there.
 */
export type Verdict = 'proceed' | 'not-modified' | 'failed';

/** `etag` without quotes, undefined when there is no live version. */
export function judge({ ifMatch, ifNoneMatch }: Conditions, etag: string | undefined): Verdict {
  if (ifMatch !== undefined && !matches(ifMatch, etag, 'strong')) return 'failed';
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, etag, 'weak')) return 'not-modified';
  return 'proceed';
}

function matches(tags: Tags, etag: string | undefined, comparison: 'strong' | 'weak'): boolean {
  if (etag === undefined) return false;
  if (tags === '*') return true;
  return tags.some((tag) => tag.opaque === etag && (comparison === 'weak' || !tag.weak));
}
