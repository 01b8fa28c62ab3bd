/**
 * Takes over what requests with idempotency keys have become. Comparing trees finds keys whose states differ, and the rows of
 * requests come with those. A new owner whose state is equal already may still lack them: a later write has brought it the state,
 * and the row of that write alone. So whoever takes a partition over asks each of the others for the rows themselves.
 */

import { equalBytes } from '#kernel/bytes.ts';
import type { NodeId } from '#kernel/identity.ts';
import type { Hash64 } from '#kernel/siphash.ts';
import type { Replica } from '#replica/replica.ts';
import { retryFromWire, retryToWire, type RetryRow } from '#replica/retry-codec.ts';
import { recordName } from '#replica/tables.ts';
import type { MessageType } from '#wire/message.ts';
import { asArray, asBytes, asListOf } from '#wire/shape.ts';
import type { World } from '#world/world.ts';
import { compareHashes } from './compare-keys.ts';
import { ask, ExchangeFailed, joinRows, type ExchangeEnvironment } from './exchange.ts';
import {
  basisFromWire,
  basisToWire,
  hashFromWire,
  placeFromWire,
  placeToWire,
  type Basis,
} from './exchange-messages.ts';
import { retriesOf } from './retries-of.ts';
import { ALL_LEAVES, lastWith, type TreePlace } from './tree-tables.ts';
import type { MerkleTrees } from './trees.ts';

/** Keys looked at for one message, and rows in it unless one key has more. */
const KEYS_A_PAGE = 512;
const ROWS_A_PAGE = 1024;
const ROW_KEY_MAX = 1280;
const RETRIES_MAX = 4096;
/** About what a row takes on the wire. */
const ROW_BYTES = 80;

interface RetriesRequest {
  readonly basis: Basis;
  readonly place: TreePlace;
  /** Only of keys whose hash comes after this one; of all without it. */
  readonly after: Hash64 | undefined;
}

type KeyRetries = readonly [rowKey: Uint8Array, retries: readonly RetryRow[]];

interface RetriesReply {
  readonly keys: readonly KeyRetries[];
  /** How far this goes; there is nothing more when it is undefined. */
  readonly last: Hash64 | undefined;
}

export const RetriesMessage: MessageType<RetriesRequest, RetriesReply> = {
  name: 'repair.retries',
  encodeRequest: ({ basis, place, after }) => [
    ...[basisToWire(basis), placeToWire(place)],
    after === undefined ? null : [after.high, after.low],
  ],
  decodeRequest: (body) => {
    const fields = asArray(body, 3, 'repair.retries');
    return {
      basis: basisFromWire(fields[0]),
      place: placeFromWire(fields[1]),
      after: hashFromWire(fields[2], 'after'),
    };
  },
  encodeReply: ({ keys, last }) => [
    keys.map(([rowKey, retries]) => [rowKey, retries.map(retryToWire)]),
    last === undefined ? null : [last.high, last.low],
  ],
  decodeReply: (body) => {
    const fields = asArray(body, 2, 'repair.retries reply');
    const keys = asListOf(fields[0], 'keys', KEYS_A_PAGE, (element): KeyRetries => {
      const key = asArray(element, 2, 'key');
      return [asBytes(key[0], 'row key', ROW_KEY_MAX), asListOf(key[1], 'retries', RETRIES_MAX, retryFromWire)];
    });
    return { keys, last: hashFromWire(fields[1], 'last') };
  },
};

export interface RetriesSource {
  readonly world: Pick<World, 'disk'>;
  readonly trees: MerkleTrees;
  readonly replica: Pick<Replica, 'retries'>;
}

/** What this node remembers of the next keys of a partition. */
export function retriesPage(
  { world, trees, replica }: RetriesSource,
  { place, after }: Pick<RetriesRequest, 'place' | 'after'>,
): RetriesReply {
  if (!replica.retries.any()) return { keys: [], last: undefined };
  const entries = trees.index.entries(world.disk, place, ALL_LEAVES, KEYS_A_PAGE, after && lastWith(after));
  const keys: KeyRetries[] = [];
  let rows = 0;
  for (const { hash, rowKey } of entries) {
    const retries = retriesOf(replica, place, rowKey);
    if (retries.length > 0) keys.push([rowKey, retries]);
    rows += retries.length;
    if (rows >= ROWS_A_PAGE) return { keys, last: hash };
  }
  return { keys, last: entries.length < KEYS_A_PAGE ? undefined : entries.at(-1)!.hash };
}

/** To be called when this node has all states of the partition that the other one has. Throws {@link ExchangeFailed}. */
export async function takeRetries(environment: ExchangeEnvironment, peer: NodeId, place: TreePlace): Promise<void> {
  const { source, replica, pace } = environment;
  const basis = source.basisOf(place);
  let after: Hash64 | undefined;
  do {
    const origin = replica.now();
    const reply = await askIfKnown(environment, peer, { basis, place, after });
    // One of an earlier release.
    if (reply === undefined) return;
    const { keys, last } = reply;
    if (after !== undefined && last !== undefined && compareHashes(last, after) <= 0)
      throw new ExchangeFailed('no requests come back');
    const rows = keys.flatMap(([rowKey, retries]) => {
      const { key, ...life } = recordName(rowKey);
      const own = replica.retries.ofKey({ ...place, ...life }, key);
      const lacking = retries.filter(({ id }) => !own.some((one) => equalBytes(one.id, id)));
      const state = lacking.length === 0 ? undefined : replica.record({ ...place, ...life }, key)?.encoded;
      // Its state has gone since, and whoever has none cannot know what the request has become.
      return state === undefined ? [] : [[rowKey, state, lacking] as const];
    });
    await pace.take(keys.reduce((sum, [rowKey, retries]) => sum + rowKey.length + ROW_BYTES * retries.length, 0));
    await joinRows(environment, place, origin, rows);
    after = last;
  } while (after !== undefined);
}

async function askIfKnown(
  environment: ExchangeEnvironment,
  peer: NodeId,
  request: RetriesRequest,
): Promise<RetriesReply | undefined> {
  try {
    return await ask(environment, peer, RetriesMessage, request);
  } catch (error) {
    if (error instanceof ExchangeFailed && error.message.startsWith('unknown-message')) return undefined;
    throw error;
  }
}
