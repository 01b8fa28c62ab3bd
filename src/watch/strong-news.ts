/**
 * Which changes of strong keys are told of. An owner logs what it accepts, and that may come to nothing: another proposer may go
 * on from what a majority had accepted before. So before such an entry is told of, what the key holds is asked for. An entry that
 * the present value stems from was made. One that it does not stem from was not, or so long ago that nobody remembers; in its
 * place the present value is told of, as what is shown of a key must be something that was there.
 *
 * What was told of last needs no second question: of the three owners that log a change mostly the first one costs a read.
 *
 * A key of which too few owners can be asked is left open: it is asked for again and again, and told of when somebody knows, while
 * all others go on. Its order is kept, because whatever comes of it meanwhile is left open with it.
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
  /** Whether anybody is still to be told of a key that was left open. */
  readonly awaited: (key: Uint8Array) => boolean;
  /** Called once for each key that was left open, with what there is to tell of it. */
  readonly late: (change: KeyChange) => void;
  /** What a key holds could not be found out for a reason that nobody has thought of. */
  readonly failed: (error: unknown) => void;
}

export interface StrongNewsOf {
  /** What there is to tell now, in the order of the entries. */
  readonly told: readonly KeyChange[];
  /** Entries of keys of which it cannot be known now. */
  readonly open: readonly KeyChange[];
}

/** Milliseconds before a key is asked for again that has too few owners now. */
const PAUSE_MS = 500;
/** Milliseconds that the other keys wait for one. */
const PATIENCE_MS = 500;
/** Keys asked for at once. */
const AT_ONCE = 16;
/** Keys that are left open; the other keys of a log wait for one more. */
const OPEN_MAX = 1024;

export class StrongNews {
  readonly #options: StrongNewsOptions;
  /** Of each key that was left open its latest entry. */
  readonly #open = new Map<string, KeyChange>();
  #asking = false;

  constructor(options: StrongNewsOptions) {
    this.#options = options;
  }

  /** What there is to tell of these. A key that too few owners can say anything of now holds up no other one. */
  async of(changes: readonly KeyChange[]): Promise<StrongNewsOf> {
    const unknown = Map.groupBy(
      changes.filter((change) => lastDot(change) !== undefined && !this.#options.known(change)),
      ({ key }) => toHex(key),
    );
    const settled = new Map<string, Settled>();
    const asked = [...unknown].filter(([name]) => !this.#open.has(name));
    for (let from = 0; from < asked.length; from += AT_ONCE) {
      const some = asked.slice(from, from + AT_ONCE).map(async ([name, entries]) => {
        const found = await this.#ask(entries.reduce(latest));
        if (found !== undefined) settled.set(name, found);
      });
      await Promise.race([Promise.all(some), this.#pause(PATIENCE_MS)]);
    }
    const lacking = asked.filter(([name]) => !settled.has(name)).slice(Math.max(0, OPEN_MAX - this.#open.size));
    for (const [name, entries] of lacking) {
      const found = await this.#insist(entries.reduce(latest));
      if (found !== undefined) settled.set(name, found);
    }
    for (const [name, entries] of unknown) if (!settled.has(name)) this.#leaveOpen(name, entries.reduce(latest));
    const isOpen = ({ key }: KeyChange): boolean => this.#open.has(toHex(key));
    const told = changes.filter((change) => !isOpen(change));
    return {
      told: told.map((change) => {
        const found = settled.get(toHex(change.key));
        return found === undefined ? change : toTell(change, found);
      }),
      open: changes.filter(isOpen),
    };
  }

  #leaveOpen(name: string, entry: KeyChange): void {
    const before = this.#open.get(name);
    this.#open.set(name, before === undefined ? entry : latest(before, entry));
    if (!this.#asking) void this.#askOpen();
  }

  /** Until none is open any more. */
  async #askOpen(): Promise<void> {
    const { stopped, awaited, late } = this.#options;
    this.#asking = true;
    while (this.#open.size > 0) {
      await this.#pause(PAUSE_MS);
      if (stopped()) break;
      for (const [name, { key }] of this.#open) if (!awaited(key)) this.#open.delete(name);
      const names = [...this.#open.keys()];
      for (let from = 0; from < names.length && !stopped(); from += AT_ONCE) {
        const some = names.slice(from, from + AT_ONCE).map(async (name) => {
          const entry = this.#open.get(name)!;
          const found = await this.#ask(entry);
          // One that has got a later entry meanwhile is asked for again.
          if (found === undefined || stopped() || this.#open.get(name) !== entry) return;
          this.#open.delete(name);
          late(toTell(entry, found));
        });
        await Promise.all(some);
      }
    }
    this.#asking = false;
  }

  async #insist(entry: KeyChange): Promise<Settled | undefined> {
    while (!this.#options.stopped()) {
      const found = await this.#ask(entry);
      if (found !== undefined) return found;
      await this.#pause(PAUSE_MS);
    }
    return undefined;
  }

  async #ask(entry: KeyChange): Promise<Settled | undefined> {
    try {
      return await this.#options.settle(entry.key, lastDot(entry)!);
    } catch (error) {
      this.#options.failed(error);
      return undefined;
    }
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.after(milliseconds, resolve));
  }
}

/** Of two entries of a key, neither of them damaged. */
function latest(a: KeyChange, b: KeyChange): KeyChange {
  return compareDotsByTime(lastDot(a)!, lastDot(b)!) > 0 ? a : b;
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
