/**
 * The one place that says whether a peer can be used now.
 *
 * - `usable`: connected, believed alive by the cluster, answering this node, and doing its work.
 * - `doubtful`: connected, but something speaks against it. Others come first; it is still tried when there are too few.
 * - `down`: not connected, or dead as far as the cluster can tell.
 *
 * Whoever owns a key owns it whatever is said here.
 */

import type { NodeId } from '#kernel/identity.ts';
import type { CallEnding, Messaging } from '#wire/messaging.ts';
import type { World } from '#world/world.ts';
import { Experience } from './experience.ts';
import type { Standing } from './member-table.ts';
import type { Membership } from './membership.ts';

export const ASSESSMENTS = ['usable', 'doubtful', 'down'] as const;
export type Assessment = (typeof ASSESSMENTS)[number];

/** The one objection that says nothing against a peer now. */
const COMES_AND_GOES = 'comes and goes';
/** A peer is slow when its work takes so many times as long as the fastest peer's, and so many milliseconds more. */
const SLOW_FACTOR = 4;
const SLOW_LEAST_MS = 10;
/** So many share what sending costs; the work of more than these is better done by several. */
const GATHERED_MAX = 16;
/** Ticks between two comparisons. */
const COMPARED_EVERY = 10;

export interface ReachabilityOptions {
  readonly world: Pick<World, 'clock' | 'log' | 'metrics'>;
  readonly messaging: Pick<Messaging, 'reachable' | 'gathered' | 'onReachability' | 'onCallEnd'>;
  readonly membership: Pick<Membership, 'standing' | 'isSilent' | 'onChange' | 'onTick'>;
  /** Names of the messages that are work: a peer is judged by how it does it. */
  readonly work: readonly string[];
}

interface Known {
  readonly experience: Experience;
  /** Worked out when something has changed, because every request asks for it. */
  assessment: Assessment;
  why: string;
  /** Whether a request may be sent to see whether a broken peer works again. */
  trial: boolean;
  slow: boolean;
  wasUp: boolean;
  standing: Standing;
  /** Whether it has proved who it is since it was last believed dead: then the belief is old. */
  met: boolean;
}

export class Reachability {
  readonly #options: ReachabilityOptions;
  readonly #known = new Map<NodeId, Known>();
  /** Those of whom something changes by the mere passing of time. */
  readonly #timed = new Set<NodeId>();
  #ticks = 0;
  readonly #listeners: ((peer: NodeId, now: Assessment) => void)[] = [];

  constructor(options: ReachabilityOptions) {
    const { world, messaging, membership } = options;
    this.#options = options;
    messaging.onReachability((peer, reachable) => {
      this.#of(peer).met = reachable;
      this.#reassess(peer);
    });
    membership.onChange((peer) => this.#reassess(peer));
    membership.onTick(() => {
      for (const peer of [...this.#timed]) this.#reassess(peer);
      this.#ticks += 1;
      if (this.#ticks % COMPARED_EVERY === 0) this.#compare();
    });
    messaging.onCallEnd((peer, ending) => this.#callEnded(peer, ending));
    for (const assessment of ASSESSMENTS) {
      const count = (): number => [...this.#known.values()].filter((known) => known.assessment === assessment).length;
      world.metrics.gauge('quoral_peers_assessed', 'Peers, by whether they can be used now.', count, { assessment });
    }
  }

  /** Whether the peer can be used now without a second thought. */
  usable(peer: NodeId): boolean {
    return this.assess(peer) === 'usable';
  }

  /** Whether the peer answers and does its work, preferred or not: what people are told. */
  answers(peer: NodeId): boolean {
    return this.usable(peer) || this.#known.get(peer)?.why === COMES_AND_GOES;
  }

  assess(peer: NodeId): Assessment {
    return this.#known.get(peer)?.assessment ?? 'down';
  }

  /** As {@link assess}, for a request that looks for somebody to ask: now and then one may try a peer that was broken. */
  consider(peer: NodeId): Assessment {
    const known = this.#known.get(peer);
    if (known === undefined) return 'down';
    return known.trial && known.assessment === 'doubtful' ? 'usable' : known.assessment;
  }

  /** To be called when work goes to the peer: if it was broken, this is the one that tries it. */
  asked(peer: NodeId): void {
    const known = this.#known.get(peer);
    if (known === undefined || !known.trial) return;
    known.trial = false;
    known.experience.breaker.takeTrial(this.#now());
  }

  /** Whether others do the same work much faster: whoever has a choice takes them. */
  isSlow(peer: NodeId): boolean {
    return this.#known.get(peer)?.slow ?? false;
  }

  /**
   * Whether messages for the peer leave at the end of this turn, and not too many: of equals whoever has a choice takes this one. A
   * message by itself costs both ends a system call and a turn, which is most of what a small one costs.
   */
  isGathering(peer: NodeId): boolean {
    const gathered = this.#options.messaging.gathered(peer);
    return gathered > 0 && gathered < GATHERED_MAX;
  }

  /** Why the peer is not usable, or was not when it was left out. */
  why(peer: NodeId): string {
    const why = this.#known.get(peer)?.why ?? 'never connected';
    return why === '' ? 'away until just now' : why;
  }

  /** What this node's own calls have taught it of the peer. */
  experience(peer: NodeId): Experience {
    return this.#of(peer).experience;
  }

  /** Calls back whenever {@link assess} of some peer has changed. */
  onChange(listener: (peer: NodeId, now: Assessment) => void): void {
    this.#listeners.push(listener);
  }

  #callEnded(peer: NodeId, ending: CallEnding): void {
    const { experience } = this.#of(peer);
    const now = this.#now();
    const before = experience.breaker.state(now);
    experience.ended(ending, now, ending.result === 'lost' && this.#isAbsent(peer));
    const after = experience.breaker.state(now);
    if ((before === 'closed') === (after === 'closed')) return;
    const { log, metrics } = this.#options.world;
    if (after === 'closed') {
      log.info('breaker-closed', { peer });
    } else {
      metrics.counter('quoral_breaker_openings_total', 'Peers that were left alone because they failed.').add();
      log.warn('breaker-opened', { peer, message: ending.name, reason: ending.reason });
    }
    this.#reassess(peer);
  }

  /** Whether the peer does not answer probes either. */
  #isAbsent(peer: NodeId): boolean {
    const { messaging, membership } = this.#options;
    return !messaging.reachable(peer) || membership.standing(peer) !== 'alive' || membership.isSilent(peer);
  }

  #compare(): void {
    const all = [...this.#known];
    for (const [, known] of all) known.slow = false;
    for (const name of this.#options.work) {
      const times = all.map(([, { experience }]) => experience.average(name) ?? Number.POSITIVE_INFINITY);
      const fastest = Math.min(...times);
      const bound = Math.max(SLOW_FACTOR * fastest, fastest + SLOW_LEAST_MS);
      for (const [i, [, known]] of all.entries()) if (times[i]! > bound && times[i]! < Infinity) known.slow = true;
    }
  }

  #of(peer: NodeId): Known {
    let known = this.#known.get(peer);
    if (known === undefined) {
      const experience = new Experience(this.#options.work);
      const judged = { assessment: 'down', why: 'never connected', trial: false, slow: false, wasUp: false } as const;
      known = { ...judged, experience, standing: 'alive', met: false };
      this.#known.set(peer, known);
    }
    return known;
  }

  #reassess(peer: NodeId): void {
    const known = this.#of(peer);
    const now = this.#now();
    const before = known.assessment;
    this.#noteStanding(peer, known);
    let why = this.#objection(peer, known, now);
    if (before === 'down' && why.assessment !== 'down') {
      if (known.wasUp) this.#holdDown(peer, known, now);
      known.wasUp = true;
      why = this.#objection(peer, known, now);
    }
    known.assessment = why.assessment;
    known.why = why.text;
    known.trial = known.experience.breaker.state(now) === 'half-open';
    if (why.timed) this.#timed.add(peer);
    else this.#timed.delete(peer);
    if (before === why.assessment) return;
    for (const listener of this.#listeners) listener(peer, why.assessment);
  }

  #noteStanding(peer: NodeId, known: Known): void {
    const standing = this.#options.membership.standing(peer);
    if (standing !== known.standing && standing !== 'alive') known.met = false;
    known.standing = standing;
  }

  #holdDown(peer: NodeId, { experience }: Known, now: number): void {
    const milliseconds = experience.holdDown.returned(now);
    if (milliseconds === 0) return;
    this.#options.world.log.warn('peer-held-down', { peer, milliseconds, reason: 'it comes and goes' });
  }

  #objection(peer: NodeId, { experience, standing, met }: Known, now: number): Objection {
    const { messaging, membership } = this.#options;
    if (!messaging.reachable(peer)) return { assessment: 'down', text: 'not connected', timed: false };
    if (standing === 'dead' || standing === 'left') {
      // Others may be wrong about whom this node hears: one that was cut off itself takes all others for dead, and says so.
      const refuted = met || (standing === 'dead' && !membership.isSilent(peer));
      return { assessment: refuted ? 'doubtful' : 'down', text: standing, timed: false };
    }
    if (standing === 'suspect') return { assessment: 'doubtful', text: 'suspected', timed: false };
    if (membership.isSilent(peer)) return { assessment: 'doubtful', text: 'silent', timed: false };
    if (experience.breaker.state(now) !== 'closed') return { assessment: 'doubtful', text: 'fails', timed: true };
    if (experience.holdDown.isHeld(now)) return { assessment: 'doubtful', text: COMES_AND_GOES, timed: true };
    return { assessment: 'usable', text: '', timed: false };
  }

  #now(): number {
    return this.#options.world.clock.monotonic();
  }
}

interface Objection {
  readonly assessment: Assessment;
  readonly text: string;
  /** Whether it may end by the mere passing of time. */
  readonly timed: boolean;
}
