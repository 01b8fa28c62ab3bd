/**
 * What a conditional request (RFC 9110 section 13) demands of the state that it finds, and the judgement. Pure: a write is
 * judged where it is minted, a read where it is answered.
 */

/** Entity tags without quotes, or any tag at all. */
export type Tags = '*' | readonly Tag[];

export interface Tag {
  readonly weak: boolean;
  readonly opaque: string;
}

export interface Conditions {
  readonly ifMatch: Tags | undefined;
  readonly ifNoneMatch: Tags | undefined;
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
