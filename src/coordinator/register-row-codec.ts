/** The bytes of a register's row at an owner. */

import type { Accepted } from '#consensus/acceptor.ts';
import type { Register } from '#consensus/register.ts';
import { ballotFromWire, ballotToWire } from '#consensus/vote-codec.ts';
import type { Checksum } from '#kernel/native.ts';
import { decode, encode } from '#wire/codec.ts';
import { MalformedMessage } from '#wire/message.ts';
import { asArray, asBytes } from '#wire/shape.ts';
import { MAX_MESSAGE_BYTES } from '#world/limits.ts';

const CHECKSUM_BYTES = 4;

/** What one owner says of a register; only proposers know what the bytes of the value mean. */
export type Vote = Register<Uint8Array>;

/** A row that says that what it should say is not known: no checksum fits it. */
export const DAMAGED_REGISTER: Uint8Array = Uint8Array.of(0);

/** MessagePack of [promised, [accepted ballot, value]], then the CRC-32 of that as four bytes. */
export function encodeRegister({ promised, accepted }: Vote, crc32: Checksum): Uint8Array {
  const body = encode([
    promised && ballotToWire(promised),
    accepted && [ballotToWire(accepted.ballot), accepted.value],
  ]);
  const row = new Uint8Array(body.length + CHECKSUM_BYTES);
  row.set(body);
  new DataView(row.buffer).setUint32(body.length, crc32(body));
  return row;
}

/** @throws MalformedMessage for a row that is not what was written */
export function decodeRegister(row: Uint8Array, crc32: Checksum): Vote {
  const body = row.subarray(0, Math.max(0, row.length - CHECKSUM_BYTES));
  const stated = new DataView(row.buffer, row.byteOffset, row.length);
  if (row.length < CHECKSUM_BYTES || stated.getUint32(body.length) !== crc32(body)) {
    throw new MalformedMessage('the checksum does not fit');
  }
  const fields = asArray(decode(body), 2, 'register');
  const accepted = fields[1] === null ? null : asArray(fields[1], 2, 'accepted value');
  return {
    promised: fields[0] === null ? null : ballotFromWire(fields[0]),
    accepted: accepted && readAccepted(accepted),
  };
}

function readAccepted(fields: readonly unknown[]): Accepted<Uint8Array> {
  return { ballot: ballotFromWire(fields[0]), value: asBytes(fields[1], 'value', MAX_MESSAGE_BYTES) };
}
