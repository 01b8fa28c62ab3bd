/**
 * What a token may do, as text: a right and the buckets that it holds for. `read` and `read:*` are all buckets, `read:orders`
 * is one, `read:orders-*` are those whose names begin so. A right does not contain another: who may write may not read by
 * that, so a scope says all that it gives.
 */

export const RIGHTS = ['read', 'write', 'admin'] as const;
export type Right = (typeof RIGHTS)[number];

export interface Scope {
  readonly right: Right;
  /** A bucket's name, or what names begin with and `*`. */
  readonly buckets: string;
}

const ALL_BUCKETS = '*';
const BUCKETS_PATTERN = '(?:[A-Za-z0-9._-]{1,128}|[A-Za-z0-9._-]{0,128}\\*)';
const BUCKETS = new RegExp(`^${BUCKETS_PATTERN}$`);

/** What is a scope, as a regular expression. */
export const SCOPE_PATTERN = `^(?:${RIGHTS.join('|')})(?::${BUCKETS_PATTERN})?$`;

/** For messages. */
export const SCOPE_FORM = `${RIGHTS.join(', ')}, each for all buckets or as read:BUCKET or read:PREFIX*`;

/** Undefined when the text is no scope. */
export function parseScope(text: string): Scope | undefined {
  const colon = text.indexOf(':');
  const word = colon === -1 ? text : text.slice(0, colon);
  const buckets = colon === -1 ? ALL_BUCKETS : text.slice(colon + 1);
  const right = RIGHTS.find((known) => known === word);
  return right === undefined || !BUCKETS.test(buckets) ? undefined : { right, buckets };
}

export function formatScope({ right, buckets }: Scope): string {
  return `${right}:${buckets}`;
}

/** Whether the scope gives the right on the bucket. */
export function covers(scope: Scope, right: Right, bucket: string): boolean {
  if (scope.right !== right) return false;
  const { buckets } = scope;
  const stem = buckets.length - 1;
  return buckets.charCodeAt(stem) === 0x2a ? bucket.startsWith(buckets.slice(0, stem)) : bucket === buckets;
}

/** Whether the scope gives the right on all buckets, which is what acts on the whole cluster need. */
export function coversAll(scope: Scope, right: Right): boolean {
  return scope.right === right && scope.buckets === ALL_BUCKETS;
}
