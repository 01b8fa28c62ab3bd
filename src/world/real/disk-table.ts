/**
 * The statements of one table, prepared once.
 */

import type { Database, Statement } from 'better-sqlite3';
import { assert } from '#kernel/assert.ts';
import { EMPTY_BYTES } from '#kernel/bytes.ts';
import type { RangeOptions, Row, TableDefinition } from '#world/world.ts';
import { keyOfNumber } from '#kernel/number-key.ts';
import { firstNumber, numberOfKey } from './disk-number.ts';
import { quoteName } from './disk-schema.ts';
import { toBind } from './key-scratch.ts';
import type { RowCache } from './row-cache.ts';

type Bytes = Uint8Array;
/** As SQLite has it. */
type Key = Bytes | number;

export class DiskTable {
  readonly #numbered: boolean;
  /** Where rows of this table are kept, and as whose. */
  readonly #cache: RowCache | undefined;
  readonly #number: number;
  /** The row's number in SQLite, where rows are kept; its length; its value, if that is not longer than wanted. */
  readonly #upTo: Statement<[number, Key], [number | null, number, Bytes | null]>;
  /** For rows whose number in SQLite is known: they are written without a search in the index from keys to numbers. */
  readonly #putAt: Statement<[Bytes, number, Key]> | undefined;
  readonly #get: Statement<[Key], Bytes>;
  readonly #put: Statement<[Key, Bytes]>;
  readonly #delete: Statement<[Key]>;
  readonly #forwards: RangeStatements;
  readonly #backwards: RangeStatements;

  /** Tables that share a cache have different numbers. */
  constructor(database: Database, { name, rows, recalled }: TableDefinition, number: number, cache?: RowCache) {
    const table = quoteName(name);
    this.#numbered = rows === 'numbered';
    this.#number = number;
    if (recalled === true && cache !== undefined) {
      assert(rows === 'wide', `table ${name}: only rows with numbers of their own are recalled`);
      this.#cache = cache;
      this.#putAt = database.prepare(`UPDATE ${table} SET v = ? WHERE rowid = ? AND k = ?`);
    }
    // Of what is longer SQLite reads no more than the row's first page.
    const columns = `${this.#cache === undefined ? 'NULL' : 'rowid'}, length(v), CASE WHEN length(v) <= ? THEN v END`;
    this.#upTo = database
      .prepare<[number, Key], [number | null, number, Bytes | null]>(`SELECT ${columns} FROM ${table} WHERE k = ?`)
      .raw();
    this.#get = database.prepare<[Key], Bytes>(`SELECT v FROM ${table} WHERE k = ?`).pluck();
    this.#put = database.prepare(
      `INSERT INTO ${table} (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v`,
    );
    this.#delete = database.prepare(`DELETE FROM ${table} WHERE k = ?`);
    this.#forwards = new RangeStatements(database, table, 'ASC');
    this.#backwards = new RangeStatements(database, table, 'DESC');
  }

  /** What the medium has; the cache is to have no other. */
  get(key: Bytes): Bytes | undefined {
    const value = this.#get.get(this.#keyOf(key));
    this.#cache?.compare(this.#number, key, value);
    return value === undefined ? undefined : plain(value);
  }

  /** What the cache has. */
  kept(key: Bytes): Bytes | undefined {
    return this.#cache?.get(this.#number, key);
  }

  /** What the medium has, for the cache too, which has nothing. */
  keep(key: Bytes): Bytes | undefined {
    return this.keepUpTo(key, Number.POSITIVE_INFINITY) as Bytes | undefined;
  }

  /** As {@link keep}; of a value of more than so many bytes only how many it has. */
  keepUpTo(key: Bytes, upTo: number): Bytes | number | undefined {
    const row = this.#upTo.get(upTo, this.#keyOf(key));
    if (row === undefined) return undefined;
    const [number, length, value] = row;
    if (value === null) return length;
    if (number !== null) this.#cache!.put(this.#number, key, value, number);
    return plain(value);
  }

  range(options: RangeOptions): Row[] {
    const { from = EMPTY_BYTES, to, limit, bytes, reverse = false } = options;
    assert(Number.isSafeInteger(limit) && limit >= 0, `range limit ${limit} is a whole number from 0`);
    const statements = reverse ? this.#backwards : this.#forwards;
    if (!this.#numbered) return statements.read(from, to, limit, bytes);
    return statements.read(firstNumber(from), to === undefined ? undefined : firstNumber(to), limit, bytes);
  }

  put(key: Bytes, value: Bytes): void {
    const bound = this.#keyOf(key);
    if (this.#cache === undefined) {
      this.#put.run(bound, value);
      return;
    }
    const number = this.#cache.numberOf(this.#number, key);
    // With its key in the condition no row but this one is ever written, whatever is believed of its number.
    if (number !== undefined && number > 0 && this.#putAt!.run(value, number, bound).changes === 1) {
      this.#cache.put(this.#number, key, value, number);
      return;
    }
    const { lastInsertRowid } = this.#put.run(bound, value);
    // Whoever asked before and found nothing kept has found no row: it is new then.
    this.#cache.put(this.#number, key, value, number === undefined ? Number(lastInsertRowid) : undefined);
  }

  delete(key: Bytes): void {
    this.#delete.run(this.#keyOf(key));
    this.#cache?.delete(this.#number, key);
  }

  #keyOf(key: Bytes): Key {
    return this.#numbered ? numberOfKey(key) : toBind(key);
  }
}

class RangeStatements {
  readonly #open: Statement<[Key, number], [Key, Bytes]>;
  readonly #closed: Statement<[Key, Key, number], [Key, Bytes]>;

  constructor(database: Database, table: string, order: 'ASC' | 'DESC') {
    const select = `SELECT k, v FROM ${table} WHERE k >= ?`;
    // Of a bare parameter as the limit SQLite makes part of its plan, and parses the statement anew for each value bound.
    const end = `ORDER BY k ${order} LIMIT ? + 0`;
    this.#open = database.prepare<[Key, number], [Key, Bytes]>(`${select} ${end}`).raw();
    this.#closed = database.prepare<[Key, Key, number], [Key, Bytes]>(`${select} AND k < ? ${end}`).raw();
  }

  read(from: Key, to: Key | undefined, limit: number, bytes: number | undefined): Row[] {
    if (bytes !== undefined) return this.#readUpTo(from, to, limit, bytes);
    const rows = to === undefined ? this.#open.all(from, limit) : this.#closed.all(from, to, limit);
    return rows.map(rowOf);
  }

  #readUpTo(from: Key, to: Key | undefined, limit: number, bytes: number): Row[] {
    const rows: Row[] = [];
    let left = bytes;
    for (const row of to === undefined ? this.#open.iterate(from, limit) : this.#closed.iterate(from, to, limit)) {
      rows.push(rowOf(row));
      left -= row[1].length;
      if (left <= 0) break;
    }
    return rows;
  }
}

function rowOf([key, value]: [Key, Bytes]): Row {
  return [typeof key === 'number' ? keyOfNumber(key) : plain(key), plain(value)];
}

/** A Buffer's `slice` shares its bytes where a Uint8Array's copies them: no Buffer leaves this file. */
function plain(buffer: Bytes): Bytes {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
