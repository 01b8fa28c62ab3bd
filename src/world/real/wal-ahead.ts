/**
 * Writes zeros ahead of the write-ahead log's end, so that a commit overwrites bytes that the file already has.
 *
 * A sync of a file that has grown makes the file system commit its journal as well (a new length, new blocks). Until the log
 * has had its length once after a start that would be so for every commit; with steps of two mebibytes one sync in hundreds
 * pays for it, and single writes cost a third less. It has to be bytes: blocks that are only reserved become a matter for the
 * journal with the first write into them.
 *
 * SQLite takes zeros for no frame, since their salt is not the log's. They are written only inside a transaction that has
 * begun to write, when no other connection can be adding frames where the file ends.
 */

import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';

export interface WalAheadOptions {
  /** The write-ahead log, which must exist. */
  readonly path: string;
  /** The length to which the log is expected to grow. */
  readonly bytes: number;
  /** What a page takes in the log. */
  readonly frameBytes: number;
}

export const STEP_BYTES = 2 * 1024 * 1024;
const ZEROS = new Uint8Array(STEP_BYTES);
/** What a commit changes besides the pages of its rows, about: those above them, and where they are split. */
const PAGES_BESIDES = 2;

export class WalAhead {
  readonly #options: WalAheadOptions;
  readonly #descriptor: number;
  /**
   * Zeros that no commit has taken, about; all the rest of the file's length once it is long enough. Counted and not asked
   * for, because Linux keeps the time of the next change so exactly after each look at a file's length that every write
   * becomes a change of the journal.
   */
  #left = 0;

  constructor(options: WalAheadOptions) {
    this.#options = options;
    this.#descriptor = openSync(options.path, 'r+');
  }

  /** To be called before each commit, with its pages, about, while its transaction keeps other writers out. Never throws. */
  beforeCommit(pages: number): void {
    this.#left -= (pages + PAGES_BESIDES) * this.#options.frameBytes;
    if (this.#left <= 0) this.#left = this.#write() || Number.POSITIVE_INFINITY;
  }

  /** Returns how many zeros it has written: none when the log is long enough. */
  #write(): number {
    try {
      const { size } = fstatSync(this.#descriptor);
      const bytes = Math.min(STEP_BYTES, this.#options.bytes - size);
      return bytes > 0 ? writeSync(this.#descriptor, ZEROS, 0, bytes, size) : 0;
    } catch {
      // A full disk, say: whether the commit itself finds space and is synced is told by SQLite and by the sync.
      return 0;
    }
  }

  /** Drops no lock: SQLite locks the other two files, never the log. */
  close(): void {
    closeSync(this.#descriptor);
  }
}
