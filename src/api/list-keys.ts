/**
 * `GET /v1/kv/{bucket}`: the keys of a bucket in order, page by page, or all of them as a stream of lines.
 */

import type { Bucket } from '#buckets/definition.ts';
import type { ListOutcome } from '#coordinator/list.ts';
import { EMPTY_BYTES, fromUtf8, utf8 } from '#kernel/bytes.ts';
import { prefersLines } from './accept.ts';
import { TOO_MANY_STREAMS } from './admission.ts';
import { decodeCursor, encodeCursor, type CursorScope } from './cursor.ts';
import type { Answer, Exchange, Streamed } from './exchange.ts';
import { jsonTextAnswer } from './json.ts';
import { decodeBucket, MAX_KEY_BYTES } from './key-path.ts';
import { parseTimeout } from './key-request.ts';
import { readInteger } from './parameters.ts';
import { invalid, Problem, problemAnswer, problemMembers } from './problem.ts';
import { parseQuery } from './query.ts';
import { parseAsked, readQuorum } from './request-quorum.ts';
import { refuseSession } from './request-session.ts';

export const LIST_PARAMETERS = ['prefix', 'after', 'limit', 'r', 'timeout'] as const;

const LIMIT = 1000;
/** Pages that are looked at for one answer when the first ones hold deleted keys only. */
const PAGES_MAX = 8;
const NDJSON = 'application/x-ndjson';

interface Listing {
  readonly exchange: Exchange;
  readonly bucket: Bucket;
  readonly prefix: string;
  readonly cursors: CursorScope;
  readonly after: Uint8Array;
  /** Keys at most; in a stream all, when the client names none. */
  readonly limit: number | undefined;
  readonly r: number;
  readonly timeout: number;
}

interface Page {
  readonly keys: readonly string[];
  readonly next: Uint8Array | null;
}

export async function listKeys(exchange: Exchange): Promise<Answer> {
  const listing = parseListing(exchange);
  if (listing instanceof Problem) return problemAnswer(listing);
  if (wantsLines(exchange)) return streamed(listing);
  const page = await gatherPage(listing);
  return page instanceof Problem ? problemAnswer(page) : pageAnswer(listing, page);
}

function wantsLines({ incoming }: Exchange): boolean {
  return prefersLines(incoming.header('accept'));
}

function parseListing(exchange: Exchange): Listing | Problem {
  const { services, target } = exchange;
  const name = decodeBucket(target.segments[2] ?? '');
  if (name instanceof Problem) return name;
  const query = parseQuery(target.query, LIST_PARAMETERS);
  if (query instanceof Problem) return query;
  const prefix = query.get('prefix') ?? '';
  if (utf8(prefix).length > MAX_KEY_BYTES) return invalid('prefix', `at most ${MAX_KEY_BYTES} bytes are allowed`);
  const apart = refuseSession(exchange.incoming, 'a listing');
  if (apart !== undefined) return apart;
  const cursors: CursorScope = { of: 'list', bucket: name, prefix };
  const cursor = query.get('after');
  const after = cursor === undefined ? EMPTY_BYTES : decodeCursor(cursor, cursors, services.mac, 'after');
  if (after instanceof Problem) return after;
  const limitText = query.get('limit');
  const limit = limitText === undefined ? undefined : readInteger('limit', limitText);
  if (limit instanceof Problem) return limit;
  const timeout = parseTimeout(query, services.settings.requestTimeoutMs);
  if (timeout instanceof Problem) return timeout;
  const asked = parseAsked(query);
  if (asked instanceof Problem) return asked;
  const bucket = services.buckets.resolve(name);
  const strong = bucket.properties.consistency === 'strong';
  if (strong && query.has('r')) return invalid('r', 'the bucket is strong: a majority of the owners is asked');
  const quorum = readQuorum(strong ? { ...asked, read: { r: 'quorum' } } : asked, bucket, services.members());
  if (quorum instanceof Problem) return quorum;
  return { exchange, bucket, prefix, cursors, after, limit, r: quorum.r, timeout };
}

/** One answer's keys. Pages without any are passed over, for a while: then the answer has none, and a cursor. */
async function gatherPage(listing: Listing): Promise<Page | Problem> {
  const { clock } = listing.exchange.services;
  const deadline = listing.exchange.startedAt + listing.timeout;
  let after = listing.after;
  for (let pages = 1; ; pages++) {
    const page = await readPage(listing, after, listing.limit ?? LIMIT, deadline);
    if (page instanceof Problem) {
      // What was passed over need not be looked at again.
      return pages === 1 || page.code === 'invalid-request' ? page : { keys: [], next: after };
    }
    const late = clock.monotonic() > deadline - listing.timeout / 2;
    if (page.keys.length > 0 || page.next === null || late || pages === PAGES_MAX) return page;
    after = page.next;
  }
}

async function readPage(
  { exchange, bucket, prefix, r }: Listing,
  after: Uint8Array,
  limit: number,
  deadline: number,
): Promise<Page | Problem> {
  const { requestId, services, trace } = exchange;
  const outcome = await services.list({
    ...{ requestId, bucket, prefix: utf8(prefix), after, limit, r, deadline, trace },
  });
  if (outcome.kind === 'failed') return troubleOf(outcome);
  return { keys: outcome.keys.map(fromUtf8), next: outcome.next };
}

function troubleOf({ trouble, detail, needed, got }: Extract<ListOutcome, { kind: 'failed' }>): Problem {
  return new Problem(trouble, detail, { needed, got });
}

function pageAnswer(listing: Listing, { keys, next }: Page): Answer {
  const cursor = next === null ? null : cursorOf(listing, next);
  const headers = cursor === null ? {} : { link: `<${targetOfNext(listing, cursor)}>; rel="next"` };
  return jsonTextAnswer(JSON.stringify({ keys, next: cursor }), 200, headers);
}

function cursorOf({ cursors, exchange }: Listing, next: Uint8Array): string {
  return encodeCursor(next, cursors, exchange.services.mac);
}

function targetOfNext({ bucket, prefix, limit, exchange }: Listing, cursor: string): string {
  const kept = [`after=${cursor}`];
  if (prefix !== '') kept.push(`prefix=${encodeURIComponent(prefix)}`);
  if (limit !== undefined) kept.push(`limit=${limit}`);
  for (const name of ['r', 'timeout'] as const) {
    const given = parseQuery(exchange.target.query, LIST_PARAMETERS);
    const value = given instanceof Problem ? undefined : given.get(name);
    if (value !== undefined) kept.push(`${name}=${value}`);
  }
  return `/v1/kv/${bucket.name}?${kept.join('&')}`;
}

/**
 * All keys, a line each, then one line with `next`: null after the last key, or where to go on, and with it the problem when
 * there was one. A stream without such a line was cut. The first page is there before the headers leave, so that a problem
 * with it has its status.
 */
async function streamed(listing: Listing): Promise<Answer> {
  const { admission, services, startedAt } = listing.exchange;
  const { clock } = services;
  if (!admission.enterStream()) return problemAnswer(new Problem('overloaded', TOO_MANY_STREAMS));
  const { limit = Number.POSITIVE_INFINITY } = listing;
  let page: Page | undefined;
  try {
    const first = await readPage(listing, listing.after, Math.min(LIMIT, limit), startedAt + listing.timeout);
    if (first instanceof Problem) return problemAnswer(first);
    page = first;
  } finally {
    if (page === undefined) admission.leaveStream();
  }
  let after = listing.after;
  let sent = 0;
  const last = (problem?: Problem): string => {
    page = undefined;
    return lastLine(after.length === 0 ? '' : cursorOf(listing, after), problem);
  };
  const body: Streamed = {
    next: async () => {
      if (page === undefined) return undefined;
      const { keys, next } = page;
      sent += keys.length;
      const lines = keys.map((key) => `${JSON.stringify({ key })}\n`).join('');
      if (next === null) {
        page = undefined;
        return `${lines}${lastLine(null)}`;
      }
      after = next;
      if (sent >= limit) return lines + last();
      const deadline = clock.monotonic() + listing.timeout;
      const following = await readPage(listing, next, Math.min(LIMIT, limit - sent), deadline);
      if (following instanceof Problem) return lines + last(following);
      page = following;
      return lines;
    },
    ended: () => admission.leaveStream(),
  };
  return { status: 200, headers: { 'content-type': NDJSON, 'cache-control': 'no-store' }, body };
}

function lastLine(next: string | null, problem?: Problem): string {
  return `${JSON.stringify(problem === undefined ? { next } : { next, problem: problemMembers(problem) })}\n`;
}
