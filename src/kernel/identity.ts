/**
 * The identities that travel through every room, branded so that one cannot stand in for another.
 * Each has one maker here; casts elsewhere are a mistake.
 */

export type Brand<T, Name extends string> = T & { readonly __brand: Name };

/** The operator's name of a node, such as `n1`: 1-64 characters of `[A-Za-z0-9._-]`. */
export type NodeId = Brand<string, 'NodeId'>;
/** A small integer that the epoch chain allots to a member; never reused, so it can stand in dots for ever. */
export type NodeIndex = Brand<number, 'NodeIndex'>;
/** 32 hex digits drawn when a data directory is created: a node that lost its disk has another one. */
export type StorageId = Brand<string, 'StorageId'>;
/** 32 hex digits: the hash of the founders' sorted list. */
export type ClusterId = Brand<string, 'ClusterId'>;
/** Version of the ring and of all cluster-wide facts. Epoch 0 means "before founding". */
export type Epoch = Brand<number, 'Epoch'>;

const NODE_ID = /^[A-Za-z0-9._-]{1,64}$/;
const HEX_32 = /^[0-9a-f]{32}$/;

export function isNodeId(text: string): text is NodeId {
  return NODE_ID.test(text);
}

export function nodeId(text: string): NodeId {
  if (!isNodeId(text)) throw new RangeError(`node id ${JSON.stringify(text)}: 1-64 characters of A-Z a-z 0-9 . _ -`);
  return text;
}

export function nodeIndex(value: number): NodeIndex {
  if (!Number.isInteger(value) || value < 0 || value > 65_535) throw new RangeError(`node index ${value}: 0-65535`);
  return value as NodeIndex;
}

export function storageId(text: string): StorageId {
  if (!HEX_32.test(text)) throw new RangeError(`storage id ${JSON.stringify(text)}: 32 hex digits`);
  return text as StorageId;
}

export function clusterId(text: string): ClusterId {
  if (!HEX_32.test(text)) throw new RangeError(`cluster id ${JSON.stringify(text)}: 32 hex digits`);
  return text as ClusterId;
}

export function epoch(value: number): Epoch {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`epoch ${value}: a whole number from 0`);
  return value as Epoch;
}
