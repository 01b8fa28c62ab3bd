/**
 * What a commit sees: it reads what the disk reads, with its own changes, and puts these into the journal, by the numbers of tables.
 */

import { assert, present } from '#kernel/assert.ts';
import { DiskError, type Disk, type DiskTransaction, type RangeOptions, type Row } from '#world/world.ts';
import type { DiskFigures } from './disk-figures.ts';
import { assertNumberKey } from './disk-number.ts';
import type { Floors } from './journal-range.ts';
import type { Journal } from './journal.ts';

const VALUE_BYTES_MAX = 512 * 1024 * 1024;

export interface Table {
  /** Its place among those of this process. */
  readonly number: number;
  readonly isNumbered: boolean;
  readonly isRecalled: boolean;
}

export type Tables = ReadonlyMap<string, Table>;

export function tableOf(tables: Tables, name: string): Table {
  return present(tables.get(name), `table ${name}`);
}

export class JournalTransaction implements DiskTransaction {
  readonly #disk: Disk;
  readonly #journal: Journal;
  readonly #tables: Tables;
  readonly #floors: Floors;
  readonly #figures: DiskFigures;
  #ended = false;
  /** Of the disk, met by a read; `run` may have caught it. */
  failure: DiskError | undefined;

  constructor(disk: Disk, journal: Journal, tables: Tables, floors: Floors, figures: DiskFigures) {
    this.#disk = disk;
    this.#journal = journal;
    this.#tables = tables;
    this.#floors = floors;
    this.#figures = figures;
  }

  get(table: string, key: Uint8Array): Uint8Array | undefined {
    return this.#read(() => this.#disk.get(table, key));
  }

  recall(table: string, key: Uint8Array): Uint8Array | undefined {
    return this.#read(() => this.#disk.recall(table, key));
  }

  range(table: string, options: RangeOptions): Row[] {
    return this.#read(() => this.#disk.range(table, options));
  }

  put(table: string, key: Uint8Array, value: Uint8Array): void {
    const number = this.#write(table, key);
    // The journal takes nothing that SQLite would not.
    if (value.length > VALUE_BYTES_MAX)
      throw new RangeError(`a value of ${value.length} bytes: at most ${VALUE_BYTES_MAX}`);
    this.#figures.writtenBytes.add(key.length + value.length);
    this.#floors.put(number, key);
    this.#journal.put(number, key, value);
  }

  delete(table: string, key: Uint8Array): void {
    this.#journal.put(this.#write(table, key), key, undefined);
  }

  end(): void {
    this.#ended = true;
  }

  #write(table: string, key: Uint8Array): number {
    assert(!this.#ended, 'the transaction is not used after its commit');
    const { number, isNumbered } = tableOf(this.#tables, table);
    if (isNumbered) assertNumberKey(key);
    return number;
  }

  /** `run` may catch what a read throws, but must not write what it has made of it. */
  #read<T>(read: () => T): T {
    assert(!this.#ended, 'the transaction is not used after its commit');
    if (this.failure !== undefined) throw this.failure;
    try {
      return read();
    } catch (error) {
      if (error instanceof DiskError) this.failure = error;
      throw error;
    }
  }
}
