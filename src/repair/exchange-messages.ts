/**
 * What two owners say to each other when they compare a partition: from the roots of all they share down to the keys of a
 * leaf, then the states that one of them lacks. Each step is a call of its own, and the callee keeps nothing between them.
 *
 * Hashes travel as bytes, eight each, most significant first; an entry is the hash of a key and that of its state.
 */

import { concatBytes } from '#kernel/bytes.ts';
import type { Hash64 } from '#kernel/siphash.ts';
import { retryFromWire, retryToWire, type RetryRow } from '#replica/retry-codec.ts';
import { MalformedMessage, type MessageType } from '#wire/message.ts';
import { asArray, asBoolean, asBytes, asInteger, asListOf, asString } from '#wire/shape.ts';
import { MAX_MESSAGE_BYTES } from '#world/limits.ts';
import { LEAVES, NODES } from './merkle-tree.ts';
import type { TreePlace } from './tree-tables.ts';

/** The trees of the two cannot be compared: other hashes, or they are being built. */
export const NO_TREES = 'no-trees';

export const HASH_BYTES = 8;
export const ENTRY_BYTES = 16;
const FOREST_BYTES_MAX = 8 * 7 * 65_536;
const LIST_BYTES_MAX = 1024 * 1024;
export const ROW_KEY_MAX = 1280;
const RETRIES_MAX = 4096;
export const ROWS_MAX = 256;
export const ENTRIES_MAX = 4096;
/** Partitions whose roots are summed up in one hash. */
export const GROUP_SIZE = 32;

/** What must be equal at both ends for a comparison to mean anything. */
export interface Basis {
  /** Of the hash and its key. */
  readonly fingerprint: number;
  /** The epoch from which both derive the partitions that they share; of one partition, that in which its owners last changed. */
  readonly epoch: number;
}

export function basisToWire({ fingerprint, epoch }: Basis): unknown {
  return [fingerprint, epoch];
}

export function basisFromWire(body: unknown): Basis {
  const fields = asArray(body, 2, 'basis');
  return { fingerprint: asInteger(fields[0], 'fingerprint', 0, 0xffff_ffff), epoch: asInteger(fields[1], 'epoch') };
}

export function placeToWire({ n, partition }: TreePlace): unknown {
  return [n, partition];
}

export function placeFromWire(body: unknown): TreePlace {
  const fields = asArray(body, 2, 'place');
  return { n: asInteger(fields[0], 'n', 1, 7), partition: asInteger(fields[1], 'partition', 0, 65_535) };
}

function hashes(value: unknown, what: string, most: number): Uint8Array {
  const bytes = asBytes(value, what, most);
  if (bytes.length % HASH_BYTES !== 0)
    throw new MalformedMessage(`${what}: ${bytes.length} bytes are no list of hashes`);
  return bytes;
}

export interface ForestRequest {
  readonly basis: Basis;
  /** The xor of all roots that the two share. */
  readonly overall: Uint8Array;
}

/** Null when the overall hashes are equal; otherwise that of each group of partitions. */
export const ForestMessage: MessageType<ForestRequest, Uint8Array | null> = {
  name: 'repair.forest',
  encodeRequest: ({ basis, overall }) => [basisToWire(basis), overall],
  decodeRequest: (body) => {
    const fields = asArray(body, 2, 'repair.forest');
    return { basis: basisFromWire(fields[0]), overall: hashes(fields[1], 'overall', HASH_BYTES) };
  },
  encodeReply: (groups) => [groups],
  decodeReply: (body) => {
    const groups = asArray(body, 1, 'repair.forest reply')[0];
    return groups === null ? null : hashes(groups, 'groups', FOREST_BYTES_MAX);
  },
};

export interface RootsRequest {
  readonly basis: Basis;
  readonly groups: readonly number[];
}

/** The roots of all partitions of some groups, one group after the other. */
export const RootsMessage: MessageType<RootsRequest, Uint8Array> = {
  name: 'repair.roots',
  encodeRequest: ({ basis, groups }) => [basisToWire(basis), [...groups]],
  decodeRequest: (body) => {
    const fields = asArray(body, 2, 'repair.roots');
    const groups = asListOf(fields[1], 'groups', 65_536, (group) => asInteger(group, 'group', 0, 65_535));
    return { basis: basisFromWire(fields[0]), groups };
  },
  encodeReply: (roots) => [roots],
  decodeReply: (body) => hashes(asArray(body, 1, 'repair.roots reply')[0], 'roots', FOREST_BYTES_MAX),
};

export interface NodesRequest {
  readonly basis: Basis;
  readonly place: TreePlace;
  /** Whether the callee must be able to vouch for what it lacks, and refuse otherwise. */
  readonly vouch?: boolean;
}

export const NodesMessage: MessageType<NodesRequest, Uint8Array> = {
  name: 'repair.nodes',
  encodeRequest: ({ basis, place, vouch = false }) => [basisToWire(basis), placeToWire(place), vouch],
  decodeRequest: (body) => {
    const fields = asArray(body, 3, 'repair.nodes');
    const vouch = asBoolean(fields[2], 'vouch');
    return { basis: basisFromWire(fields[0]), place: placeFromWire(fields[1]), vouch };
  },
  encodeReply: (nodes) => [nodes],
  decodeReply: (body) => hashes(asArray(body, 1, 'repair.nodes reply')[0], 'nodes', NODES * HASH_BYTES),
};

export interface LeavesRequest extends NodesRequest {
  readonly nodes: readonly number[];
}

/** The 32 leaves of each of the nodes. */
export const LeavesMessage: MessageType<LeavesRequest, Uint8Array> = {
  name: 'repair.leaves',
  encodeRequest: ({ basis, place, nodes }) => [basisToWire(basis), placeToWire(place), [...nodes]],
  decodeRequest: (body) => {
    const fields = asArray(body, 3, 'repair.leaves');
    const nodes = asListOf(fields[2], 'nodes', NODES, (node) => asInteger(node, 'node', 0, NODES - 1));
    return { basis: basisFromWire(fields[0]), place: placeFromWire(fields[1]), nodes };
  },
  encodeReply: (leaves) => [leaves],
  decodeReply: (body) => hashes(asArray(body, 1, 'repair.leaves reply')[0], 'leaves', LEAVES * HASH_BYTES),
};

function leavesFromWire(body: unknown): readonly number[] {
  return asListOf(body, 'leaves', LEAVES, (leaf) => asInteger(leaf, 'leaf', 0, LEAVES - 1));
}

export function hashFromWire(body: unknown, what: string): Hash64 | undefined {
  if (body === null) return undefined;
  const [high, low] = asArray(body, 2, what).map((half) => asInteger(half, what, 0, 0xffff_ffff));
  return { high: high!, low: low! };
}

export interface KeysRequest extends NodesRequest {
  /** Sorted. */
  readonly leaves: readonly number[];
  /** Only keys whose hash comes after this one; all without it. */
  readonly after: Hash64 | undefined;
  /** Only keys of this bucket; of all without it. */
  readonly bucket: string | undefined;
  /** Keys written within so many milliseconds are named as recent; 0 for none. */
  readonly settle: number;
}

export interface KeyList {
  /** In the order of the key hashes. */
  readonly entries: Uint8Array;
  /** Hashes of keys that were written just now, so that their replicas may still differ. */
  readonly recent: Uint8Array;
}

export interface KeysReply extends KeyList {
  /** There are more, after the last one. */
  readonly more: boolean;
}

export const KeysMessage: MessageType<KeysRequest, KeysReply> = {
  name: 'repair.keys',
  encodeRequest: ({ basis, place, leaves, after, bucket, settle, vouch = false }) => [
    basisToWire(basis),
    placeToWire(place),
    [...leaves],
    after === undefined ? null : [after.high, after.low],
    bucket ?? null,
    settle,
    vouch,
  ],
  decodeRequest: (body) => {
    const fields = asArray(body, 7, 'repair.keys');
    return {
      basis: basisFromWire(fields[0]),
      place: placeFromWire(fields[1]),
      leaves: leavesFromWire(fields[2]),
      after: hashFromWire(fields[3], 'after'),
      bucket: fields[4] === null ? undefined : asString(fields[4], 'bucket', 128),
      settle: asInteger(fields[5], 'settle'),
      vouch: asBoolean(fields[6], 'vouch'),
    };
  },
  encodeReply: ({ entries, recent, more }) => [entries, recent, more],
  decodeReply: (body) => {
    const fields = asArray(body, 3, 'repair.keys reply');
    const entries = hashes(fields[0], 'entries', LIST_BYTES_MAX);
    if (entries.length % ENTRY_BYTES !== 0) throw new MalformedMessage(`entries: ${entries.length} bytes`);
    return { entries, recent: hashes(fields[1], 'recent', LIST_BYTES_MAX), more: asBoolean(fields[2], 'more') };
  },
};

/** A row as it travels: its key in the table of records, its encoded state, and what requests for it have become. */
export type RowOnTheWire = readonly [rowKey: Uint8Array, state: Uint8Array, retries: readonly RetryRow[]];

function rowsToWire(rows: readonly RowOnTheWire[]): unknown {
  return rows.map(([rowKey, state, retries]) => [rowKey, state, retries.map(retryToWire)]);
}

function rowsFromWire(body: unknown): readonly RowOnTheWire[] {
  return asListOf(body, 'rows', ROWS_MAX, (row) => {
    const fields = asArray(row, 3, 'row');
    const retries = asListOf(fields[2], 'retries', RETRIES_MAX, retryFromWire);
    return [
      asBytes(fields[0], 'row key', ROW_KEY_MAX),
      asBytes(fields[1], 'state', MAX_MESSAGE_BYTES),
      retries,
    ] as const;
  });
}

export interface PullRequest extends NodesRequest {
  readonly hashes: Uint8Array;
}

export interface PullReply {
  /** How many of the hashes this answers; the caller asks for the others again. */
  readonly handled: number;
  readonly rows: readonly RowOnTheWire[];
}

export const PullMessage: MessageType<PullRequest, PullReply> = {
  name: 'repair.pull',
  encodeRequest: ({ basis, place, hashes: wanted }) => [basisToWire(basis), placeToWire(place), wanted],
  decodeRequest: (body) => {
    const fields = asArray(body, 3, 'repair.pull');
    return {
      basis: basisFromWire(fields[0]),
      place: placeFromWire(fields[1]),
      hashes: hashes(fields[2], 'hashes', ROWS_MAX * HASH_BYTES),
    };
  },
  encodeReply: ({ handled, rows }) => [handled, rowsToWire(rows)],
  decodeReply: (body) => {
    const fields = asArray(body, 2, 'repair.pull reply');
    return { handled: asInteger(fields[0], 'handled', 0, ROWS_MAX), rows: rowsFromWire(fields[1]) };
  },
};

export interface RowsRequest extends NodesRequest {
  /** Sorted. */
  readonly leaves: readonly number[];
  /** Only rows whose hash comes after this one; all without it. */
  readonly after: Hash64 | undefined;
}

export interface RowsReply {
  readonly rows: readonly RowOnTheWire[];
  /** How far this goes; there is nothing more when it is undefined. */
  readonly last: Hash64 | undefined;
}

/** All rows of some leaves, for one that has nothing there: neither end has to list keys first. */
export const RowsMessage: MessageType<RowsRequest, RowsReply> = {
  name: 'repair.rows',
  encodeRequest: ({ basis, place, leaves, after, vouch = false }) => [
    ...[basisToWire(basis), placeToWire(place), [...leaves]],
    ...[after === undefined ? null : [after.high, after.low], vouch],
  ],
  decodeRequest: (body) => {
    const fields = asArray(body, 5, 'repair.rows');
    return {
      ...{ basis: basisFromWire(fields[0]), place: placeFromWire(fields[1]), leaves: leavesFromWire(fields[2]) },
      ...{ after: hashFromWire(fields[3], 'after'), vouch: asBoolean(fields[4], 'vouch') },
    };
  },
  encodeReply: ({ rows, last }) => [rowsToWire(rows), last === undefined ? null : [last.high, last.low]],
  decodeReply: (body) => {
    const fields = asArray(body, 2, 'repair.rows reply');
    return { rows: rowsFromWire(fields[0]), last: hashFromWire(fields[1], 'last') };
  },
};

export interface PushRequest {
  readonly place: TreePlace;
  /** A hybrid time of the sender before it read the rows. */
  readonly origin: number;
  readonly rows: readonly RowOnTheWire[];
}

export interface PushReply {
  /** Rows that the callee has joined with its own, on stable storage. */
  readonly joined: number;
  /** Why it did not take the others, each reason once. */
  readonly refusals: readonly string[];
}

export const PushMessage: MessageType<PushRequest, PushReply> = {
  name: 'repair.push',
  encodeRequest: ({ place, origin, rows }) => [placeToWire(place), origin, rowsToWire(rows)],
  decodeRequest: (body) => {
    const fields = asArray(body, 3, 'repair.push');
    return { place: placeFromWire(fields[0]), origin: asInteger(fields[1], 'origin'), rows: rowsFromWire(fields[2]) };
  },
  encodeReply: ({ joined, refusals }) => [joined, [...refusals]],
  decodeReply: (body) => {
    const fields = asArray(body, 2, 'repair.push reply');
    return {
      joined: asInteger(fields[0], 'joined', 0, ROWS_MAX),
      refusals: asListOf(fields[1], 'refusals', ROWS_MAX, (code) => asString(code, 'refusal', 128)),
    };
  },
};

export function hashAt(bytes: Uint8Array, at: number): Hash64 {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return { high: view.getUint32(at), low: view.getUint32(at + 4) };
}

export function hashToBytes({ high, low }: Hash64): Uint8Array {
  const bytes = new Uint8Array(HASH_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, high);
  view.setUint32(4, low);
  return bytes;
}

export function hashesToBytes(list: readonly Hash64[]): Uint8Array {
  return concatBytes(list.map(hashToBytes));
}
