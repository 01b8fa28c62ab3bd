/**
 * A sorted map from byte strings to byte strings: rows in key order, cut into runs short enough to insert into.
 */

import { compareBytes } from '#kernel/bytes.ts';
import type { RangeOptions, Row } from '#world/world.ts';

const RUN_ROWS_MAX = 256;

/** Rows in key order; never empty unless it is the only run. */
type Run = Row[];

export class SortedTable {
  #runs: Run[] = [[]];

  get(key: Uint8Array): Uint8Array | undefined {
    const { run, row, found } = this.#find(key);
    return found ? this.#runs[run]![row]![1] : undefined;
  }

  /** Puts the row, or takes it away when the value is undefined; returns the value that was there before. */
  set(key: Uint8Array, value: Uint8Array | undefined): Uint8Array | undefined {
    const { run, row, found } = this.#find(key);
    const rows = this.#runs[run]!;
    const before = found ? rows[row]![1] : undefined;
    if (value === undefined) {
      if (found) this.#remove(run, row);
    } else if (found) {
      rows[row] = [rows[row]![0], value];
    } else {
      rows.splice(row, 0, [key, value]);
      if (rows.length > RUN_ROWS_MAX) this.#runs.splice(run + 1, 0, rows.splice(RUN_ROWS_MAX / 2));
    }
    return before;
  }

  /** The rows themselves, not copies. */
  range(options: RangeOptions): Row[] {
    return options.reverse === true ? this.#backwards(options) : this.#forwards(options);
  }

  /** Every row in key order. */
  *rows(): Generator<Row> {
    for (const run of this.#runs) yield* run;
  }

  #forwards({ from, to, limit }: RangeOptions): Row[] {
    const result: Row[] = [];
    const start = from === undefined ? { run: 0, row: 0 } : this.#find(from);
    for (let run = start.run; run < this.#runs.length; run++) {
      const rows = this.#runs[run]!;
      for (let i = run === start.run ? start.row : 0; i < rows.length; i++) {
        const row = rows[i]!;
        if (result.length >= limit || (to !== undefined && compareBytes(row[0], to) >= 0)) return result;
        result.push(row);
      }
    }
    return result;
  }

  #backwards({ from, to, limit }: RangeOptions): Row[] {
    const result: Row[] = [];
    const last = this.#runs.length - 1;
    const end = to === undefined ? { run: last, row: this.#runs[last]!.length } : this.#find(to);
    for (let run = end.run; run >= 0; run--) {
      const rows = this.#runs[run]!;
      for (let i = (run === end.run ? end.row : rows.length) - 1; i >= 0; i--) {
        const row = rows[i]!;
        if (result.length >= limit || (from !== undefined && compareBytes(row[0], from) < 0)) return result;
        result.push(row);
      }
    }
    return result;
  }

  /** Where the key is, or where it would be inserted. */
  #find(key: Uint8Array): { readonly run: number; readonly row: number; readonly found: boolean } {
    // The last run that begins at or before the key.
    const run = Math.max(0, countBelow(this.#runs.length, (i) => isAfter(this.#runs[i]![0], key)) - 1);
    const rows = this.#runs[run]!;
    const row = countBelow(rows.length, (i) => compareBytes(rows[i]![0], key) >= 0);
    return { run, row, found: row < rows.length && compareBytes(rows[row]![0], key) === 0 };
  }

  #remove(run: number, row: number): void {
    const rows = this.#runs[run]!;
    rows.splice(row, 1);
    if (rows.length === 0 && this.#runs.length > 1) this.#runs.splice(run, 1);
  }
}

function isAfter(row: Row | undefined, key: Uint8Array): boolean {
  return row !== undefined && compareBytes(row[0], key) > 0;
}

/** Binary search: how many of 0..length-1 come before the first for which `isPast` holds. */
function countBelow(length: number, isPast: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isPast(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
