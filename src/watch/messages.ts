/**
 * How a node learns what has changed at another: it asks for what it lacks and to be told from there on, and is told.
 */

import type { MessageType } from '#wire/message.ts';
import { asArray, asBoolean, asBytes, asInteger, asListOf, asString } from '#wire/shape.ts';

const KEY_BYTES_MAX = 1024;
const GLIMPSE_BYTES_MAX = 4 * 1024 * 1024;
/** Changes in one message: those that were asked for, and the rest of the last group. */
const CHANGES_MAX = 16_384;

/** The code with which a node refuses that keeps no log of changes: what changes there nobody would be told of. */
export const NO_LOG = 'no-change-log';

/** A bucket in one of its lives. */
export interface Life {
  readonly bucket: string;
  readonly incarnation: number;
}

/** What a group of writes has changed of a bucket. */
export interface KeyChange {
  readonly group: number;
  readonly key: Uint8Array;
  readonly glimpse: Uint8Array;
}

export interface FollowRequest extends Life {
  /**
   * After which group: null for those since a time, in milliseconds since 1970; of which time 0 stands for now.
   */
  readonly after: number | null;
  readonly since: number;
  /** What these groups are counted in (`log-name`); empty when it is not known. Another disk gives everything that it has. */
  readonly storage: string;
  /** Whether to be told of what comes later. */
  readonly follow: boolean;
}

export interface FollowReply {
  /** What these groups are counted in. */
  readonly storage: string;
  /** What was asked for is not there any more. */
  readonly gone: boolean;
  readonly from: number;
  /** Everything after `from` up to this group has been looked at. */
  readonly upTo: number;
  /** There was more to look at. */
  readonly more: boolean;
  readonly changes: readonly KeyChange[];
}

export interface News extends Life {
  readonly storage: string;
  readonly from: number;
  readonly upTo: number;
  readonly changes: readonly KeyChange[];
}

function changesToWire(changes: readonly KeyChange[]): unknown {
  return changes.flatMap(({ group, key, glimpse }) => [group, key, glimpse]);
}

function changesFromWire(body: unknown): readonly KeyChange[] {
  const flat = asListOf(body, 'changes', 3 * CHANGES_MAX, (element) => element);
  const changes: KeyChange[] = [];
  for (let i = 0; i + 2 < flat.length; i += 3) {
    changes.push({
      group: asInteger(flat[i], 'group'),
      key: asBytes(flat[i + 1], 'key', KEY_BYTES_MAX),
      glimpse: asBytes(flat[i + 2], 'glimpse', GLIMPSE_BYTES_MAX),
    });
  }
  return changes;
}

function lifeFromWire(bucket: unknown, incarnation: unknown): Life {
  return {
    bucket: asString(bucket, 'bucket', 128),
    incarnation: asInteger(incarnation, 'incarnation', 0, 0xffff_ffff),
  };
}

export const FollowMessage: MessageType<FollowRequest, FollowReply> = {
  name: 'watch.follow',
  encodeRequest: ({ bucket, incarnation, after, since, storage, follow }) => [
    bucket,
    incarnation,
    after,
    since,
    storage,
    follow,
  ],
  decodeRequest: (body) => {
    const fields = asArray(body, 6, 'watch.follow');
    return {
      ...lifeFromWire(fields[0], fields[1]),
      after: fields[2] === null ? null : asInteger(fields[2], 'after'),
      since: asInteger(fields[3], 'since'),
      storage: asString(fields[4], 'storage', 64),
      follow: asBoolean(fields[5], 'follow'),
    };
  },
  encodeReply: ({ storage, gone, from, upTo, more, changes }) => [
    storage,
    gone,
    from,
    upTo,
    more,
    changesToWire(changes),
  ],
  decodeReply: (body) => {
    const fields = asArray(body, 6, 'watch.follow reply');
    return {
      storage: asString(fields[0], 'storage', 64),
      gone: asBoolean(fields[1], 'gone'),
      from: asInteger(fields[2], 'from'),
      upTo: asInteger(fields[3], 'upTo'),
      more: asBoolean(fields[4], 'more'),
      changes: changesFromWire(fields[5]),
    };
  },
};

export const NewsMessage: MessageType<News, null> = {
  name: 'watch.news',
  encodeRequest: ({ bucket, incarnation, storage, from, upTo, changes }) => [
    bucket,
    incarnation,
    storage,
    from,
    upTo,
    changesToWire(changes),
  ],
  decodeRequest: (body) => {
    const fields = asArray(body, 6, 'watch.news');
    return {
      ...lifeFromWire(fields[0], fields[1]),
      storage: asString(fields[2], 'storage', 64),
      from: asInteger(fields[3], 'from'),
      upTo: asInteger(fields[4], 'upTo'),
      changes: changesFromWire(fields[5]),
    };
  },
  encodeReply: () => [],
  decodeReply: () => null,
};
