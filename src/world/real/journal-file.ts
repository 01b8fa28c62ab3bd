/**
 * A file of the journal. What is written to it is on stable storage when the write has ended (`O_DSYNC`), so that a thread of the
 * pool has one thing to do for a commit. (A thread that sleeps in a sync also loses its processor to others: on a busy machine a
 * loop that synced by itself waited milliseconds for its return, whatever the device took.)
 *
 * Zeros are written ahead of what is used: a write into blocks that a file does not have yet makes the file system commit its own
 * journal as well, and a full disk is met before anything is promised. It has to be bytes, for blocks that are only reserved
 * become a matter for the file system's journal with the first write into them.
 */

import { closeSync, constants, fdatasync, fstatSync, openSync, write, writeSync } from 'node:fs';
import { assertInPlace } from './in-place.ts';

/** The longest step. */
const STEP_BYTES = 2 * 1024 * 1024;
const ZEROS = new Uint8Array(STEP_BYTES);

export class JournalFile {
  readonly path: string;
  readonly #stepBytes: number;
  readonly #descriptor: number;
  #bytes: number;
  /** There are zeros that may not have their blocks yet. */
  #hasNewZeros = false;

  /**
   * Opens the file, or creates it; it becomes longer by so many bytes at a time. It is kept open: the kernel tells of a lost write
   * once to each descriptor that was open then.
   */
  constructor(path: string, stepBytes: number) {
    this.path = path;
    this.#stepBytes = Math.min(stepBytes, STEP_BYTES);
    const { O_RDWR, O_CREAT, O_DSYNC } = constants;
    this.#descriptor = openSync(path, O_RDWR | O_CREAT | O_DSYNC, 0o644);
    this.#bytes = fstatSync(this.#descriptor).size;
  }

  /** By how much {@link reserve} makes the file longer. */
  growth(bytes: number): number {
    return Math.max(0, Math.ceil((bytes - this.#bytes) / this.#stepBytes)) * this.#stepBytes;
  }

  /** Sees to it that so many bytes have room in the file. Throws what the operating system says. */
  reserve(bytes: number): void {
    if (bytes <= this.#bytes) return;
    // Not by the descriptor of the records, which would wait for the device.
    const descriptor = openSync(this.path, 'r+');
    try {
      this.#hasNewZeros = true;
      while (this.#bytes < bytes) this.#bytes += writeSync(descriptor, ZEROS, 0, this.#stepBytes, this.#bytes);
    } finally {
      closeSync(descriptor);
    }
  }

  /**
   * Writes the bytes from one place to the other to the same place in the file, which must have room for them; `done` is called
   * when they are on stable storage. After an error nothing is to be written any more: another attempt could succeed without
   * having written what the first one dropped.
   */
  write(bytes: Uint8Array, from: number, to: number, done: (error: Error | undefined) => void): void {
    write(this.#descriptor, bytes, from, to - from, from, (error, written) => {
      if (error !== null) done(error);
      else if (written < to - from) this.write(bytes, from + written, to, done);
      else this.#settleZeros(done);
    });
  }

  /** Throws when the path leads to another file: what is written to ours would be lost with the descriptor. */
  assertInPlace(): void {
    assertInPlace(this.path, fstatSync(this.#descriptor));
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #settleZeros(done: (error: Error | undefined) => void): void {
    if (!this.#hasNewZeros) {
      done(undefined);
      return;
    }
    this.#hasNewZeros = false;
    fdatasync(this.#descriptor, (error) => done(error ?? undefined));
  }
}
