/**
 * Where a watch is: for each node up to which group of its log everything has been told. As bytes, for a cursor:
 *
 *     u8 1 | incarnation | milliseconds since 1970 when the watch began | number of places
 *     place   node index | what its groups are counted in (`log-name`), 16 bytes | group
 *
 * A node that is not among the places has told nothing yet; from it everything since the beginning of the watch is wanted.
 */

import { ByteReader, ByteWriter } from '#kernel/binary.ts';
import { fromHex, toHex } from '#kernel/bytes.ts';
import { present } from '#kernel/assert.ts';
import { nodeIndex, type NodeIndex } from '#kernel/identity.ts';

const FORMAT = 1;
const STORAGE_BYTES = 16;
const PLACES_MAX = 65_536;

export interface Place {
  /** 32 hex digits. */
  readonly storage: string;
  readonly group: number;
}

export interface Cursor {
  readonly incarnation: number;
  readonly since: number;
  readonly places: ReadonlyMap<NodeIndex, Place>;
}

export function encodePlaces({ incarnation, since, places }: Cursor): Uint8Array {
  const writer = new ByteWriter(16 + 24 * places.size);
  writer.u8(FORMAT);
  writer.varint(incarnation);
  writer.varint(since);
  writer.varint(places.size);
  for (const [node, { storage, group }] of places) {
    writer.varint(node);
    writer.raw(present(fromHex(storage), 'a storage identity in hex'));
    writer.varint(group);
  }
  return writer.finish();
}

/** Undefined for what {@link encodePlaces} does not write: the cursor of another release, since cursors are signed. */
export function decodePlaces(bytes: Uint8Array): Cursor | undefined {
  try {
    const reader = new ByteReader(bytes);
    if (reader.u8() !== FORMAT) return undefined;
    const incarnation = reader.varint();
    const since = reader.varint();
    const count = reader.varint();
    if (count > PLACES_MAX) return undefined;
    const places = new Map<NodeIndex, Place>();
    for (let i = 0; i < count; i++) {
      const node = nodeIndex(reader.varint());
      const storage = toHex(reader.raw(STORAGE_BYTES));
      places.set(node, { storage, group: reader.varint() });
    }
    reader.end();
    return { incarnation, since, places };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
