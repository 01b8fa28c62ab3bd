/**
 * Whose disk this is and what it can still vouch for: the storage identity, the boot generation, whether the last stop was
 * clean, the hybrid clock and the tenure.
 *
 * A dot may never be issued twice, and a node that forgot a write must not go on as the actor that made it. So a new tenure
 * begins with a new data directory, with every start that no clean stop preceded (states are sent to other owners while the
 * local commit is in flight, so others may know dots that this disk lost), after a commit that failed, and when another
 * replica turns out to know more of this actor than the actor does.
 */

import { HybridClock, TICKS_PER_MILLISECOND } from '#causality/hybrid-clock.ts';
import { ByteReader, ByteWriter } from '#kernel/binary.ts';
import { present } from '#kernel/assert.ts';
import { fromUtf8, toHex, utf8 } from '#kernel/bytes.ts';
import { storageId, type NodeId, type StorageId } from '#kernel/identity.ts';
import type { Disk, DiskReader, DiskTransaction, Random } from '#world/world.ts';
import { DiskMarks } from './disk-marks.ts';
import { NODE } from './tables.ts';

const ID = utf8('id');
const STORAGE = utf8('storage');
const BOOT = utf8('boot');
const CLEAN = utf8('clean');
const CLOCK = utf8('clock');
const TENURE = utf8('tenure');
const LIVES = utf8('lives');
const RESERVED = utf8('reserved');

/** The directory cannot be used by this node as it is configured; the message says why and what would help. */
export class StorageMismatch extends Error {
  override readonly name = 'StorageMismatch';
}

export interface NodeStorage {
  readonly storageId: StorageId;
  /** Counts the starts of this disk, from 1. */
  readonly boot: number;
  /** A random number for each boot, this one's first: others tell by them whether the disk was put back to an earlier state. */
  readonly lives: readonly number[];
  /** By what this boot has written and those before it. */
  readonly marks: DiskMarks;
  /** True when the last stop synced everything and said so. */
  readonly wasClean: boolean;
  /** Runs on from the last time that this disk knows to have been used. */
  readonly clock: HybridClock;
  readonly tenure: Tenure;
  /** To reserve more of them. */
  readonly reserved: ReservedTenures;
}

/** Boots whose lives are kept. */
const LIVES_MAX = 64;

/** Tenures whose numbers are reserved, durably, at once: when a boot begins and whenever few are left. */
export const TENURES_RESERVED = 4096;
/** Fewer than this left: time to reserve more. */
const FEW_TENURES = 1024;

/** The tenure under which this node mints dots now, and those that are reserved for later ones. */
export class Tenure {
  #current: number;
  #valid = true;
  readonly #blocks: { next: number; readonly end: number }[] = [];

  /** Goes on in `resumed`, or begins the first of the reserved ones. */
  constructor(resumed: number | undefined, reserved: number) {
    this.extend(reserved);
    this.#current = resumed ?? present(this.once(), 'a tenure just reserved');
  }

  current(): number {
    return this.#current;
  }

  /** False while no tenure is left to begin: nothing may be minted before more are reserved. */
  valid(): boolean {
    return this.#valid;
  }

  /** From now on this node is another actor. */
  renew(): void {
    const next = this.once();
    this.#valid = next !== undefined;
    if (next !== undefined) this.#current = next;
  }

  /** A tenure for one write, never to be used again; undefined when none is left. */
  once(): number | undefined {
    const block = this.#blocks[0];
    if (block === undefined) return undefined;
    const tenure = block.next++;
    if (block.next === block.end) this.#blocks.shift();
    return tenure;
  }

  /** Whether more should be reserved soon. */
  runsOut(): boolean {
    return this.#blocks.reduce((left, { next, end }) => left + end - next, 0) < FEW_TENURES;
  }

  /** {@link TENURES_RESERVED} more, from `first` on. To be called when no later boot can reserve them again. */
  extend(first: number): void {
    this.#blocks.push({ next: first, end: first + TENURES_RESERVED });
    if (!this.#valid) this.renew();
  }
}

/**
 * Which numbers tenures have got, so that no later boot gives them again. They are hybrid times, lest a disk that was put back begins
 * what it has forgotten; but a calendar that was wrong when they were reserved does not take the clock along.
 */
export class ReservedTenures {
  #last: number;

  constructor(last: number) {
    this.#last = last;
  }

  /** The first of {@link TENURES_RESERVED} more, after all that the clock has given. Only to be used when they are stored. */
  take(clock: HybridClock): number {
    const first = Math.max(clock.reserve(TENURES_RESERVED), this.#last + 1);
    this.#last = first + TENURES_RESERVED - 1;
    return first;
  }

  store(transaction: Pick<DiskTransaction, 'put'>): void {
    transaction.put(NODE, RESERVED, encodeNumber(this.#last));
  }
}

function encodeNumber(value: number): Uint8Array {
  const writer = new ByteWriter();
  writer.varint(value);
  return writer.finish();
}

function readNumber(disk: DiskReader, key: Uint8Array): number | undefined {
  const row = disk.get(NODE, key);
  if (row === undefined) return undefined;
  return new ByteReader(row).varint();
}

function readLives(disk: DiskReader): readonly number[] {
  const row = disk.get(NODE, LIVES);
  if (row === undefined) return [];
  const reader = new ByteReader(row);
  return Array.from({ length: row.length / 4 }, () => reader.u32());
}

function encodeLives(lives: readonly number[]): Uint8Array {
  const writer = new ByteWriter(4 * lives.length);
  for (const life of lives) writer.u32(life);
  return writer.finish();
}

function readText(disk: DiskReader, key: Uint8Array): string | undefined {
  const row = disk.get(NODE, key);
  return row === undefined ? undefined : fromUtf8(row);
}

export interface TakeStorageOptions {
  readonly disk: Disk;
  readonly random: Random;
  /** The calendar clock, milliseconds since 1970. */
  readonly wall: () => number;
  readonly id: NodeId;
  /** Commits with the boot what others keep of each. */
  readonly begins?: (transaction: DiskTransaction, boot: number) => void;
}

/**
 * Takes possession of the disk: creates or reads its identity, begins a boot and, unless the last stop was clean, a tenure;
 * all of it durable when the promise resolves.
 * Rejects with {@link StorageMismatch} when the disk belongs to another node.
 */
export async function takeStorage({ disk, random, wall, id, begins }: TakeStorageOptions): Promise<NodeStorage> {
  const owner = readText(disk, ID);
  if (owner !== undefined && owner !== id) {
    throw new StorageMismatch(
      `the data directory belongs to node ${JSON.stringify(owner)}, not to ${JSON.stringify(id)}`,
    );
  }
  const storage = storageId(readText(disk, STORAGE) ?? toHex(random.bytes(16)));
  const boot = (readNumber(disk, BOOT) ?? 0) + 1;
  const lives = [random.uint32(), ...readLives(disk)].slice(0, LIVES_MAX);
  const wasClean = readNumber(disk, CLEAN) === 1;
  const stored = readNumber(disk, CLOCK) ?? 0;
  // After the calendar, too: a disk that was put back has forgotten what it reserved.
  const first = new HybridClock({ wall, start: Math.max(stored, readNumber(disk, RESERVED) ?? 0) }).tick();
  const reserved = new ReservedTenures(first + TENURES_RESERVED - 1);
  // Nobody has confirmed the calendar yet. On a new disk nothing else is known; on another one times ahead would be there for ever.
  const isBelieved = (): boolean => stored === 0;
  const clock = new HybridClock({ wall, start: stored, isBelieved });
  const lastTenure = wasClean ? readNumber(disk, TENURE) : undefined;
  const { durable } = disk.commit((transaction) => {
    transaction.put(NODE, ID, utf8(id));
    transaction.put(NODE, STORAGE, utf8(storage));
    transaction.put(NODE, BOOT, encodeNumber(boot));
    transaction.put(NODE, LIVES, encodeLives(lives));
    transaction.put(NODE, CLEAN, encodeNumber(0));
    storeClock(transaction, clock.last());
    reserved.store(transaction);
    begins?.(transaction, boot);
  });
  await durable;
  const marks = new DiskMarks(disk, boot, boot - LIVES_MAX);
  const tenure = new Tenure(lastTenure, first);
  return { storageId: storage, boot, lives, marks, wasClean, clock, tenure, reserved };
}

function storeClock(transaction: DiskTransaction, time: number): void {
  transaction.put(NODE, CLOCK, encodeNumber(time));
}

/** How far ahead of the clock its row is written. Less than what others believe a clock to be ahead, for a boot begins there. */
const CLOCK_AHEAD: number = 100 * TICKS_PER_MILLISECOND;

/**
 * The clock's row as the commits of this process keep it: never behind the clock as it stands when a commit begins. It is
 * written ahead, so that one commit in a while writes it for all.
 */
export class ClockRow {
  /** What the disk has, or will have with the commit under way. */
  #stored = 0;

  /** To be called with each commit, before its operations. */
  keep(transaction: DiskTransaction, clock: HybridClock): void {
    const now = clock.last();
    if (now <= this.#stored) return;
    this.#stored = Math.min(Number.MAX_SAFE_INTEGER, now + CLOCK_AHEAD);
    storeClock(transaction, this.#stored);
  }

  /** What the disk has is not known any more, because a commit failed or somebody else wrote the row. */
  forget(): void {
    this.#stored = 0;
  }
}

/** The last commit of a clean stop: the next start may go on in the same tenure. */
export function storeCleanStop(transaction: DiskTransaction, clock: number, tenure: number): void {
  storeClock(transaction, clock);
  transaction.put(NODE, TENURE, encodeNumber(tenure));
  transaction.put(NODE, CLEAN, encodeNumber(1));
}
