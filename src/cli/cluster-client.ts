/**
 * The client of `quoral/client` as the verbs use it: over connections that trust what `--ca` names, and with the bytes of values
 * as they are stored, where the global `fetch` would decode a Content-Encoding.
 */

import { Readable } from 'node:stream';
import { request, type Dispatcher } from 'undici';
import { connect, type Quoral } from '#client/quoral.ts';
import type { Fetch } from '#client/runtime.ts';
import { tokenOf, type ClientOptions } from './client.ts';
import { dispatcherFor } from './client-tls.ts';

/** Longer than the longest `timeout` that a request may have. */
const PATIENCE_MS = 65_000;

export interface Reach {
  /** Whether there will be many requests: then it is worth a look at the ring, and they travel together. */
  readonly many: boolean;
}

export function clusterClient(options: ClientOptions, { many }: Reach = { many: false }): Quoral {
  const token = tokenOf(options);
  return connect({
    urls: options.url.split(',').map((url) => url.trim()),
    routing: many,
    coalesce: many,
    fetch: fetchBy(dispatcherFor(options)),
    ...(token === undefined ? {} : { token }),
  });
}

function fetchBy(dispatcher: Dispatcher | undefined): Fetch {
  return async (url, { method = 'GET', headers, body, signal }) => {
    const answer = await request(url, {
      method,
      headers: { 'user-agent': 'quoral', ...(headers as Record<string, string>) },
      headersTimeout: PATIENCE_MS,
      // A watch may be silent; its client notices when it is so for too long.
      bodyTimeout: 0,
      ...(dispatcher === undefined ? {} : { dispatcher }),
      ...(signal === null || signal === undefined ? {} : { signal }),
      ...(body === null || body === undefined ? {} : { body: body as Uint8Array | string }),
    });
    const status = answer.statusCode;
    const flat = Object.entries(answer.headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value] as [string, string]],
    );
    return new Response(await bodyOf(answer), { status, headers: flat });
  };
}

async function bodyOf({
  statusCode,
  headers,
  body,
}: Dispatcher.ResponseData): Promise<ConstructorParameters<typeof Response>[0]> {
  if (statusCode === 204 || statusCode === 304) {
    await body.dump();
    return null;
  }
  // Streams only where somebody waits for the pieces: a whole body is cheaper.
  if (headers['content-type']?.includes('text/event-stream') === true) {
    return Readable.toWeb(body) as ConstructorParameters<typeof Response>[0];
  }
  return body.arrayBuffer();
}
