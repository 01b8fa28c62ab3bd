/**
 * A hint: what an owner of a key has missed, kept by another node until that owner has it (Dynamo, section 4.6).
 *
 * There is one row for each (n, partition, owner, bucket, incarnation, key); what comes later for the same key is joined
 * into it, so an outage costs room for each key that was written, not for each write. A fallback keeps the state itself. A
 * node that owns the key has the state in its records already and only notes that the other one lacks it.
 */

import { joinStates } from '#causality/join.ts';
import type { Conflicts, State } from '#causality/state.ts';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import { ByteReader, ByteWriter, MalformedBytes } from '#kernel/binary.ts';
import { concatBytes } from '#kernel/bytes.ts';
import type { Checksum } from '#kernel/native.ts';

export interface Hint {
  /** What the owner may lack, encoded; null when nothing was kept beside the own record. */
  readonly state: Uint8Array | null;
  /** Whether this node's own record of the key, as it is at delivery, is to be delivered too. */
  readonly own: boolean;
  /** Whether it may be the only copy of a write that was acknowledged: then it must not be dropped. */
  readonly sole: boolean;
  /** The hybrid time of the oldest operation in it; later ones never raise it. */
  readonly low: number;
  /** Another one after every change, never used twice for any row of this disk. */
  readonly revision: number;
}

export type NewHint = Omit<Hint, 'revision'>;

/**
 * The row after `added` came to `before`. The second part of the answer says whether `added` now is all there is: it has
 * no news beside what was there only if it includes that.
 */
export function mergeHints(
  before: Hint | undefined,
  added: NewHint,
  revision: number,
  conflicts: Conflicts,
  checksum: Checksum,
): { readonly hint: Hint; readonly includesBefore: boolean } {
  if (before === undefined) return { hint: { ...added, revision }, includesBefore: true };
  const joined = joinEncoded(before.state, added.state, conflicts, checksum);
  const hint: Hint = {
    state: joined,
    own: before.own || added.own,
    sole: before.sole || added.sole,
    low: Math.min(before.low, added.low),
    revision,
  };
  return { hint, includesBefore: joined === added.state };
}

/** `b` itself when it includes `a`. Throws CorruptState for what is no state. */
export function joinEncoded(
  a: Uint8Array | null,
  b: Uint8Array | null,
  conflicts: Conflicts,
  checksum: Checksum,
): Uint8Array | null {
  if (a === null) return b;
  if (b === null) return a;
  const [stateA, stateB] = [decodeState(a, checksum), decodeState(b, checksum)];
  const joined: State = joinStates(stateB, stateA, conflicts);
  if (joined === stateB) return b;
  return joined === stateA ? a : encodeState(joined, checksum);
}

const FORMAT_1 = 1;
const SOLE = 1;
const OWN = 2;
const STATE = 4;
/** Head, index key beyond the row's, index value; with the longest numbers. */
const HEAD_BYTES = 40;

/**
 * Format 1: u8 1 | u8 flags | low | revision | u32 check | the encoded state, if flagged. The check is the CRC-32 of what
 * stands before it; the state carries its own.
 */
export function encodeHint(hint: Hint, checksum: Checksum): Uint8Array {
  const writer = new ByteWriter(24);
  writer.u8(FORMAT_1);
  writer.u8((hint.sole ? SOLE : 0) | (hint.own ? OWN : 0) | (hint.state === null ? 0 : STATE));
  writer.varint(hint.low);
  writer.varint(hint.revision);
  writer.u32(checksum(writer.written(0)));
  return hint.state === null ? writer.finish() : concatBytes([writer.finish(), hint.state]);
}

/** Throws MalformedBytes for what {@link encodeHint} did not write. The state is not looked at. */
export function decodeHint(bytes: Uint8Array, checksum: Checksum): Hint {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== FORMAT_1) throw new MalformedBytes(`hint in format ${format}: this release reads format ${FORMAT_1}`);
  const flags = reader.u8();
  const low = reader.varint();
  const revision = reader.varint();
  const check = checksum(reader.since(0));
  if (reader.u32() !== check) throw new MalformedBytes('hint whose checksum does not fit');
  const head = reader.offset;
  if ((flags & STATE) === 0) reader.end();
  return {
    state: (flags & STATE) === 0 ? null : bytes.slice(head),
    own: (flags & OWN) !== 0,
    sole: (flags & SOLE) !== 0,
    low,
    revision,
  };
}

/** What a hint takes on the disk, roughly: its row and its index entry. */
export function hintBytes(row: Uint8Array, hint: Hint): number {
  return 2 * row.length + HEAD_BYTES + (hint.state?.length ?? 0);
}
