/**
 * What travels beside a value: its `Content-Type`, `Content-Encoding` and `Quoral-Meta-*`, which come back as they went in.
 */

import { etagOf } from '#causality/etag.ts';
import { timeOf } from '#causality/hybrid-clock.ts';
import type { Content, Version } from '#causality/state.ts';
import type { Incoming } from './exchange.ts';
import { httpDate, isoDate } from './http-date.ts';
import { invalid, Problem } from './problem.ts';
import { quoted } from './raw-path.ts';

/** Characters of `Content-Encoding` and `Quoral-Meta-*` together, names included. */
export const MAX_CONTENT_HEADERS = 8 * 1024;
export const MAX_CONTENT_TYPE = 1024;
const DEFAULT_CONTENT_TYPE = 'application/octet-stream';
const OWN_PREFIX = 'quoral-';
const META_PREFIX = 'quoral-meta-';
const KNOWN_HEADERS: ReadonlySet<string> = new Set(['quoral-context', 'quoral-session', 'quoral-answered-below']);

/** A version that holds a value. */
export type LiveVersion = Version & { readonly content: Content };

function isLive(version: Version): version is LiveVersion {
  return version.content !== null;
}

/** Those of the versions that hold a value; nearly always all of them. */
export function liveOf(versions: readonly Version[]): readonly LiveVersion[] {
  return versions.every(isLive) ? versions : versions.filter(isLive);
}

/** Everything of a content but the value. */
export type Description = Omit<Content, 'value'>;

/** A misspelt `Quoral-*` header is refused, whatever is asked for: it may have been the context, or the session. */
export function unknownHeader(incoming: Incoming): Problem | undefined {
  for (const name of incoming.headerNames()) {
    if (!name.startsWith(OWN_PREFIX) || KNOWN_HEADERS.has(name)) continue;
    if (name.startsWith(META_PREFIX) && name.length > META_PREFIX.length) continue;
    const known = 'Quoral-Context, Quoral-Session, Quoral-Answered-Below and Quoral-Meta-*';
    return invalid(name, `unknown header; known are ${known}, not ${quoted(name)}`);
  }
  return undefined;
}

export function describeContent(incoming: Incoming): Description | Problem {
  const given = incoming.header('content-type') ?? '';
  // An empty one says nothing either, and is what the parts of data types are known by.
  const contentType = given.trim() === '' ? DEFAULT_CONTENT_TYPE : given;
  const contentEncoding = incoming.header('content-encoding') ?? '';
  if (contentType.length > MAX_CONTENT_TYPE) return tooLarge('Content-Type', contentType.length, MAX_CONTENT_TYPE);
  let length = contentEncoding.length;
  const meta: [string, string][] = [];
  for (const name of incoming.headerNames()) {
    if (!name.startsWith(META_PREFIX)) continue;
    const value = incoming.header(name) ?? '';
    meta.push([name.slice(META_PREFIX.length), value]);
    length += name.length - META_PREFIX.length + value.length;
  }
  if (length > MAX_CONTENT_HEADERS) {
    return tooLarge('Quoral-Meta-*', length, MAX_CONTENT_HEADERS, ' and Content-Encoding together');
  }
  if (meta.length > 1) meta.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return { contentType, contentEncoding, meta };
}

function tooLarge(field: string, length: number, most: number, rest = ''): Problem {
  const detail = `${field}${rest}: ${length} characters; at most ${most} are allowed`;
  return new Problem('headers-too-large', detail, { field });
}

export function quotedEtag(versions: readonly Pick<Version, 'dot'>[]): string {
  return `"${etagOf(versions)}"`;
}

/** Adds the header fields of one version. */
export function contentHeaders(headers: Record<string, string>, version: LiveVersion): void {
  const { contentType, contentEncoding, meta } = version.content;
  headers['content-type'] = contentType;
  headers['etag'] = quotedEtag([version]);
  headers['last-modified'] = httpDate(timeOf(version.dot.counter));
  if (version.expiresAt !== 0) headers['quoral-expires'] = isoDate(version.expiresAt);
  if (contentEncoding !== '') headers['content-encoding'] = contentEncoding;
  for (const [name, value] of meta) headers[META_PREFIX + name] = value;
}
