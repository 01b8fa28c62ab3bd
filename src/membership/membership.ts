/**
 * The failure detector at work: carries out what it wants, tells it what came back, answers what others ask, and writes down
 * what was found out. Members are known by name outside of this room and by index inside.
 */

import type { NodeId, NodeIndex } from '#kernel/identity.ts';
import type { Member } from '#ring/ring.ts';
import type { CallResult, Messaging } from '#wire/messaging.ts';
import type { Timer, World } from '#world/world.ts';
import { BootRecords, type BootRecord, type OwnBoots } from './boot-records.ts';
import { BootWitness } from './boot-witness.ts';
import { Clocks } from './clocks.ts';
import { FailureDetector, type Action, type Finding } from './failure-detector.ts';
import { membershipCounters, type MembershipCounters } from './counters.ts';
import { STANDINGS, type News, type Standing } from './member-table.ts';
import { ExchangeMessage, ProbeForMessage, ProbeMessage, type ProbeReply, type Tidings } from './messages.ts';
import type { MembershipSettings } from './settings.ts';
import { tellFinding } from './tell-finding.ts';

export interface MembershipOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly self: NodeId;
  readonly boots: OwnBoots;
  /** Where this boot's incarnation begins: later than that of any boot before. */
  readonly incarnation: number;
  readonly epoch: () => number;
  /** Called with the epoch that a peer has. */
  readonly heardEpoch: (peer: NodeId, epoch: number) => void;
  readonly settings: MembershipSettings;
}

/** Of the time that is left to a relay, for its answer to come back. */
const RELAY_MARGIN_MS = 20;
/** Stopping waits no longer for others to take note. */
const LEAVE_TIMEOUT_MS = 200;

export class Membership {
  /** How far the members' clocks are apart. */
  readonly clocks: Clocks;
  readonly #options: MembershipOptions;
  readonly #counters: MembershipCounters;
  readonly #records: BootRecords;
  readonly #witness: BootWitness;
  readonly #indexes = new Map<NodeId, NodeIndex>();
  readonly #names = new Map<NodeIndex, NodeId>();
  readonly #listeners: ((peer: NodeId) => void)[] = [];
  readonly #tickListeners: (() => void)[] = [];
  #detector: FailureDetector | undefined;
  #timer: Timer | undefined;
  #running = false;
  #markAt = Infinity;

  /** Reads the disk and registers its handlers, so it must be made before messaging starts. */
  constructor(options: MembershipOptions) {
    const { world, messaging, self, boots, settings } = options;
    this.#options = options;
    this.#counters = membershipCounters(world.metrics);
    this.clocks = new Clocks(world, self, settings.clocks);
    this.#records = new BootRecords(world.disk);
    this.#witness = new BootWitness({
      world,
      messaging,
      self,
      own: boots,
      records: this.#records,
      callTimeout: settings.probeTimeout * 5,
    });
    this.#handle();
    for (const standing of STANDINGS) {
      const count = (): number => this.#count(standing);
      world.metrics.gauge('quoral_members_believed', 'Other members, by what is believed of them.', count, {
        standing,
      });
    }
    const health = (): number => this.#detector?.health.score ?? 0;
    world.metrics.gauge('quoral_local_health_score', 'From 0, well, to 7: this node is slow itself.', health);
  }

  /** Follows the ring: who the members are is decided there. */
  setMembers(members: readonly Member[], voters: readonly NodeIndex[]): void {
    this.#indexes.clear();
    this.#names.clear();
    for (const { id, index } of members) {
      this.#indexes.set(id, index);
      this.#names.set(index, id);
    }
    this.clocks.setMembers(members);
    this.#witness.setVoters(voters.flatMap((voter) => this.#names.get(voter) ?? []));
    const own = this.#indexes.get(this.#options.self);
    if (own === undefined) {
      this.#detector = undefined;
      return;
    }
    this.#detector ??= this.#newDetector(own);
    this.#detector.setMembers(members.map(({ index }) => index));
  }

  start(): void {
    const { world, settings } = this.#options;
    this.#running = true;
    this.#markAt = world.clock.monotonic() + settings.markInterval;
    this.#options.messaging.onReachability((peer, reachable) => {
      if (reachable) this.#linked(peer);
      this.#changed(peer);
    });
    this.#schedule();
  }

  /** Tells the others, so that they need not find out. What this node has confirmed before is marked. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#timer?.cancel();
    const detector = this.#detector;
    if (detector === undefined) return;
    await this.#witness.lastMark(LEAVE_TIMEOUT_MS);
    const calls = detector.leave().map((member) => this.#call(member, LEAVE_TIMEOUT_MS));
    await Promise.all(calls);
  }

  /** What is believed of the peer; `alive` of one that is no member. */
  standing(peer: NodeId): Standing {
    const index = this.#indexes.get(peer);
    return index === undefined || this.#detector === undefined ? 'alive' : this.#detector.standing(index);
  }

  /** Whether the peer has not answered this node's last probe, whatever it answers others. */
  isSilent(peer: NodeId): boolean {
    const index = this.#indexes.get(peer);
    return index !== undefined && this.#detector?.isSilent(index) === true;
  }

  /** Calls back when what is to be said of a peer may have changed. */
  onChange(listener: (peer: NodeId) => void): void {
    this.#listeners.push(listener);
  }

  /** Calls back every {@link MembershipSettings.tickInterval}. */
  onTick(listener: () => void): void {
    this.#tickListeners.push(listener);
  }

  /** Why this node's disk must not be used; undefined as long as nothing speaks against it. */
  diskPutBack(): string | undefined {
    return this.#witness.putBack();
  }

  /** Whether a majority of the voters has nothing against this node's disk. */
  diskVerified(): boolean {
    return this.#witness.verified();
  }

  #newDetector(self: NodeIndex): FailureDetector {
    const { world, incarnation, settings, messaging } = this.#options;
    return new FailureDetector({
      self,
      incarnation,
      settings,
      random: () => world.random.uint32(),
      linked: (member) => {
        const name = this.#names.get(member);
        return name !== undefined && messaging.reachable(name);
      },
      roundTrip: (member) => {
        const name = this.#names.get(member);
        return name === undefined ? 0 : messaging.roundTrip(name);
      },
      now: world.clock.monotonic(),
    });
  }

  #schedule(): void {
    this.#timer = this.#options.world.clock.after(this.#options.settings.tickInterval, () => {
      this.#tick();
      for (const listener of this.#tickListeners) listener();
      if (this.#running) this.#schedule();
    });
  }

  #tick(): void {
    const { world, messaging, settings } = this.#options;
    const detector = this.#detector;
    if (detector === undefined) return;
    const now = world.clock.monotonic();
    detector.tick(now);
    if (now >= this.#markAt) {
      this.#markAt = now + settings.markInterval;
      void this.#witness.mark();
    }
    for (const [peer, index] of this.#indexes) {
      if (peer === this.#options.self || !messaging.reachable(peer)) continue;
      this.#witness.meet(peer);
      const owes = messaging.owes(peer);
      if (owes >= settings.silenceBeforeProbe && !detector.isSilent(index)) detector.probeNow(index, now);
    }
    this.#carryOut(detector);
  }

  /** A connection stands (again): both sides learn at once what they believe of each other. */
  #linked(peer: NodeId): void {
    const index = this.#indexes.get(peer);
    if (index === undefined || this.#detector === undefined) return;
    this.#witness.meet(peer);
    this.#detector.probeNow(index, this.#options.world.clock.monotonic());
    this.#carryOut(this.#detector);
  }

  #handle(): void {
    const { messaging } = this.#options;
    messaging.handle(ProbeMessage, (tidings, { from }) => {
      this.#hear(from, tidings);
      return { ...this.#tidingsFor(from), wall: this.#options.world.clock.wall() };
    });
    messaging.handle(ProbeForMessage, async ({ target, ...tidings }, { from, deadline }) => {
      this.#hear(from, tidings);
      const name = this.#names.get(target);
      const asked = name !== undefined && name !== this.#options.self && (await this.#probe(name, target, deadline));
      return { ...this.#tidingsFor(from), reached: asked || name === this.#options.self };
    });
    messaging.handle(ExchangeMessage, (exchange, { from }) => {
      this.#hear(from, exchange);
      this.#hearBoots(from, exchange.boots);
      return this.#everything();
    });
  }

  /** On behalf of another node. */
  async #probe(name: NodeId, target: NodeIndex, deadline: number): Promise<boolean> {
    const result = await this.#askIfThere(name, target, deadline - RELAY_MARGIN_MS);
    return result.kind === 'reply' || result.kind === 'refused';
  }

  #carryOut(detector: FailureDetector): void {
    const { actions, findings } = detector.take();
    for (const finding of findings) this.#tell(finding);
    for (const action of actions) void this.#act(action);
  }

  async #act(action: Action): Promise<void> {
    switch (action.kind) {
      case 'probe':
        this.#counters.probes.add();
        return await this.#call(action.to, action.timeout);
      case 'gossip':
        return await this.#call(action.to, this.#patience(action.to));
      case 'probe-via':
        this.#counters.indirectProbes.add();
        return await this.#callRelay(action.relay, action.to, action.timeout);
      case 'exchange':
        return await this.#exchange(action.to);
    }
  }

  #patience(member: NodeIndex): number {
    return this.#detector?.patience(member) ?? this.#options.settings.probeTimeout;
  }

  async #call(to: NodeIndex, timeout: number): Promise<void> {
    const name = this.#names.get(to);
    if (name !== undefined) await this.#askIfThere(name, to, this.#in(timeout));
  }

  async #askIfThere(name: NodeId, member: NodeIndex, deadline: number): Promise<CallResult<ProbeReply>> {
    const sent = this.clocks.now();
    const result = await this.#options.messaging.call(name, ProbeMessage, this.#tidingsFor(name), {
      deadline,
      priority: 'vital',
    });
    this.clocks.asked(name, result.kind === 'reply' ? result.reply.wall : undefined, sent);
    this.#came(name, member, result);
    return result;
  }

  async #callRelay(relay: NodeIndex, target: NodeIndex, timeout: number): Promise<void> {
    const { messaging } = this.#options;
    const name = this.#names.get(relay);
    if (name === undefined) return;
    const request = { ...this.#tidingsFor(name), target };
    const result = await messaging.call(name, ProbeForMessage, request, {
      deadline: this.#in(timeout),
      priority: 'vital',
    });
    if (result.kind === 'reply') {
      this.#hear(name, result.reply);
      this.#detector?.relayed(target, relay, result.reply.reached);
    } else if (result.kind !== 'lost') {
      this.#detector?.relayed(target, relay, undefined);
    }
  }

  async #exchange(to: NodeIndex): Promise<void> {
    const { messaging } = this.#options;
    const name = this.#names.get(to);
    if (name === undefined) return;
    this.#counters.exchanges.add();
    const deadline = this.#in(this.#patience(to) * 5);
    const result = await messaging.call(name, ExchangeMessage, this.#everything(), { deadline });
    if (result.kind !== 'reply') return;
    this.#hear(name, result.reply);
    this.#hearBoots(name, result.reply.boots);
  }

  #hearBoots(from: NodeId, boots: readonly BootRecord[]): void {
    this.#witness.hear(boots);
    this.#records.note(boots).catch((error: unknown) => {
      this.#options.world.log.warn('boots-not-noted', { peer: from, reason: String(error) });
    });
  }

  /** A refusal is an answer too: somebody is there. */
  #came(name: NodeId, member: NodeIndex, result: CallResult<Tidings>): void {
    const detector = this.#detector;
    if (detector === undefined) return;
    if (result.kind === 'reply' || result.kind === 'refused') detector.answered(member);
    else if (result.kind === 'not-sent') detector.notSent(member, this.#options.world.clock.monotonic());
    if (result.kind === 'reply') this.#hear(name, result.reply);
    this.#carryOut(detector);
  }

  #hear(from: NodeId, { epoch, news }: Tidings): void {
    this.#options.heardEpoch(from, epoch);
    const detector = this.#detector;
    if (detector === undefined) return;
    detector.hear(news, this.#options.world.clock.monotonic());
    this.#carryOut(detector);
  }

  #tidingsFor(peer: NodeId): Tidings {
    const detector = this.#detector;
    const news: readonly News[] =
      detector === undefined ? [] : [detector.table.ownNews(), ...detector.newsFor(this.#indexes.get(peer))];
    return { epoch: this.#options.epoch(), news };
  }

  #everything(): Tidings & { boots: ReturnType<BootRecords['all']> } {
    const news = this.#detector?.table.everything() ?? [];
    return { epoch: this.#options.epoch(), news, boots: this.#records.all() };
  }

  #in(timeout: number): number {
    return this.#options.world.clock.monotonic() + timeout;
  }

  #tell(finding: Finding): void {
    tellFinding(
      this.#options.world.log,
      this.#counters,
      finding,
      (index) => this.#names.get(index) ?? `member ${index}`,
    );
    const peer = 'member' in finding ? this.#names.get(finding.member) : undefined;
    if (peer !== undefined) this.#changed(peer);
  }

  #changed(peer: NodeId): void {
    for (const listener of this.#listeners) listener(peer);
  }

  #count(standing: Standing): number {
    const detector = this.#detector;
    return detector?.table.others.filter((member) => detector.standing(member) === standing).length ?? 0;
  }
}
