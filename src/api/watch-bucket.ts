/**
 * `GET /v1/watch/{bucket}`: changes as server-sent events (WHATWG HTML, section 9.2). The id of an event is a cursor: a client
 * that comes back with it as `Last-Event-ID`, at any node, is told of everything since.
 */

import { fromUtf8, utf8 } from '#kernel/bytes.ts';
import type { ChangeEvent, Watcher, WatchPart } from '#watch/watcher.ts';
import type { WatchStart } from '#watch/watches.ts';
import { TOO_MANY_STREAMS } from './admission.ts';
import { decodeCursor, encodeCursor, type CursorScope } from './cursor.ts';
import type { Answer, Exchange, Streamed } from './exchange.ts';
import { identify, Stranger } from './identify.ts';
import { decodeBucket, MAX_KEY_BYTES } from './key-path.ts';
import { readInteger } from './parameters.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';
import { parseQuery } from './query.ts';
import { refuseSession } from './request-session.ts';

export const WATCH_PARAMETERS = ['prefix', 'after', 'timeout'] as const;

const GONE = 'what has changed since that cursor is not all remembered any more; list the bucket and watch from now on';

interface WatchRequest {
  readonly scope: CursorScope;
  readonly place: Uint8Array | undefined;
  /** Milliseconds that it lasts; undefined for as long as the client wants. */
  readonly lasts: number | undefined;
}

export async function watchBucket(exchange: Exchange): Promise<Answer> {
  const request = parseWatch(exchange);
  if (request instanceof Problem) return problemAnswer(request);
  const { admission, services } = exchange;
  if (!admission.enterStream()) return problemAnswer(new Problem('overloaded', TOO_MANY_STREAMS));
  const { scope, place, lasts } = request;
  let watcher: Watcher | Problem | undefined;
  try {
    watcher = watcherOf(await services.watch(scope.bucket, utf8(scope.prefix), place));
  } finally {
    if (watcher === undefined || watcher instanceof Problem) admission.leaveStream();
  }
  if (watcher instanceof Problem) return problemAnswer(watcher);
  const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' };
  return { status: 200, headers, body: stream(exchange, watcher, scope, lasts) };
}

function watcherOf(start: WatchStart): Watcher | Problem {
  switch (start.kind) {
    case 'begun':
      return start.watcher;
    case 'gone':
      return new Problem('gone', GONE, { field: 'Last-Event-ID' });
    case 'no-log': {
      const why = `${start.node} keeps no log of changes (its watch-log-max is 0): of what it alone has nobody would be told`;
      return new Problem('not-implemented', why);
    }
  }
}

function parseWatch({ services, target, incoming }: Exchange): WatchRequest | Problem {
  const bucket = decodeBucket(target.segments[2] ?? '');
  if (bucket instanceof Problem) return bucket;
  const query = parseQuery(target.query, WATCH_PARAMETERS);
  if (query instanceof Problem) return query;
  const prefix = query.get('prefix') ?? '';
  if (utf8(prefix).length > MAX_KEY_BYTES) return invalid('prefix', `at most ${MAX_KEY_BYTES} bytes are allowed`);
  const apart = refuseSession(incoming, 'a watch');
  if (apart !== undefined) return apart;
  const text = query.get('timeout');
  const lasts = text === undefined ? undefined : readInteger('timeout', text);
  if (lasts instanceof Problem) return lasts;
  const scope: CursorScope = { of: 'watch', bucket, prefix };
  const place = placeIn(incoming.header('last-event-id'), query.get('after'), scope, services.mac);
  return place instanceof Problem ? place : { scope, place, lasts };
}

/** The header wins: browsers send it when they come back to the very URL that they began with. */
function placeIn(
  header: string | undefined,
  after: string | undefined,
  scope: CursorScope,
  mac: Exchange['services']['mac'],
): Uint8Array | undefined | Problem {
  if (header !== undefined && header !== '') return decodeCursor(header, scope, mac, 'Last-Event-ID');
  return after === undefined ? undefined : decodeCursor(after, scope, mac, 'after');
}

function stream(exchange: Exchange, watcher: Watcher, scope: CursorScope, lasts: number | undefined): Streamed {
  const { admission, services } = exchange;
  const { clock, mac } = services;
  const timer = lasts === undefined ? undefined : clock.after(lasts, () => watcher.end('timeout'));
  let over = false;
  /** The last that the client was given. */
  let cursor: string | undefined;
  return {
    next: async () => {
      if (over) return undefined;
      if (cursor === undefined) {
        // Events may wait already: this cursor is before all of them.
        cursor = encodeCursor(watcher.began, scope, mac);
        return alive('watching', cursor);
      }
      const news = await watcher.next();
      const part = news.kind === 'end' || mayRead(exchange, scope.bucket) ? news : UNAUTHORIZED;
      over = part.kind === 'end';
      if (part.kind === 'end') return `event: end\ndata: ${JSON.stringify({ reason: part.reason })}\n\n`;
      const before = cursor;
      cursor = encodeCursor(part.place, scope, mac);
      return part.kind === 'alive' ? alive('alive', cursor) : eventsText(part.events, scope.bucket, before, cursor);
    },
    ended: () => {
      timer?.cancel();
      watcher.close();
      admission.leaveStream();
    },
  };
}

const UNAUTHORIZED = { kind: 'end', reason: 'unauthorized' } as const satisfies WatchPart;

/** Whether its token still allows what it did when the watch began. */
function mayRead({ services, incoming }: Exchange, bucket: string): boolean {
  const client = identify(incoming, 'read', services.guard);
  return !(client instanceof Stranger) && client.permits('read', bucket);
}

/** Each has a cursor, before which nothing is that the client was not told of: the new one stands with the last, when all are behind it. */
function eventsText(events: readonly ChangeEvent[], bucket: string, before: string, after: string): string {
  const last = events.length - 1;
  return events.map((event, i) => `id: ${i === last ? after : before}\n${dataOf(event, bucket)}`).join('');
}

/** An event without data is none, but its id counts. */
function alive(word: string, cursor: string): string {
  return `: ${word}\nid: ${cursor}\n\n`;
}

function dataOf({ key, etag }: ChangeEvent, bucket: string): string {
  return `data: ${JSON.stringify({ bucket, key: fromUtf8(key), etag, deleted: etag === null })}\n\n`;
}
