/**
 * How many keys and bytes a node holds of some partitions, told fast: small partitions are counted, of larger ones the first
 * keys in the order of their hashes, which lie evenly, stand for all.
 */

import type { MessageType } from '#wire/message.ts';
import { Refusal } from '#wire/message.ts';
import type { Messaging } from '#wire/messaging.ts';
import { asArray, asInteger, asListOf } from '#wire/shape.ts';
import { RECORDS } from '#replica/tables.ts';
import type { Disk } from '#world/world.ts';
import { NO_TREES, placeFromWire } from './exchange-messages.ts';
import { ALL_LEAVES, type TreePlace } from './tree-tables.ts';
import type { MerkleTrees } from './trees.ts';

/** Partitions in one question, so that the answer takes a few milliseconds. */
export const WEIGHED_MAX = 16;
/** Keys of a partition that are counted, and rows of it whose bytes are. */
const KEYS_COUNTED = 256;
const ROWS_COUNTED = 32;
const TWO_POW_32 = 2 ** 32;

export interface Weight {
  readonly keys: number;
  readonly bytes: number;
}

export const WeighMessage: MessageType<readonly TreePlace[], readonly Weight[]> = {
  name: 'repair.weigh',
  encodeRequest: (places) => [places.map(({ n, partition }) => [n, partition])],
  decodeRequest: (body) => asListOf(asArray(body, 1, 'repair.weigh')[0], 'places', WEIGHED_MAX, placeFromWire),
  encodeReply: (weights) => [weights.map(({ keys, bytes }) => [keys, bytes])],
  decodeReply: (body) => asListOf(asArray(body, 1, 'repair.weigh reply')[0], 'weights', WEIGHED_MAX, weightFromWire),
};

function weightFromWire(body: unknown): Weight {
  const fields = asArray(body, 2, 'weight');
  return { keys: asInteger(fields[0], 'keys'), bytes: asInteger(fields[1], 'bytes') };
}

export interface WeigherOptions {
  readonly world: { readonly disk: Disk };
  readonly messaging: Messaging;
  readonly trees: MerkleTrees;
}

export class Weigher {
  readonly #options: WeigherOptions;

  /** Registers its handler. */
  constructor(options: WeigherOptions) {
    this.#options = options;
    options.messaging.handle(WeighMessage, (places) => this.weigh(places));
  }

  /** Whether the index of this node is whole. */
  ready(): boolean {
    return this.#options.trees.ready();
  }

  /** At most {@link WEIGHED_MAX} places. Throws {@link Refusal} while the index of this node is not whole. */
  weigh(places: readonly TreePlace[]): readonly Weight[] {
    if (!this.#options.trees.ready()) throw new Refusal(NO_TREES, 'the trees of this node are being built');
    return places.map((place) => this.#weigh(place));
  }

  #weigh(place: TreePlace): Weight {
    const { trees, world } = this.#options;
    const entries = trees.index.entries(world.disk, place, ALL_LEAVES, KEYS_COUNTED);
    const last = entries.at(-1);
    if (last === undefined) return { keys: 0, bytes: 0 };
    const seen = entries.length < KEYS_COUNTED ? 1 : (last.hash.high + 1) / TWO_POW_32;
    const keys = Math.round(entries.length / seen);
    const rows = entries.slice(0, ROWS_COUNTED);
    const bytes = rows.reduce((sum, { rowKey }) => sum + (world.disk.get(RECORDS, rowKey)?.length ?? 0), 0);
    return { keys, bytes: Math.round((bytes / rows.length) * keys) };
  }
}
