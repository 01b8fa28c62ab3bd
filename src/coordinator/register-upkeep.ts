/**
 * What a node does for its registers without being asked: reads every row within a given time, to see whether it is whole,
 * whether it still holds anything and whether the other owners have the same, and has those mended (register-mend.ts), erased
 * (register-erase.ts) and brought up to date (register-level.ts). What is left of partitions that it does not own any more goes.
 *
 * It goes fast after a start, after somebody was away, and until all owners of all keys have been compared once since.
 */

import { EMPTY_BYTES } from '#kernel/bytes.ts';
import type { BallotSource } from '#consensus/ballot.ts';
import { placeOfRow } from '#repair/repair.ts';
import type { ScrubReply } from '#repair/slices.ts';
import type { GroupTransaction } from '#replica/group-commit.ts';
import { recordName, REGISTERS, type RecordName } from '#replica/tables.ts';
import { ownersOf } from '#ring/preference-list.ts';
import { MalformedMessage, Refusal } from '#wire/message.ts';
import { bytesOf, readPage } from '#world/pages.ts';
import type { Timer } from '#world/world.ts';
import type { Environment } from './environment.ts';
import { RegisterErase } from './register-erase.ts';
import { RegisterLevel, type RegisterLevelOptions } from './register-level.ts';
import { RegisterMend } from './register-mend.ts';
import type { RegisterRows } from './register-rows.ts';
import { nothingFrom, RECENT_MS } from './register-value.ts';

export interface UpkeepSettings {
  /** Milliseconds in which every row is read once. */
  readonly scrubPeriod: number;
  /** Milliseconds between two passes that take away what holds nothing. */
  readonly reclaimInterval: number;
  /** Milliseconds for which nothing must have changed before. */
  readonly reclaimAge: number;
  /** Milliseconds after which nobody looks for a change: shorter than usual only where all requests are. */
  readonly forgottenAfter?: number;
}

export interface UpkeepOptions {
  readonly environment: Environment;
  readonly rows: RegisterRows;
  readonly ballots: BallotSource;
  readonly look: RegisterLevelOptions['look'];
  readonly settings: UpkeepSettings;
}

const PAGE_ROWS = 16;
/**
 * Between two pages of a fast pass so many times what the last one took, so that a node or peers with much else to do are asked less
 * often; no more often than this, and no faster than rows may be read.
 */
const PAUSE = 4;
const STEP_LEAST_MS = 10;
/** After a page of which some rows could not be compared: there is no hurry then. */
const STEP_MS = 250;
/** Before a fast pass that follows another one, which could not compare all: somebody may be away for long. */
const REST_MS = 10_000;
/** Of rows, when they are read fast. */
const BYTES_PER_MS = 4096;

export class RegisterUpkeep {
  readonly #options: UpkeepOptions;
  readonly erase: RegisterErase;
  readonly mend: RegisterMend;
  readonly #level: RegisterLevel;
  #timer: Timer | undefined;
  #stopped = true;
  /** Where the pass goes on; undefined at its beginning. */
  #from: Uint8Array | undefined;
  #pages = 0;
  #pagesBefore = 0;
  /** Milliseconds after the last page when a pass is fast. */
  #pause = STEP_MS;
  #isFast = true;
  /** Whether owners may differ that this pass has not compared. */
  #mayDiffer = false;

  constructor(options: UpkeepOptions) {
    const { settings } = options;
    this.#options = options;
    const { reclaimInterval: interval, reclaimAge, forgottenAfter = RECENT_MS } = settings;
    this.erase = new RegisterErase({ ...options, interval, age: Math.max(reclaimAge, forgottenAfter) });
    this.mend = new RegisterMend(options);
    this.#level = new RegisterLevel(options);
  }

  start(): void {
    this.#stopped = false;
    this.erase.start();
    this.mend.start();
    this.#next();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.erase.stop();
    this.mend.stop();
  }

  /** A member cannot be reached: it may miss changes, or this node may. */
  someoneIsAway(): void {
    this.#mayDiffer = true;
    if (this.#isFast || this.#stopped) return;
    this.#isFast = true;
    // A step that is under way looks by itself when the next one is.
    if (this.#timer === undefined) return;
    this.#timer.cancel();
    this.#next();
  }

  /** Reads some rows now: for whoever has all of them read, of all buckets or of one. */
  page(from: Uint8Array, bucket: string | undefined): ScrubReply {
    const { read, next } = this.#read(from, bucket);
    const damaged = read.filter(
      ([rowKey, row]) => !this.#options.rows.isWholeOrTold(rowKey, row, 'all rows were read'),
    );
    return { rows: read.length, damaged: damaged.length, next };
  }

  /** The same, and has the owners of each brought up to date that are behind. `damaged`: of how many that could not be done now. */
  async level(from: Uint8Array, bucket: string | undefined): Promise<ScrubReply> {
    const { read, next } = this.#read(from, bucket);
    const damaged = await this.#level.level(read.flatMap((row) => this.#look(row)));
    return { rows: read.length, damaged, next };
  }

  #read(from: Uint8Array, bucket: string | undefined) {
    const { rows, next } = readPage(this.#options.environment.world.disk, REGISTERS, { from, limit: PAGE_ROWS });
    const read = rows.filter(([rowKey]) => bucket === undefined || recordName(rowKey).bucket === bucket);
    return { read, next };
  }

  #next(): void {
    const { environment, settings } = this.#options;
    const slow = this.#pagesBefore === 0 ? 0 : settings.scrubPeriod / this.#pagesBefore;
    const isAgain = this.#from === undefined && this.#pagesBefore > 0;
    const fast = isAgain ? REST_MS : this.#pause;
    this.#timer = environment.world.clock.after(this.#isFast ? fast : Math.max(fast, slow), () => void this.#step());
  }

  async #step(): Promise<void> {
    const { world, ready } = this.#options.environment;
    this.#timer = undefined;
    this.#pause = STEP_MS;
    // The rows of a disk that may have been put back say nothing, and whoever cannot vote has nothing to compare.
    if (!ready()) return this.#next();
    try {
      const { rows, next } = readPage(world.disk, REGISTERS, { from: this.#from ?? EMPTY_BYTES, limit: PAGE_ROWS });
      this.#pages += 1;
      this.#from = next;
      const began = world.clock.monotonic();
      const apart = await this.#level.level(rows.flatMap((row) => this.#look(row)));
      if (apart > 0) this.#mayDiffer = true;
      const least = apart > 0 ? STEP_MS : Math.max(STEP_LEAST_MS, PAUSE * (world.clock.monotonic() - began));
      this.#pause = Math.min(REST_MS, Math.max(least, bytesOf(rows) / BYTES_PER_MS));
    } catch (error) {
      this.#from = undefined;
      // A disk that has failed is told of elsewhere.
      world.log.debug('scrub-failed', { reason: String(error) });
    }
    if (this.#from === undefined) this.#endPass();
    if (!this.#stopped) this.#next();
  }

  #endPass(): void {
    this.#pagesBefore = this.#pages;
    this.#pages = 0;
    this.#isFast = this.#mayDiffer || this.#pagesBefore === 0;
    this.#mayDiffer = false;
  }

  /**
   * Its name when it holds something now, which the owners may not have alike. What holds nothing is left to register-erase.ts, which has
   * all owners accept that.
   */
  #look([rowKey, row]: readonly [rowKey: Uint8Array, row: Uint8Array]): readonly RecordName[] {
    const name = recordName(rowKey);
    if (this.#isLeftOver(name)) {
      this.#remove(rowKey, name);
      return [];
    }
    try {
      const value = this.#options.rows.valueIn(name, row);
      this.erase.found(name, value);
      return nothingFrom(value, 0) > this.#options.environment.world.clock.wall() ? [name] : [];
    } catch (error) {
      // Damaged, which has been reported, or written by a later program.
      if (!(error instanceof Refusal) && !(error instanceof MalformedMessage)) throw error;
      return [];
    }
  }

  /**
   * Of a partition that this node owned once, and that is not moving: its owners have all that was chosen. Were it here when this
   * node becomes an owner again, it would speak of what the others have erased since.
   */
  #isLeftOver(name: RecordName): boolean {
    const { knowledge } = this.#options.environment;
    const place = placeOfRow(knowledge, name);
    if (place === undefined) return false;
    const { owners, move } = ownersOf(knowledge.ring(), place.n, place.partition);
    return move === undefined && !owners.includes(knowledge.self());
  }

  #remove(rowKey: Uint8Array, name: RecordName): void {
    const { replica, world } = this.#options.environment;
    const run = (transaction: GroupTransaction): void => {
      // Unless it has become an owner meanwhile, and is getting the register from the others.
      if (this.#isLeftOver(name)) transaction.delete(REGISTERS, rowKey);
    };
    replica.commits.submit({ run, bytes: 0, durable: false }).catch((error: unknown) => {
      // It is found again.
      world.log.debug('scrub-failed', { reason: String(error) });
    });
  }
}
