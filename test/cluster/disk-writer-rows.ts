/**
 * The rows that the writing process puts on its disk, so that the tests know what has to be there.
 */

import type { Row, TableDefinition } from '#world/world.ts';

export interface WriterOptions {
  readonly path: string;
  readonly groups: number;
  /** The first of them that it writes; 0 without it. */
  readonly first?: number;
  readonly rowsPerGroup: number;
  readonly valueBytes: number;
  /** Commits that the writer makes before it waits for their durability. */
  readonly inFlight: number;
  /** Each group also replaces one of so many rows; none without it. */
  readonly replaced?: number;
  readonly walBytes: number;
  readonly segmentBytes: number;
}

export const WRITER_TABLES: readonly TableDefinition[] = [{ name: 'rows', rows: 'wide' }];

/** Keys of neighbouring groups lie far apart, so that every group touches old pages. */
export function rowKey(group: number, row: number): Uint8Array {
  const key = new Uint8Array(8);
  const view = new DataView(key.buffer);
  view.setUint32(0, Math.imul(group * 31 + row, 0x9e3779b1) >>> 0);
  view.setUint16(4, group);
  view.setUint16(6, row);
  return key;
}

export function rowValue(group: number, row: number, bytes: number): Uint8Array {
  const value = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) value[i] = group + row * 7 + i;
  return value;
}

export function groupRows(group: number, options: WriterOptions): Row[] {
  return Array.from({ length: options.rowsPerGroup }, (_, row) => [
    rowKey(group, row),
    rowValue(group, row, options.valueBytes),
  ]);
}

/** The row that this group puts in the place of an earlier group's, and later ones replace. */
export function replacedRow(group: number, { replaced = 0, valueBytes }: WriterOptions): Row | undefined {
  return replaced === 0 ? undefined : [replacedKey(group % replaced), rowValue(group, 0, valueBytes)];
}

export function replacedKey(number: number): Uint8Array {
  return Uint8Array.of(number);
}
