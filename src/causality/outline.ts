/**
 * What a state knows without what it holds: the vector, the dots of the live versions, which of them have content and when they end. Enough to see who is behind whom,
 * at a small part of the bytes where values are large. An outline is no state: it has its own type and its own format, so
 * it cannot be stored or shown in the place of one.
 *
 *     u8 129 | vector | number of versions                                                     | u32 check (CRC-32)
 *     version   actor's index in the vector | counter | u8 flags: 1 with content, 2 with an end | end, if flagged
 */

import { ByteReader, ByteWriter } from '#kernel/binary.ts';
import type { Checksum } from '#kernel/native.ts';
import { compareDotsByActor, sameActor, sameDot, type Dot } from './dot.ts';
import type { State, Version, VersionVector } from './state.ts';
import { CorruptState, MAX_VERSIONS } from './state-codec.ts';
import { laterEnd } from './touch.ts';
import { covers } from './vector.ts';
import { readVector, writeVector } from './vector-codec.ts';

/** Every state is one as well. */
export interface Outline {
  readonly vector: VersionVector;
  /** Sorted as in a state. */
  readonly versions: readonly OutlinedVersion[];
}

export interface OutlinedVersion {
  readonly dot: Dot;
  /** Null where the version has none; otherwise perhaps only {@link ELSEWHERE}. */
  readonly content: object | null;
  /** Milliseconds since 1970; 0 for never. */
  readonly expiresAt: number;
}

/** In place of content that was not sent. */
const ELSEWHERE: object = Object.freeze({});

const FORMAT = 129;
const HAS_CONTENT = 1;
const EXPIRES = 2;

export function encodeOutline({ vector, versions }: Outline, checksum: Checksum): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(FORMAT);
  writeVector(writer, vector);
  writer.varint(versions.length);
  let index = 0;
  for (const { dot, content, expiresAt } of versions) {
    while (!sameActor(vector[index]!, dot)) index++;
    writer.varint(index);
    writer.varint(dot.counter);
    writer.u8((content === null ? 0 : HAS_CONTENT) | (expiresAt === 0 ? 0 : EXPIRES));
    if (expiresAt !== 0) writer.varint(expiresAt);
  }
  writer.u32(checksum(writer.written(0)));
  return writer.finish();
}

/** Throws {@link CorruptState} for everything that {@link encodeOutline} does not write. */
export function decodeOutline(bytes: Uint8Array, checksum: Checksum): Outline {
  try {
    const reader = new ByteReader(bytes);
    const format = reader.u8();
    if (format !== FORMAT) throw new CorruptState(`outline in format ${format}: this release reads format ${FORMAT}`);
    const vector = readVector(reader);
    const versions = readVersions(reader, vector);
    const check = checksum(reader.since(0));
    if (reader.u32() !== check) throw new CorruptState('the checksum of the outline does not match');
    reader.end();
    return { vector, versions };
  } catch (error) {
    if (error instanceof RangeError) throw new CorruptState(`outline of ${bytes.length} bytes: ${error.message}`);
    throw error;
  }
}

function readVersions(reader: ByteReader, vector: VersionVector): readonly OutlinedVersion[] {
  const count = reader.varint();
  if (count > MAX_VERSIONS) throw new CorruptState(`outline of ${count} versions: up to ${MAX_VERSIONS}`);
  const versions: OutlinedVersion[] = [];
  for (let i = 0; i < count; i++) {
    const actor = vector[reader.varint()];
    const counter = reader.varint();
    const flags = reader.u8();
    if (flags > (HAS_CONTENT | EXPIRES)) throw new CorruptState(`outlined version with unknown flags ${flags}`);
    const expiresAt = (flags & EXPIRES) === 0 ? 0 : reader.varint();
    if (actor === undefined || counter > actor.counter)
      throw new CorruptState('version that the vector does not cover');
    const dot = { node: actor.node, tenure: actor.tenure, counter };
    const before = versions.at(-1);
    if (before !== undefined && compareDotsByActor(before.dot, dot) >= 0) throw new CorruptState('versions not sorted');
    versions.push({ dot, content: (flags & HAS_CONTENT) === 0 ? null : ELSEWHERE, expiresAt });
  }
  return versions;
}

/**
 * Something that joins with `known`, or with any state that knows more, to what the outlined state would join to: its
 * versions are taken from there, and those that are superseded there are left out. Undefined when a version of it, or the
 * content of one, is news: then the state itself is needed.
 */
export function filledFrom(known: State, outline: Outline): State | undefined {
  const versions: Version[] = [];
  let at = 0;
  for (const { dot, content, expiresAt } of outline.versions) {
    while (at < known.versions.length && compareDotsByActor(known.versions[at]!.dot, dot) < 0) at++;
    const next = known.versions[at];
    const version = next !== undefined && sameDot(next.dot, dot) ? next : undefined;
    if (version !== undefined && version.content === null && content !== null) return undefined;
    if (version !== undefined) versions.push({ ...version, expiresAt: laterEnd(version.expiresAt, expiresAt) });
    else if (!covers(known.vector, dot)) return undefined;
  }
  return { vector: outline.vector, versions };
}
