/**
 * What a coordinator asks of a fallback: keep this state for an owner, tell what you keep of a key, and forget that
 * yours may be the only copy.
 */

import { nodeIndex, type NodeIndex } from '#kernel/identity.ts';
import {
  FetchMessage,
  StoreMessage,
  wholeFromWire,
  wholeToWire,
  type FetchRequest,
  type WholeReply,
  type StoreRequest,
} from '#replica/messages.ts';
import type { MessageType } from '#wire/message.ts';
import { asArray, asBoolean, asBytes, asInteger, asListOf } from '#wire/shape.ts';

/** Members for whom one node may keep hints. */
const OWNERS_MAX = 65_536;

export interface HintRequest {
  readonly store: StoreRequest;
  /** The owner in whose place the fallback takes it. */
  readonly owner: NodeIndex;
  /** Whether fewer owners than the write needs are known to have it. */
  readonly sole: boolean;
  /** The hybrid time of the operation. */
  readonly origin: number;
}

export interface HintReply {
  readonly durable: boolean;
  /** What {@link SettleMessage} may name; 0 when the row holds more than this state. */
  readonly revision: number;
}

export const HintMessage: MessageType<HintRequest, HintReply> = {
  name: 'handoff.hint',
  encodeRequest: ({ store, owner, sole, origin }) => [StoreMessage.encodeRequest(store), owner, sole, origin],
  decodeRequest: (body) => {
    const fields = asArray(body, 4, 'handoff.hint');
    return {
      store: StoreMessage.decodeRequest(fields[0]),
      owner: nodeIndex(asInteger(fields[1], 'owner', 0, 65_535)),
      sole: asBoolean(fields[2], 'sole'),
      origin: asInteger(fields[3], 'origin', 0),
    };
  },
  encodeReply: ({ durable, revision }) => [durable, revision],
  decodeReply: (body) => {
    const fields = asArray(body, 2, 'handoff.hint reply');
    return { durable: asBoolean(fields[0], 'durable'), revision: asInteger(fields[1], 'revision', 0) };
  },
};

export interface HeldReply extends WholeReply {
  /** For whom hints of the key wait. `state` is what they hold together; null when there are none. */
  readonly owners: readonly NodeIndex[];
}

/** Asks for the hints of a key. That there are none says nothing about the key. */
export const HeldMessage: MessageType<FetchRequest, HeldReply> = {
  name: 'handoff.held',
  encodeRequest: FetchMessage.encodeRequest,
  decodeRequest: FetchMessage.decodeRequest,
  encodeReply: ({ owners, ...reply }) => [wholeToWire(reply), owners],
  decodeReply: (body) => {
    const fields = asArray(body, 2, 'handoff.held reply');
    return {
      ...wholeFromWire(fields[0]),
      owners: asListOf(fields[1], 'owners', OWNERS_MAX, (owner) => nodeIndex(asInteger(owner, 'owner', 0, 65_535))),
    };
  },
};

/** A hint by its row and the revision under which it was stored. */
export interface SettledHint {
  readonly row: Uint8Array;
  readonly revision: number;
}

const ROW_BYTES_MAX = 1200;
/** Hints in one message. */
export const SETTLED_MAX = 256;

export const SettleMessage: MessageType<readonly SettledHint[], number> = {
  name: 'handoff.settle',
  encodeRequest: (hints) => hints.map(({ row, revision }) => [row, revision]),
  decodeRequest: (body) =>
    asListOf(body, 'handoff.settle', SETTLED_MAX, (hint) => {
      const fields = asArray(hint, 2, 'settled hint');
      return {
        row: asBytes(fields[0], 'row', ROW_BYTES_MAX),
        revision: asInteger(fields[1], 'revision', 0),
      };
    }),
  encodeReply: (count) => [count],
  decodeReply: (body) => asInteger(asArray(body, 1, 'handoff.settle reply')[0], 'count', 0),
};
