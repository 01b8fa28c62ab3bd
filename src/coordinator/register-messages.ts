/**
 * What a proposer asks of the owners of a strong key. Values travel as the bytes that the registers hold: what they mean is
 * the proposer's business alone.
 */

import type { Accepted } from '#consensus/acceptor.ts';
import type { Ballot } from '#consensus/facts.ts';
import { epoch, type Epoch } from '#kernel/identity.ts';
import { ballotFromWire, ballotToWire } from '#consensus/vote-codec.ts';
import { scopeFromWire, scopeToWire } from '#replica/messages.ts';
import type { Scope } from '#replica/scope.ts';
import { MalformedMessage, type MessageType } from '#wire/message.ts';
import { asArray, asBoolean, asBytes, asInteger, asListOf, asString } from '#wire/shape.ts';
import { MAX_MESSAGE_BYTES } from '#world/limits.ts';

const KEY_BYTES_MAX = 1024;

export interface OfRegister {
  readonly scope: Scope;
  readonly key: Uint8Array;
}

/** Asks for what was accepted, without promising anything. */
export interface PeekRequest extends OfRegister {
  /** Of a value with more bytes than that only the ballot is wanted. */
  readonly valuesUpTo: number;
}

export interface PeekReply {
  /** The value is null where it was not wanted. */
  readonly accepted: Accepted<Uint8Array | null> | null;
}

export interface PrepareRequest extends OfRegister {
  readonly ballot: Ballot;
}

export interface AcceptRequest extends OfRegister {
  readonly ballot: Ballot;
  readonly value: Uint8Array;
  /** To be promised to the same proposer in the same step. */
  readonly next: Ballot | null;
}

/** Takes the register away that all owners have accepted as nothing under this ballot. */
export interface EraseRequest extends OfRegister {
  readonly ballot: Ballot;
}

export interface EraseReply {
  /** Or it was not there; false when something has happened to it since. */
  readonly erased: boolean;
}

export type PrepareReply =
  | { readonly kind: 'promised'; readonly accepted: Accepted<Uint8Array> | null }
  | { readonly kind: 'rejected'; readonly highest: Ballot };

export type AcceptReply = { readonly kind: 'accepted' } | { readonly kind: 'rejected'; readonly highest: Ballot };

function acceptedToWire(accepted: Accepted<Uint8Array> | null): unknown {
  return accepted === null ? null : [ballotToWire(accepted.ballot), accepted.value];
}

function acceptedFromWire(body: unknown): Accepted<Uint8Array> | null {
  if (body === null) return null;
  const fields = asArray(body, 2, 'accepted value');
  return { ballot: ballotFromWire(fields[0]), value: asBytes(fields[1], 'value', MAX_MESSAGE_BYTES) };
}

function ofRegister(fields: readonly unknown[]): OfRegister {
  return { scope: scopeFromWire(fields[0]), key: asBytes(fields[1], 'key', KEY_BYTES_MAX) };
}

function rejectedFromWire(fields: readonly unknown[], kind: string): { kind: 'rejected'; highest: Ballot } {
  if (kind !== 'rejected') throw new MalformedMessage(`an owner's answer is ${JSON.stringify(kind.slice(0, 32))}`);
  return { kind, highest: ballotFromWire(fields[1]) };
}

export const PeekMessage: MessageType<PeekRequest, PeekReply> = {
  name: 'register.peek',
  encodeRequest: ({ scope, key, valuesUpTo }) => [scopeToWire(scope), key, valuesUpTo],
  decodeRequest: (body) => {
    const fields = asArray(body, 2, 'register.peek');
    const valuesUpTo = fields[2] === undefined ? MAX_MESSAGE_BYTES : asInteger(fields[2], 'valuesUpTo');
    return { ...ofRegister(fields), valuesUpTo };
  },
  encodeReply: ({ accepted }) => [accepted && [ballotToWire(accepted.ballot), accepted.value]],
  decodeReply: (body) => {
    const [accepted] = asArray(body, 1, 'register.peek reply');
    if (accepted === null) return { accepted };
    const [ballot, value] = asArray(accepted, 2, 'accepted value');
    if (value === null) return { accepted: { ballot: ballotFromWire(ballot), value } };
    return { accepted: acceptedFromWire(accepted) };
  },
};

export const PrepareMessage: MessageType<PrepareRequest, PrepareReply> = {
  name: 'register.prepare',
  encodeRequest: ({ scope, key, ballot }) => [scopeToWire(scope), key, ballotToWire(ballot)],
  decodeRequest: (body) => {
    const fields = asArray(body, 3, 'register.prepare');
    return { ...ofRegister(fields), ballot: ballotFromWire(fields[2]) };
  },
  encodeReply: (reply) =>
    reply.kind === 'promised'
      ? [reply.kind, acceptedToWire(reply.accepted)]
      : [reply.kind, ballotToWire(reply.highest)],
  decodeReply: (body) => {
    const fields = asArray(body, 2, 'register.prepare reply');
    const kind = asString(fields[0], 'answer', 32);
    return kind === 'promised' ? { kind, accepted: acceptedFromWire(fields[1]) } : rejectedFromWire(fields, kind);
  },
};

export const AcceptMessage: MessageType<AcceptRequest, AcceptReply> = {
  name: 'register.accept',
  encodeRequest: ({ scope, key, ballot, value, next }) => [
    scopeToWire(scope),
    key,
    ballotToWire(ballot),
    value,
    next === null ? null : ballotToWire(next),
  ],
  decodeRequest: (body) => {
    const fields = asArray(body, 5, 'register.accept');
    return {
      ...ofRegister(fields),
      ballot: ballotFromWire(fields[2]),
      value: asBytes(fields[3], 'value', MAX_MESSAGE_BYTES),
      next: fields[4] === null ? null : ballotFromWire(fields[4]),
    };
  },
  encodeReply: (reply) => (reply.kind === 'accepted' ? [reply.kind, null] : [reply.kind, ballotToWire(reply.highest)]),
  decodeReply: (body) => {
    const fields = asArray(body, 2, 'register.accept reply');
    const kind = asString(fields[0], 'answer', 32);
    return kind === 'accepted' ? { kind } : rejectedFromWire(fields, kind);
  },
};

export const EraseMessage: MessageType<EraseRequest, EraseReply> = {
  name: 'register.erase',
  encodeRequest: ({ scope, key, ballot }) => [scopeToWire(scope), key, ballotToWire(ballot)],
  decodeRequest: (body) => {
    const fields = asArray(body, 3, 'register.erase');
    return { ...ofRegister(fields), ballot: ballotFromWire(fields[2]) };
  },
  encodeReply: ({ erased }) => [erased],
  decodeReply: (body) => ({ erased: asBoolean(asArray(body, 1, 'register.erase reply')[0], 'erased') }),
};

/** Asks what an owner has of a register, for people who decide what becomes of one that too few have. */
export interface SurveyReply {
  /** Then nothing was accepted as far as this owner can say. */
  readonly damaged: boolean;
  readonly accepted: Accepted<Uint8Array> | null;
}

export const SurveyMessage: MessageType<OfRegister, SurveyReply> = {
  name: 'register.survey',
  encodeRequest: ({ scope, key }) => [scopeToWire(scope), key],
  decodeRequest: (body) => ofRegister(asArray(body, 2, 'register.survey')),
  encodeReply: ({ damaged, accepted }) => [damaged, acceptedToWire(accepted)],
  decodeReply: (body) => {
    const fields = asArray(body, 2, 'register.survey reply');
    return { damaged: asBoolean(fields[0], 'damaged'), accepted: acceptedFromWire(fields[1]) };
  },
};

/** The two phases of a round in which damaged registers take part as ones that know nothing (register-force.ts). */
export const ForcePrepareMessage: typeof PrepareMessage = { ...PrepareMessage, name: 'register.force-prepare' };
export const ForceAcceptMessage: typeof AcceptMessage = { ...AcceptMessage, name: 'register.force-accept' };

/** Rows of registers in one page. */
export const PAGE_ROWS_MAX = 1024;
const ROW_KEY_BYTES_MAX = 128 + 5 + KEY_BYTES_MAX;

/** Asks an owner for the registers of the partitions that it shares with the caller, which has lost its own. */
export interface RegisterPageRequest {
  /** The epoch that says so; the owner answers when it knows it. */
  readonly epoch: Epoch;
  /** The row key up to which there were pages before. */
  readonly after: Uint8Array | null;
}

export interface RegisterPageReply {
  /** Row keys, and the rows as they are stored. */
  readonly rows: readonly (readonly [rowKey: Uint8Array, row: Uint8Array])[];
  /** Where the next page begins; null when this was the last. */
  readonly next: Uint8Array | null;
  /** Keys of rows that are damaged, of which the owner can say nothing. */
  readonly damaged: readonly Uint8Array[];
}

export const RegisterPageMessage: MessageType<RegisterPageRequest, RegisterPageReply> = {
  name: 'register.page',
  encodeRequest: ({ epoch: known, after }) => [known, after],
  decodeRequest: (body) => {
    const fields = asArray(body, 2, 'register.page');
    return { epoch: epoch(asInteger(fields[0], 'epoch')), after: rowKeyOrNull(fields[1]) };
  },
  encodeReply: ({ rows, next, damaged }) => [rows, next, damaged],
  decodeReply: (body) => {
    const fields = asArray(body, 2, 'register.page reply');
    const rows = asListOf(fields[0], 'rows', PAGE_ROWS_MAX, (row) => {
      const [rowKey, bytes] = asArray(row, 2, 'row');
      return [asBytes(rowKey, 'row key', ROW_KEY_BYTES_MAX), asBytes(bytes, 'row', MAX_MESSAGE_BYTES)] as const;
    });
    const readDamaged = (rowKey: unknown): Uint8Array => asBytes(rowKey, 'row key', ROW_KEY_BYTES_MAX);
    const damaged = fields[2] === undefined ? [] : asListOf(fields[2], 'damaged rows', PAGE_ROWS_MAX, readDamaged);
    return { rows, next: rowKeyOrNull(fields[1]), damaged };
  },
};

function rowKeyOrNull(body: unknown): Uint8Array | null {
  return body === null ? null : asBytes(body, 'row key', ROW_KEY_BYTES_MAX);
}
