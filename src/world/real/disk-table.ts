/**
 * The statements of one table, prepared once.
 */

import type { Database, Statement } from 'better-sqlite3';
import { assert } from '#kernel/assert.ts';
import { EMPTY_BYTES } from '#kernel/bytes.ts';
import type { RangeOptions, Row } from '#world/world.ts';
import { quoteName } from './disk-schema.ts';
import { toBind } from './key-scratch.ts';

type Bytes = Uint8Array;

export class DiskTable {
  readonly #get: Statement<[Bytes], Bytes>;
  readonly #put: Statement<[Bytes, Bytes]>;
  readonly #delete: Statement<[Bytes]>;
  readonly #forwards: RangeStatements;
  readonly #backwards: RangeStatements;

  constructor(database: Database, name: string) {
    const table = quoteName(name);
    this.#get = database.prepare<[Bytes], Bytes>(`SELECT v FROM ${table} WHERE k = ?`).pluck();
    this.#put = database.prepare(
      `INSERT INTO ${table} (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v`,
    );
    this.#delete = database.prepare(`DELETE FROM ${table} WHERE k = ?`);
    this.#forwards = new RangeStatements(database, table, 'ASC');
    this.#backwards = new RangeStatements(database, table, 'DESC');
  }

  get(key: Bytes): Bytes | undefined {
    const value = this.#get.get(toBind(key));
    return value === undefined ? undefined : plain(value);
  }

  range(options: RangeOptions): Row[] {
    const { from = EMPTY_BYTES, to, limit, reverse = false } = options;
    assert(Number.isSafeInteger(limit) && limit >= 0, `range limit ${limit} is a whole number from 0`);
    return (reverse ? this.#backwards : this.#forwards).read(from, to, limit);
  }

  put(key: Bytes, value: Bytes): void {
    this.#put.run(toBind(key), value);
  }

  delete(key: Bytes): void {
    this.#delete.run(toBind(key));
  }
}

class RangeStatements {
  readonly #open: Statement<[Bytes, number], [Bytes, Bytes]>;
  readonly #closed: Statement<[Bytes, Bytes, number], [Bytes, Bytes]>;

  constructor(database: Database, table: string, order: 'ASC' | 'DESC') {
    const select = `SELECT k, v FROM ${table} WHERE k >= ?`;
    const end = `ORDER BY k ${order} LIMIT ?`;
    this.#open = database.prepare<[Bytes, number], [Bytes, Bytes]>(`${select} ${end}`).raw();
    this.#closed = database.prepare<[Bytes, Bytes, number], [Bytes, Bytes]>(`${select} AND k < ? ${end}`).raw();
  }

  read(from: Bytes, to: Bytes | undefined, limit: number): Row[] {
    const rows = to === undefined ? this.#open.all(from, limit) : this.#closed.all(from, to, limit);
    return rows.map(([key, value]) => [plain(key), plain(value)]);
  }
}

/** A Buffer's `slice` shares its bytes where a Uint8Array's copies them: no Buffer leaves this file. */
function plain(buffer: Bytes): Bytes {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
