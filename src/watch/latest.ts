/**
 * What is known to be the latest of the keys that were told of last. Each change is told of by every owner of the key, in any
 * order; joined with what is known already it shows a reader something else, or is no news. What is shown of a key never goes back. Pure.
 */

import { compareDotsByTime } from '#causality/dot.ts';
import { etagOf } from '#causality/etag.ts';
import { decodeGlimpse } from '#causality/glimpse.ts';
import { equalStates, joinStates } from '#causality/join.ts';
import type { Conflicts, State } from '#causality/state.ts';
import { lastOf } from './strong-news.ts';

/** How two changes of a key come together. Those of a strong key come after each other. */
export type Settlement = Conflicts | 'in-order';

interface Known {
  readonly state: State;
  /** Of what was live when it was last shown; null when nothing was, undefined when nothing has been shown yet. */
  readonly etag: string | null | undefined;
  /** At which change that was. */
  readonly at: number;
}

/** What others remember, and which of it was shown here too: what they were told from one change on, up to another one. */
export interface Others {
  readonly latest: Latest;
  readonly from: number;
  readonly to: number;
}

export class Latest {
  readonly #most: number;
  readonly #others: Others | undefined;
  readonly #keys = new Map<string, Known>();
  #told = 0;

  /** `most` keys are remembered, those that were told of last. */
  constructor(most: number, others?: Others) {
    this.#most = most;
    this.#others = others;
  }

  /** How many changes it was told of. */
  get told(): number {
    return this.#told;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** Whether this is just what was told of last. Throws CorruptState. */
  has(name: string, glimpse: Uint8Array): boolean {
    const known = this.#keys.get(name);
    if (known === undefined) return false;
    const told = decodeGlimpse(glimpse);
    return equalStates(known.state, told) && shownIn(known.state) === shownIn(told);
  }

  /**
   * The tag to show, null when nothing is live; undefined when there is nothing new to show. What others know of a key that is not
   * remembered here may have been shown before, so nothing older is. That something is over is not shown by the first word of it, said when
   * it was not over: it may live longer by now, and if not, that it has ended will be told too. Throws CorruptState.
   */
  take(name: string, glimpse: Uint8Array, settlement: Settlement, now: number): string | null | undefined {
    const told = decodeGlimpse(glimpse);
    const others = this.#others;
    const theirs = others === undefined ? undefined : others.latest.#keys.get(name);
    const known = this.#keys.get(name) ?? (theirs !== undefined && this.#wasShown(theirs) ? theirs : undefined);
    const before = known ?? theirs;
    const state = before === undefined ? told : together(before.state, told, settlement);
    // Of a value that has expired the content is gone at one replica and not at another: the time decides what is live.
    const tag = liveTag(state, now);
    const etag = tag === null && known?.etag === undefined && shownIn(told) > 0 ? undefined : tag;
    const at = known !== undefined && etag === known.etag ? known.at : this.#told;
    this.#told += 1;
    if (known !== undefined) {
      if (state === known.state && etag === known.etag) return undefined;
      this.#keys.delete(name);
    }
    this.#remember(name, { state, etag, at });
    return known !== undefined && etag === known.etag ? undefined : etag;
  }

  #wasShown({ at }: Known): boolean {
    const { from, to } = this.#others!;
    return at >= from && at < to;
  }

  #remember(name: string, known: Known): void {
    if (this.#keys.size >= this.#most) {
      const [oldest] = this.#keys.keys();
      if (oldest !== undefined) this.#keys.delete(oldest);
    }
    this.#keys.set(name, known);
  }
}

function together(before: State, told: State, settlement: Settlement): State {
  if (settlement !== 'in-order') return joinStates(before, told, settlement);
  const [was, is] = [lastOf(before), lastOf(told)];
  if (is === undefined) return before;
  const order = was === undefined ? 1 : compareDotsByTime(is, was);
  if (order !== 0) return order > 0 ? told : before;
  // Without a dot of its own only the end of something changes what is there: whoever shows less knows of it.
  return shownIn(told) < shownIn(before) ? told : before;
}

function shownIn({ versions }: State): number {
  return versions.filter(({ content }) => content !== null).length;
}

function liveTag({ versions }: State, now: number): string | null {
  const live = versions.filter(({ content, expiresAt }) => content !== null && (expiresAt === 0 || expiresAt > now));
  return live.length === 0 ? null : etagOf(live);
}
