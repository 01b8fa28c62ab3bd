/**
 * When to ask somebody else as well: after the time within which a peer nearly always answers, and only so often that it
 * costs a small share of all calls (Dean and Barroso, "The Tail at Scale", 2013). What is asked twice must be harmless when
 * both are done, as reads and states are.
 */

import type { NodeId } from '#kernel/identity.ts';
import type { Counter, World } from '#world/world.ts';
import { HedgeBudget } from './hedge-budget.ts';
import type { Reachability } from './reachability.ts';

export interface HedgeSettings {
  /** Milliseconds to wait for a peer of which nothing is known yet, and between two looks at one that is slow. */
  readonly delay: number;
  /** Milliseconds: bounds of what is learnt. */
  readonly delayMin: number;
  readonly delayMax: number;
  /** Of all calls, those that may be made twice. */
  readonly share: number;
}

export const DEFAULT_HEDGE_SETTINGS: HedgeSettings = { delay: 50, delayMin: 5, delayMax: 500, share: 0.05 };

/** A write costs more than a read, and so does its second copy. */
const STAND_IN_LEAST_MS = 25;

export interface HedgingOptions {
  readonly world: Pick<World, 'clock' | 'metrics'>;
  readonly peers: Pick<Reachability, 'usable' | 'experience'>;
  readonly settings: HedgeSettings;
}

export class Hedging {
  readonly #options: HedgingOptions;
  readonly #budget: HedgeBudget;
  readonly #allowed: Counter;
  readonly #refused: Counter;

  constructor(options: HedgingOptions) {
    this.#options = options;
    this.#budget = new HedgeBudget(options.settings.share);
    const count = (verdict: string): Counter =>
      options.world.metrics.counter('quoral_hedges_total', 'Second calls because a peer was slow.', { verdict });
    this.#allowed = count('allowed');
    this.#refused = count('refused');
  }

  /** Milliseconds after which the peer is slow to answer this message: at once when it is not usable. */
  slowAfter(peer: NodeId, message: string): number {
    const { peers, settings } = this.#options;
    if (!peers.usable(peer)) return 0;
    const usual = peers.experience(peer).usualLatency(message);
    return usual === undefined ? settings.delay : Math.min(settings.delayMax, Math.max(settings.delayMin, usual));
  }

  /** A call was made for the first time. */
  called(): void {
    this.#budget.earn();
  }

  /** Milliseconds after which the last of these peers is slow; when it is this node itself that is awaited, there are none. */
  delay(asked: readonly NodeId[], message: string): number {
    const { delay, delayMin } = this.#options.settings;
    if (asked.length === 0) return delay;
    return asked.reduce((longest, peer) => Math.max(longest, this.slowAfter(peer, message)), delayMin);
  }

  /**
   * Milliseconds after which somebody else takes a write in the place of those that are silent: twice what they nearly always
   * take, and at most `most`, which it is as long as that is not known.
   */
  standInAfter(asked: readonly NodeId[], message: string, most: number): number {
    const { peers } = this.#options;
    let longest = STAND_IN_LEAST_MS / 2;
    for (const peer of asked) {
      if (!peers.usable(peer)) continue;
      longest = Math.max(longest, peers.experience(peer).usualLatency(message) ?? most);
    }
    return Math.min(most, 2 * longest);
  }

  /** Milliseconds to the next look when a second call was not allowed. */
  get pause(): number {
    return this.#options.settings.delay;
  }

  /**
   * Whether a second call may be made to `target` because `slow` have not answered. For a peer that is not usable it may
   * always: that call takes the place of the first. Never to one that has just refused because it has too much to do.
   */
  mayCall(target: NodeId, slow: readonly NodeId[]): boolean {
    const { peers, world } = this.#options;
    if (peers.experience(target).isShedding(world.clock.monotonic())) return this.#counted(false);
    return this.#counted(slow.some((peer) => !peers.usable(peer)) || this.#budget.spend());
  }

  #counted(allowed: boolean): boolean {
    (allowed ? this.#allowed : this.#refused).add();
    return allowed;
  }
}
