/**
 * The hints that wait at this node, on its disk. Every change is an operation of the group commit, so a hint is stored in
 * the very transaction in which the fallback accepts the write, and shares its sync.
 */

import { timeOf } from '#causality/hybrid-clock.ts';
import type { HybridClock } from '#causality/hybrid-clock.ts';
import type { Conflicts } from '#causality/state.ts';
import { MalformedBytes } from '#kernel/binary.ts';
import { EMPTY_BYTES, successor } from '#kernel/bytes.ts';
import type { NodeIndex } from '#kernel/identity.ts';
import type { GroupCommit, GroupOperation, GroupTransaction } from '#replica/group-commit.ts';
import type { Place } from '#replica/records.ts';
import { asRefusal } from '#replica/refusals.ts';
import { Refusal } from '#wire/message.ts';
import { readPage, type Page } from '#world/pages.ts';
import type { Clock, Counter, Digest, Disk, Log, Metrics } from '#world/world.ts';
import { decodeHint, encodeHint, hintBytes, mergeHints, type Hint, type NewHint } from './hint.ts';
import { GoneHints } from './gone-hints.ts';
import { HintFigures, type FigureChange } from './hint-figures.ts';
import {
  ageEntry,
  ageKey,
  ageValue,
  HINT_AGES,
  hintKey,
  hintName,
  HINTS,
  ownerOf,
  ownerPrefix,
  type AgeEntry,
  type HintName,
} from './tables.ts';

export interface HintTableOptions {
  readonly world: {
    readonly clock: Clock;
    readonly disk: Disk;
    readonly log: Log;
    readonly metrics: Metrics;
    readonly digest: Digest;
  };
  readonly commits: Pick<GroupCommit, 'submit' | 'synced'>;
  readonly clock: HybridClock;
  /** What a member is called, for logs and figures. */
  readonly nameOf: (owner: NodeIndex) => string;
  /** Bytes of all hints; a hint that does not fit is refused. */
  readonly bytesMax: number;
}

export interface StoredHint {
  /** 0 when the row holds news beside what was stored now, so that this write alone says nothing about the whole row. */
  readonly revision: number;
}

/** An operation of the group commit, but for what it does. */
export type HintOperation<T> = Pick<GroupOperation<T>, 'bytes' | 'durable' | 'beforeCommit'>;

/** What such an operation may do. */
export interface HintTransaction {
  readonly transaction: GroupTransaction;
  readonly read: (name: HintName) => Hint | undefined;
  readonly put: (name: HintName, added: NewHint, conflicts: Conflicts) => StoredHint;
}

const PAGE = 1000;
/** Rows with their states. */
const WIDE_PAGE = 32;
const IN_PASSING = { bytes: 0, durable: false };

export interface FoundHint {
  readonly owner: NodeIndex;
  readonly hint: Hint;
}

/** The refusal of a hint for want of room. */
export const HINTS_FULL = 'hints-full';

export class HintTable {
  readonly figures: HintFigures;
  readonly gone: GoneHints;
  readonly #options: HintTableOptions;
  readonly #stored: Counter;
  readonly #refused: Counter;

  constructor(options: HintTableOptions) {
    this.#options = options;
    const { metrics } = options.world;
    this.gone = new GoneHints(options.clock.tick());
    this.#stored = metrics.counter('quoral_hints_stored_total', 'Hints stored or joined into one that waited already');
    this.#refused = metrics.counter('quoral_hints_refused_total', 'Hints refused because the room for hints was full');
    this.figures = new HintFigures((owner) => this.#showFigures(owner));
    metrics.gauge('quoral_hints_all_bytes', 'Bytes of all hints that wait at this node', () => this.figures.bytes);
  }

  /** Begins to count what a former process has left. */
  start(): void {
    this.figures.count(this.#options.world);
  }

  /** Joins the hint into the row of its name; rejects with {@link Refusal} `hints-full` when there is no room for it. */
  store(name: HintName, added: NewHint, conflicts: Conflicts, durable: boolean): Promise<StoredHint> {
    const operation = { bytes: added.state?.length ?? 0, durable };
    return this.write(operation, ({ put }) => put(name, added, conflicts));
  }

  /** Reads and stores hints in one operation of the group commit; rejects as {@link store}, with nothing changed. */
  write<T>(operation: HintOperation<T>, run: (hints: HintTransaction) => T): Promise<T> {
    return this.#change(operation, (transaction, changes) => {
      const result = run({
        transaction,
        read: (name) => this.#readForChange(transaction, hintKey(name)),
        put: (name, added, conflicts) => this.#put(transaction, changes, name, added, conflicts),
      });
      this.#checkRoom(changes);
      return result;
    });
  }

  /** Takes the row away unless it has changed since `revision`; whether it is gone. */
  forget(row: Uint8Array, revision: number): Promise<boolean> {
    return this.#change(IN_PASSING, (transaction, changes) => {
      const hint = this.#readForChange(transaction, row);
      if (hint === undefined) return true;
      if (hint.revision !== revision) return false;
      this.#replace(transaction, row, hint, undefined, changes);
      return true;
    });
  }

  /** Enough owners have what the row held at `revision`: it is not the only copy any more. */
  settle(row: Uint8Array, revision: number): Promise<void> {
    return this.#change(IN_PASSING, (transaction, changes) => {
      const hint = this.#readForChange(transaction, row);
      if (hint?.revision === revision && hint.sole)
        this.#replace(transaction, row, hint, { ...hint, sole: false }, changes);
    });
  }

  /** Takes away what these index entries name, as far as it has not become something else; how many that were. */
  drop(entries: readonly AgeEntry[]): Promise<number> {
    return this.#change(IN_PASSING, (transaction, changes) => {
      let dropped = 0;
      for (const { row, sole, low, bytes } of entries) {
        const hint = this.#readForChange(transaction, row);
        if (hint === undefined || hint.sole !== sole || hint.low !== low) {
          // An entry without its row: the row was damaged, or has another entry by now.
          const key = ageKey(row, sole, low);
          if (transaction.get(HINT_AGES, key) === undefined) continue;
          transaction.delete(HINT_AGES, key);
          changes.push({ ageKey: key, bytes, sign: -1 });
          continue;
        }
        this.#replace(transaction, row, hint, undefined, changes);
        dropped++;
      }
      return dropped;
    });
  }

  /** The row as it stands, which may not be synced yet; undefined when it is gone or cannot be read. */
  read(row: Uint8Array): Hint | undefined {
    const { disk } = this.#options.world;
    return this.#decode(disk.get(HINTS, row));
  }

  /**
   * The hints for a key at this node, once they are durable: what was read cannot be forgotten any more. Rejects with
   * {@link Refusal} when they cannot be made so.
   */
  async find(place: Place, key: Uint8Array): Promise<readonly FoundHint[]> {
    const found: FoundHint[] = [];
    for (const owner of this.#ownersWithRows()) {
      const row = hintKey({ ...place, owner, key });
      try {
        await this.#options.commits.synced(HINTS, row);
      } catch (error) {
        throw asRefusal(error);
      }
      const hint = this.read(row);
      if (hint !== undefined) found.push({ owner, hint });
    }
    return found;
  }

  /** Index entries for an owner from the index key `from` on, sole copies last, each kind oldest first. */
  entries(owner: NodeIndex, from: Uint8Array, limit: number): readonly AgeEntry[] {
    const range = owner === 0xffff ? { from, limit } : { from, to: ownerPrefix(owner + 1), limit };
    return this.#options.world.disk.range(HINT_AGES, range).map(ageEntry);
  }

  /** What waits for an owner in the given range of rows, a page at a time; what cannot be read is left out. */
  *within(from: Uint8Array, to: Uint8Array): Generator<AgeEntry> {
    for (let start: Uint8Array | undefined = from; start !== undefined;) {
      const page: Page = readPage(this.#options.world.disk, HINTS, { from: start, to, limit: WIDE_PAGE });
      for (const [row, bytes] of page.rows) {
        const hint = this.#decode(bytes);
        if (hint !== undefined) yield { row, sole: hint.sole, low: hint.low, bytes: hintBytes(row, hint) };
      }
      start = page.next;
    }
  }

  /** All index entries, in one turn. */
  *allNow(): Generator<AgeEntry> {
    for (let from = EMPTY_BYTES; ;) {
      const page = this.#options.world.disk.range(HINT_AGES, { from, limit: PAGE });
      yield* page.map(ageEntry);
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      from = successor(last[0]);
    }
  }

  /** All index entries, a page in each turn. */
  async *all(): AsyncGenerator<AgeEntry> {
    const { disk, clock } = this.#options.world;
    for (let from = EMPTY_BYTES; ;) {
      const page = disk.range(HINT_AGES, { from, limit: PAGE });
      yield* page.map(ageEntry);
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      from = successor(last[0]);
      await new Promise<void>((resolve) => clock.after(0, resolve));
    }
  }

  /** Whether any hint may be the only copy of a write. */
  hasSole(): boolean {
    return this.figures.owners().some((owner) => this.entries(owner, ownerPrefix(owner, true), 1)[0]?.sole === true);
  }

  /** The hybrid time of the oldest operation that waits for the owner. */
  oldest(owner: NodeIndex): number | undefined {
    const lows = [false, true].flatMap((sole) => {
      const [entry] = this.entries(owner, ownerPrefix(owner, sole), 1);
      return entry?.sole === sole ? [entry.low] : [];
    });
    return lows.length === 0 ? undefined : Math.min(...lows);
  }

  #put(
    transaction: GroupTransaction,
    changes: FigureChange[],
    name: HintName,
    added: NewHint,
    conflicts: Conflicts,
  ): StoredHint {
    const { clock, world } = this.#options;
    const row = hintKey(name);
    const before = this.#readForChange(transaction, row);
    const low = Math.min(added.low, clock.last());
    const merged = mergeHints(before, { ...added, low }, clock.tick(), conflicts, world.digest.crc32);
    this.#replace(transaction, row, before, merged.hint, changes);
    this.#stored.add();
    return { revision: merged.includesBefore ? merged.hint.revision : 0 };
  }

  #ownersWithRows(): readonly NodeIndex[] {
    const { figures } = this;
    if (figures.complete) return figures.owners().filter((owner) => figures.of(owner).rows > 0);
    const owners: NodeIndex[] = [];
    for (let from: Uint8Array | undefined = ownerPrefix(0); from !== undefined;) {
      const [row] = this.#options.world.disk.range(HINT_AGES, { from, limit: 1 });
      if (row === undefined) break;
      const owner = ownerOf(row[0]);
      owners.push(owner);
      from = owner === 0xffff ? undefined : ownerPrefix(owner + 1);
    }
    return owners;
  }

  /** Runs in the group's transaction; the figures change with it and change back when it is not committed. */
  async #change<T>(
    operation: HintOperation<T>,
    run: (transaction: GroupTransaction, changes: FigureChange[]) => T,
  ): Promise<T> {
    const changes: FigureChange[] = [];
    let applied = false;
    try {
      return await this.#options.commits.submit({
        run: (transaction) => {
          const result = run(transaction, changes);
          this.figures.apply(changes);
          applied = true;
          return result;
        },
        ...operation,
      });
    } catch (error) {
      if (applied) this.figures.apply(changes.map((change) => ({ ...change, sign: change.sign === 1 ? -1 : 1 })));
      throw error;
    }
  }

  #decode(bytes: Uint8Array | undefined): Hint | undefined {
    try {
      return bytes === undefined ? undefined : decodeHint(bytes, this.#options.world.digest.crc32);
    } catch (error) {
      if (!(error instanceof MalformedBytes)) throw error;
      this.#options.world.log.error('hint-damaged', { reason: error.message });
      return undefined;
    }
  }

  /** A damaged row holds nothing that could be delivered: what comes now takes its place. */
  #readForChange(transaction: GroupTransaction, row: Uint8Array): Hint | undefined {
    return this.#decode(transaction.get(HINTS, row));
  }

  #replace(
    transaction: GroupTransaction,
    row: Uint8Array,
    before: Hint | undefined,
    after: Hint | undefined,
    changes: FigureChange[],
  ): void {
    if (before !== undefined) {
      const key = ageKey(row, before.sole, before.low);
      transaction.delete(HINT_AGES, key);
      changes.push({ ageKey: key, bytes: hintBytes(row, before), sign: -1 });
    }
    if (after === undefined) {
      // A note speaks of the own record, which is read anew.
      if (before !== undefined && before.state !== null) {
        const { n, partition } = hintName(row);
        this.gone.add(`${n}/${partition}`, before.low, this.#options.clock.tick());
      }
      transaction.delete(HINTS, row);
      return;
    }
    const key = ageKey(row, after.sole, after.low);
    const bytes = hintBytes(row, after);
    transaction.put(HINTS, row, encodeHint(after, this.#options.world.digest.crc32));
    transaction.put(HINT_AGES, key, ageValue(bytes));
    changes.push({ ageKey: key, bytes, sign: 1 });
  }

  #checkRoom(changes: readonly FigureChange[]): void {
    const grows = changes.reduce((bytes, change) => bytes + change.sign * change.bytes, 0);
    const { bytes } = this.figures;
    if (grows <= 0 || bytes + grows <= this.#options.bytesMax) return;
    this.#refused.add();
    throw new Refusal(HINTS_FULL, `the hints at this node take ${bytes} of ${this.#options.bytesMax} bytes`);
  }

  #showFigures(owner: NodeIndex): void {
    const { metrics, clock } = this.#options.world;
    const labels = { peer: this.#options.nameOf(owner) };
    metrics.gauge('quoral_hints_waiting', 'Hints that wait for a peer', () => this.figures.of(owner).rows, labels);
    metrics.gauge('quoral_hints_bytes', 'Bytes of the hints for a peer', () => this.figures.of(owner).bytes, labels);
    const age = (): number => {
      const oldest = this.oldest(owner);
      return oldest === undefined ? 0 : Math.max(0, clock.wall() - timeOf(oldest)) / 1000;
    };
    metrics.gauge('quoral_hints_oldest_seconds', 'Age of the oldest operation that waits for a peer', age, labels);
  }
}
