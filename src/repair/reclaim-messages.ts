/**
 * What the giving up of tombstones asks of the others: do you have these too; what time is it; promise to take nothing from
 * before that time, and say how old the oldest is that waits at you; give these up.
 */

import type { Hash64 } from '#kernel/siphash.ts';
import type { MessageType } from '#wire/message.ts';
import { asArray, asBytes, asInteger, asListOf } from '#wire/shape.ts';
import { MAX_MESSAGE_BYTES } from '#world/limits.ts';
import { placeFromWire, placeToWire, ROW_KEY_MAX, type RowOnTheWire } from './exchange-messages.ts';
import type { TreePlace } from './tree-tables.ts';

/** Tombstones of a partition that are given up together. */
export const BATCH_MAX = 512;
const PLACES_MAX = 65_536;

export interface ConfirmRequest {
  readonly place: TreePlace;
  /** The epoch in which the owners changed last: both must mean the same ones. */
  readonly changedIn: number;
  /** A hybrid time of the sender before it read the rows. */
  readonly origin: number;
  readonly rows: readonly RowOnTheWire[];
}

/** The places of the rows that the callee has just so, and dead. */
export const ConfirmMessage: MessageType<ConfirmRequest, readonly number[]> = {
  name: 'repair.confirm',
  encodeRequest: ({ place, changedIn, origin, rows }) => [
    placeToWire(place),
    changedIn,
    origin,
    rows.map(([rowKey, state]) => [rowKey, state]),
  ],
  decodeRequest: (body) => {
    const fields = asArray(body, 4, 'repair.confirm');
    return {
      place: placeFromWire(fields[0]),
      changedIn: asInteger(fields[1], 'changedIn'),
      origin: asInteger(fields[2], 'origin'),
      rows: asListOf(fields[3], 'rows', BATCH_MAX, (row) => {
        const [rowKey, state] = asArray(row, 2, 'row');
        return [asBytes(rowKey, 'row key', ROW_KEY_MAX), asBytes(state, 'state', MAX_MESSAGE_BYTES), []] as const;
      }),
    };
  },
  ...placesReply('repair.confirm'),
};

/** The callee's hybrid time. */
export const TimeMessage: MessageType<null, number> = {
  name: 'repair.time',
  encodeRequest: () => [],
  decodeRequest: (body) => {
    asArray(body, 0, 'repair.time');
    return null;
  },
  encodeReply: (time) => [time],
  decodeReply: (body) => asInteger(asArray(body, 1, 'repair.time reply')[0], 'time'),
};

export interface PromiseRequest {
  readonly floor: number;
  readonly places: readonly TreePlace[];
}

export interface PromiseReply {
  /** For each of the places the oldest operation that waits at the callee for it; 0 when none does. */
  readonly lows: readonly number[];
  /** The epoch that the callee knew when it had promised; undefined for one with an older program. */
  readonly epoch?: number | undefined;
}

export const PromiseMessage: MessageType<PromiseRequest, PromiseReply> = {
  name: 'repair.promise',
  encodeRequest: ({ floor, places }) => [floor, places.map(placeToWire)],
  decodeRequest: (body) => {
    const fields = asArray(body, 2, 'repair.promise');
    return {
      floor: asInteger(fields[0], 'floor'),
      places: asListOf(fields[1], 'places', PLACES_MAX, placeFromWire),
    };
  },
  encodeReply: ({ lows, epoch }) => (epoch === undefined ? [[...lows]] : [[...lows], epoch]),
  decodeReply: (body) => {
    const fields = asArray(body, 1, 'repair.promise reply');
    return {
      lows: asListOf(fields[0], 'lows', PLACES_MAX, (low) => asInteger(low, 'low')),
      epoch: fields.length > 1 ? asInteger(fields[1], 'epoch') : undefined,
    };
  },
};

export interface GiveUpRequest {
  readonly place: TreePlace;
  readonly changedIn: number;
  readonly floor: number;
  readonly rows: readonly HashedRow[];
}

export interface HashedRow {
  readonly rowKey: Uint8Array;
  readonly hash: Hash64;
}

export function hashedRowToWire({ rowKey, hash }: HashedRow): readonly unknown[] {
  return [rowKey, hash.high, hash.low];
}

export function hashedRowFromWire(row: unknown): HashedRow {
  const [rowKey, high, low] = asArray(row, 3, 'row');
  const half = (value: unknown): number => asInteger(value, 'hash', 0, 0xffff_ffff);
  return { rowKey: asBytes(rowKey, 'row key', ROW_KEY_MAX), hash: { high: half(high), low: half(low) } };
}

/** How many the callee has given up. */
export const GiveUpMessage: MessageType<GiveUpRequest, number> = {
  name: 'repair.give-up',
  encodeRequest: ({ place, changedIn, floor, rows }) => [
    placeToWire(place),
    changedIn,
    floor,
    rows.map(hashedRowToWire),
  ],
  decodeRequest: (body) => {
    const fields = asArray(body, 4, 'repair.give-up');
    return {
      place: placeFromWire(fields[0]),
      changedIn: asInteger(fields[1], 'changedIn'),
      floor: asInteger(fields[2], 'floor'),
      rows: asListOf(fields[3], 'rows', BATCH_MAX, hashedRowFromWire),
    };
  },
  ...countReply('repair.give-up'),
};

export interface ReclaimProgress {
  readonly running: boolean;
  readonly given: number;
  readonly blocked: readonly string[];
}

/** Begins a pass unless one is under way (1), or only asks (0). */
export const ReclaimMessage: MessageType<number, ReclaimProgress> = {
  name: 'repair.reclaim',
  encodeRequest: (begin) => [begin],
  decodeRequest: (body) => asInteger(asArray(body, 1, 'repair.reclaim')[0], 'begin', 0, 1),
  encodeReply: ({ running, given, blocked }) => [running ? 1 : 0, given, [...blocked]],
  decodeReply: (body) => {
    const fields = asArray(body, 3, 'repair.reclaim reply');
    return {
      running: asInteger(fields[0], 'running', 0, 1) === 1,
      given: asInteger(fields[1], 'given'),
      blocked: asListOf(fields[2], 'blocked', 1024, (text) => String(text).slice(0, 256)),
    };
  },
};

/** An answer that names rows of the request by their places. */
export function placesReply(name: string): Pick<MessageType<never, readonly number[]>, 'encodeReply' | 'decodeReply'> {
  return {
    encodeReply: (places) => [[...places]],
    decodeReply: (body) => {
      const places = asArray(body, 1, `${name} reply`)[0];
      return asListOf(places, 'places', BATCH_MAX, (place) => asInteger(place, 'place', 0, BATCH_MAX - 1));
    },
  };
}

/** An answer that says to how many rows something was done. */
export function countReply(name: string): Pick<MessageType<never, number>, 'encodeReply' | 'decodeReply'> {
  return {
    encodeReply: (count) => [count],
    decodeReply: (body) => asInteger(asArray(body, 1, `${name} reply`)[0], 'count'),
  };
}
