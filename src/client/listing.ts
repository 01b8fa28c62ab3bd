/** The keys of a bucket in order, page by page, as an async iterator; a page that fails is asked for again elsewhere. */

import { jsonBody } from './json-body.ts';
import type { Shared } from './keys.ts';
import type { Common } from './requests.ts';

export interface ListOptions extends Common {
  readonly prefix?: string;
  /** Where to go on: the `next` of a page. */
  readonly after?: string;
  /** Keys in a page. */
  readonly limit?: number;
}

export interface Page {
  readonly keys: readonly string[];
  /** Where the next page begins; undefined behind the last one. */
  readonly next: string | undefined;
}

export async function listPage(
  { transport, directory }: Shared,
  bucket: string,
  { prefix, after, limit, timeout, signal }: ListOptions,
): Promise<Page> {
  directory.keepCurrent();
  const { body } = await transport.send({
    method: 'GET',
    path: `/v1/kv/${encodeURIComponent(bucket)}`,
    query: { prefix, after, limit },
    headers: { accept: 'application/json' },
    expected: [200],
    changes: false,
    repeatable: true,
    timeoutMs: timeout,
    tellsTimeout: timeout !== undefined,
    signal,
  });
  const { keys, next } = jsonBody<{
    readonly keys: readonly string[];
    readonly next?: string | null;
  }>(body);
  return { keys, next: next ?? undefined };
}

export async function* listKeys(
  shared: Shared,
  bucket: string,
  options: ListOptions,
): AsyncGenerator<string, void, undefined> {
  let after = options.after;
  do {
    const page: Page = await listPage(shared, bucket, after === undefined ? options : { ...options, after });
    yield* page.keys;
    after = page.next;
  } while (after !== undefined);
}
