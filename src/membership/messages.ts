/**
 * What nodes tell each other about who is there. Every message states the ring's epoch, so that whoever is behind fetches,
 * and begins with what the sender says of itself.
 */

import { nodeIndex, storageId, type NodeIndex, type StorageId } from '#kernel/identity.ts';
import type { MessageType } from '#wire/message.ts';
import { asArray, asBoolean, asInteger, asListOf, asNumber, asString } from '#wire/shape.ts';
import { STANDINGS, rankOf, type News } from './member-table.ts';
import type { BootRecord } from './boot-records.ts';

/** Members in one message. */
const MEMBERS_MAX = 4096;
const INDEX_MAX = 65_535;
const STORAGE_ID_LENGTH = 32;

export interface Tidings {
  readonly epoch: number;
  readonly news: readonly News[];
}

export interface ProbeReply extends Tidings {
  /** The sender's calendar clock, milliseconds since 1970; undefined from programs that do not tell it. */
  readonly wall: number | undefined;
}

export interface ProbeForRequest extends Tidings {
  readonly target: NodeIndex;
}

export interface ProbeForReply extends Tidings {
  readonly reached: boolean;
}

export interface Exchange extends Tidings {
  readonly boots: readonly BootRecord[];
}

export interface BootRequest {
  readonly record: BootRecord;
  /** False when it only asks what is known of the disk's boots. */
  readonly announces: boolean;
}

export interface BootReply {
  /** The highest boot of the disk that was announced before. */
  readonly known: BootRecord | undefined;
}

/** Are you there? The answer is that there is one. Also carries news, in both directions. */
export const ProbeMessage: MessageType<Tidings, ProbeReply> = {
  name: 'membership.probe',
  encodeRequest: encodeTidings,
  decodeRequest: decodeTidings,
  encodeReply: (reply) => [...encodeTidings(reply), reply.wall ?? null],
  decodeReply: (body) => {
    const wall = asArray(body, 2, 'probed')[2];
    return { ...decodeTidings(body), wall: wall === undefined || wall === null ? undefined : asNumber(wall, 'wall') };
  },
};

/** Is somebody else there? */
export const ProbeForMessage: MessageType<ProbeForRequest, ProbeForReply> = {
  name: 'membership.probe-for',
  encodeRequest: (request) => [...encodeTidings(request), request.target],
  decodeRequest: (body) => {
    const parts = asArray(body, 3, 'probe-for');
    return { ...decodeTidings(body), target: asIndex(parts[2], 'target') };
  },
  encodeReply: (reply) => [...encodeTidings(reply), reply.reached],
  decodeReply: (body) => {
    const parts = asArray(body, 3, 'probed for');
    return { ...decodeTidings(body), reached: asBoolean(parts[2], 'reached') };
  },
};

/** All that both know. */
export const ExchangeMessage: MessageType<Exchange, Exchange> = {
  name: 'membership.exchange',
  encodeRequest: encodeExchange,
  decodeRequest: decodeExchange,
  encodeReply: encodeExchange,
  decodeReply: decodeExchange,
};

/** A node that has started asks what is known of its disk, and then announces its own boot, and that again with each mark. */
export const BootMessage: MessageType<BootRequest, BootReply> = {
  name: 'membership.boot',
  encodeRequest: ({ record: { storage, boot, life, mark }, announces }) => [storage, boot, life, announces, mark],
  decodeRequest: (body) => {
    const [storage, boot, life, announces, mark] = asArray(body, 4, 'boot');
    return { record: decodeBoot([storage, boot, life, mark]), announces: asBoolean(announces, 'announces') };
  },
  encodeReply: ({ known }) => (known === undefined ? [] : [encodeBoot(known)]),
  decodeReply: (body) => {
    const [known] = asArray(body, 0, 'boot known');
    return { known: known === undefined ? undefined : decodeBoot(known) };
  },
};

function encodeTidings({ epoch, news }: Tidings): unknown[] {
  return [epoch, news.map(encodeNews)];
}

function decodeTidings(body: unknown): Tidings {
  const parts = asArray(body, 2, 'tidings');
  return { epoch: asInteger(parts[0], 'epoch'), news: asListOf(parts[1], 'news', MEMBERS_MAX, decodeNews) };
}

function encodeExchange(exchange: Exchange): unknown {
  return [...encodeTidings(exchange), exchange.boots.map(encodeBoot)];
}

function decodeExchange(body: unknown): Exchange {
  const parts = asArray(body, 3, 'exchange');
  return { ...decodeTidings(body), boots: asListOf(parts[2], 'boots', MEMBERS_MAX, decodeBoot) };
}

function encodeNews({ member, standing, incarnation, from }: News): unknown {
  return [member, rankOf(standing), incarnation, from];
}

function decodeNews(value: unknown): News {
  const parts = asArray(value, 4, 'news');
  return {
    member: asIndex(parts[0], 'member'),
    standing: STANDINGS[asInteger(parts[1], 'standing', 0, STANDINGS.length - 1)]!,
    incarnation: asInteger(parts[2], 'incarnation', 0, Number.MAX_SAFE_INTEGER - 1),
    from: asIndex(parts[3], 'accuser'),
  };
}

function encodeBoot({ storage, boot, life, mark }: BootRecord): unknown[] {
  return [storage, boot, life, mark];
}

function decodeBoot(value: unknown): BootRecord {
  const parts = asArray(value, 3, 'boot');
  return {
    storage: asStorageId(parts[0]),
    boot: asInteger(parts[1], 'boot', 1),
    life: asInteger(parts[2], 'life', 0, 2 ** 32 - 1),
    // Programs that know no marks name none.
    mark: asInteger(parts[3] ?? 0, 'mark'),
  };
}

function asStorageId(value: unknown): StorageId {
  return storageId(asString(value, 'storage id', STORAGE_ID_LENGTH));
}

function asIndex(value: unknown, what: string): NodeIndex {
  return nodeIndex(asInteger(value, what, 0, INDEX_MAX));
}
