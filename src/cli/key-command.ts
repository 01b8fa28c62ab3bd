/** `quoral key get|put|touch|delete`. */

import { buffer } from 'node:stream/consumers';
import type { Happened } from '#client/answer.ts';
import type { Written } from '#client/bucket.ts';
import { bytes } from '#client/codec.ts';
import type { Entry, Sibling } from '#client/entry.ts';
import type { Consistency, Count, DeleteOptions, PutOptions, ReadOptions } from '#client/requests.ts';
import { clusterClient } from './cluster-client.ts';
import type { ClientOptions } from './client.ts';
import { readTtl } from './measures.ts';
import { fail, print, UsageError } from './output.ts';

interface ReadFlags extends ClientOptions {
  readonly r?: string;
  readonly pr?: string;
  readonly consistency?: string;
  readonly timeout?: string;
}

interface ChangeFlags extends ClientOptions {
  readonly context?: string;
  readonly ifMatch?: string;
  readonly w?: string;
  readonly pw?: string;
  readonly dw?: string;
  readonly consistency?: string;
  readonly timeout?: string;
}

interface PutFlags extends ChangeFlags {
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly meta?: readonly string[];
  readonly ttl?: string;
  readonly ifAbsent?: boolean;
}

/** Numbers that the client waits by; all else is the node's to judge. */
export function wholeNumber(flag: string, text: string | undefined, least = 1): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least) return value;
  throw new UsageError(`--${flag} ${JSON.stringify(text)}: must be a whole number from ${least} on`);
}

/** What is not given is left out: absent is another thing than undefined. */
export function given<O extends object>(options: O): { [K in keyof O]?: Exclude<O[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof O]?: Exclude<O[K], undefined>;
  };
}

/** The client must know that one replica is enough; words that are none are the node's to judge. */
export function countOf(text: string | undefined): Count | undefined {
  return text === undefined ? undefined : /^\d{1,9}$/.test(text) ? Number(text) : (text as Count);
}

function common({ consistency, timeout }: ReadFlags): Pick<ReadOptions, 'consistency' | 'timeout'> {
  return given({ consistency: consistency as Consistency | undefined, timeout: wholeNumber('timeout', timeout) });
}

export async function getKey(bucket: string, key: string, flags: ReadFlags): Promise<void> {
  const { r, pr } = flags;
  const options: ReadOptions = {
    ...common(flags),
    ...given({ r: countOf(r), pr: countOf(pr) }),
  };
  const entry = await clusterClient(flags).bucket(bucket, bytes).get(key, options);
  if (!entry.exists) fail(`${bucket}/${key} is not there`);
  else if (entry.siblings.length > 1) printSiblings(entry, flags);
  else if (flags.json === true) print(JSON.stringify({ ...facts(entry), ...shown(entry.siblings[0]!) }));
  else process.stdout.write(entry.siblings[0]!.value);
}

function printSiblings({ context, siblings }: Entry<Uint8Array>, { json }: ReadFlags): void {
  if (json === true) {
    print(JSON.stringify({ context, siblings: siblings.map(shown) }));
    return;
  }
  print(`${siblings.length} siblings; resolve them with: quoral key put … --context ${context}`);
  for (const { etag, contentType, lastModified, value } of siblings) {
    print(`--- ${etag} ${lastModified.toISOString()} ${contentType}`);
    print(Buffer.from(value).toString('utf8'));
  }
}

/** One version in JSON, as nodes show siblings. */
function shown({
  etag,
  contentType,
  contentEncoding,
  lastModified,
  expires,
  meta,
  value,
}: Sibling<Uint8Array>): object {
  const base64 = Buffer.from(value).toString('base64');
  return { etag, contentType, contentEncoding, lastModified, expires, meta, value: base64 };
}

function changeOptions(flags: ChangeFlags): DeleteOptions {
  const { context, ifMatch, w, pw, dw } = flags;
  return {
    ...common(flags),
    ...given({
      follows: context,
      ifMatch: ifMatch?.replaceAll('"', ''),
      w: countOf(w),
      pw: countOf(pw),
      dw: countOf(dw),
    }),
  };
}

export async function putKey(bucket: string, key: string, value: string | undefined, flags: PutFlags): Promise<void> {
  const { contentType, contentEncoding, ifAbsent, ttl } = flags;
  const body = value === undefined ? await buffer(process.stdin) : Buffer.from(value, 'utf8');
  const options: PutOptions = {
    ...changeOptions(flags),
    ...given({
      contentType,
      contentEncoding,
      ifAbsent,
      ttl: ttl === undefined ? undefined : readTtl(ttl),
      meta: readMeta(flags.meta),
    }),
  };
  report('stored', bucket, key, await clusterClient(flags).bucket(bucket, bytes).put(key, body, options), flags);
}

function readMeta(pairs: readonly string[] | undefined): Readonly<Record<string, string>> | undefined {
  return (
    pairs &&
    Object.fromEntries(
      pairs.map((pair) => {
        const at = pair.indexOf('=');
        if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
        throw new UsageError(`--meta ${JSON.stringify(pair)}: must be name=value`);
      }),
    )
  );
}

export async function deleteKey(bucket: string, key: string, flags: ChangeFlags): Promise<void> {
  report(
    'deleted',
    bucket,
    key,
    await clusterClient(flags).bucket(bucket, bytes).delete(key, changeOptions(flags)),
    flags,
  );
}

export async function touchKey(
  bucket: string,
  key: string,
  flags: ChangeFlags & { readonly ttl?: string },
): Promise<void> {
  const options = { ...changeOptions(flags), ...(flags.ttl === undefined ? {} : { ttl: readTtl(flags.ttl) }) };
  const happened = await clusterClient(flags).bucket(bucket, bytes).touch(key, options);
  report('touched', bucket, key, { etag: undefined, context: undefined, ...happened }, flags);
}

function report(what: string, bucket: string, key: string, written: Written, { json }: ClientOptions): void {
  if (json === true) print(JSON.stringify(facts(written)));
  else print(`${what} ${bucket}/${key} (${replicasText(written)}; coordinator=${written.coordinator})`);
}

function facts({ etag, context, ...happened }: Pick<Written, 'etag' | 'context'> & Happened): object {
  return { etag, context, replicas: replicasText(happened), coordinator: happened.coordinator };
}

function replicasText({ replicas }: Happened): string | undefined {
  return (
    replicas && `acked=${replicas.acked}; needed=${replicas.needed}; of=${replicas.of}; fallbacks=${replicas.fallbacks}`
  );
}
