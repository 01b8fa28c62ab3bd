/**
 * What a message between two nodes may be: a positional array whose first element is a small integer tag. Tags and
 * positions are the wire format. A later version may append elements, which earlier ones ignore; anything else it changes
 * takes a new tag or a new protocol version. The hello never changes, since it is read before a version is agreed on.
 */

import type { NodeId } from '#kernel/identity.ts';
import { isNodeId } from '#kernel/identity.ts';
import type { Pieces } from '#kernel/pieces.ts';
import type { TraceParent } from '#world/world.ts';
import { decode, encode } from './codec.ts';
import { encodeInPieces } from './encode-in-pieces.ts';
import { MalformedMessage } from './message.ts';
import { asArray, asBytes, asInteger, asString } from './shape.ts';

export const NONCE_BYTES = 32;
export const PROOF_BYTES = 32;
/** Far below the size from which messages are split, so that a handshake stays in order with what follows it. */
export const MAXIMUM_FOUNDERS_LENGTH = 16 * 1024;
/** Of codes and reasons that programs decide by. */
export const MAXIMUM_REASON_LENGTH = 64;
/** A reason may quote two lists of founders. */
export const MAXIMUM_DETAIL_LENGTH = 48 * 1024;
export const MAXIMUM_NAME_LENGTH = 64;
const MAXIMUM_IDENTITY_LENGTH = 64;
/** `traceparent` and `tracestate`, by W3C Trace Context. */
const TRACEPARENT_LENGTH = 55;
const MAXIMUM_TRACESTATE_LENGTH = 512;
const MAXIMUM_VERSION = 65_535;

/** Which node a process is: the operator's name, the identity of its disk, and the cluster that it belongs to. */
export interface Identity {
  readonly id: NodeId;
  readonly storageId: string;
  /** Empty while it wants to join a cluster and has not met any. */
  readonly clusterId: string;
}

export interface Hello {
  readonly kind: 'hello';
  readonly lowestVersion: number;
  readonly highestVersion: number;
  readonly nonce: Uint8Array;
  readonly from: Identity;
  /** Whom the dialer means to reach; empty for whoever answers, which is how a node that knows only an address begins. */
  readonly to: NodeId | '';
}

export interface Welcome {
  readonly kind: 'welcome';
  readonly version: number;
  readonly nonce: Uint8Array;
  readonly from: Identity;
}

/** `proof` is the dialer's, `accepted` the acceptor's; after the latter the connection carries calls. */
export interface Proof {
  readonly kind: 'proof' | 'accepted';
  readonly proof: Uint8Array;
  readonly epoch: number;
  readonly founders: string;
}

export interface Refused {
  readonly kind: 'refused';
  readonly reason: string;
  readonly detail: string;
}

export type HandshakeEnvelope = Hello | Welcome | Proof | Refused;

export interface RequestEnvelope {
  readonly kind: 'request';
  readonly callId: number;
  readonly name: string;
  /** Whole milliseconds left until the caller's deadline. */
  readonly remaining: number;
  readonly body: unknown;
  /** The caller's span, when the request is traced. */
  readonly trace?: TraceParent | undefined;
  /** Whole milliseconds since the caller opened the connection, by its clock. */
  readonly sentAt?: number | undefined;
}

export interface ReplyEnvelope {
  readonly kind: 'reply';
  readonly callId: number;
  readonly body: unknown;
}

export interface RefusalEnvelope {
  readonly kind: 'refusal';
  readonly callId: number;
  readonly code: string;
  readonly detail: string;
  readonly value: number;
}

export interface Heartbeat {
  readonly kind: 'ping' | 'pong';
  readonly epoch: number;
}

export interface Goodbye {
  readonly kind: 'goodbye';
  readonly reason: string;
}

/** From version 2 on: the acceptor is stopping. Calls already sent are answered; no others should follow. */
export interface Draining {
  readonly kind: 'draining';
}

export type CallEnvelope = RequestEnvelope | ReplyEnvelope | RefusalEnvelope;
export type Envelope = HandshakeEnvelope | CallEnvelope | Heartbeat | Goodbye | Draining;

const HELLO = 1;
const WELCOME = 2;
const PROOF = 3;
const ACCEPTED = 4;
const REFUSED = 5;
const REQUEST = 10;
const REPLY = 11;
const REFUSAL = 12;
const PING = 13;
const PONG = 14;
const GOODBYE = 15;
const DRAINING = 16;

export function encodeEnvelope(envelope: Envelope): Uint8Array {
  return encode(elementsOf(envelope));
}

/** The same bytes; what is large in the body of a call is not copied, and must not be changed any more. */
export function encodeCall(envelope: CallEnvelope): Uint8Array | Pieces {
  return encodeInPieces(elementsOf(envelope));
}

function elementsOf(envelope: Envelope): readonly unknown[] {
  switch (envelope.kind) {
    case 'request':
      return elementsOfRequest(envelope);
    case 'reply':
      return [REPLY, envelope.callId, envelope.body];
    case 'refusal':
      return [REFUSAL, envelope.callId, envelope.code, envelope.detail, envelope.value];
    case 'ping':
      return [PING, envelope.epoch];
    case 'pong':
      return [PONG, envelope.epoch];
    case 'goodbye':
      return [GOODBYE, envelope.reason];
    case 'draining':
      return [DRAINING];
    case 'hello': {
      const { lowestVersion, highestVersion, nonce, from, to } = envelope;
      return [HELLO, lowestVersion, highestVersion, nonce, from.id, from.storageId, from.clusterId, to];
    }
    case 'welcome': {
      const { version, nonce, from } = envelope;
      return [WELCOME, version, nonce, from.id, from.storageId, from.clusterId];
    }
    case 'proof':
      return [PROOF, envelope.proof, envelope.epoch, envelope.founders];
    case 'accepted':
      return [ACCEPTED, envelope.proof, envelope.epoch, envelope.founders];
    case 'refused':
      return [REFUSED, envelope.reason, envelope.detail];
  }
}

/** Checks all but the body of a call, which its message type checks. */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  const parts = asArray(decode(bytes), 1, 'message');
  const tag = asInteger(parts[0], 'message tag');
  switch (tag) {
    case REQUEST:
      return decodeRequest(parts);
    case REPLY:
      return { kind: 'reply', callId: asInteger(parts[1], 'call id', 1), body: bodyAt(parts, 2) };
    case REFUSAL:
      return decodeRefusal(parts);
    case PING:
      return { kind: 'ping', epoch: asInteger(parts[1], 'epoch') };
    case PONG:
      return { kind: 'pong', epoch: asInteger(parts[1], 'epoch') };
    case GOODBYE:
      return { kind: 'goodbye', reason: asString(parts[1], 'goodbye reason', MAXIMUM_REASON_LENGTH) };
    case DRAINING:
      return { kind: 'draining' };
    case HELLO:
      return decodeHello(parts);
    case WELCOME:
      return {
        kind: 'welcome',
        version: asInteger(parts[1], 'version', 1, MAXIMUM_VERSION),
        nonce: asBytesOf(NONCE_BYTES, parts[2], 'nonce'),
        from: identityAt(parts, 3),
      };
    case PROOF:
      return decodeProof('proof', parts);
    case ACCEPTED:
      return decodeProof('accepted', parts);
    case REFUSED:
      return {
        kind: 'refused',
        reason: asString(parts[1], 'reason', MAXIMUM_REASON_LENGTH),
        detail: asString(parts[2], 'detail', MAXIMUM_DETAIL_LENGTH),
      };
    default:
      throw new MalformedMessage(`message tag ${tag} is unknown`);
  }
}

function elementsOfRequest({ callId, name, remaining, body, trace, sentAt }: RequestEnvelope): readonly unknown[] {
  const parent = trace === undefined ? null : encodeTrace(trace);
  if (sentAt !== undefined) return [REQUEST, callId, name, remaining, body, parent, sentAt];
  if (parent === null) return [REQUEST, callId, name, remaining, body];
  return [REQUEST, callId, name, remaining, body, parent];
}

function encodeTrace({ traceparent, tracestate }: TraceParent): unknown {
  return tracestate === '' ? [traceparent] : [traceparent, tracestate.slice(0, MAXIMUM_TRACESTATE_LENGTH)];
}

function decodeRequest(parts: readonly unknown[]): RequestEnvelope {
  return {
    kind: 'request',
    callId: asInteger(parts[1], 'call id', 1),
    name: asString(parts[2], 'message name', MAXIMUM_NAME_LENGTH),
    remaining: asInteger(parts[3], 'remaining time'),
    body: bodyAt(parts, 4),
    trace: traceOf(parts[5]),
    sentAt: isTime(parts[6]) ? parts[6] : undefined,
  };
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** A trace helps to understand a request: one that does not fit is left out, and the request goes on. */
function traceOf(parent: unknown): TraceParent | undefined {
  if (!Array.isArray(parent)) return undefined;
  const [traceparent, tracestate = ''] = parent as readonly unknown[];
  if (typeof traceparent !== 'string' || traceparent.length !== TRACEPARENT_LENGTH) return undefined;
  const fits = typeof tracestate === 'string' && tracestate.length <= MAXIMUM_TRACESTATE_LENGTH;
  return { traceparent, tracestate: fits ? tracestate : '' };
}

function decodeRefusal(parts: readonly unknown[]): RefusalEnvelope {
  return {
    kind: 'refusal',
    callId: asInteger(parts[1], 'call id', 1),
    code: asString(parts[2], 'refusal code', MAXIMUM_REASON_LENGTH),
    detail: asString(parts[3], 'refusal detail', MAXIMUM_DETAIL_LENGTH),
    value: asInteger(parts[4], 'refusal value', Number.MIN_SAFE_INTEGER),
  };
}

function decodeHello(parts: readonly unknown[]): Hello {
  const lowestVersion = asInteger(parts[1], 'lowest version', 1, MAXIMUM_VERSION);
  return {
    kind: 'hello',
    lowestVersion,
    highestVersion: asInteger(parts[2], 'highest version', lowestVersion, MAXIMUM_VERSION),
    nonce: asBytesOf(NONCE_BYTES, parts[3], 'nonce'),
    from: identityAt(parts, 4),
    to: parts[7] === '' ? '' : asNodeId(parts[7], 'dialed node'),
  };
}

function decodeProof(kind: 'proof' | 'accepted', parts: readonly unknown[]): Proof {
  return {
    kind,
    proof: asBytesOf(PROOF_BYTES, parts[1], 'proof'),
    epoch: asInteger(parts[2], 'epoch'),
    founders: asString(parts[3], 'founders', MAXIMUM_FOUNDERS_LENGTH),
  };
}

function identityAt(parts: readonly unknown[], index: number): Identity {
  return {
    id: asNodeId(parts[index], 'node id'),
    storageId: asString(parts[index + 1], 'storage id', MAXIMUM_IDENTITY_LENGTH),
    clusterId: asString(parts[index + 2], 'cluster id', MAXIMUM_IDENTITY_LENGTH),
  };
}

function asNodeId(value: unknown, what: string): NodeId {
  const text = asString(value, what, MAXIMUM_IDENTITY_LENGTH);
  if (!isNodeId(text)) throw new MalformedMessage(`${what}: ${JSON.stringify(text)} is not a node id`);
  return text;
}

function asBytesOf(length: number, value: unknown, what: string): Uint8Array {
  const bytes = asBytes(value, what, length);
  if (bytes.length !== length) throw new MalformedMessage(`${what}: expected ${length} bytes, got ${bytes.length}`);
  return bytes;
}

/** A body may be anything, but it must be there: a missing one and nil are different. */
function bodyAt(parts: readonly unknown[], index: number): unknown {
  if (parts.length <= index) throw new MalformedMessage('the message has no body');
  return parts[index];
}
