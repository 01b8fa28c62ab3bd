/**
 * A page of a listing as one replica sees it.
 */

import { epoch, type Epoch } from '#kernel/identity.ts';
import { PARTITIONS_MAX } from '#ring/ring.ts';
import type { MessageType } from '#wire/message.ts';
import { asArray, asBytes, asInteger, asListOf, asString } from '#wire/shape.ts';
import type { Entry } from './list-merge.ts';

const KEY_BYTES_MAX = 1024;
/** Entries in one answer. */
export const LIST_ENTRIES_MAX = 1001;
/** What a row can say about its key in the worst case: a vector of all actors and all versions. */
const SUMMARY_BYTES_MAX = 256 * 1024;

/** What is listed, and what the sender knows of it. */
export interface ListScope {
  readonly epoch: Epoch;
  readonly n: number;
  readonly bucket: string;
  readonly incarnation: number;
  readonly definition: Epoch;
}

export interface ListRequest {
  readonly scope: ListScope;
  /** Bits: the partitions whose keys are wanted. */
  readonly partitions: Uint8Array;
  readonly prefix: Uint8Array;
  /** Only keys after this one; empty for all. */
  readonly after: Uint8Array;
  /** Entries. */
  readonly limit: number;
}

export interface ListReply {
  readonly entries: readonly Entry[];
  readonly upTo: Uint8Array | null;
  /** Partitions for which this replica cannot vouch, because a row of them is damaged. */
  readonly unable: readonly number[];
}

export const ListMessage: MessageType<ListRequest, ListReply> = {
  name: 'coordinator.list',
  encodeRequest: ({ scope, partitions, prefix, after, limit }) => [
    [scope.epoch, scope.n, scope.bucket, scope.incarnation, scope.definition],
    partitions,
    prefix,
    after,
    limit,
  ],
  decodeRequest: (body) => {
    const fields = asArray(body, 5, 'coordinator.list');
    const scope = asArray(fields[0], 5, 'scope');
    return {
      scope: {
        epoch: epoch(asInteger(scope[0], 'epoch', 0)),
        n: asInteger(scope[1], 'n', 1, 7),
        bucket: asString(scope[2], 'bucket', 128),
        incarnation: asInteger(scope[3], 'incarnation', 0, 0xffff_ffff),
        definition: epoch(asInteger(scope[4], 'definition', 0)),
      },
      partitions: asBytes(fields[1], 'partitions', PARTITIONS_MAX / 8),
      prefix: asBytes(fields[2], 'prefix', KEY_BYTES_MAX),
      after: asBytes(fields[3], 'after', KEY_BYTES_MAX),
      limit: asInteger(fields[4], 'limit', 1, LIST_ENTRIES_MAX),
    };
  },
  encodeReply: ({ entries, upTo, unable }) => [entries.flat(), upTo, unable],
  decodeReply: (body) => {
    const fields = asArray(body, 3, 'coordinator.list reply');
    const flat = asListOf(fields[0], 'entries', 2 * LIST_ENTRIES_MAX, (bytes) =>
      asBytes(bytes, 'entry', SUMMARY_BYTES_MAX),
    );
    const entries: Entry[] = [];
    for (let i = 0; i + 1 < flat.length; i += 2) entries.push([flat[i]!, flat[i + 1]!]);
    return {
      entries,
      upTo: fields[1] === null ? null : asBytes(fields[1], 'upTo', KEY_BYTES_MAX),
      unable: asListOf(fields[2], 'unable', PARTITIONS_MAX, (partition) =>
        asInteger(partition, 'partition', 0, PARTITIONS_MAX),
      ),
    };
  },
};
