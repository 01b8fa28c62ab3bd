/** The bytes of a register's row at an owner. */

import type { Accepted } from '#consensus/acceptor.ts';
import type { Register } from '#consensus/register.ts';
import { ballotFromWire } from '#consensus/vote-codec.ts';
import type { Ballot } from '#consensus/facts.ts';
import type { NodeIndex } from '#kernel/identity.ts';
import type { Checksum } from '#kernel/native.ts';
import { decode } from '#wire/codec.ts';
import { MalformedMessage } from '#wire/message.ts';
import { asArray, asBytes } from '#wire/shape.ts';
import { MAX_MESSAGE_BYTES } from '#world/limits.ts';
import { HEAD_BYTES, INTEGER_BYTES, PackedReader, PackedWriter } from './packed.ts';

const CHECKSUM_BYTES = 4;
const BALLOT_BYTES = 1 + 3 * INTEGER_BYTES;

/** What one owner says of a register; only proposers know what the bytes of the value mean. */
export type Vote = Register<Uint8Array>;

/** A row that says that what it should say is not known: no checksum fits it. */
export const DAMAGED_REGISTER: Uint8Array = Uint8Array.of(0);

/** MessagePack of [promised, [accepted ballot, value]], then the CRC-32 of that as four bytes. */
export function encodeRegister({ promised, accepted }: Vote, crc32: Checksum): Uint8Array {
  const valueBytes = accepted === null ? 0 : accepted.value.length + HEAD_BYTES;
  const writer = new PackedWriter(2 + 2 * BALLOT_BYTES + valueBytes + CHECKSUM_BYTES);
  writer.array(2);
  writeBallot(writer, promised);
  if (accepted === null) writer.nil();
  else {
    writer.array(2);
    writeBallot(writer, accepted.ballot);
    writer.bytes(accepted.value);
  }
  writer.u32(crc32(writer.written()));
  return writer.written();
}

/**
 * A damaged row whose owner takes part in a forced round (register-force.ts): it says what was promised there, and nothing more.
 * Its checksum is turned over, so that it is damaged to whoever does not ask for just that.
 */
export function encodeForced(promised: Ballot, crc32: Checksum): Uint8Array {
  return turnedOver(encodeRegister({ promised, accepted: null }, crc32));
}

/** What a damaged row says that was promised in a forced round; undefined for any other one. */
export function forcedPromise(row: Uint8Array, crc32: Checksum): Ballot | undefined {
  try {
    return decodeRegister(turnedOver(row), crc32).promised ?? undefined;
  } catch (error) {
    if (error instanceof MalformedMessage) return undefined;
    throw error;
  }
}

function turnedOver(row: Uint8Array): Uint8Array {
  const from = row.length - CHECKSUM_BYTES;
  return row.map((byte, at) => (at < from ? byte : byte ^ 0xff));
}

/** @throws MalformedMessage for a row that is not what was written */
export function decodeRegister(row: Uint8Array, crc32: Checksum): Vote {
  const body = row.subarray(0, Math.max(0, row.length - CHECKSUM_BYTES));
  const stated = new DataView(row.buffer, row.byteOffset, row.length);
  if (row.length < CHECKSUM_BYTES || stated.getUint32(body.length) !== crc32(body)) {
    throw new MalformedMessage('the checksum does not fit');
  }
  return readRegister(body) ?? fromFields(asArray(decode(body), 2, 'register'));
}

/** Undefined for a form that {@link encodeRegister} does not write. */
function readRegister(body: Uint8Array): Vote | undefined {
  const reader = new PackedReader(body);
  reader.array(2);
  const promised = readBallot(reader);
  let accepted: Accepted<Uint8Array> | null = null;
  if (!reader.nil()) {
    reader.array(2);
    const ballot = readBallot(reader);
    if (ballot === null) return undefined;
    accepted = { ballot, value: reader.bytes() };
  }
  return reader.complete ? { promised, accepted } : undefined;
}

function writeBallot(writer: PackedWriter, ballot: Ballot | null): void {
  if (ballot === null) return writer.nil();
  writer.array(3);
  writer.integer(ballot.time);
  writer.integer(ballot.node);
  writer.integer(ballot.boot);
}

function readBallot(reader: PackedReader): Ballot | null {
  if (reader.nil()) return null;
  reader.array(3);
  const time = reader.integer();
  const node = reader.integer();
  if (node > 0xffff) reader.ok = false;
  return { time, node: node as NodeIndex, boot: reader.integer() };
}

function fromFields(fields: readonly unknown[]): Vote {
  const accepted = fields[1] === null ? null : asArray(fields[1], 2, 'accepted value');
  return {
    promised: fields[0] === null ? null : ballotFromWire(fields[0]),
    accepted: accepted && readAccepted(accepted),
  };
}

function readAccepted(fields: readonly unknown[]): Accepted<Uint8Array> {
  return { ballot: ballotFromWire(fields[0]), value: asBytes(fields[1], 'value', MAX_MESSAGE_BYTES) };
}
