/**
 * Which format a database file has, without opening it: opening alone may create files beside it and copy the log into it,
 * and a file of a newer program is to be left as it is, to the last byte.
 *
 * The version stands in the file's first page. A newer copy of that page may be in the write-ahead log, where it counts if a
 * commit follows it (sqlite.org/fileformat2.html, sections 1.3 and 4.1). Checksums are left to SQLite: what is found here
 * can only refuse, and whoever is let through is checked again.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

export interface Marks {
  readonly application: number;
  readonly version: number;
}

const MAGIC = 'SQLite format 3\0';
const VERSION_AT = 60;
const APPLICATION_AT = 68;
const FIRST_PAGE_HEAD = 100;
const LOG_HEAD = 32;
const FRAME_HEAD = 24;

/** Undefined when there is no file there, or none of SQLite's. */
export function peek(path: string): Marks | undefined {
  const marks = inFile(path, (read) => {
    const head = read(0, FIRST_PAGE_HEAD);
    return head?.toString('latin1', 0, MAGIC.length) === MAGIC ? marksOf(head) : undefined;
  });
  return marks && (inFile(`${path}-wal`, latestInLog) ?? marks);
}

function marksOf(page: Buffer): Marks {
  return { application: page.readUInt32BE(APPLICATION_AT), version: page.readUInt32BE(VERSION_AT) };
}

type Read = (position: number, length: number) => Buffer | undefined;

/** The marks in the last committed copy of the first page; frames left over from an earlier round have other salts. */
function latestInLog(read: Read, length: number): Marks | undefined {
  const head = read(0, LOG_HEAD);
  if (head === undefined) return undefined;
  const pageBytes = head.readUInt32BE(8);
  if (pageBytes < FIRST_PAGE_HEAD) return undefined;
  const salts = head.subarray(16, 24);
  let committed: Marks | undefined;
  let pending: Marks | undefined;
  for (let at = LOG_HEAD; at + FRAME_HEAD + pageBytes <= length; at += FRAME_HEAD + pageBytes) {
    const frame = read(at, FRAME_HEAD);
    if (frame === undefined || !frame.subarray(8, 16).equals(salts)) break;
    if (frame.readUInt32BE(0) === 1) {
      const page = read(at + FRAME_HEAD, FIRST_PAGE_HEAD);
      if (page !== undefined) pending = marksOf(page);
    }
    const commits = frame.readUInt32BE(4) !== 0;
    if (commits) committed = pending ?? committed;
  }
  return committed;
}

function inFile<T>(path: string, look: (read: Read, length: number) => T): T | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch {
    // Whatever keeps it from being read is told when it is opened.
    return undefined;
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) return undefined;
    return look((position, length) => {
      const buffer = Buffer.alloc(length);
      return readSync(descriptor, buffer, 0, length, position) === length ? buffer : undefined;
    }, stat.size);
  } finally {
    closeSync(descriptor);
  }
}
