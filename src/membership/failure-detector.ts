/**
 * Who answers? Each probe interval this node asks one member, going round in a shuffled order, so that a dead one is noticed
 * within a bounded time at a cost that does not grow with the cluster. Who does not answer is asked through others; who does
 * not answer those either is suspected, and taken for dead when it does not refute in time (SWIM, Das et al. 2002, with
 * Lifeguard, Dadgar et al. 2017).
 *
 * A node that was itself held up, by a pause or a blocked event loop, has heard nobody, which proves nothing: it throws its
 * probes away and accuses no one.
 *
 * The detector is told the time, sends nothing and sets no timers: what it wants done and what it has found out is collected
 * by {@link FailureDetector.take}.
 */

import type { NodeIndex } from '#kernel/identity.ts';
import { LocalHealth } from './local-health.ts';
import { MemberTable, type Belief, type News, type Standing } from './member-table.ts';
import { ProbeOrder, someOf } from './probe-order.ts';
import { Rumours } from './rumours.ts';
import type { MembershipSettings } from './settings.ts';
import { suspicionTimeout } from './suspicion.ts';

export type Action =
  | { readonly kind: 'probe'; readonly to: NodeIndex; readonly timeout: number }
  | { readonly kind: 'probe-via'; readonly relay: NodeIndex; readonly to: NodeIndex; readonly timeout: number }
  | { readonly kind: 'gossip'; readonly to: NodeIndex }
  | { readonly kind: 'exchange'; readonly to: NodeIndex };

export type Finding =
  | { readonly kind: 'standing'; readonly member: NodeIndex; readonly before: Belief; readonly after: News }
  | { readonly kind: 'refuted'; readonly accusation: News; readonly incarnation: number }
  /** Does not answer this node any more, whatever it answers others; or does again. */
  | { readonly kind: 'silent' | 'heard'; readonly member: NodeIndex }
  | { readonly kind: 'late'; readonly lateness: number };

export interface DetectorOptions {
  readonly self: NodeIndex;
  readonly incarnation: number;
  readonly settings: MembershipSettings;
  /** A uniform integer, 0 to 2^32-1. */
  readonly random: () => number;
  /** Whether this node has a connection to the member. */
  readonly linked: (member: NodeIndex) => boolean;
  /** Milliseconds to the member and back; 0 when that is not known. */
  readonly roundTrip: (member: NodeIndex) => number;
  readonly now: number;
}

/** The least that a probe may take, in round trips: enough for what has to be sent once more on the way. */
const ROUND_TRIPS = 3;
/** News in one message. */
export const NEWS_MAX = 12;
/** Above so many members tables are exchanged less often, as all of them together cost the square. */
const EXCHANGE_SCALES_FROM = 32;

interface Round {
  readonly target: NodeIndex;
  /** Until then it may answer itself; from then on others are asked. */
  directUntil: number;
  until: number;
  /** Those who were asked to ask, and have not said that they failed either. */
  readonly relays: Set<NodeIndex>;
  indirect: boolean;
}

export class FailureDetector {
  readonly table: MemberTable;
  readonly health = new LocalHealth();
  readonly #options: DetectorOptions;
  readonly #rumours = new Rumours();
  readonly #order: ProbeOrder;
  readonly #rounds = new Map<NodeIndex, Round>();
  readonly #suspectSince = new Map<NodeIndex, number>();
  readonly #silent = new Set<NodeIndex>();
  #actions: Action[] = [];
  #findings: Finding[] = [];
  #tickedAt: number;
  #probeAt: number;
  #gossipAt: number;
  #exchangeAt: number;

  constructor(options: DetectorOptions) {
    const { self, incarnation, random, settings, now } = options;
    this.#options = options;
    this.table = new MemberTable(self, incarnation);
    this.#order = new ProbeOrder(random);
    this.#tickedAt = now;
    // Not all at the same time, when all are started at the same time.
    this.#probeAt = now + this.#fraction() * settings.probeInterval;
    this.#gossipAt = now + this.#fraction() * settings.gossipInterval;
    this.#exchangeAt = now + this.#fraction() * settings.exchangeInterval;
    this.#rumours.spread(this.table.ownNews());
  }

  /** What is to be done and what was found out since the last call. */
  take(): { readonly actions: readonly Action[]; readonly findings: readonly Finding[] } {
    const taken = { actions: this.#actions, findings: this.#findings };
    this.#actions = [];
    this.#findings = [];
    return taken;
  }

  setMembers(members: readonly NodeIndex[]): void {
    this.table.setMembers(members);
    const stays = new Set(this.table.others);
    for (const gone of [...this.#rounds.keys()].filter((member) => !stays.has(member))) this.#rounds.delete(gone);
    for (const gone of [...this.#suspectSince.keys(), ...this.#silent].filter((member) => !stays.has(member))) {
      this.#suspectSince.delete(gone);
      this.#silent.delete(gone);
      this.#rumours.forget(gone);
    }
  }

  standing(member: NodeIndex): Standing {
    return this.table.belief(member)?.standing ?? 'alive';
  }

  /** Whether the member has not answered this node's last probe. */
  isSilent(member: NodeIndex): boolean {
    return this.#silent.has(member);
  }

  /** To be called every {@link MembershipSettings.tickInterval} milliseconds. */
  tick(now: number): void {
    this.#noticeLateness(now);
    for (const round of [...this.#rounds.values()]) this.#advance(round, now);
    this.#expireSuspicions(now);
    const { probeInterval, gossipInterval, gossipFanout } = this.#options.settings;
    if (now >= this.#probeAt) {
      this.#probeAt = now + probeInterval * this.health.factor;
      const next = this.#order.next(this.#inPlay(), (member) => this.#isFree(member));
      if (next !== undefined) this.#begin(next, now);
      // In a large cluster its turn comes late, and it may have answered long since.
      const [silent] = this.#some(
        this.#linked([...this.#silent]).filter((member) => this.#isFree(member)),
        1,
      );
      if (silent !== undefined) this.#begin(silent, now);
    }
    if (now >= this.#gossipAt && this.#rumours.size > 0) {
      this.#gossipAt = now + gossipInterval;
      for (const to of this.#some(this.#linked(this.#inPlay()), gossipFanout))
        this.#actions.push({ kind: 'gossip', to });
    }
    if (now >= this.#exchangeAt) this.#exchange(now);
  }

  /** Asks a member out of turn, unless it is being asked. */
  probeNow(member: NodeIndex, now: number): void {
    if (this.table.belief(member) !== undefined && this.#isFree(member)) this.#begin(member, now);
  }

  /** The member has answered this node. */
  answered(member: NodeIndex): void {
    if (this.#rounds.delete(member)) this.health.better();
    if (this.#silent.delete(member)) this.#findings.push({ kind: 'heard', member });
  }

  /** A probe could not be sent: no need to wait for its answer. */
  notSent(member: NodeIndex, now: number): void {
    const round = this.#rounds.get(member);
    if (round !== undefined && !round.indirect) round.directUntil = now;
  }

  /** What a relay says: whether it has reached the member. Undefined when the relay could not be asked. */
  relayed(member: NodeIndex, relay: NodeIndex, reached: boolean | undefined): void {
    const round = this.#rounds.get(member);
    round?.relays.delete(relay);
    if (reached === true) this.#rounds.delete(member);
  }

  /** How long the member may take to answer, in milliseconds. */
  patience(member: NodeIndex): number {
    const { settings, roundTrip } = this.#options;
    return Math.max(settings.probeTimeout * this.health.factor, ROUND_TRIPS * roundTrip(member));
  }

  /** Takes in what others say. */
  hear(news: readonly News[], now: number): void {
    for (const item of news) this.#apply(item, now);
  }

  /**
   * News to send along to a member. What is believed of itself comes first if that is bad, so that it can refute, however
   * long ago the news of that have been spread: otherwise it would stay dead for ever in the tables that nobody asks again.
   */
  newsFor(member: NodeIndex | undefined): readonly News[] {
    const members = this.table.others.length + 1;
    const accusation = member === undefined ? undefined : this.table.newsOf(member);
    if (accusation === undefined || accusation.standing === 'alive') return this.#rumours.take(NEWS_MAX, members);
    const others = this.#rumours.take(NEWS_MAX, members).filter((news) => news.member !== member);
    return [accusation, ...others].slice(0, NEWS_MAX);
  }

  /** This node stops: the others need not find out for themselves. */
  leave(): readonly NodeIndex[] {
    this.#rumours.spread(this.table.leave());
    return this.#linked(this.#inPlay());
  }

  #begin(target: NodeIndex, now: number): void {
    const timeout = this.patience(target);
    const round = { target, directUntil: now + timeout, until: now + 2 * timeout, relays: new Set<NodeIndex>() };
    this.#rounds.set(target, { ...round, indirect: false });
    this.#actions.push({ kind: 'probe', to: target, timeout: 2 * timeout });
  }

  #advance(round: Round, now: number): void {
    if (!round.indirect && now >= round.directUntil) {
      round.indirect = true;
      if (!this.#silent.has(round.target)) {
        this.#silent.add(round.target);
        this.#findings.push({ kind: 'silent', member: round.target });
      }
      const timeout = this.patience(round.target);
      round.until = Math.max(now + timeout, round.until);
      if (this.#isInPlay(round.target)) round.until = Math.max(this.#askOthers(round, timeout, now), round.until);
    }
    if (round.indirect && now >= round.until) this.#fail(round, now);
  }

  /** Returns until when the last of them may take. */
  #askOthers({ target, relays }: Round, patience: number, now: number): number {
    let until = now;
    const candidates = this.#linked(this.#inPlay()).filter((member) => member !== target);
    for (const relay of this.#some(candidates, this.#options.settings.indirectProbes)) {
      relays.add(relay);
      // How far it is from there to the member nobody here knows: not farther, mostly, than from here.
      const timeout = this.#isFar(relay) ? patience + this.patience(relay) : patience;
      this.#actions.push({ kind: 'probe-via', relay, to: target, timeout });
      until = Math.max(until, now + timeout);
    }
    if (relays.size === 0) this.health.worse();
    return until;
  }

  /** Relays that have not even said that they failed are a sign that it is this node that cannot be heard. */
  #fail({ target, relays }: Round, now: number): void {
    this.#rounds.delete(target);
    const belief = this.table.belief(target);
    if (belief === undefined || !this.#isInPlay(target)) return;
    this.health.worse(relays.size);
    this.#apply({ member: target, standing: 'suspect', incarnation: belief.incarnation, from: this.table.self }, now);
  }

  #apply(news: News, now: number): void {
    const effect = this.table.apply(news);
    switch (effect.kind) {
      case 'known':
      case 'stranger':
        return;
      case 'confirmed':
        this.#rumours.spread(news);
        return;
      case 'refuted':
        this.health.worse();
        this.#rumours.spread(this.table.ownNews());
        this.#gossipAt = now;
        this.#findings.push({ ...effect, incarnation: this.table.incarnation });
        return;
      case 'changed':
        if (news.standing === 'suspect') this.#suspectSince.set(news.member, now);
        else this.#suspectSince.delete(news.member);
        if (this.#isOwnMatter(news)) this.probeNow(news.member, now);
        this.#rumours.spread(news);
        this.#findings.push({ kind: 'standing', member: news.member, before: effect.before, after: news });
    }
  }

  /** What others say is to be compared with what this node hears: somebody silent is back, or somebody linked is dead. */
  #isOwnMatter({ standing, member }: News): boolean {
    if (standing === 'alive') return this.#silent.has(member);
    return standing === 'dead' && this.#options.linked(member);
  }

  #expireSuspicions(now: number): void {
    const members = this.table.others.length + 1;
    for (const [member, since] of [...this.#suspectSince]) {
      const accusers = this.table.accusers(member);
      if (now - since < suspicionTimeout(this.#options.settings, members, accusers)) continue;
      const { incarnation } = this.table.belief(member)!;
      this.#apply({ member, standing: 'dead', incarnation, from: this.table.self }, now);
    }
  }

  #noticeLateness(now: number): void {
    const { tickInterval, probeTimeout } = this.#options.settings;
    const lateness = now - this.#tickedAt - tickInterval;
    this.#tickedAt = now;
    if (lateness > probeTimeout / 2) this.health.worse();
    if (lateness <= probeTimeout) return;
    this.#rounds.clear();
    for (const [member, since] of this.#suspectSince) this.#suspectSince.set(member, since + lateness);
    this.#findings.push({ kind: 'late', lateness });
  }

  /** With somebody in play, and with somebody who is believed dead and yet connected: that is how a partition ends. */
  #exchange(now: number): void {
    const { exchangeInterval } = this.#options.settings;
    const scale = Math.max(1, Math.log2((this.table.others.length + 1) / EXCHANGE_SCALES_FROM) + 1);
    this.#exchangeAt = now + exchangeInterval * scale * (0.5 + this.#fraction());
    const linked = this.#linked(this.table.others);
    const inPlay = linked.filter((member) => this.#isInPlay(member));
    const others = linked.filter((member) => !this.#isInPlay(member));
    for (const to of [...this.#some(inPlay, 1), ...this.#some(others, 1)]) this.#actions.push({ kind: 'exchange', to });
  }

  #isFar(member: NodeIndex): boolean {
    return ROUND_TRIPS * this.#options.roundTrip(member) > this.#options.settings.probeTimeout;
  }

  #isFree(member: NodeIndex): boolean {
    return !this.#rounds.has(member);
  }

  #isInPlay(member: NodeIndex): boolean {
    const standing = this.standing(member);
    return standing === 'alive' || standing === 'suspect';
  }

  #inPlay(): readonly NodeIndex[] {
    return this.table.others.filter((member) => this.#isInPlay(member));
  }

  #linked(members: readonly NodeIndex[]): readonly NodeIndex[] {
    return members.filter(this.#options.linked);
  }

  #some(members: readonly NodeIndex[], count: number): readonly NodeIndex[] {
    return someOf(members, count, this.#options.random);
  }

  #fraction(): number {
    return this.#options.random() / 2 ** 32;
  }
}
