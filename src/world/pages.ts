/**
 * Many rows of a disk, page after page. What one read brings is bounded in bytes as well as in rows: a row may have some megabytes,
 * and while they are read nobody else is served.
 */

import { successor } from '#kernel/bytes.ts';
import type { DiskReader, RangeOptions, Row } from './world.ts';

/** Of the values in a page; the row that reaches it is the last one. */
export const PAGE_BYTES: number = 256 * 1024;

export interface Page {
  readonly rows: readonly Row[];
  /** Where the next page begins; undefined at the end. */
  readonly next: Uint8Array | undefined;
}

export function readPage(reader: DiskReader, table: string, options: Omit<RangeOptions, 'bytes' | 'reverse'>): Page {
  const rows = reader.range(table, { ...options, bytes: PAGE_BYTES });
  const last = rows.at(-1);
  const isEnd = last === undefined || (rows.length < options.limit && bytesOf(rows) < PAGE_BYTES);
  return { rows, next: isEnd ? undefined : successor(last[0]) };
}

export function bytesOf(rows: readonly Row[]): number {
  let bytes = 0;
  for (const [, value] of rows) bytes += value.length;
  return bytes;
}
