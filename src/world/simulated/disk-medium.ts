/**
 * What survives a process: the rows on a simulated disk, and for each commit that is written but not synced how to take it
 * back. A crash keeps the synced commits and, by chance, the first few of the others, as a power loss does with a log whose
 * pages the operating system had or had not written; a commit is kept whole or not at all.
 *
 * The medium also holds the faults that a test wants to see.
 */

import { assert, present } from '#kernel/assert.ts';
import type { Random, TableDefinition } from '#world/world.ts';
import { SortedTable } from './disk-table.ts';

/** A row as it was before a change; undefined when there was none. */
export interface Change {
  readonly table: string;
  readonly key: Uint8Array;
  readonly before: Uint8Array | undefined;
}

/** What a medium held at one moment, as a backup has it. */
export interface MediumSnapshot {
  readonly tables: ReadonlyMap<string, readonly (readonly [key: Uint8Array, value: Uint8Array])[]>;
}

export class SimulatedMedium {
  /** Rows of more bytes than this in all do not fit: commits that add to them fail with `full`. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** Added to the time that each sync takes, in milliseconds. */
  extraSyncMilliseconds = 0;
  /** A crash loses all that no sync has covered, not a random part of it. */
  losesAllUnsynced = false;
  /** Called when a commit has reached the log, and when a sync has ended that its waiters do not know of yet. */
  onStep: ((step: 'append' | 'sync') => void) | undefined;
  /** Called for each row that has changed, also when a crash or a failed commit has taken that back. */
  onChange: ((table: string, key: Uint8Array) => void) | undefined;

  #tables = new Map<string, SortedTable>();
  /** The commits that no sync has covered, oldest first. */
  #unsynced: (readonly Change[])[] = [];
  #bytes = 0;
  #failingSyncs = 0;
  #opened = false;

  /** Bytes of all keys and values. */
  get bytes(): number {
    return this.#bytes;
  }

  // --- Faults ---

  /** The next sync fails; whether its commits survive a crash is left to chance. */
  failNextSync(): void {
    this.#failingSyncs += 1;
  }

  /** No sync fails any more. */
  forgetFailingSyncs(): void {
    this.#failingSyncs = 0;
  }

  /** Empties a medium that no process has open: a disk was replaced. */
  wipe(): void {
    this.restore({ tables: new Map() });
  }

  snapshot(): MediumSnapshot {
    const tables = new Map([...this.#tables].map(([name, table]) => [name, [...table.rows()]] as const));
    return { tables };
  }

  /** Puts an old backup in the place of what a medium holds that no process has open. */
  restore(snapshot: MediumSnapshot): void {
    assert(!this.#opened, 'a medium is exchanged only while no process has it open');
    const gone = this.#tables;
    this.#tables = new Map();
    this.#unsynced = [];
    this.#bytes = 0;
    for (const [name, rows] of snapshot.tables) {
      this.#tables.set(name, new SortedTable());
      for (const [key, value] of rows) this.set(name, key, value);
    }
    if (this.onChange === undefined) return;
    for (const [name, table] of gone) for (const [key] of table.rows()) this.onChange(name, key);
  }

  /** Flips the lowest bit of one byte of a row's value, as a decaying medium does. */
  flipByte(table: string, key: Uint8Array, at: number): void {
    const value = present(this.table(table).get(key), 'the row to damage').slice();
    assert(at >= 0 && at < value.length, `byte ${at} of a value of ${value.length}`);
    value[at]! ^= 1;
    this.table(table).set(key, value);
  }

  // --- What the simulated disk does with it ---

  /** One process at a time. */
  open(tables: readonly TableDefinition[]): void {
    assert(!this.#opened, 'the medium is in use by another process');
    this.#opened = true;
    for (const { name } of tables) if (!this.#tables.has(name)) this.#tables.set(name, new SortedTable());
  }

  close(): void {
    this.#opened = false;
  }

  table(name: string): SortedTable {
    return present(this.#tables.get(name), `table ${name}`);
  }

  /** A row, if there is such a table and such a row: for whoever looks from outside. */
  row(table: string, key: Uint8Array): Uint8Array | undefined {
    return this.#tables.get(table)?.get(key);
  }

  /** Changes a row and says how to take that back. */
  set(table: string, key: Uint8Array, value: Uint8Array | undefined): Change {
    const before = this.table(table).set(key, value);
    if (before !== undefined) this.#bytes -= key.length + before.length;
    if (value !== undefined) this.#bytes += key.length + value.length;
    this.onChange?.(table, key);
    return { table, key, before };
  }

  undo(changes: readonly Change[]): void {
    for (let i = changes.length - 1; i >= 0; i--) {
      const { table, key, before } = changes[i]!;
      this.set(table, key, before);
    }
  }

  /** The changes of a commit have reached the log. */
  append(changes: readonly Change[]): void {
    this.#unsynced.push(changes);
    this.onStep?.('append');
  }

  /** How many commits a sync that starts now covers. */
  get unsynced(): number {
    return this.#unsynced.length;
  }

  /** Ends a sync of the oldest commits. False when it failed. */
  endSync(commits: number): boolean {
    if (this.#failingSyncs > 0) {
      this.#failingSyncs -= 1;
      return false;
    }
    this.#unsynced.splice(0, commits);
    this.onStep?.('sync');
    return true;
  }

  /** Power is lost: keeps the synced commits and the first few of the others. */
  crash(random: Random): void {
    const kept = this.losesAllUnsynced ? 0 : random.uint32() % (this.#unsynced.length + 1);
    while (this.#unsynced.length > kept) this.undo(this.#unsynced.pop()!);
    this.#unsynced = [];
    this.#opened = false;
  }
}
