/**
 * Reads what strace saw of a writing process, and builds from it what a power loss at any moment may leave on a disk: every
 * write that a finished sync of the same file covers, and of the later ones whichever the operating system happened to
 * have written.
 */

import { writeFileSync } from 'node:fs';
import { assert, present } from '#kernel/assert.ts';

/** By what is added to the path of the database; the database itself is ''. */
export const TRACED_FILES = ['', '-wal', '-journal-0', '-journal-1'] as const;
export type TracedFile = (typeof TRACED_FILES)[number];

/** `written` says of a write, by its place among the events, that it was synced by itself and has ended. */
export type TraceEvent =
  | { readonly kind: 'write'; readonly file: TracedFile; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'written'; readonly write: number }
  | { readonly kind: 'truncate'; readonly file: TracedFile; readonly length: number }
  | { readonly kind: 'sync'; readonly file: TracedFile; readonly started: number; readonly failed: boolean }
  | { readonly kind: 'line'; readonly words: readonly string[] };

/** What strace has to be told; the output file and the command follow. */
export const STRACE_ARGUMENTS: readonly string[] = [
  '-f',
  '--seccomp-bpf',
  '-y',
  '-xx',
  '-s',
  '4000000',
  '-e',
  'trace=openat,pwrite64,write,fsync,fdatasync,ftruncate',
];

interface Unfinished {
  readonly text: string;
  readonly at: number;
  /** The place of its event, of a write that is synced by itself: it may be on the disk before the call returns. */
  readonly write: number | undefined;
}

/**
 * Events in the order in which the calls returned, but for writes that are synced by themselves, which stand where they began;
 * `started` of a sync counts the events that were over when it began. `before`: those of a process that had the files open earlier.
 */
export function readTrace(text: string, databasePath: string, before: readonly TraceEvent[] = []): TraceEvent[] {
  const reader = new TraceReader(databasePath, before);
  for (const line of text.split('\n')) {
    const [, thread, rest] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (thread !== undefined && rest !== undefined) reader.read(thread, rest);
  }
  return reader.events;
}

class TraceReader {
  readonly events: TraceEvent[];
  readonly #databasePath: string;
  readonly #unfinished = new Map<string, Unfinished>();
  /** Descriptors whose writes are synced by themselves. */
  readonly #synced = new Set<string>();

  constructor(databasePath: string, before: readonly TraceEvent[]) {
    this.#databasePath = databasePath;
    this.events = [...before];
  }

  read(thread: string, rest: string): void {
    if (rest.endsWith('<unfinished ...>')) {
      const text = rest.slice(0, -'<unfinished ...>'.length);
      const at = this.events.length;
      const write = this.#isSynced(text) ? this.#add(this.#readCall(`${text}) = ?`, at)) : undefined;
      this.#unfinished.set(thread, { text, at, write });
      return;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    const start = resumed === null ? undefined : this.#unfinished.get(thread);
    const call = start === undefined ? rest : start.text + resumed![1]!;
    this.#noteOpened(call);
    const write = start?.write ?? this.#add(this.#readCall(call, start?.at ?? this.events.length));
    if (write !== undefined && this.#isSynced(call) && / += \d+$/.test(call)) this.#add({ kind: 'written', write });
  }

  #add(event: TraceEvent | undefined): number | undefined {
    if (event === undefined) return undefined;
    this.events.push(event);
    return this.events.length - 1;
  }

  #noteOpened(call: string): void {
    const [, flags, descriptor] = /^openat\(.*, ([A-Z_|]+)(?:, [0-7]+)?\) += (\d+)/.exec(call) ?? [];
    if (flags === undefined || descriptor === undefined) return;
    if (flags.split('|').includes('O_DSYNC')) this.#synced.add(descriptor);
    else this.#synced.delete(descriptor);
  }

  #isSynced(call: string): boolean {
    const descriptor = /^pwrite64\((\d+)</.exec(call)?.[1];
    return descriptor !== undefined && this.#synced.has(descriptor);
  }

  #readCall(call: string, started: number): TraceEvent | undefined {
    const [, name, descriptor, path, rest, result] = /^(\w+)\((\d+)<([^>]*)>(.*)\) += (-?\d+|\?)/.exec(call) ?? [];
    if (name === undefined || path === undefined || rest === undefined) return undefined;
    if (name === 'write') {
      if (descriptor !== '1') return undefined;
      return { kind: 'line', words: new TextDecoder().decode(unescape(rest)).trim().split(' ') };
    }
    const named = new TextDecoder().decode(unescape(path));
    const file = TRACED_FILES.find((suffix) => named === this.#databasePath + suffix);
    if (file === undefined) return undefined;
    switch (name) {
      case 'pwrite64': {
        const bytes = unescape(rest);
        assert(result === '?' || bytes.length === Number(result), 'a write that was traced whole and done whole');
        return { kind: 'write', file, offset: lastNumber(rest), bytes };
      }
      case 'ftruncate':
        return { kind: 'truncate', file, length: lastNumber(rest) };
      case 'fsync':
      case 'fdatasync':
        return { kind: 'sync', file, started, failed: result !== '0' };
      default:
        return undefined;
    }
  }
}

function lastNumber(text: string): number {
  return Number(/(\d+) *$/.exec(text)![1]);
}

/** The bytes of the `\x41` escapes in a text, which stand together in it; there may be millions of them. */
function unescape(text: string): Uint8Array {
  const first = text.indexOf('\\x');
  if (first < 0) return new Uint8Array();
  const escapes = text.slice(first, text.lastIndexOf('\\x') + 4);
  const bytes = Buffer.from(escapes.replaceAll('\\x', ''), 'hex');
  assert(bytes.length * 4 === escapes.length, 'nothing but escapes');
  return bytes;
}

export interface CrashOptions {
  /** How many events happened before the power was lost. */
  readonly at: number;
  /** Whether the operating system had written a change that no sync covers. */
  readonly wasWritten: () => boolean;
  /** For wrong variants: syncs of this file do not count. */
  readonly ignoredSyncs?: TracedFile;
}

/**
 * A file's bytes after the power loss. What a failed sync should have written is not written by any later one: the kernel takes
 * it for written, shows it to everybody who reads the file, and loses it with the power.
 */
function crashImage(events: readonly TraceEvent[], file: TracedFile, options: CrashOptions): Uint8Array {
  let covered = 0;
  const dropped = new Set<number>();
  const written = new Set<number>();
  for (let i = 0; i < options.at; i++) {
    const event = events[i]!;
    if (options.ignoredSyncs === file) continue;
    if (event.kind === 'written') written.add(event.write);
    if (event.kind !== 'sync' || event.file !== file) continue;
    if (event.failed) for (let lost = covered; lost < event.started; lost++) dropped.add(lost);
    covered = Math.max(covered, event.started);
  }
  const image = new GrowingFile();
  for (let i = 0; i < options.at; i++) {
    const event = events[i]!;
    if ((event.kind !== 'write' && event.kind !== 'truncate') || event.file !== file || dropped.has(i)) continue;
    const isKept = i < covered || written.has(i);
    if (event.kind === 'truncate') {
      if (isKept || options.wasWritten()) image.truncate(event.length);
      continue;
    }
    // Of what was not synced any part may be there.
    for (let from = 0; from < event.bytes.length; from += BLOCK_BYTES) {
      if (!isKept && !options.wasWritten()) continue;
      image.write(event.offset + from, event.bytes.subarray(from, from + BLOCK_BYTES));
    }
  }
  return image.contents();
}

const BLOCK_BYTES = 4096;

/** All files of the database after the power loss, beside each other. */
export function writeCrashImages(events: readonly TraceEvent[], path: string, options: CrashOptions): void {
  for (const file of TRACED_FILES) writeFileSync(path + file, crashImage(events, file, options));
}

class GrowingFile {
  #bytes = new Uint8Array(1 << 16);
  #length = 0;

  write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, offset);
    this.#length = Math.max(this.#length, end);
  }

  truncate(length: number): void {
    this.#bytes.fill(0, length);
    this.#length = length;
  }

  contents(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}

/** The groups that the writer had called durable before the event. */
export function durableGroups(events: readonly TraceEvent[], before: number): number[] {
  const groups: number[] = [];
  for (const event of events.slice(0, before)) {
    if (event.kind === 'line' && event.words[0] === 'durable') groups.push(Number(present(event.words[1], 'a group')));
  }
  return groups;
}
