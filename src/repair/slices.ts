/**
 * Repair at somebody's wish, a slice of about two seconds at a time: compare with one peer and mend, or look at rows. Whoever
 * wants the whole cluster repaired (operator/ring-repair.ts) calls for one slice after the other and tells where to go on, so
 * no node keeps anything of it.
 */

import type { NodeId } from '#kernel/identity.ts';
import { nodeId } from '#kernel/identity.ts';
import type { Knowledge } from '#replica/scope.ts';
import { Refusal, type MessageType } from '#wire/message.ts';
import type { Messaging } from '#wire/messaging.ts';
import { asArray, asBytes, asInteger, asListOf, asString } from '#wire/shape.ts';
import type { Clock } from '#world/world.ts';
import type { AntiEntropy } from './anti-entropy.ts';
import { ExchangeFailed } from './exchange.ts';
import type { Scrub, ScrubResult } from './scrub.ts';
import type { TreePlace } from './tree-tables.ts';
import type { TreeSource } from './tree-source.ts';

const SLICE_MS = 2000;
/** The first byte of a place in a scrub: whether it is among the rows, the trees or the registers of strong keys. */
const [ROWS, TREES, REGISTERS, LEVELS] = [0, 1, 2, 3];
export const FIRST_SLICE: Uint8Array = Uint8Array.of(ROWS);
/**
 * Where the registers are compared, when all nodes have read theirs: what is damaged is found by its own node then. What is `damaged` of these is
 * told of those whose owners could not be made to agree now. An earlier release only reads them.
 */
export const FIRST_LEVEL: Uint8Array = Uint8Array.of(LEVELS);
const PLACES_MAX = 65_536;

export interface CompareSlice {
  readonly peer: NodeId;
  /** The place in the list of shared partitions where to begin. */
  readonly from: number;
  readonly bucket: string | undefined;
}

export interface ComparedPlace extends TreePlace {
  readonly differing: number;
  readonly pulled: number;
  readonly pushed: number;
  readonly refused: number;
  readonly recent: number;
}

export interface CompareReply {
  /** Where to go on; -1 at the end. */
  readonly next: number;
  /** Partitions that the two share. */
  readonly shared: number;
  /** Those that differed. */
  readonly places: readonly ComparedPlace[];
}

function bucketFromWire(value: unknown): string | undefined {
  return value === null ? undefined : asString(value, 'bucket', 128);
}

export const CompareSliceMessage: MessageType<CompareSlice, CompareReply> = {
  name: 'repair.compare-slice',
  encodeRequest: ({ peer, from, bucket }) => [peer, from, bucket ?? null],
  decodeRequest: (body) => {
    const fields = asArray(body, 3, 'repair.compare-slice');
    return {
      peer: nodeId(asString(fields[0], 'peer', 64)),
      from: asInteger(fields[1], 'from', 0, PLACES_MAX * 7),
      bucket: bucketFromWire(fields[2]),
    };
  },
  encodeReply: ({ next, shared, places }) => [
    next,
    shared,
    places.map((one) => [one.n, one.partition, one.differing, one.pulled, one.pushed, one.refused, one.recent]),
  ],
  decodeReply: (body) => {
    const fields = asArray(body, 3, 'repair.compare-slice reply');
    return {
      next: asInteger(fields[0], 'next', -1),
      shared: asInteger(fields[1], 'shared'),
      places: asListOf(fields[2], 'places', PLACES_MAX, (place) => {
        const [n, partition, differing, pulled, pushed, refused, recent] = asArray(place, 7, 'place').map((number) =>
          asInteger(number, 'place'),
        );
        return {
          n: n!,
          partition: partition!,
          differing: differing!,
          pulled: pulled!,
          pushed: pushed!,
          refused: refused!,
          recent: recent!,
        };
      }),
    };
  },
};

export interface ScrubSlice {
  /** {@link FIRST_SLICE}, or where the last slice has ended. */
  readonly from: Uint8Array;
  readonly bucket: string | undefined;
}

export interface ScrubReply extends ScrubResult {
  /** Where to go on; undefined at the end. */
  readonly next: Uint8Array | undefined;
}

export const ScrubSliceMessage: MessageType<ScrubSlice, ScrubReply> = {
  name: 'repair.scrub-slice',
  encodeRequest: ({ from, bucket }) => [from, bucket ?? null],
  decodeRequest: (body) => {
    const fields = asArray(body, 2, 'repair.scrub-slice');
    return { from: asBytes(fields[0], 'from', 2048), bucket: bucketFromWire(fields[1]) };
  },
  encodeReply: ({ next, rows, damaged }) => [next ?? null, rows, damaged],
  decodeReply: (body) => {
    const fields = asArray(body, 3, 'repair.scrub-slice reply');
    return {
      next: fields[0] === null ? undefined : asBytes(fields[0], 'next', 2048),
      rows: asInteger(fields[1], 'rows'),
      damaged: asInteger(fields[2], 'damaged'),
    };
  },
};

export interface SlicesOptions {
  readonly world: { readonly clock: Clock };
  readonly messaging: Messaging;
  readonly knowledge: Knowledge;
  readonly antiEntropy: AntiEntropy;
  readonly source: TreeSource;
  readonly scrub: Scrub;
  /** Reads some registers of strong keys, and has those mended that are damaged. */
  readonly readRegisters: (from: Uint8Array, bucket: string | undefined) => ScrubReply;
  /** Has owners brought up to date that are behind with some of them. */
  readonly levelRegisters: (from: Uint8Array, bucket: string | undefined) => Promise<ScrubReply>;
  readonly ready: () => boolean;
}

export class Slices {
  readonly #options: SlicesOptions;

  /** Registers the handlers. */
  constructor(options: SlicesOptions) {
    this.#options = options;
    const check = (): void => {
      if (!options.ready()) throw new Refusal('not-ready', 'this node does not serve yet');
    };
    options.messaging.handle(CompareSliceMessage, async (slice) => {
      check();
      return await this.compare(slice);
    });
    options.messaging.handle(ScrubSliceMessage, async (slice) => {
      check();
      return await this.look(slice);
    });
  }

  /** Throws {@link Refusal} when the two cannot compare now. */
  async compare({ peer, from, bucket }: CompareSlice): Promise<CompareReply> {
    const { antiEntropy, source, world, knowledge } = this.#options;
    const n = bucket === undefined ? undefined : knowledge.bucket(bucket).n;
    const shared = source.shared(peer);
    const places: ComparedPlace[] = [];
    const end = world.clock.monotonic() + SLICE_MS;
    try {
      const differing = new Set((await antiEntropy.differingPlaces(peer)).map(nameOf));
      for (const [i, place] of shared.entries()) {
        if (i < from || !differing.has(nameOf(place)) || (n !== undefined && place.n !== n)) continue;
        const result = await antiEntropy.exchange(peer, place, { bucket });
        if (result.differing > 0 || result.recent > 0) places.push({ ...result, ...place });
        const over = world.clock.monotonic() >= end;
        if (over || !result.complete) return { next: result.complete ? i + 1 : i, shared: shared.length, places };
      }
    } catch (error) {
      if (error instanceof ExchangeFailed) throw new Refusal('not-compared', `${peer}: ${error.message}`);
      throw error;
    }
    return { next: -1, shared: shared.length, places };
  }

  async look({ from, bucket }: ScrubSlice): Promise<ScrubReply> {
    const { world } = this.#options;
    const end = world.clock.monotonic() + SLICE_MS;
    let next: Uint8Array | undefined = from;
    let rows = 0;
    let damaged = 0;
    while (next !== undefined && world.clock.monotonic() < end) {
      const page = await this.#page(next, bucket);
      rows += page.rows;
      damaged += page.damaged;
      next = page.next;
      // Others have their turn between two pages.
      await new Promise<void>((resolve) => world.clock.defer(resolve));
    }
    return { next, rows, damaged };
  }

  async #page(from: Uint8Array, bucket: string | undefined): Promise<ScrubReply> {
    const { scrub, readRegisters, levelRegisters } = this.#options;
    const rest = from.subarray(1);
    switch (from[0]) {
      case ROWS:
        return afterRows(await scrub.page(rest, bucket));
      case TREES:
        return await this.#tree(from);
      case LEVELS:
        return within(LEVELS, await levelRegisters(rest, bucket));
      default:
        return within(REGISTERS, readRegisters(rest, bucket));
    }
  }

  async #tree(from: Uint8Array): Promise<ScrubReply> {
    const number = new DataView(from.buffer, from.byteOffset).getUint32(1);
    const there = await this.#options.scrub.tree(number);
    return { rows: 0, damaged: 0, next: there ? treesFrom(number + 1) : Uint8Array.of(REGISTERS) };
  }
}

function within(part: number, { next, ...page }: ScrubReply): ScrubReply {
  return { ...page, next: next && Uint8Array.of(part, ...next) };
}

/** After the last row come the trees: they show rows that are gone. */
function afterRows({ next, ...page }: ScrubReply): ScrubReply {
  return { ...page, next: next === undefined ? treesFrom(0) : Uint8Array.of(ROWS, ...next) };
}

function treesFrom(at: number): Uint8Array {
  return Uint8Array.of(TREES, at >>> 24, at >>> 16, at >>> 8, at);
}

function nameOf({ n, partition }: TreePlace): number {
  return n * PLACES_MAX + partition;
}
