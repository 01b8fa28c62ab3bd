/**
 * Which changes of strong keys are told of. An owner logs what it accepts, and that may come to nothing: another proposer may go
 * on from what a majority had accepted before. So before such an entry is told of, what the key holds is asked for. An entry that
 * the present value stems from was made. One that it does not stem from was not, or so long ago that nobody remembers; in its
 * place the present value is told of, as what is shown of a key must be something that was there.
 *
 * What was told of last needs no second question: of the three owners that log a change mostly the first one costs a read.
 */

import { CorruptState } from '#causality/state-codec.ts';
import { sameDot, compareDotsByTime, type Dot } from '#causality/dot.ts';
import { decodeGlimpse, encodeGlimpse } from '#causality/glimpse.ts';
import type { State } from '#causality/state.ts';
import { toHex } from '#kernel/bytes.ts';
import type { Clock } from '#world/world.ts';
import type { KeyChange } from './messages.ts';

export interface Settled {
  /** What a majority has accepted, and nothing can undo; nothing at all where the key has left nothing. */
  readonly state: State;
  /** The last changes that led there. */
  readonly made: readonly Dot[];
}

/**
 * What the key holds now, so that none of the changes up to `last` can still be made unless it is among them; undefined when that
 * cannot be found out now.
 */
export type Settle = (key: Uint8Array, last: Dot) => Promise<Settled | undefined>;

export interface StrongNewsOptions {
  readonly clock: Clock;
  readonly settle: Settle;
  /** Whether the entry is of just what was told last of its key. */
  readonly known: (change: KeyChange) => boolean;
  readonly stopped: () => boolean;
  /** What a key holds could not be found out for a reason that nobody has thought of. */
  readonly failed: (error: unknown) => void;
}

/** Milliseconds before a key is asked for again that has too few owners now. */
const PAUSE_MS = 500;
/** Keys asked for at once. */
const AT_ONCE = 16;

export class StrongNews {
  readonly #options: StrongNewsOptions;

  constructor(options: StrongNewsOptions) {
    this.#options = options;
  }

  /** What there is to tell of these, in their order; waits as long as it cannot be known. */
  async of(changes: readonly KeyChange[]): Promise<readonly KeyChange[]> {
    const open = Map.groupBy(
      changes.filter((change) => lastDot(change) !== undefined && !this.#options.known(change)),
      ({ key }) => toHex(key),
    );
    const settled = new Map<string, Settled>();
    const names = [...open.keys()];
    for (let from = 0; from < names.length; from += AT_ONCE) {
      await Promise.all(
        names.slice(from, from + AT_ONCE).map(async (name) => {
          const entries = open.get(name)!;
          const last = entries.map((entry) => lastDot(entry)!).reduce(later);
          const found = await this.#settle(entries[0]!.key, last);
          if (found !== undefined) settled.set(name, found);
        }),
      );
    }
    return changes.map((change) => {
      const found = settled.get(toHex(change.key));
      return found === undefined ? change : toTell(change, found);
    });
  }

  async #settle(key: Uint8Array, last: Dot): Promise<Settled | undefined> {
    const { clock, settle, stopped, failed } = this.#options;
    while (!stopped()) {
      try {
        const found = await settle(key, last);
        if (found !== undefined) return found;
      } catch (error) {
        failed(error);
      }
      await new Promise<void>((resolve) => void clock.after(PAUSE_MS, resolve));
    }
    return undefined;
  }
}

/** Pure: the entry itself when it was made, or what the key holds instead. */
export function toTell(change: KeyChange, { state, made }: Settled): KeyChange {
  const dot = lastDot(change);
  const last = lastOf(state);
  if (dot === undefined || (last !== undefined && sameDot(dot, last)) || made.some((one) => sameDot(one, dot)))
    return change;
  // A register without anything was erased after its deletion: what is told of is that there is nothing.
  const held = last === undefined ? { vector: [dot], versions: [] } : state;
  return { ...change, glimpse: encodeGlimpse(withMarkers(held)) };
}

/** Later changes have later dots, so what they leave joins as in a last-write-wins bucket, where nothing is a marker. */
export function withMarkers({ vector, versions }: State): State {
  if (versions.length > 0) return { vector, versions };
  return { vector, versions: vector.map((dot) => ({ dot, content: null, expiresAt: 0 })) };
}

/** Of the last write that led to what the entry shows; undefined for one that is damaged or shows nothing. */
export function lastDot({ glimpse }: KeyChange): Dot | undefined {
  try {
    return lastOf(decodeGlimpse(glimpse));
  } catch (error) {
    if (error instanceof CorruptState) return undefined;
    throw error;
  }
}

/** Of the last write that led to this. */
export function lastOf({ vector }: State): Dot | undefined {
  return vector.length === 0 ? undefined : vector.reduce(later);
}

function later(a: Dot, b: Dot): Dot {
  return compareDotsByTime(a, b) > 0 ? a : b;
}
