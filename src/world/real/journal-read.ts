/**
 * Reads what a process that did not end in order has left in the journal's files: the records that are not in SQLite yet, in the
 * order in which they were made.
 *
 * A record that is not whole is the end of its segment, as a loss of power leaves it. But each record tells how far everything
 * was on stable storage when it was made, so a record that is missing before that was damaged later, and then nothing is to be
 * read on as if it had never been.
 */

import { readFileSync } from 'node:fs';
import { fromUtf8 } from '#kernel/bytes.ts';
import { DataDirectoryError } from './disk-errors.ts';
import {
  checksumOf,
  ENTRY_HEAD_BYTES,
  HEAD,
  HEAD_BYTES,
  isBefore,
  keyBytesOf,
  padded,
  RECORD_MAGIC,
  ROWS,
  SLICE_BYTES,
  SLICE_ROWS,
  tableOf,
  type JournalPlace,
} from './journal-format.ts';

/** Shows each row that a segment has written, in order; undefined is a row that was deleted. */
export type ShowNamedRow = (table: string, key: Uint8Array, value: Uint8Array | undefined) => void;

export interface LeftSegment {
  readonly number: number;
  /** Shows the rows of some records, from this place on, and returns where it has come; undefined: all were shown. */
  readonly show: (from: number, row: ShowNamedRow) => number | undefined;
}

export interface JournalToRead {
  readonly paths: readonly string[];
  readonly identity: number;
  /** Up to this segment everything stands in SQLite. */
  readonly applied: number;
}

/** The segments after the applied ones. Throws {@link DataDirectoryError} for a file that is missing, and where records are. */
export function readJournal({ paths, identity, applied }: JournalToRead): LeftSegment[] {
  const files = paths.map((path) => readRecords(path, identity));
  const left = files.filter(({ number }) => number > applied).sort((a, b) => a.number - b.number);
  // The first record of each says so of the whole segment before it.
  const synced = files.flatMap((file) => file.synced);
  for (const place of synced) {
    if (place.segment <= applied) continue;
    const file = left.find(({ number }) => number === place.segment);
    if (file === undefined || isBefore({ segment: file.number, bytes: file.end }, place)) throw damage(paths, place);
  }
  return left.map((file) => {
    const names = namesIn(file);
    return { number: file.number, show: (from, row) => showRows(file, names, from, row) };
  });
}

function damage(paths: readonly string[], { segment, bytes }: JournalPlace): DataDirectoryError {
  return new DataDirectoryError(
    `${paths.join(' or ')} is damaged: what was written up to byte ${bytes} of segment ${segment} is not there; ` +
      'start with an empty data directory under the same node name',
  );
}

interface Records {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  /** Of the segment; 0 when there is none. */
  readonly number: number;
  /** Where its whole records end. */
  readonly end: number;
  /** What records have said of others, those that are not read too. */
  readonly synced: readonly JournalPlace[];
}

function readRecords(path: string, identity: number): Records {
  const bytes = readWhole(path);
  const words = new Int32Array(bytes.buffer, 0, bytes.length >>> 2);
  const synced: JournalPlace[] = [];
  let number = 0;
  let end = 0;
  for (let at = 0; at + HEAD_BYTES <= bytes.length;) {
    const word = at >>> 2;
    if (words[word] !== RECORD_MAGIC || !isWhole(bytes, words, at, identity)) {
      at += 4;
      continue;
    }
    const segment = words[word + HEAD.segment]!;
    const isNext = at === end && (end === 0 || segment === number);
    synced.push({ segment: words[word + HEAD.syncedSegment]!, bytes: words[word + HEAD.syncedBytes]! });
    at += words[word + HEAD.length]!;
    if (!isNext) continue;
    number = segment;
    end = at;
  }
  return { bytes, words, number, end, synced };
}

function readWhole(path: string): Uint8Array {
  try {
    // A copy of its own begins at a whole word.
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new DataDirectoryError(
      `${path} is missing and may hold writes that are nowhere else; put it back, or start with an empty data directory ` +
        'under the same node name',
      { cause: error },
    );
  }
}

function isWhole(bytes: Uint8Array, words: Int32Array, at: number, identity: number): boolean {
  const word = at >>> 2;
  const length = words[word + HEAD.length]!;
  if (length < HEAD_BYTES || length % 4 !== 0 || at + length > bytes.length) return false;
  if (words[word + HEAD.identity] !== identity) return false;
  return words[word + HEAD.checksum] === checksumOf(bytes, at, at + length);
}

/** The body of the first record. */
function namesIn({ bytes, words }: Records): readonly string[] {
  return JSON.parse(fromUtf8(bytes.subarray(HEAD_BYTES, words[HEAD.length]))) as string[];
}

function showRows(
  { bytes, words, end }: Records,
  names: readonly string[],
  from: number,
  row: ShowNamedRow,
): number | undefined {
  let record = from;
  for (let rows = 0; record < end && rows < SLICE_ROWS && record - from < SLICE_BYTES;) {
    const recordEnd = record + words[(record >>> 2) + HEAD.length]!;
    const isOfRows = words[(record >>> 2) + HEAD.kind] === ROWS;
    for (let at = record + HEAD_BYTES; isOfRows && at < recordEnd;) {
      const head = words[at >>> 2]!;
      const length = words[(at >>> 2) + 1]!;
      const value = at + ENTRY_HEAD_BYTES + keyBytesOf(head);
      const valueEnd = value + Math.max(0, length);
      row(
        names[tableOf(head)]!,
        bytes.subarray(at + ENTRY_HEAD_BYTES, value),
        length < 0 ? undefined : bytes.subarray(value, valueEnd),
      );
      at = padded(valueEnd);
      rows += 1;
    }
    record = recordEnd;
  }
  return record < end ? record : undefined;
}
