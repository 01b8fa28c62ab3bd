/**
 * What a failed sync leaves behind. The kernel takes what it could not write for written: it goes on showing it to whoever reads
 * the file, and no later sync writes it. The next process would read the log as the one before has left it, call what it
 * commits behind that durable, and lose it with the power, for a log ends where something in it is missing.
 *
 * So a process whose disk has failed leaves a mark, and the next one writes the whole log once more, with the bytes that it
 * has, before SQLite reads it. The mark needs no sync: with the power that may be lost the kernel's memory is gone too, and what
 * is read is what is written. (Of the database file nothing has to be written again: what a checkpoint could not sync is
 * still in the log, and is copied anew.)
 */

import { closeSync, fdatasyncSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs';

const CHUNK_BYTES = 1024 * 1024;

/** Where no mark can be made either, as where a file system has become read-only, only a new mount lets a process go on. */
export function leaveMark(path: string): void {
  try {
    closeSync(openSync(markOf(path), 'w'));
  } catch {
    // The failure that has led here is told.
  }
}

/** To be called before the database is opened; throws what the operating system says when the log cannot be written. */
export function writeAgainIfMarked(path: string): void {
  const mark = markOf(path);
  if (!exists(mark)) return;
  if (exists(`${path}-wal`)) writeAgain(`${path}-wal`);
  rmSync(mark);
}

function writeAgain(path: string): void {
  const descriptor = openSync(path, 'r+');
  try {
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (let at = 0; ;) {
      const length = readSync(descriptor, chunk, 0, CHUNK_BYTES, at);
      if (length === 0) break;
      for (let written = 0; written < length;)
        written += writeSync(descriptor, chunk, written, length - written, at + written);
      at += length;
    }
    fdatasyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function markOf(path: string): string {
  return `${path}-unsynced`;
}
