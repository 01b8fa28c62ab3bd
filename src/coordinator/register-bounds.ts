/**
 * What this node, as an owner of strong keys, has promised where no row says it any more. Two bounds, on stable storage with
 * the votes that they speak for:
 *
 * The *floor* of an (n, partition): the highest ballot under which a register of it was erased. A register without a row has
 * promised the floor.
 *
 * The *ceiling* of the node: no register of it has promised or accepted a ballot of a later time. A row that was damaged may
 * have promised anything up to there. It runs ahead of the votes, so it is written once in a while only.
 */

import { higherBallot } from '#consensus/ballot.ts';
import type { Ballot } from '#consensus/facts.ts';
import { ballotFromWire, ballotToWire } from '#consensus/vote-codec.ts';
import { concatBytes, utf8 } from '#kernel/bytes.ts';
import type { GroupTransaction } from '#replica/group-commit.ts';
import { NODE } from '#replica/tables.ts';
import { decode, encode } from '#wire/codec.ts';
import { asInteger } from '#wire/shape.ts';
import type { DiskReader } from '#world/world.ts';

export interface RegisterPlace {
  readonly n: number;
  readonly partition: number;
}

const CEILING = utf8('register-ceiling');
const FLOOR = utf8('register-floor ');
/** Milliseconds by which a new ceiling is above the ballot that needed it. */
const LEAD_MS = 10_000;

export class RegisterBounds {
  /** On stable storage. */
  #ceiling: number;

  constructor(disk: DiskReader) {
    const row = disk.get(NODE, CEILING);
    this.#ceiling = row === undefined ? 0 : asInteger(decode(row), 'register-ceiling');
  }

  /** Milliseconds: what no ballot of a register is above. */
  get ceiling(): number {
    return this.#ceiling;
  }

  /**
   * To be called in the transaction that stores the ballot. What it returns is to be given to {@link raised} when that is on
   * stable storage.
   */
  raise(transaction: GroupTransaction, ballot: Ballot | null): number {
    if (ballot === null || ballot.time <= this.#ceiling) return 0;
    const ceiling = ballot.time + LEAD_MS;
    transaction.put(NODE, CEILING, encode(ceiling));
    return ceiling;
  }

  raised(ceiling: number): void {
    this.#ceiling = Math.max(this.#ceiling, ceiling);
  }

  /** Null while no register of the place was erased. */
  floor(from: Pick<DiskReader, 'get'>, place: RegisterPlace): Ballot | null {
    const row = from.get(NODE, floorKey(place));
    return row === undefined ? null : ballotFromWire(decode(row));
  }

  raiseFloor(transaction: GroupTransaction, place: RegisterPlace, ballot: Ballot): void {
    const floor = higherBallot(this.floor(transaction, place), ballot);
    transaction.put(NODE, floorKey(place), encode(ballotToWire(floor)));
  }
}

function floorKey({ n, partition }: RegisterPlace): Uint8Array {
  return concatBytes([FLOOR, Uint8Array.of(n, partition >>> 8, partition)]);
}
