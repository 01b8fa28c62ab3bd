/**
 * `quoral import`: stores the lines of an export. A line may be stored twice, when an import was broken or is made twice at once: in a
 * bucket that keeps siblings what is there already is read first and left alone, and what is there otherwise is replaced. Two that
 * have read the same make the same requests, which have the same names, so they are one; in a strong bucket only one of them meets its
 * condition.
 */

import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytes } from '#client/codec.ts';
import type { Bucket } from '#client/bucket.ts';
import type { DataType, Json, Look, OperationOptions } from '#client/data-types.ts';
import { QuoralError } from '#client/errors.ts';
import type { Quoral } from '#client/quoral.ts';
import type { PutOptions } from '#client/requests.ts';
import { clusterClient } from './cluster-client.ts';
import type { ClientOptions } from './client.ts';
import { inOrder, Width } from './in-order.ts';
import { countOf, given, wholeNumber } from './key-command.ts';
import { lackingIn, parseLine, sameValues, valuesOf, type StoredKey, type StoredValue } from './key-lines.ts';
import { STANDARD, UsageError } from './output.ts';
import { linesOf, type Line } from './read-lines.ts';
import { NOTE_MS, Resume, untilInterrupted, type Mark } from './resume.ts';
import { parseTypedLine, stepsTo, type Operation, type TypedKey, type TypedValue } from './type-lines.ts';
import { WorkProgress } from './work-progress.ts';

interface ImportFlags extends ClientOptions {
  readonly w?: string;
  readonly concurrency?: string;
}

/** How often a line begins anew in a strong bucket because others changed its key, and the pause that grows. */
const ROUNDS_MAX = 32;
const PAUSE_MS = 20;

type Done = 'stored' | 'unchanged' | 'expired';

export async function importBucket(bucketName: string, from: string | undefined, flags: ImportFlags): Promise<void> {
  const file = from === STANDARD ? undefined : from;
  const quoral = clusterClient(flags, { many: true });
  const bucket = quoral.bucket(bucketName, bytes);
  const { type, conflicts, consistency, w: usual } = await bucket.definition();
  const keepsSiblings = conflicts === 'siblings' && consistency === 'eventual';
  const options = given({ w: countOf(flags.w) });
  const { w = usual } = options;
  // Strong keys have conditions instead; and to know of a name, all would have to be asked where one is enough.
  const name = consistency === 'eventual' && w !== 1 && w !== 'one' ? nameIn(bucket.name) : unnamed;
  const turns = new Turns();
  const storeLine = async (line: Line): Promise<Done> => {
    if (type === 'value') {
      const stored = read(line, parseLine);
      return turns.take(stored.key, async () => storeValue(bucket, stored, line, keepsSiblings, options, name));
    }
    const wanted = read(line, (text) => parseTypedLine(text, type));
    const handle = typedHandle(quoral, bucket.name, type);
    const storeIt = consistency === 'strong' ? storeStrongTyped : storeTyped;
    return turns.take(wanted.key, async () => storeIt(handle, wanted, options, name));
  };
  const store = async (line: Line): Promise<Stored> => {
    const { end, number } = line;
    return { end, number, done: await storeLine(line) };
  };
  await new Import(bucketName, file, flags).run(store);
}

/** Many lines are stored at once; those of one key in their order, so that the last one says what is there in the end. */
class Turns {
  readonly #last = new Map<string, Promise<Done>>();

  async take(key: string, work: () => Promise<Done>): Promise<Done> {
    const before = this.#last.get(key);
    const done = before === undefined ? work() : before.then(work);
    this.#last.set(key, done);
    try {
      return await done;
    } finally {
      if (this.#last.get(key) === done) this.#last.delete(key);
    }
  }
}

interface Stored {
  readonly end: number;
  readonly number: number;
  readonly done: Done;
}

/** The reading of one file, and how far it is. */
class Import {
  readonly #file: string | undefined;
  readonly #flags: ImportFlags;
  readonly #resume: Resume | undefined;
  readonly #mark: Mark | undefined;
  readonly #total: number | undefined;

  constructor(bucket: string, file: string | undefined, flags: ImportFlags) {
    this.#file = file;
    this.#flags = flags;
    if (file === undefined) return;
    const facts = statSync(file, { throwIfNoEntry: false });
    if (facts === undefined) throw new UsageError(`${file}: there is no such file`);
    this.#total = facts.size;
    const same = `${facts.size} bytes of ${facts.mtime.toISOString()}`;
    this.#resume = new Resume(`${file}.${bucket}.import`, bucket, same);
    this.#mark = this.#resume.read();
  }

  async run(store: (line: Line) => Promise<Stored>): Promise<void> {
    const { json = false, concurrency } = this.#flags;
    const mark = this.#mark ?? { keys: 0, bytes: 0 };
    const progress = new WorkProgress('imported', this.#total, mark, json);
    const interrupt = untilInterrupted();
    const source = this.#file === undefined ? process.stdin : createReadStream(this.#file, { start: mark.bytes });
    const counts: Record<Done, number> = { stored: 0, unchanged: 0, expired: 0 };
    let end = mark.bytes;
    let noted = performance.now();
    const note = (): void => {
      noted = performance.now();
      this.#resume?.note({ keys: progress.keys, bytes: end });
    };
    try {
      const lines = until(linesOf(source, mark), interrupt.stopped);
      const width = new Width(wholeNumber('concurrency', concurrency) ?? 256);
      for await (const line of inOrder(lines, width, store)) {
        width.saw(line.end - end);
        counts[line.done] += 1;
        progress.done(1, line.end - end);
        end = line.end;
        if (performance.now() - noted > NOTE_MS) note();
      }
    } catch (error) {
      note();
      throw error;
    } finally {
      progress.clear();
      interrupt.end();
    }
    if (interrupt.stopped()) {
      note();
      throw new UsageError(
        `stopped after ${progress.keys} keys${this.#file === undefined ? '' : '; the same command goes on'}`,
      );
    }
    this.#resume?.finish();
    const { unchanged, expired } = counts;
    progress.end(json, { ...(unchanged === 0 ? {} : { unchanged }), ...(expired === 0 ? {} : { expired }) });
  }
}

async function* until(lines: AsyncIterable<Line>, stopped: () => boolean): AsyncGenerator<Line, void, undefined> {
  for await (const line of lines) {
    if (stopped()) return;
    yield line;
  }
}

/** What the line says, with its number where it says something wrong. */
function read<T>({ text, number }: Line, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`line ${number}: ${error.message}`);
  }
}

/** Names a request by what was seen before it and what it says. */
type Name = (seen: string | undefined, ...said: readonly unknown[]) => { readonly idempotencyKey?: string };

function nameIn(bucket: string): Name {
  return (seen = '', ...said) => ({
    idempotencyKey: createHash('sha256')
      .update(JSON.stringify([bucket, seen, ...said]))
      .digest('hex'),
  });
}

const unnamed: Name = () => ({});

/** What is there is led to what the line says, operation by operation. */
async function storeTyped(handle: TypedHandle, wanted: TypedKey, options: OperationOptions, name: Name): Promise<Done> {
  const { type, key } = wanted;
  const { view, context } = await handle.look(key);
  const steps = stepsTo(type, view, wanted);
  for (const [i, step] of steps.entries())
    await handle.apply(key, step, { ...options, ...name(context, key, i, step) });
  return steps.length === 0 ? 'unchanged' : 'stored';
}

/** Each operation is made on what was seen, or not at all: another import may make the same one. Who was overtaken looks again. */
async function storeStrongTyped(handle: TypedHandle, wanted: TypedKey, options: OperationOptions): Promise<Done> {
  const { type, key } = wanted;
  for (let round = 1, done: Done = 'unchanged'; ; round++) {
    const seen = await handle.look(key);
    let { etag } = seen;
    try {
      for (const step of stepsTo(type, seen.view, wanted)) {
        const condition = etag === undefined ? { ifAbsent: true } : { ifMatch: etag };
        ({ etag } = await handle.apply(key, step, { ...options, ...condition }));
        done = 'stored';
      }
      return done;
    } catch (error) {
      const overtaken = error instanceof QuoralError && error.code === 'precondition-failed';
      if (!overtaken || round === ROUNDS_MAX) throw error;
      await sleep(Math.random() * PAUSE_MS * round);
    }
  }
}

interface TypedHandle {
  look(key: string): Promise<Omit<Look, 'view'> & { readonly view: TypedValue | undefined }>;
  apply(key: string, operation: Operation, options: OperationOptions): Promise<{ readonly etag: string | undefined }>;
}

function typedHandle(quoral: Quoral, bucket: string, type: DataType): TypedHandle {
  const handles = {
    counter: () => quoral.counters(bucket),
    set: () => quoral.sets<Json>(bucket),
    map: () => quoral.maps(bucket),
    register: () => quoral.registers(bucket),
    flag: () => quoral.flags(bucket),
  };
  return handles[type]() as TypedHandle;
}

async function storeValue(
  bucket: Bucket<Uint8Array>,
  stored: StoredKey,
  line: Line,
  keepsSiblings: boolean,
  options: PutOptions,
  name: Name,
): Promise<Done> {
  const values = stored.values.filter(({ expires }) => expires === undefined || expires.getTime() > Date.now());
  if (values.length === 0) return 'expired';
  if (keepsSiblings) return storeSiblings(bucket, { ...stored, values }, options, name);
  if (values.length > 1)
    throw new UsageError(`line ${line.number}: ${stored.key} has siblings, and bucket ${bucket.name} keeps none`);
  await put(bucket, stored.key, values[0]!, { ...options, atLeastOnce: true }, unnamed);
  return 'stored';
}

/**
 * One replaces what is there, or what the context of the line covers; the others are as concurrent as they were. What an import that
 * was broken has brought is not covered by that context, and left alone.
 */
async function storeSiblings(
  bucket: Bucket<Uint8Array>,
  { key, values, context }: StoredKey,
  options: PutOptions,
  name: Name,
): Promise<Done> {
  const entry = await bucket.get(key);
  const present = valuesOf(entry);
  const [first] = context === undefined ? values : lackingIn(present, values);
  if (first === undefined || (context === undefined && sameValues(present, values))) return 'unchanged';
  const named: Name = (_, ...said) => name(entry.context, key, ...said);
  await put(bucket, key, first, { ...options, follows: context ?? entry }, named);
  if (values.length === 1) return 'stored';
  const others = lackingIn(valuesOf(await bucket.get(key)), values).filter((value) => value !== first);
  for (const value of others)
    await put(bucket, key, value, options, (seen, ...said) => named(seen, values.indexOf(value), ...said));
  return 'stored';
}

async function put(
  bucket: Bucket<Uint8Array>,
  key: string,
  value: StoredValue,
  options: PutOptions,
  name: Name,
): Promise<void> {
  const { contentType, contentEncoding, meta, expires, bytes: stored } = value;
  // A time to live counts whole seconds, from now on.
  const ttl = expires && Math.max(1, Math.ceil((expires.getTime() - Date.now()) / 1000));
  const said = { contentType, ...given({ contentEncoding, meta, ttl }) };
  const named = name(undefined, said, createHash('sha256').update(stored).digest('hex'));
  await bucket.put(key, stored, { ...options, ...said, ...named });
}
