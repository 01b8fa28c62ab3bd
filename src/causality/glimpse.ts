/**
 * What a state says about whether its key is live, without its values: the vector, the dots of the live versions, whether
 * each has content and when it expires. Two replicas' glimpses join as their states would, so a listing can judge keys
 * that replicas disagree about. Like an outline it has a format of its own and can be stored or shown nowhere as a state.
 *
 *     u8 130 | vector | number of versions
 *     version   actor's index in the vector | counter | u8 flags: 1 with content, 2 with an end | end, if flagged
 */

import { ByteReader, ByteWriter, varintBytes } from '#kernel/binary.ts';
import { EMPTY_BYTES } from '#kernel/bytes.ts';
import { compareDotsByActor, sameActor, type Dot } from './dot.ts';
import type { Content, State, Version, VersionVector } from './state.ts';
import { CorruptState, MAX_VERSIONS } from './state-codec.ts';
import { readVector, vectorBytes, writeVector } from './vector-codec.ts';

const FORMAT = 130;
const HAS_CONTENT = 1;
const EXPIRES = 2;

/** In place of content that stays where it is. */
const UNSEEN: Content = Object.freeze({ value: EMPTY_BYTES, contentType: '', contentEncoding: '', meta: [] });

export function encodeGlimpse(state: State): Uint8Array {
  const writer = new ByteWriter(glimpseBytes(state));
  writeGlimpse(writer, state);
  return writer.finish();
}

/** What {@link encodeGlimpse} returns, as a part of something larger. */
export function writeGlimpse(writer: ByteWriter, { vector, versions }: State): void {
  writer.u8(FORMAT);
  writeVector(writer, vector);
  writer.varint(versions.length);
  for (const { dot, content, expiresAt } of versions) {
    writer.varint(placeOf(dot, vector));
    writer.varint(dot.counter);
    writer.u8((content === null ? 0 : HAS_CONTENT) | (expiresAt === 0 ? 0 : EXPIRES));
    if (expiresAt !== 0) writer.varint(expiresAt);
  }
}

/** The length of {@link encodeGlimpse}'s answer. */
export function glimpseBytes({ vector, versions }: State): number {
  let bytes = 1 + vectorBytes(vector) + varintBytes(versions.length);
  for (const { dot, expiresAt } of versions) {
    bytes += varintBytes(placeOf(dot, vector)) + varintBytes(dot.counter) + 1;
    if (expiresAt !== 0) bytes += varintBytes(expiresAt);
  }
  return bytes;
}

function placeOf(dot: Dot, vector: VersionVector): number {
  let place = 0;
  while (!sameActor(vector[place]!, dot)) place++;
  return place;
}

/** For joining and for judging what is live, and for nothing else. Throws {@link CorruptState}. */
export function decodeGlimpse(bytes: Uint8Array): State {
  try {
    const reader = new ByteReader(bytes);
    const format = reader.u8();
    if (format !== FORMAT) throw new CorruptState(`glimpse in format ${format}: this release reads format ${FORMAT}`);
    const vector = readVector(reader);
    const versions = readVersions(reader, vector);
    reader.end();
    return { vector, versions };
  } catch (error) {
    if (error instanceof RangeError) throw new CorruptState(`glimpse of ${bytes.length} bytes: ${error.message}`);
    throw error;
  }
}

function readVersions(reader: ByteReader, vector: State['vector']): readonly Version[] {
  const count = reader.varint();
  if (count > MAX_VERSIONS) throw new CorruptState(`glimpse of ${count} versions: up to ${MAX_VERSIONS}`);
  const versions: Version[] = [];
  for (let i = 0; i < count; i++) {
    const actor = vector[reader.varint()];
    const counter = reader.varint();
    const flags = reader.u8();
    if (flags > (HAS_CONTENT | EXPIRES)) throw new CorruptState(`glimpsed version with unknown flags ${flags}`);
    const expiresAt = (flags & EXPIRES) === 0 ? 0 : reader.varint();
    if (actor === undefined || counter > actor.counter)
      throw new CorruptState('version that the vector does not cover');
    const dot = { node: actor.node, tenure: actor.tenure, counter };
    const before = versions.at(-1);
    if (before !== undefined && compareDotsByActor(before.dot, dot) >= 0) throw new CorruptState('versions not sorted');
    versions.push({ dot, content: (flags & HAS_CONTENT) === 0 ? null : UNSEEN, expiresAt });
  }
  return versions;
}
