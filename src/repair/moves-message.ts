/** What a node is asked about the ring change that is under way: what it is done with, and what it still keeps. */

import type { MessageType } from '#wire/message.ts';
import { asArray, asBoolean, asInteger, asListOf, asString } from '#wire/shape.ts';
import type { ClockBehind } from './lost-floors.ts';
import type { TreePlace } from './tree-tables.ts';

export interface PlaceDone extends TreePlace {
  readonly changedIn: number;
}

export interface MovesReply {
  readonly storageId: string;
  /** Whether the node takes writes, and knows what is too old to be taken. */
  readonly ready: boolean;
  /** Whether it keeps hints for others that may be the only copies of writes. */
  readonly keepsOnlyCopies: boolean;
  /** Whether it has no row of anything. */
  readonly empty: boolean;
  readonly done: readonly PlaceDone[];
  /** Why a newcomer takes nothing yet, although it could otherwise. */
  readonly waiting: ClockBehind | null;
  /** Those that it has tried to take over, and could not yet: nobody need wait for them with others. */
  readonly triedInVain: readonly PlaceDone[];
  /** Whether its disk takes anything: else it can neither take part in the change nor have the next epoch decided. */
  readonly stores: boolean;
}

/** Asks a node which partitions of the present stages it is done with. */
export const MovesMessage: MessageType<null, MovesReply> = {
  name: 'repair.moves',
  encodeRequest: () => [],
  decodeRequest: () => null,
  encodeReply: ({ storageId, ready, keepsOnlyCopies, empty, done, waiting, triedInVain, stores }) => [
    ...[storageId, ready, keepsOnlyCopies, empty],
    done.map(placeToWire),
    waiting === null ? null : [waiting.milliseconds, waiting.reason],
    triedInVain.map(placeToWire),
    stores,
  ],
  decodeReply: (body) => {
    const fields = asArray(body, 5, 'repair.moves reply');
    // One of an earlier version says nothing of these.
    const [waiting = null, vain = [], stores = true] = fields.slice(5);
    return {
      storageId: asString(fields[0], 'storage id', 64),
      ready: asBoolean(fields[1], 'ready'),
      keepsOnlyCopies: asBoolean(fields[2], 'keeps only copies'),
      empty: asBoolean(fields[3], 'empty'),
      done: asListOf(fields[4], 'done', 131_072, placeFromWire),
      waiting: waiting === null ? null : waitingFromWire(waiting),
      triedInVain: asListOf(vain, 'tried in vain', 131_072, placeFromWire),
      stores: asBoolean(stores, 'stores'),
    };
  },
};

function placeToWire({ n, partition, changedIn }: PlaceDone): readonly number[] {
  return [n, partition, changedIn];
}

function waitingFromWire(body: unknown): ClockBehind {
  const fields = asArray(body, 2, 'waiting');
  return { milliseconds: asInteger(fields[0], 'milliseconds'), reason: asString(fields[1], 'reason', 512) };
}

function placeFromWire(body: unknown): PlaceDone {
  const fields = asArray(body, 3, 'partition');
  return {
    n: asInteger(fields[0], 'n', 1, 7),
    partition: asInteger(fields[1], 'partition', 0, 65_535),
    changedIn: asInteger(fields[2], 'changed in'),
  };
}
