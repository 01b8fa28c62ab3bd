/**
 * The statements of one table, prepared once.
 */

import type { Database, Statement } from 'better-sqlite3';
import { assert } from '#kernel/assert.ts';
import { EMPTY_BYTES } from '#kernel/bytes.ts';
import type { RangeOptions, Row, TableDefinition } from '#world/world.ts';
import { firstNumber, keyOfNumber, numberOfKey } from './disk-number.ts';
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
    this.#cache = recalled === true ? cache : undefined;
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
    const value = this.#get.get(this.#keyOf(key));
    if (value === undefined) return undefined;
    this.#cache?.put(this.#number, key, value);
    return plain(value);
  }

  range(options: RangeOptions): Row[] {
    const { from = EMPTY_BYTES, to, limit, reverse = false } = options;
    assert(Number.isSafeInteger(limit) && limit >= 0, `range limit ${limit} is a whole number from 0`);
    const statements = reverse ? this.#backwards : this.#forwards;
    if (!this.#numbered) return statements.read(from, to, limit);
    return statements.read(firstNumber(from), to === undefined ? undefined : firstNumber(to), limit);
  }

  put(key: Bytes, value: Bytes): void {
    this.#put.run(this.#keyOf(key), value);
    this.#cache?.put(this.#number, key, value);
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
    const end = `ORDER BY k ${order} LIMIT ?`;
    this.#open = database.prepare<[Key, number], [Key, Bytes]>(`${select} ${end}`).raw();
    this.#closed = database.prepare<[Key, Key, number], [Key, Bytes]>(`${select} AND k < ? ${end}`).raw();
  }

  read(from: Key, to: Key | undefined, limit: number): Row[] {
    const rows = to === undefined ? this.#open.all(from, limit) : this.#closed.all(from, to, limit);
    return rows.map(([key, value]) => [typeof key === 'number' ? keyOfNumber(key) : plain(key), plain(value)]);
  }
}

/** A Buffer's `slice` shares its bytes where a Uint8Array's copies them: no Buffer leaves this file. */
function plain(buffer: Bytes): Bytes {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
