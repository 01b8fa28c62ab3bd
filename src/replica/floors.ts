/**
 * For each (n, partition) the hybrid time below which nothing is news any more. Tombstones are given up only when every owner
 * has them and every member has promised not to take states from before that: what an operation read or made earlier may
 * still be on its way, and would bring back to life what nobody remembers to be dead.
 *
 * Every state that travels carries its origin: the hybrid time of its sender before the operation read or made anything. A
 * state whose origin is not above the floor is refused where it would be news. The floor is on stable storage before the
 * promise is given, and only rises.
 */

import { EMPTY_BYTES } from '#kernel/bytes.ts';
import { Refusal } from '#wire/message.ts';
import type { DiskReader } from '#world/world.ts';
import type { GroupTransaction } from './group-commit.ts';
import { FLOORS } from './tables.ts';

/** The state was on its way for so long that what it brings may be dead since. */
export const TOO_OLD = 'too-old';

const PAGE_ROWS = 1024;

export interface FloorPlace {
  readonly n: number;
  readonly partition: number;
}

/** Stands for all places: the floor of a member that lost its disk, and with it the floors of each. */
export const ALL_PLACES: FloorPlace = { n: 0, partition: 0 };

export class Floors {
  readonly #floors = new Map<number, number>();
  readonly #wasLost: () => boolean;

  /** `wasLost`: whether this member lost its disk and is not filled again. */
  constructor(disk: DiskReader, wasLost: () => boolean) {
    this.#wasLost = wasLost;
    for (let from: Uint8Array = EMPTY_BYTES; ;) {
      const rows = disk.range(FLOORS, { from, limit: PAGE_ROWS });
      for (const [key, value] of rows) this.#floors.set(idOf(placeOf(key)), timeOf(value));
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE_ROWS) return;
      from = Uint8Array.of(...last[0], 0);
    }
  }

  /** What this member, on this disk, has promised for the place. */
  of(place: FloorPlace): number {
    return this.#floors.get(idOf(place)) ?? 0;
  }

  /** Of those that hold for the place the highest: whatever this member mints there is later. */
  highest(place: FloorPlace): number {
    return Math.max(this.of(place), this.of(ALL_PLACES));
  }

  /** False as long as a member that lost its disk has no floor in the place of those that it had. */
  known(): boolean {
    return this.of(ALL_PLACES) > 0 || !this.#wasLost();
  }

  /** Throws {@link Refusal} `too-old` for news of an operation from below the floor. */
  check(place: FloorPlace, origin: number): void {
    if (!this.known()) throw new Refusal(TOO_OLD, 'this node lost its disk and does not know yet what is too old');
    const floor = this.highest(place);
    if (origin > floor) return;
    throw new Refusal(TOO_OLD, `the state is from before ${floor}, when tombstones were given up`);
  }

  /** What the disk has decides: what is kept here may be of a group that has failed. */
  raise(transaction: GroupTransaction, { n, partition }: FloorPlace, floor: number): void {
    const key = Uint8Array.of(n, partition >>> 8, partition);
    const row = transaction.get(FLOORS, key);
    if (row !== undefined && floor <= timeOf(row)) return;
    const value = new Uint8Array(8);
    const view = new DataView(value.buffer);
    view.setUint32(0, Math.floor(floor / 2 ** 32));
    view.setUint32(4, floor >>> 0);
    transaction.put(FLOORS, key, value);
    // Also when the group fails: to refuse more than was promised is safe.
    transaction.afterwards(() => this.#floors.set(idOf({ n, partition }), Math.max(floor, this.of({ n, partition }))));
  }
}

function idOf({ n, partition }: FloorPlace): number {
  return n * 65_536 + partition;
}

function placeOf(key: Uint8Array): FloorPlace {
  return { n: key[0]!, partition: (key[1]! << 8) | key[2]! };
}

function timeOf(value: Uint8Array): number {
  const view = new DataView(value.buffer, value.byteOffset);
  return view.getUint32(0) * 2 ** 32 + view.getUint32(4);
}
