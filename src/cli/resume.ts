/**
 * Where a broken import or export goes on: a small file beside the data, replaced as a whole, and gone when the work is done. It
 * belongs to the run that began last; one that finds it taken over ends, or two would write into one file.
 */

import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { UsageError } from './output.ts';

export interface Mark {
  readonly bucket: string;
  /** What else must be the same for it to be the same work. */
  readonly of: string;
  /** Whose it is; a program of an earlier version did not say. */
  readonly run?: string;
  readonly keys: number;
  /** Of the data file: what comes behind is not done. */
  readonly bytes: number;
  /** Of an export: where the listing goes on. */
  readonly cursor?: string;
}

/** Milliseconds between two notes: how much is done again at most. */
export const NOTE_MS = 500;

export class Resume {
  readonly #path: string;
  readonly #bucket: string;
  readonly #of: string;
  readonly #run = randomUUID();
  #begun = false;

  constructor(path: string, bucket: string, of: string) {
    this.#path = path;
    this.#bucket = bucket;
    this.#of = of;
  }

  /** Undefined when nothing was begun. Throws {@link UsageError} when what was begun is another work. */
  read(): Mark | undefined {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw new UsageError(`${this.#path}: ${error instanceof Error ? error.message : String(error)}`);
    }
    const mark = markIn(text);
    if (mark === undefined) throw new UsageError(`${this.#path} is damaged; remove it to begin anew`);
    if (mark.bucket === this.#bucket && mark.of === this.#of) return mark;
    throw new UsageError(`${this.#path} is of other work (bucket ${mark.bucket}, ${mark.of}); remove it to begin anew`);
  }

  note(done: Omit<Mark, 'bucket' | 'of' | 'run'>): void {
    if (this.#begun) this.hold();
    this.#begun = true;
    const aside = `${this.#path}.new`;
    writeFileSync(aside, `${JSON.stringify({ bucket: this.#bucket, of: this.#of, run: this.#run, ...done })}\n`);
    renameSync(aside, this.#path);
  }

  /** Throws {@link UsageError} when another run goes on with the work that this one has begun. */
  hold(): void {
    if (this.read()?.run === this.#run) return;
    throw new UsageError(`${this.#path} is no longer of this run: another one of the same command has gone on with it`);
  }

  finish(): void {
    if (this.#begun) this.hold();
    rmSync(this.#path, { force: true });
  }
}

/** Undefined when something else than {@link Resume.note} has written it. */
function markIn(text: string): Mark | undefined {
  try {
    const mark = JSON.parse(text) as Partial<Mark> | null;
    return typeof mark?.keys === 'number' && typeof mark.bytes === 'number' ? (mark as Mark) : undefined;
  } catch {
    return undefined;
  }
}

/** An interrupt ends the work at a place from which it can go on; a second one ends it at once. */
export function untilInterrupted(): { readonly stopped: () => boolean; readonly end: () => void } {
  let stopped = false;
  const stop = (): void => {
    stopped = true;
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  return {
    stopped: () => stopped,
    end: () => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
    },
  };
}
