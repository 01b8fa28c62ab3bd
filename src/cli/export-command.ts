/**
 * `quoral export`: all keys and values of a bucket as lines, in the order of keys. There is no snapshot: a key that changes
 * meanwhile is there as it was at some moment in between.
 */

import { closeSync, constants, existsSync, ftruncateSync, fsyncSync, openSync, statSync, writeSync } from 'node:fs';
import { once } from 'node:events';
import { bytes, text } from '#client/codec.ts';
import type { Bucket } from '#client/bucket.ts';
import type { Page as KeyPage } from '#client/listing.ts';
import { clusterClient } from './cluster-client.ts';
import type { ClientOptions } from './client.ts';
import { inOrder, Width } from './in-order.ts';
import { countOf, given, wholeNumber } from './key-command.ts';
import { lineOf, valuesOf } from './key-lines.ts';
import { STANDARD, UsageError } from './output.ts';
import { NOTE_MS, Resume, untilInterrupted } from './resume.ts';
import { typedLine } from './type-lines.ts';
import { WorkProgress } from './work-progress.ts';

interface ExportFlags extends ClientOptions {
  readonly prefix?: string;
  readonly r?: string;
  readonly contexts?: boolean;
  readonly concurrency?: string;
}

const PAGE_KEYS = 500;

export async function exportBucket(name: string, file: string | undefined, flags: ExportFlags): Promise<void> {
  const bucket = clusterClient(flags, { many: true }).bucket(name, bytes);
  if (file === undefined || file === STANDARD) await toStandardOutput(bucket, flags);
  else await toFile(bucket, file, flags);
}

async function toStandardOutput(bucket: Bucket<Uint8Array>, flags: ExportFlags): Promise<void> {
  const progress = new WorkProgress('exported', undefined, { keys: 0, bytes: 0 }, true);
  for await (const { lines } of pages(bucket, flags, undefined)) {
    for (const line of lines) {
      progress.done(1, line.length);
      if (!process.stdout.write(line)) await once(process.stdout, 'drain');
    }
  }
}

async function toFile(bucket: Bucket<Uint8Array>, file: string, flags: ExportFlags): Promise<void> {
  const resume = new Resume(`${file}.progress`, bucket.name, `prefix ${JSON.stringify(flags.prefix ?? '')}`);
  const mark = resume.read();
  if (mark === undefined && existsSync(file))
    throw new UsageError(`${file} is there already; give another name, or remove it`);
  const progress = new WorkProgress(
    'exported',
    undefined,
    { keys: mark?.keys ?? 0, bytes: mark?.bytes ?? 0 },
    flags.json === true,
  );
  const interrupt = untilInterrupted();
  let length = mark?.bytes ?? 0;
  if (mark !== undefined && (statSync(file, { throwIfNoEntry: false })?.size ?? 0) < length)
    throw new UsageError(`${file} is shorter than ${file}.progress says; remove both to begin anew`);
  const begun = given({ cursor: mark?.cursor });
  resume.note({ keys: mark?.keys ?? 0, bytes: length, ...begun });
  const target = openSync(file, constants.O_WRONLY | constants.O_CREAT);
  let noted = 0;
  try {
    // What came behind the note may be half a line.
    ftruncateSync(target, length);
    for await (const { lines, next } of pages(bucket, flags, mark?.cursor)) {
      const written = Buffer.from(lines.join(''), 'utf8');
      resume.hold();
      for (let at = 0; at < written.length;) at += writeSync(target, written, at, undefined, length + at);
      length += written.length;
      progress.done(lines.length, written.length);
      const now = performance.now();
      if (next === undefined || (now - noted < NOTE_MS && !interrupt.stopped())) continue;
      noted = now;
      fsyncSync(target);
      resume.note({ keys: progress.keys, bytes: length, cursor: next });
      if (interrupt.stopped()) throw new UsageError(`stopped after ${progress.keys} keys; the same command goes on`);
    }
    resume.hold();
    // A run that has lost the file may have written a page behind that, when it was just about to.
    ftruncateSync(target, length);
    fsyncSync(target);
  } finally {
    progress.clear();
    closeSync(target);
    interrupt.end();
  }
  resume.finish();
  progress.end(flags.json === true);
}

interface Page {
  readonly lines: readonly string[];
  readonly next: string | undefined;
}

/** The next page is listed while the values of one are read. */
async function* pages(
  bucket: Bucket<Uint8Array>,
  { prefix, r, contexts = false, concurrency }: ExportFlags,
  cursor: string | undefined,
): AsyncGenerator<Page, void, undefined> {
  const width = new Width(wholeNumber('concurrency', concurrency) ?? 256);
  const list = async (after: string | undefined) => bucket.page(given({ prefix, after, limit: PAGE_KEYS }));
  const { type } = await bucket.definition();
  const line = async (key: string): Promise<string> => {
    const entry = await bucket.get(key, given({ r: countOf(r) }));
    if (!entry.exists) return '';
    if (type !== 'value') return typedLine(key, text.decode(entry.value!, ''));
    return lineOf({
      key,
      values: valuesOf(entry),
      ...(contexts && entry.context !== undefined ? { context: entry.context } : {}),
    });
  };
  let coming: ReturnType<typeof list> | undefined = list(cursor);
  while (coming !== undefined) {
    const { keys, next }: KeyPage = await coming;
    coming = next === undefined ? undefined : list(next);
    // It is awaited behind the values; a failure until then is no stray one.
    coming?.catch(() => undefined);
    const lines: string[] = [];
    for await (const one of inOrder(keys, width, line)) {
      width.saw(one.length);
      if (one !== '') lines.push(one);
    }
    yield { lines, next };
  }
}
