/**
 * The changes of a bucket as an async iterator. Each event has a cursor; when the connection ends, for whatever reason, the next
 * one goes on behind the last event that was handed out, or behind the last sign of life, at another node if need be. So events come
 * at least once.
 */

import { QuoralError } from './errors.ts';
import { EventReader, type ServerEvent } from './event-stream.ts';
import { jsonBody } from './json-body.ts';
import type { Shared } from './keys.ts';
import { pause } from './runtime.ts';

export interface WatchOptions {
  readonly prefix?: string;
  /** Where to go on: the `cursor` of an earlier change. From now on when it is not given. */
  readonly after?: string;
  readonly signal?: AbortSignal;
}

export interface Change {
  readonly bucket: string;
  readonly key: string;
  readonly etag: string | null;
  readonly deleted: boolean;
  /** What to begin `after` to get what came later. */
  readonly cursor: string | undefined;
}

/** A stream that is silent for longer than this is dead: nodes send a sign of life more often. */
const SILENCE_MS = 45_000;
const PAUSE_MS = 100;
const PAUSE_MAX_MS = 5000;

/** Throws `gone` when the cursor is too old: then what was missed has to be read anew. */
export async function* watchBucket(
  shared: Shared,
  bucket: string,
  { prefix, after, signal }: WatchOptions,
): AsyncGenerator<Change, void, undefined> {
  const { runtime } = shared.transport;
  let cursor = after;
  const ended = (): boolean => signal?.aborted ?? false;
  for (let failures = 0; !ended(); failures++) {
    await pause(
      runtime,
      failures === 0 ? 0 : runtime.random() * Math.min(PAUSE_MAX_MS, PAUSE_MS * 2 ** failures),
      signal,
    );
    shared.directory.keepCurrent();
    const connection = new AbortController();
    const stop = (): void => connection.abort();
    signal?.addEventListener('abort', stop);
    try {
      for await (const event of connect(shared, bucket, { prefix, cursor }, connection)) {
        failures = 0;
        cursor = event.id ?? cursor;
        const change = changeOf(event, cursor);
        if (change !== undefined) yield change;
      }
    } catch (error) {
      if (ended()) return;
      if (!passes(error)) throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
      connection.abort();
    }
  }
}

/** Of what the transport gave up on, only what nobody can mend by waiting ends a watch. */
function passes(error: unknown): boolean {
  if (!(error instanceof QuoralError)) return true;
  const { code } = error;
  return !['invalid-request', 'unauthorized', 'forbidden', 'not-found', 'gone', 'not-implemented'].includes(code);
}

async function* connect(
  { transport }: Shared,
  bucket: string,
  { prefix, cursor }: { readonly prefix: string | undefined; readonly cursor: string | undefined },
  connection: AbortController,
): AsyncGenerator<ServerEvent, void, undefined> {
  const response = await transport.open({
    method: 'GET',
    path: `/v1/watch/${encodeURIComponent(bucket)}`,
    query: { prefix },
    headers: { accept: 'text/event-stream', ...(cursor === undefined ? {} : { 'last-event-id': cursor }) },
    expected: [200],
    changes: false,
    repeatable: true,
    signal: connection.signal,
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  const events = new EventReader();
  for (;;) {
    const cancel = transport.runtime.after(SILENCE_MS, () => connection.abort());
    const { done, value } = await reader.read().finally(cancel);
    if (done) return;
    yield* events.read(value);
  }
}

function changeOf({ type, data }: ServerEvent, cursor: string | undefined): Change | undefined {
  if (type !== 'message' || data === undefined) return undefined;
  const { bucket, key, etag, deleted } = jsonBody<Omit<Change, 'cursor'>>(data);
  return { bucket, key, etag, deleted, cursor };
}
