/**
 * What the giving up of tombstones asks of the owners about versions that have ended beside others that live: do you know of a
 * later end; let go of these.
 */

import type { EndedVersion } from '#causality/ended.ts';
import { compareDotsByActor } from '#causality/dot.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { MalformedMessage, type MessageType } from '#wire/message.ts';
import { asArray, asBytes, asInteger, asListOf } from '#wire/shape.ts';
import { placeFromWire, placeToWire, ROW_KEY_MAX } from './exchange-messages.ts';
import { BATCH_MAX, countReply, placesReply } from './reclaim-messages.ts';
import type { TreePlace } from './tree-tables.ts';

/** Versions that are let go of together, of all rows of a batch. */
export const ENDED_MAX = 4096;

export interface EndedRow {
  readonly rowKey: Uint8Array;
  /** Sorted by dot. */
  readonly ended: readonly EndedVersion[];
}

export interface ConfirmEndedRequest {
  readonly place: TreePlace;
  /** The epoch in which the owners changed last: both must mean the same ones. */
  readonly changedIn: number;
  readonly rows: readonly EndedRow[];
}

/** The places of the rows of whose versions the callee knows no later end, and none that it has not heard of. */
export const ConfirmEndedMessage: MessageType<ConfirmEndedRequest, readonly number[]> = {
  name: 'repair.confirm-ended',
  encodeRequest: ({ place, changedIn, rows }) => [placeToWire(place), changedIn, rows.map(rowToWire)],
  decodeRequest: (body) => {
    const fields = asArray(body, 3, 'repair.confirm-ended');
    return {
      place: placeFromWire(fields[0]),
      changedIn: asInteger(fields[1], 'changedIn'),
      rows: asListOf(fields[2], 'rows', BATCH_MAX, rowFromWire),
    };
  },
  ...placesReply('repair.confirm-ended'),
};

export interface GiveUpEndedRequest extends ConfirmEndedRequest {
  readonly floor: number;
}

/** Of how many rows the callee has let versions go. */
export const GiveUpEndedMessage: MessageType<GiveUpEndedRequest, number> = {
  name: 'repair.give-up-ended',
  encodeRequest: ({ place, changedIn, floor, rows }) => [placeToWire(place), changedIn, floor, rows.map(rowToWire)],
  decodeRequest: (body) => {
    const fields = asArray(body, 4, 'repair.give-up-ended');
    return {
      place: placeFromWire(fields[0]),
      changedIn: asInteger(fields[1], 'changedIn'),
      floor: asInteger(fields[2], 'floor'),
      rows: asListOf(fields[3], 'rows', BATCH_MAX, rowFromWire),
    };
  },
  ...countReply('repair.give-up-ended'),
};

function rowToWire({ rowKey, ended }: EndedRow): unknown {
  return [rowKey, ended.map(({ dot, expiresAt }) => [dot.node, dot.tenure, dot.counter, expiresAt])];
}

function rowFromWire(body: unknown): EndedRow {
  const [rowKey, versions] = asArray(body, 2, 'row');
  const ended = asListOf(versions, 'ended', ENDED_MAX, (version) => {
    const fields = asArray(version, 4, 'version');
    const dot = {
      node: nodeIndex(asInteger(fields[0], 'node', 0, 0xffff)),
      tenure: asInteger(fields[1], 'tenure'),
      counter: asInteger(fields[2], 'counter', 1),
    };
    return { dot, expiresAt: asInteger(fields[3], 'expiresAt', 1) };
  });
  for (const [i, { dot }] of ended.entries()) {
    if (i > 0 && compareDotsByActor(ended[i - 1]!.dot, dot) >= 0) throw new MalformedMessage('ended: not sorted');
  }
  return { rowKey: asBytes(rowKey, 'row key', ROW_KEY_MAX), ended };
}
