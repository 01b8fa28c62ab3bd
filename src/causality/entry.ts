/**
 * How data types live in the one container: each part of a set, a map, a counter, a register or a flag is a version of its
 * own, with its own dot, whose content says where it stands and what it is. In the terms of Almeida et al. (2018) dot sets,
 * dot functions and maps of them are all kept as one dot function whose values carry their path; the join of states,
 * which looks at dots alone, is then the join of each of these, and everything that moves states moves data types.
 *
 *     entry   (u8 type of the field | field) for each map that it stands in | u8 kind | what the kind says
 *     kinds   16 total, 17 increment   u8 1 if negative | amount
 *             18 element, 19 value     JSON
 *             20 flag                  u8 1 if enabled
 *             21 present               a set or map that is there, and empty
 *
 * Paths come first, so that all entries of a field begin with the same bytes. The content of a version that is an entry has an
 * empty content type, which no client can give to a value.
 */

import { ByteReader, ByteWriter, MalformedBytes } from '#kernel/binary.ts';
import { DATA_TYPES, type DataType } from './data-type.ts';
import type { Content, Version } from './state.ts';

export interface Step {
  readonly field: string;
  readonly type: DataType;
}

export type Leaf =
  /** What one actor has counted; it replaces its own entry, so nobody else may. */
  | { readonly kind: 'total'; readonly amount: number }
  /** One increment, kept apart because its request may be sent again. */
  | { readonly kind: 'increment'; readonly amount: number }
  | { readonly kind: 'element' | 'value'; readonly json: string }
  | { readonly kind: 'flag'; readonly enabled: boolean }
  | { readonly kind: 'present' };

export interface Entry {
  readonly path: readonly Step[];
  readonly leaf: Leaf;
}

export const KINDS = { total: 16, increment: 17, element: 18, value: 19, flag: 20, present: 21 } as const;
const NAMES = Object.entries(KINDS) as readonly (readonly [Leaf['kind'], number])[];

/** What all entries below the path begin with. */
export function pathBytes(path: readonly Step[]): Uint8Array {
  const writer = new ByteWriter();
  writePath(writer, path);
  return writer.finish();
}

export function entryBytes({ path, leaf }: Entry): Uint8Array {
  const writer = new ByteWriter();
  writePath(writer, path);
  writer.u8(KINDS[leaf.kind]);
  switch (leaf.kind) {
    case 'total':
    case 'increment':
      writer.u8(leaf.amount < 0 ? 1 : 0);
      writer.varint(Math.abs(leaf.amount));
      break;
    case 'element':
    case 'value':
      writer.text(leaf.json);
      break;
    case 'flag':
      writer.u8(leaf.enabled ? 1 : 0);
      break;
    case 'present':
  }
  return writer.finish();
}

/** @throws MalformedBytes for what {@link entryBytes} does not write */
export function readEntry(bytes: Uint8Array): Entry {
  const reader = new ByteReader(bytes);
  const path: Step[] = [];
  let code = reader.u8();
  for (; code < KINDS.total; code = reader.u8()) {
    const type = DATA_TYPES[code];
    if (type === undefined) throw new MalformedBytes(`entry in a field of type ${code}`);
    path.push({ type, field: reader.text() });
  }
  const leaf = readLeaf(reader, code);
  reader.end();
  return { path, leaf };
}

/** A field of a map, as it stands at the beginning of what the map holds; undefined for what is in no field. */
export function readStep(bytes: Uint8Array): Step | undefined {
  const reader = new ByteReader(bytes);
  const type = DATA_TYPES[reader.u8()];
  return type === undefined ? undefined : { type, field: reader.text() };
}

export function contentOfEntry(value: Uint8Array): Content {
  return { value, contentType: '', contentEncoding: '', meta: NO_META };
}

/** A bucket of a data type may hold a plain value, written at a node that had not heard of the definition; nobody is shown it. */
export function isEntry(version: Version): version is Version & { readonly content: Content } {
  return version.content?.contentType === '';
}

const NO_META: Content['meta'] = [];

function writePath(writer: ByteWriter, path: readonly Step[]): void {
  for (const { type, field } of path) {
    writer.u8(DATA_TYPES.indexOf(type));
    writer.text(field);
  }
}

function readLeaf(reader: ByteReader, code: number): Leaf {
  const kind = NAMES.find(([, number]) => number === code)?.[0];
  switch (kind) {
    case 'total':
    case 'increment': {
      const negative = readBit(reader);
      const amount = reader.varint();
      if (negative && amount === 0) throw new MalformedBytes('entry with an amount of minus zero');
      return { kind, amount: negative ? -amount : amount };
    }
    case 'element':
    case 'value':
      return { kind, json: reader.text() };
    case 'flag':
      return { kind, enabled: readBit(reader) };
    case 'present':
      return { kind };
    case undefined:
      throw new MalformedBytes(`entry of kind ${code}`);
  }
}

function readBit(reader: ByteReader): boolean {
  const bit = reader.u8();
  if (bit > 1) throw new MalformedBytes(`entry with ${bit} in the place of 0 or 1`);
  return bit === 1;
}
