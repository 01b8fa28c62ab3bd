/**
 * Where the lines of the log go: a descriptor, written by a thread of the pool, so that whoever reads it slowly holds up no
 * request. What waits is bounded in bytes; a line that finds no room is dropped and counted.
 *
 * A log that cannot be written ends no process: one whose disk is full waits for space and loses what finds no room meanwhile,
 * and one whose reader is gone loses everything. Whatever is wrong with it, the process can exit at any time: a pipe should say when
 * it is full, for a write that waits in a thread of the pool would hold that up.
 */

import { write, writeSync } from 'node:fs';

/** One write to a pipe of at most so many bytes is not torn by others. */
const CHUNK_BYTES = 16 * 1024;
/** Before a descriptor that takes nothing at the moment is tried again. */
const BUSY_MS = 100;
/** Before one that cannot be written, such as a file on a full disk, is tried again. */
const TROUBLE_MS = 1000;
/** Attempts in a row, when the process exits, to write to a descriptor that takes nothing at the moment. */
const EXIT_ATTEMPTS = 20;

const BUSY: ReadonlySet<unknown> = new Set(['EAGAIN', 'EBUSY']);
/** After these nothing can ever be written to the descriptor. */
const GONE: ReadonlySet<unknown> = new Set(['EPIPE', 'EBADF']);

export interface LogOutputOptions {
  readonly descriptor: number;
  /** Bytes that may wait. */
  readonly bufferMax: number;
  /** A line found no room. */
  readonly onDrop: () => void;
  /** All that waited has been written. */
  readonly onDrained: () => void;
  /** It cannot be written any more, or not now: told once, and again after it could. */
  readonly onTrouble: (error: Error) => void;
}

export class LogOutput {
  readonly #options: LogOutputOptions;
  readonly #waiting: { text: string; bytes: number }[] = [];
  #waitingBytes = 0;
  /** What is being written, or has to be written again. */
  #chunk: Buffer | undefined;
  #inFlight = false;
  #trouble: Error | undefined;
  #gone = false;
  #idle: (() => void) | undefined;

  constructor(options: LogOutputOptions) {
    this.#options = options;
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#gone || this.#waitingBytes + (this.#chunk?.length ?? 0) + bytes > this.#options.bufferMax) {
      this.#options.onDrop();
      return;
    }
    this.#waitingBytes += bytes;
    const last = this.#waiting.at(-1);
    if (last === undefined || last.bytes + bytes > CHUNK_BYTES) this.#waiting.push({ text: line, bytes });
    else {
      last.text += line;
      last.bytes += bytes;
    }
    if (this.#chunk === undefined) this.#next();
  }

  /** Resolves when all is written, at the latest after so many milliseconds; with what is wrong when something is lost. */
  async close(patience: number): Promise<string | undefined> {
    if (this.#chunk !== undefined) {
      let late: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
        late = setTimeout(resolve, patience);
      });
      clearTimeout(late);
    }
    const isWhole = this.#chunk === undefined && !this.#gone;
    const trouble = this.#trouble === undefined || this.#gone ? 'nobody reads it' : this.#trouble.message;
    this.#end();
    return isWhole ? undefined : trouble;
  }

  /** Writes what waits while the process exits. What is on its way arrives by itself, perhaps after it. */
  flushAtExit(): void {
    if (this.#gone) return;
    if (this.#inFlight) this.#chunk = undefined;
    let busy = 0;
    while (busy < EXIT_ATTEMPTS) {
      this.#chunk ??= this.#take();
      if (this.#chunk === undefined) return;
      try {
        const written = writeSync(this.#options.descriptor, this.#chunk);
        this.#chunk = written < this.#chunk.length ? this.#chunk.subarray(written) : undefined;
        busy = 0;
      } catch (error) {
        if (!BUSY.has((error as NodeJS.ErrnoException).code)) return;
        busy += 1;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_MS);
      }
    }
  }

  #take(): Buffer | undefined {
    const first = this.#waiting.shift();
    if (first === undefined) return undefined;
    this.#waitingBytes -= first.bytes;
    return Buffer.from(first.text, 'utf8');
  }

  #next(): void {
    this.#chunk = this.#take();
    if (this.#chunk !== undefined) this.#write(this.#chunk);
    else {
      this.#idle?.();
      if (!this.#gone) this.#options.onDrained();
    }
  }

  #write(chunk: Buffer): void {
    this.#inFlight = true;
    write(this.#options.descriptor, chunk, (error, written) => {
      this.#inFlight = false;
      if (this.#gone) return;
      if (error !== null) return this.#failed(error, chunk);
      this.#trouble = undefined;
      if (written === chunk.length) return this.#next();
      this.#chunk = chunk.subarray(written);
      this.#write(this.#chunk);
    });
  }

  #failed(error: NodeJS.ErrnoException, chunk: Buffer): void {
    const again = (delay: number): unknown =>
      setTimeout(() => {
        if (!this.#gone) this.#write(chunk);
      }, delay).unref();
    if (BUSY.has(error.code)) return void again(BUSY_MS);
    const isNews = this.#trouble === undefined;
    this.#trouble = error;
    if (GONE.has(error.code)) this.#end();
    else again(TROUBLE_MS);
    if (isNews) this.#options.onTrouble(error);
  }

  #end(): void {
    this.#gone = true;
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#chunk = undefined;
    this.#idle?.();
  }
}
