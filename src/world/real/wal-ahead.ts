/**
 * Writes zeros ahead of the write-ahead log's end, so that a commit overwrites bytes that the file already has.
 *
 * A sync of a file that has grown makes the file system commit its journal as well (a new length, new blocks). Until the log
 * has had its length once after a start that would be so for every commit; written ahead in steps of two mebibytes, it is so
 * for one in dozens, and single writes take a quarter less (bench/results/load.md). The price: until then the device gets
 * every byte twice. It has to be bytes, for blocks that are only reserved become a matter for the journal with the first
 * write into them.
 *
 * Zeros are no frame to SQLite: no frame is of page 0, and a log without a header counts as empty. They are written only
 * inside a transaction that has begun to write, when no other connection can be adding frames where the file ends.
 *
 * The log's index (`-shm`) is made longer before that. SQLite does it by itself when frames need it, but on a full disk it then
 * says that the disk has failed and not that there is no space, and with a failed disk a node does not go on.
 */

import { fstatSync, writeSync } from 'node:fs';
import { GROWTH_MAX } from './wal-checkpoint.ts';

export interface WalAheadOptions {
  /** Of the write-ahead log, open for writing. */
  readonly descriptor: number;
  /** Of the log's index, likewise. */
  readonly index: number;
  /** The length to which the log is expected to grow. */
  readonly bytes: number;
  /** What a page takes in the log. */
  readonly frameBytes: number;
}

export const STEP_BYTES = 2 * 1024 * 1024;
const ZEROS = new Uint8Array(STEP_BYTES);
/** Where nothing could be written, it is tried again when so much more is in the log. */
const AGAIN_BYTES = STEP_BYTES / 8;
/** SQLite's index has a part for so many frames, a few less in the first one. */
const PART_FRAMES = 4096;
const PART_BYTES = 32 * 1024;

export class WalAhead {
  readonly #options: WalAheadOptions;
  /**
   * The file is looked at when frames have come so far. Not for every commit: since version 6.13 Linux gives a file that was
   * looked at the exact time of its next change, and each such change is one for the journal.
   */
  #lookAt = 0;

  constructor(options: WalAheadOptions) {
    this.#options = options;
  }

  /**
   * To be called before each commit, while its transaction keeps other writers out, with the pages that will be in the log
   * after it, about: when they are too many, zeros run further ahead, when too few, the file grows by itself for a while.
   * Never throws.
   */
  beforeCommit(pages: number): void {
    const frames = pages * this.#options.frameBytes;
    if (frames > this.#lookAt) this.#lookAt = this.#extend(frames);
  }

  /** Returns when to look again. */
  #extend(frames: number): number {
    const { descriptor, bytes } = this.#options;
    try {
      const { size } = fstatSync(descriptor);
      if (size >= bytes) return this.#extendIndex(Math.max(bytes * GROWTH_MAX, size + STEP_BYTES));
      this.#extendIndex(size + STEP_BYTES);
      if (size > frames) return size;
      return size + writeSync(descriptor, ZEROS, 0, Math.min(STEP_BYTES, bytes - size), size);
    } catch {
      // A full disk, say: whether the commit itself finds space and is synced is told by SQLite and by the sync.
      return frames + AGAIN_BYTES;
    }
  }

  /** So that it has a part more than a log of so many bytes needs, which it returns. */
  #extendIndex(bytes: number): number {
    const { index, frameBytes } = this.#options;
    const needed = (Math.ceil(bytes / frameBytes / PART_FRAMES) + 1) * PART_BYTES;
    for (let { size } = fstatSync(index); size < needed;)
      size += writeSync(index, ZEROS, 0, Math.min(STEP_BYTES, needed - size), size);
    return bytes;
  }
}
