/**
 * The binary form of a version vector, inside stored states and context tokens: the number of actors, then for each its
 * node, tenure and counter, all as varints, in the order of the vector. Equal vectors have equal bytes.
 */

import { assert } from '#kernel/assert.ts';
import { MalformedBytes, varintBytes } from '#kernel/binary.ts';
import type { ByteReader, ByteWriter } from '#kernel/binary.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { compareActors } from './dot.ts';
import type { Dot } from './dot.ts';
import type { VersionVector } from './state.ts';

/** Actors in one vector: an owner that mints for the key is one more after each start that follows no clean stop, until they are compacted (horizon.ts). */
export const MAX_ACTORS = 4096;

/** Writes the vector; throws RangeError when it is longer than {@link MAX_ACTORS}. */
export function writeVector(writer: ByteWriter, vector: VersionVector): void {
  if (vector.length > MAX_ACTORS)
    throw new RangeError(`version vector of ${vector.length} actors: up to ${MAX_ACTORS}`);
  writer.varint(vector.length);
  let before: Dot | undefined;
  for (const entry of vector) {
    assert(before === undefined || compareActors(before, entry) < 0, 'a version vector is sorted, each actor once');
    assert(entry.counter > 0, 'an entry of a version vector covers a dot');
    writer.varint(entry.node);
    writer.varint(entry.tenure);
    writer.varint(entry.counter);
    before = entry;
  }
}

/** Reads a vector that {@link writeVector} wrote; throws RangeError for anything else. */
export function readVector(reader: ByteReader): VersionVector {
  const actors = readLength(reader);
  // Of its final size: one that grows by pushing takes room for seventeen.
  const vector = new Array<Dot>(actors);
  let before: Dot | undefined;
  for (let i = 0; i < actors; i++) {
    const entry: Dot = { node: nodeIndex(reader.varint()), tenure: reader.varint(), counter: reader.varint() };
    if (before !== undefined && compareActors(before, entry) >= 0) throw notSorted();
    if (entry.counter === 0) throw coversNothing();
    vector[i] = entry;
    before = entry;
  }
  return vector;
}

/** Reads past a vector, and throws where {@link readVector} would. */
export function passVector(reader: ByteReader): void {
  let node = -1;
  let tenure = -1;
  for (let actors = readLength(reader); actors > 0; actors--) {
    const nextNode = nodeIndex(reader.varint());
    const nextTenure = reader.varint();
    if (nextNode < node || (nextNode === node && nextTenure <= tenure)) throw notSorted();
    if (reader.varint() === 0) throw coversNothing();
    node = nextNode;
    tenure = nextTenure;
  }
}

function readLength(reader: ByteReader): number {
  const actors = reader.varint();
  if (actors > MAX_ACTORS) throw new MalformedBytes(`version vector of ${actors} actors: up to ${MAX_ACTORS}`);
  return actors;
}

function notSorted(): MalformedBytes {
  return new MalformedBytes('version vector not sorted');
}

function coversNothing(): MalformedBytes {
  return new MalformedBytes('version vector with an entry that covers nothing');
}

/** What {@link writeVector} writes, in bytes. */
export function vectorBytes(vector: VersionVector): number {
  let bytes = varintBytes(vector.length);
  for (const entry of vector) {
    bytes += varintBytes(entry.node) + varintBytes(entry.tenure) + varintBytes(entry.counter);
  }
  return bytes;
}
