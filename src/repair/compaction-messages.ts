/** What compacting vectors asks of the other owners: do you know the same of what is within this horizon; take it into these rows. */

import { nodeIndex, type NodeIndex } from '#kernel/identity.ts';
import type { MessageType } from '#wire/message.ts';
import { asArray, asInteger, asListOf } from '#wire/shape.ts';
import { placeFromWire, placeToWire } from './exchange-messages.ts';
import {
  BATCH_MAX,
  countReply,
  hashedRowFromWire,
  hashedRowToWire,
  placesReply,
  type HashedRow,
} from './reclaim-messages.ts';
import type { TreePlace } from './tree-tables.ts';

export interface Horizon {
  /** The index of the last member that it speaks of. */
  readonly last: NodeIndex;
  /** The floor that all members have promised. */
  readonly time: number;
}

export interface CompactRequest {
  readonly place: TreePlace;
  /** The epoch in which the owners changed last: both must mean the same ones. */
  readonly changedIn: number;
  readonly horizon: Horizon;
  /** The hashes are of what is known within. */
  readonly rows: readonly HashedRow[];
}

/** The places of the rows of which the callee knows the same. */
export const SameKnownMessage: MessageType<CompactRequest, readonly number[]> = {
  name: 'repair.same-known',
  ...requestCodec('repair.same-known'),
  ...placesReply('repair.same-known'),
};

/** How many rows the callee has compacted. */
export const CompactMessage: MessageType<CompactRequest, number> = {
  name: 'repair.compact',
  ...requestCodec('repair.compact'),
  ...countReply('repair.compact'),
};

function requestCodec(name: string): Pick<MessageType<CompactRequest, unknown>, 'encodeRequest' | 'decodeRequest'> {
  return {
    encodeRequest: ({ place, changedIn, horizon: { last, time }, rows }) => [
      placeToWire(place),
      changedIn,
      ...[last, time],
      rows.map(hashedRowToWire),
    ],
    decodeRequest: (body) => {
      const fields = asArray(body, 5, name);
      return {
        place: placeFromWire(fields[0]),
        changedIn: asInteger(fields[1], 'changedIn'),
        horizon: {
          last: nodeIndex(asInteger(fields[2], 'last member', 0, 65_535)),
          time: asInteger(fields[3], 'time', 1),
        },
        rows: asListOf(fields[4], 'rows', BATCH_MAX, hashedRowFromWire),
      };
    },
  };
}
