/** `quoral key list|watch`. */

import { bytes } from '#client/codec.ts';
import { clusterClient } from './cluster-client.ts';
import type { ClientOptions } from './client.ts';
import { given, wholeNumber } from './key-command.ts';
import { print } from './output.ts';

interface ListFlags extends ClientOptions {
  readonly prefix?: string;
  readonly limit?: string;
  readonly after?: string;
}

/** One key a line; as JSON `{"key":…}` a line, since a key may hold a line's end. With a limit it says how to go on. */
export async function listKeys(bucket: string, { prefix, limit, after, ...flags }: ListFlags): Promise<void> {
  const most = wholeNumber('limit', limit) ?? Number.POSITIVE_INFINITY;
  const handle = clusterClient(flags).bucket(bucket, bytes);
  let cursor = after;
  for (let left = most; left > 0;) {
    const page = await handle.page(given({ prefix, after: cursor, limit: Math.min(left, 1000) }));
    left -= page.keys.length;
    cursor = page.next;
    if (page.keys.length > 0)
      print(page.keys.map((key) => (flags.json === true ? JSON.stringify({ key }) : key)).join('\n'));
    if (cursor === undefined) return;
  }
  if (flags.json === true) print(JSON.stringify({ next: cursor }));
  else process.stderr.write(`more: quoral key list … --after ${cursor}\n`);
}

interface WatchFlags extends ClientOptions {
  readonly prefix?: string;
  readonly after?: string;
}

export async function watchKeys(bucket: string, { prefix, after, ...flags }: WatchFlags): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const watch = clusterClient(flags)
    .bucket(bucket, bytes)
    .watch(given({ prefix, after, signal: stop.signal }));
  let cursor: string | undefined;
  for await (const change of watch) {
    ({ cursor } = change);
    if (flags.json === true) print(JSON.stringify(change));
    else
      print(`${change.deleted ? 'deleted' : 'written'} ${change.key}${change.etag === null ? '' : ` ${change.etag}`}`);
  }
  if (cursor !== undefined && flags.json !== true)
    process.stderr.write(`to go on: quoral key watch … --after ${cursor}\n`);
}
