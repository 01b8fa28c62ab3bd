/**
 * Bounds the write-ahead log. SQLite starts the log over only when a write finds every frame copied into the database
 * file, which never happens by itself under steady load: while a checkpoint copies, new frames arrive.
 *
 * So when the log has reached its size, a thread copies it in rounds while transactions go on, until little is left. After that
 * they are held: whoever writes waits until the thread has copied the last frames too. So the log is complete and the write
 * after that starts it over; the event loop does not wait, and rows gather in the journal (journal.ts) meanwhile. Only when
 * somebody goes on writing all the same, the loop copies the few frames that are left itself.
 */

import { Worker } from 'node:worker_threads';
import type { Database, Statement } from 'better-sqlite3';
import type { Log } from '#world/world.ts';

export interface CheckpointWorkerData {
  readonly path: string;
}

export type CheckpointRequest = { readonly kind: 'checkpoint'; readonly rounds: number } | { readonly kind: 'close' };

export type CheckpointReply =
  | { readonly kind: 'done' }
  | { readonly kind: 'error'; readonly message: string; readonly code: string };

export interface CheckpointerOptions {
  readonly path: string;
  readonly database: Database;
  readonly log: Log;
  /** Pages in the log at which a checkpoint begins. */
  readonly startPages: number;
  /** Ends what the connection reads: inside a transaction the log cannot even be looked at. */
  readonly endReads: () => void;
  readonly observe: (seconds: number) => void;
  /** Called with an error of the disk, after which nothing is tried again. A full disk is no such error. */
  readonly onError: (error: unknown) => void;
}

/** The most rounds while commits go on: each copies what came during the one before, and shortens what the held commits wait for. */
const FREE_ROUNDS_MAX = 6;
/** Commits are held during these rounds too when the log has grown to this many times the size at which they began. */
export const GROWTH_MAX = 2;
/** By so much of the size at which a checkpoint begins the log may have grown before it is looked at again. */
const UNSEEN_SHARE = 1 / 64;

export class Checkpointer {
  readonly #options: CheckpointerOptions;
  /** Answers the pages in the log and those of them that are copied, and does nothing. */
  readonly #logPages: Statement<[], [busy: number, pages: number, copied: number]>;
  #thread: CheckpointThread | undefined;
  /** Pages in the log when it was last looked at, and those that have come since, about. */
  #seenPages = 0;
  #unseenPages = 0;
  #state: 'idle' | 'free-rounds' | 'hold-next' | 'holding' | 'ended' = 'idle';
  #startPages: number;
  readonly #copyOnLoop: Statement<[]>;
  #freeRounds: Promise<void> | undefined;
  #held: Promise<void> | undefined;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
    this.#startPages = options.startPages;
    this.#logPages = options.database
      .prepare<[], [busy: number, pages: number, copied: number]>('PRAGMA wal_checkpoint(NOOP)')
      .raw();
    this.#copyOnLoop = options.database.prepare('PRAGMA wal_checkpoint(PASSIVE)');
  }

  /**
   * To be called after each commit, with the pages that it has written, about. Returns what the commit's durability has to
   * wait for besides its sync, if anything.
   */
  afterCommit(pages: number): Promise<void> | undefined {
    this.#unseenPages += pages;
    switch (this.#state) {
      case 'idle':
        if (this.#pagesAbout() >= this.#startPages) this.#freeRounds = this.#runFreeRounds();
        return undefined;
      case 'free-rounds':
        return this.#pagesAbout() >= this.#startPages * GROWTH_MAX ? this.#freeRounds : undefined;
      case 'hold-next':
        return (this.#held = this.#hold());
      case 'holding':
        return this.#held;
      case 'ended':
        return undefined;
    }
  }

  /** Ends the thread and its connection after the round that runs. */
  async close(): Promise<void> {
    this.#state = 'ended';
    await this.#thread?.close();
  }

  async #runFreeRounds(): Promise<void> {
    this.#state = 'free-rounds';
    try {
      if (!(await this.#run(FREE_ROUNDS_MAX))) return;
      if (this.#isCopied()) this.#restart(this.#options.startPages);
      else this.#state = 'hold-next';
    } catch (error) {
      this.#options.onError(error);
    }
  }

  async #hold(): Promise<void> {
    this.#state = 'holding';
    if (!(await this.#run(1))) return;
    if (!this.#isCopied()) this.#copyHere();
    if (this.#isCopied()) this.#restart(this.#options.startPages);
    else this.#giveUp('another program reads the database, or there is no space');
  }

  /** A database file without space for it is no trouble: the log has it all, and the next attempt comes later. */
  #copyHere(): void {
    this.#options.endReads();
    try {
      this.#copyOnLoop.get();
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'SQLITE_FULL') throw error;
    }
  }

  /** Runs the rounds in the thread; false when the checkpointer must not go on with what it was doing. */
  async #run(rounds: number): Promise<boolean> {
    const start = performance.now();
    this.#thread ??= new CheckpointThread(this.#options.path);
    const reply = await this.#thread.run(rounds);
    this.#options.observe((performance.now() - start) / 1000);
    if (this.#state === 'ended') return false;
    if (reply.kind === 'done') return true;
    if (reply.code === 'SQLITE_FULL') {
      // Nothing is lost, and commits go on as long as the log finds space.
      this.#giveUp(reply.message);
    } else {
      this.#state = 'ended';
      this.#options.onError(Object.assign(new Error(reply.message), { code: reply.code }));
    }
    return false;
  }

  /** Lets the log grow by as much again before the next attempt. */
  #giveUp(reason: string): void {
    const { pages } = this.#pages();
    this.#options.log.warn('checkpoint-incomplete', { path: this.#options.path, pages, reason });
    this.#restart(pages + this.#options.startPages);
  }

  #restart(startPages: number): void {
    this.#state = 'idle';
    this.#startPages = startPages;
    // The next write starts the log over, or it is looked at soon.
    this.#seenPages = 0;
  }

  #isCopied(): boolean {
    const { pages, copied } = this.#pages();
    return copied >= pages;
  }

  /** SQLite parses the question anew each time, which takes as long as to write half a row, so it is asked only now and then. */
  #pagesAbout(): number {
    if (this.#unseenPages >= this.#options.startPages * UNSEEN_SHARE) this.#pages();
    return this.#seenPages;
  }

  #pages(): { readonly pages: number; readonly copied: number } {
    this.#options.endReads();
    const [, pages = 0, copied = 0] = this.#logPages.get() ?? [];
    this.#seenPages = pages;
    this.#unseenPages = 0;
    return { pages, copied };
  }
}

/** The thread, which answers one request at a time. */
class CheckpointThread {
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #hasEnded = false;
  #isClosing = false;
  #answer: (reply: CheckpointReply) => void = () => undefined;

  constructor(path: string) {
    // The published package holds it as JavaScript, like this file.
    const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
    const program = import.meta.resolve('./wal-checkpoint-worker.ts').replace(/\.ts$/, extension);
    const workerData: CheckpointWorkerData = { path };
    this.#worker = new Worker(new URL(program), {
      name: 'checkpoint',
      workerData,
      execArgv: [],
    });
    this.#worker.unref();
    let reason = 'the checkpoint thread ended';
    this.#worker.on('message', (reply: CheckpointReply) => {
      // Not when it is closing: a process that waits for that and nothing else would end before it is done.
      if (!this.#isClosing) this.#worker.unref();
      this.#answer(reply);
    });
    this.#worker.on('error', (error) => {
      reason = `the checkpoint thread ended: ${error instanceof Error ? error.message : String(error)}`;
    });
    this.#ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#hasEnded = true;
        this.#answer({ kind: 'error', message: reason, code: 'ETHREAD' });
        resolve();
      });
    });
  }

  run(rounds: number): Promise<CheckpointReply> {
    return new Promise((resolve) => {
      this.#answer = resolve;
      if (this.#hasEnded) resolve({ kind: 'error', message: 'the checkpoint thread has ended', code: 'ETHREAD' });
      else {
        // A process that has nothing else to do must not end while commits wait for this.
        this.#worker.ref();
        this.#send({ kind: 'checkpoint', rounds });
      }
    });
  }

  async close(): Promise<void> {
    if (!this.#hasEnded) {
      this.#isClosing = true;
      this.#worker.ref();
      this.#send({ kind: 'close' });
    }
    await this.#ended;
  }

  #send(request: CheckpointRequest): void {
    this.#worker.postMessage(request);
  }
}
