/**
 * The binary form of a key's state, on disk and between nodes. Equal states have equal bytes, so bytes can stand for
 * states in hashes. Format 1 (numbers are varints unless a width is given, texts and values carry their length):
 *
 *     head      u8 1 | vector | number of versions                       | u32 check
 *     version   actor's index in the vector | counter | u8 flags
 *               expiresAt, if flagged | 16 bytes that name the request, if flagged
 *               content type | encoding | number of meta pairs | name, value … | value, unless a deletion marker
 *                                                                        | u32 check
 *
 * The head's check is its CRC-32. A version's check is the CRC-32 of its bytes combined (xor) with the head's check: the
 * full dot stands in the head, and a version that meets another state's head, as after a torn write, must not pass.
 * A damaged state is refused whole. To drop a damaged version and keep the vector would be a delete, and would spread.
 *
 * The first byte names the format. A later format gets its own pair of functions beside these; this one stays readable.
 */

import { assert } from '#kernel/assert.ts';
import { fromHex, toHex } from '#kernel/bytes.ts';
import { ByteReader, ByteWriter, varintBytes } from '#kernel/binary.ts';
import type { Checksum } from '#kernel/native.ts';
import { compareDotsByActor, sameActor } from './dot.ts';
import type { Content, State, Version, VersionVector } from './state.ts';
import { readVector, vectorBytes, writeVector } from './vector-codec.ts';

/** Versions in one state: ten times what a coordinator accepts, since merges must never fail for their number. */
export const MAX_VERSIONS = 100_000;
/** Characters of one version's meta names and values together. In an HTTP header each of them is one byte. */
export const MAX_META_CHARACTERS = 8192;

const FORMAT_1 = 1;
const DELETED = 1;
const EXPIRES = 2;
const HAS_REQUEST = 4;
const ALL_FLAGS = DELETED | EXPIRES | HAS_REQUEST;
const REQUEST_BYTES = 16;
/** At the end of each version, and of the head. */
export const CHECK_BYTES = 4;

/** Stored or received bytes are not a state that {@link encodeState} wrote. The message says what is wrong. */
export class CorruptState extends Error {
  override readonly name = 'CorruptState';
}

/** The length of {@link encodeState}'s answer. */
export function stateBytes(state: State): number {
  let bytes = 1 + vectorBytes(state.vector) + varintBytes(state.versions.length) + CHECK_BYTES;
  let index = 0;
  for (const version of state.versions) {
    index = actorIndex(state.vector, version, index);
    bytes += versionBytes(version, index);
  }
  return bytes;
}

/**
 * The state in the newest format. Throws RangeError beyond a bound of this file or of the vector, AssertionError for what
 * is no state: versions out of order, or not covered by the vector.
 */
export function encodeState(state: State, checksum: Checksum): Uint8Array {
  const { vector, versions } = state;
  if (versions.length > MAX_VERSIONS)
    throw new RangeError(`state of ${versions.length} versions: up to ${MAX_VERSIONS}`);
  const writer = new ByteWriter(stateBytes(state));
  writer.u8(FORMAT_1);
  writeVector(writer, vector);
  writer.varint(versions.length);
  const headCheck = checksum(writer.written(0));
  writer.u32(headCheck);
  let index = 0;
  let before: Version | undefined;
  for (const version of versions) {
    assert(
      before === undefined || compareDotsByActor(before.dot, version.dot) < 0,
      'versions are sorted, each dot once',
    );
    index = actorIndex(vector, version, index);
    const start = writer.length;
    writeVersion(writer, version, index);
    writer.u32(checksum(writer.written(start)) ^ headCheck);
    before = version;
  }
  return writer.finish();
}

/**
 * The state that was encoded; its values are views of `bytes`, which must not change any more. Throws
 * {@link CorruptState} for everything that {@link encodeState} does not write, and never returns a part of a state.
 */
export function decodeState(bytes: Uint8Array, checksum: Checksum): State {
  try {
    const reader = new ByteReader(bytes);
    const format = reader.u8();
    if (format !== FORMAT_1) throw new CorruptState(`state in format ${format}: this release reads format ${FORMAT_1}`);
    return readFormat1(reader, checksum);
  } catch (error) {
    if (error instanceof RangeError) throw new CorruptState(`state of ${bytes.length} bytes: ${error.message}`);
    throw error;
  }
}

function readFormat1(reader: ByteReader, checksum: Checksum): State {
  const vector = readVector(reader);
  const count = reader.varint();
  if (count > MAX_VERSIONS) throw new CorruptState(`state of ${count} versions: up to ${MAX_VERSIONS}`);
  const headCheck = checksum(reader.since(0));
  if (reader.u32() !== headCheck) throw new CorruptState('the checksum of the version vector does not match');
  const versions = new Array<Version>(count);
  let before: Version | undefined;
  for (let i = 0; i < count; i++) {
    const start = reader.offset;
    const version = readVersion(reader, vector);
    const check = (checksum(reader.since(start)) ^ headCheck) >>> 0;
    if (reader.u32() !== check) throw new CorruptState(`the checksum of version ${i + 1} of ${count} does not match`);
    if (before !== undefined && compareDotsByActor(before.dot, version.dot) >= 0) {
      throw new CorruptState('versions not sorted');
    }
    versions[i] = version;
    before = version;
  }
  reader.end();
  return { vector, versions };
}

function writeVersion(writer: ByteWriter, version: Version, index: number): void {
  const { content, expiresAt, request } = version;
  writer.varint(index);
  writer.varint(version.dot.counter);
  writer.u8(
    (content === null ? DELETED : 0) | (expiresAt === 0 ? 0 : EXPIRES) | (request === undefined ? 0 : HAS_REQUEST),
  );
  if (expiresAt !== 0) writer.varint(expiresAt);
  if (request !== undefined) writer.raw(requestBytes(request));
  if (content === null) return;
  checkMetaSize(content.meta);
  writer.text(content.contentType);
  writer.text(content.contentEncoding);
  writer.varint(content.meta.length);
  let before: string | undefined;
  for (const [name, value] of content.meta) {
    assert(before === undefined || before < name, 'meta headers are sorted, each name once');
    writer.text(name);
    writer.text(value);
    before = name;
  }
  writer.bytes(content.value);
}

function readVersion(reader: ByteReader, vector: VersionVector): Version {
  const index = reader.varint();
  const actor = vector[index];
  if (actor === undefined) throw new CorruptState(`version of actor ${index} in a vector of ${vector.length}`);
  const counter = reader.varint();
  if (counter > actor.counter) throw new CorruptState('version that the vector does not cover');
  const flags = reader.u8();
  if (flags > ALL_FLAGS) throw new CorruptState(`version with unknown flags ${flags}`);
  const expires = (flags & EXPIRES) !== 0;
  const expiresAt = expires ? reader.varint() : 0;
  if (expires && expiresAt === 0) throw new CorruptState('version that is said to expire, but never does');
  const request = (flags & HAS_REQUEST) === 0 ? undefined : toHex(reader.raw(REQUEST_BYTES));
  const content = (flags & DELETED) === 0 ? readContent(reader) : null;
  const dot = { node: actor.node, tenure: actor.tenure, counter };
  return request === undefined ? { dot, content, expiresAt } : { dot, content, expiresAt, request };
}

function readContent(reader: ByteReader): Content {
  const contentType = reader.text();
  const contentEncoding = reader.text();
  const pairs = reader.varint();
  const meta: (readonly [string, string])[] = [];
  let before: string | undefined;
  for (let i = 0; i < pairs; i++) {
    const name = reader.text();
    if (before !== undefined && before >= name) throw new CorruptState('meta headers not sorted');
    meta.push([name, reader.text()]);
    before = name;
  }
  checkMetaSize(meta);
  return { contentType, contentEncoding, meta, value: reader.bytes() };
}

/** Where the version's actor stands in the vector, from `from` on: versions and vector are in the same order. */
function actorIndex(vector: VersionVector, version: Version, from: number): number {
  let index = from;
  while (index < vector.length && !sameActor(vector[index]!, version.dot)) index++;
  assert(index < vector.length && vector[index]!.counter >= version.dot.counter, 'the vector covers every version');
  return index;
}

function versionBytes(version: Version, index: number): number {
  const { content, expiresAt } = version;
  let bytes = varintBytes(index) + varintBytes(version.dot.counter) + 1 + CHECK_BYTES;
  if (expiresAt !== 0) bytes += varintBytes(expiresAt);
  if (version.request !== undefined) bytes += REQUEST_BYTES;
  if (content === null) return bytes;
  bytes += textBytes(content.contentType) + textBytes(content.contentEncoding) + varintBytes(content.meta.length);
  for (const [name, value] of content.meta) bytes += textBytes(name) + textBytes(value);
  return bytes + varintBytes(content.value.length) + content.value.length;
}

function requestBytes(request: string): Uint8Array {
  const bytes = fromHex(request);
  assert(bytes?.length === REQUEST_BYTES, `a request is named by ${REQUEST_BYTES} bytes in hex`);
  return bytes;
}

function checkMetaSize(meta: Content['meta']): void {
  let size = 0;
  for (const [name, value] of meta) size += name.length + value.length;
  if (size > MAX_META_CHARACTERS)
    throw new RangeError(`meta headers of ${size} characters: up to ${MAX_META_CHARACTERS}`);
}

function textBytes(text: string): number {
  const length = utf8Length(text);
  return varintBytes(length) + length;
}

/** Two bytes below U+0800, three from there on; a surrogate pair is four bytes for two units. */
function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) bytes += unit < 0x800 || isSurrogate(unit) ? 1 : 2;
  }
  return bytes;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xe000;
}
