/**
 * The epoch chain: the one authority for the ring, the members' identities and the bucket definitions. Epoch e+1 is
 * decided once, by single-decree Paxos between the voters that epoch e names, so two nodes that know an epoch know the
 * same facts. Messages about decided epochs only spread them.
 *
 * This file is the door and the driver: after a start it founds the cluster or binds this node's disk where that is due,
 * and then has the newest epoch confirmed. It never gives up.
 */

import type { Epoch, NodeId } from '#kernel/identity.ts';
import { clusterIdOf } from '#ring/founding.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { TableDefinition, World } from '#world/world.ts';
import { awaitInstalled } from './await-installed.ts';
import { memberNamed } from './electorate.ts';
import { EpochAcceptor } from './epoch-acceptor.ts';
import { EpochConfirmation } from './epoch-confirmation.ts';
import { EpochFounding } from './epoch-founding.ts';
import { DEFAULT_JOINING_SETTINGS, EpochJoining, type JoiningSettings } from './epoch-joining.ts';
import { handleEpochMessages } from './epoch-handlers.ts';
import { EpochLearner } from './epoch-learner.ts';
import { EpochLog } from './epoch-log.ts';
import { EpochProposer } from './epoch-proposer.ts';
import type { Change, ProposeResult } from './epoch-proposer.ts';
import type { Facts, Introduction } from './facts.ts';
import { EPOCH_TABLES } from './epoch-tables.ts';
import { introduceSelf } from './introduce-self.ts';
import type { Self } from './introduce-self.ts';
import { acquaint, Newcomers } from './newcomers.ts';
import { backoff, pause, type Pause } from './waiting.ts';
import { SUPERSEDED, whyUnconfirmed } from './why-unconfirmed.ts';

/** What a node's disk must have for the chain. */
export const CHAIN_TABLES: readonly TableDefinition[] = EPOCH_TABLES;

export interface EpochChainSettings {
  /** Milliseconds for one call, and for one phase of a proposal. */
  readonly callTimeout: number;
  /** Milliseconds for the proposals that this node makes on its own behalf. */
  readonly ownProposalTimeout: number;
  /** Milliseconds: bounds of the random wait between attempts. */
  readonly backoffFirst: number;
  readonly backoffLongest: number;
  /** Proposals of this node that may wait for each other. */
  readonly proposalQueueMax: number;
}

export const DEFAULT_FOUNDING_PATIENCE = 3000;

export const DEFAULT_CHAIN_SETTINGS: EpochChainSettings = {
  callTimeout: 1000,
  ownProposalTimeout: 5000,
  backoffFirst: 20,
  backoffLongest: 1000,
  proposalQueueMax: 64,
};

export interface EpochChainOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly self: Self;
  /** The boot generation: on stable storage already, and never the same twice on one disk. */
  readonly boot: number;
  /** Of a new cluster, this node among them; empty when it joins one. Ignored when the disk holds an epoch. */
  readonly founders: readonly { readonly id: NodeId; readonly peer: string }[];
  /** A power of two; of a new cluster. */
  readonly partitionCount: number;
  /** Milliseconds to wait for all founders before a majority of them goes on; {@link DEFAULT_FOUNDING_PATIENCE}. */
  readonly foundingPatience?: number;
  /** The names under which messaging knows the seeds of a node that joins. Ignored when the disk holds an epoch. */
  readonly seeds?: readonly NodeId[];
  readonly joining?: JoiningSettings | undefined;
  readonly settings?: Partial<EpochChainSettings>;
  /** False while it is not known whether the disk still has all votes that this node gave; without it, always true. */
  readonly trusted?: () => boolean;
}

export class EpochChain {
  readonly #options: EpochChainOptions;
  readonly #settings: EpochChainSettings;
  readonly #log: EpochLog;
  readonly #proposer: EpochProposer;
  readonly #learner: EpochLearner;
  readonly #founding: EpochFounding | undefined;
  readonly #confirmation: EpochConfirmation;
  readonly #joining: EpochJoining;
  readonly #newcomers: Newcomers;
  #newcomersChanged: (() => void) | undefined;
  /** Why the last attempt to bind the name to this disk has come to nothing. */
  #introductionTrouble: string | undefined;
  #confirmed = false;
  #running = false;
  #driving = false;
  /** Attempts at what has to be done, since a peer was reached last where that may help. */
  #attempts = 0;
  /** Before the next of them. */
  #pause: Pause | undefined;

  /**
   * Reads the disk and registers the handlers, so it must be made before messaging starts.
   *
   * @throws DamagedRow when the disk does not hold what was written to it
   * @throws RangeError when the list of founders is not a proper one with this node in it
   */
  constructor(options: EpochChainOptions) {
    const { world, messaging, self, boot, partitionCount } = options;
    const settings = { ...DEFAULT_CHAIN_SETTINGS, ...options.settings };
    const log = new EpochLog({ world, self });
    const founders = log.newest === undefined ? sortedById(options.founders) : [];
    const founderIds = founders.map(({ id }) => id);
    const clusterId = founders.length === 0 ? undefined : clusterIdOf(founders, (bytes) => world.digest.sha256(bytes));
    if (clusterId !== undefined) {
      if (!founderIds.includes(self.id)) {
        throw new RangeError(`list of founders ${founderIds.join(', ')}: this node, ${self.id}, is not among them`);
      }
      log.expectCluster(clusterId);
    }
    const acceptor = new EpochAcceptor({
      world,
      log,
      self,
      founders: founderIds,
      trusted: options.trusted ?? (() => true),
    });
    const shared = { world, messaging, log, ...settings };
    const learner = new EpochLearner({ ...shared, self: self.id, contacts: founderIds });
    const proposer = new EpochProposer({
      ...shared,
      acceptor,
      learner,
      self: self.id,
      founders: founderIds,
      boot,
      phaseTimeout: settings.callTimeout,
      queueMax: settings.proposalQueueMax,
    });

    this.#options = options;
    this.#settings = settings;
    this.#log = log;
    this.#proposer = proposer;
    this.#learner = learner;
    this.#confirmation = new EpochConfirmation({
      ...shared,
      acceptor,
      proposer,
      learner,
      self: self.id,
      roundTimeout: settings.callTimeout,
    });
    if (clusterId !== undefined) {
      this.#founding = new EpochFounding({
        ...shared,
        proposer,
        learner,
        self,
        founders,
        clusterId,
        partitionCount,
        patience: options.foundingPatience ?? DEFAULT_FOUNDING_PATIENCE,
        proposeTimeout: settings.ownProposalTimeout,
        turn: 2 * settings.backoffFirst,
      });
    }
    const { interval, forgetAfter } = options.joining ?? DEFAULT_JOINING_SETTINGS;
    this.#joining = new EpochJoining({ ...shared, learner, self, seeds: options.seeds ?? [], interval });
    const changed = (): void => this.#newcomersChanged?.();
    this.#newcomers = new Newcomers({ clock: world.clock, log, forgetAfter, changed });
    const newcomers = this.#newcomers;
    handleEpochMessages({ ...shared, acceptor, proposer, learner, founding: this.#founding, newcomers, self });
    log.onInstalled(() => {
      this.#reportStanding();
      this.#drive();
    });
  }

  /** The newest decided epoch that this node has on stable storage; undefined before the first. */
  facts(): Facts | undefined {
    return this.#log.newest;
  }

  /**
   * Whether this node may serve: since its start a majority of the voters has said that they know nothing newer than what
   * it knew then, and its name, if it is a member's, is bound to the disk that it has.
   */
  confirmed(): boolean {
    const standing = this.#log.standing;
    return this.#confirmed && standing !== 'unbound' && standing !== 'superseded';
  }

  /** Why it is not, in words; of a node that knows an epoch. */
  whyUnconfirmed(facts: Facts): string {
    const { standing } = this.#log;
    const lately = standing === 'unbound' ? this.#introductionTrouble : this.#confirmation.why();
    return whyUnconfirmed(facts, standing, this.#options.self.id, lately);
  }

  /** Why there is no cluster yet, in words; of a node that knows no epoch. */
  whyUnfounded(): string {
    return this.#founding?.why() ?? 'this node knows no cluster yet';
  }

  /** Why this node is no member, in words; undefined when it is one, or will be without anybody's doing. */
  whyOutside(): string | undefined {
    const { standing, newest } = this.#log;
    return standing === 'unbound' && newest !== undefined ? this.#refused(newest) : this.#joining.why();
  }

  /** Nodes that wait to become members, as far as this one knows: itself, and those that have made themselves known to it. */
  newcomers(): readonly Introduction[] {
    const waiting = this.#newcomers.list();
    return this.#joining.isWaiting() ? [...waiting, this.#options.self] : waiting;
  }

  /** Calls back when others have made themselves known, or are forgotten; the newest facts say who has become a member. */
  onNewcomers(listener: () => void): void {
    this.#newcomersChanged = listener;
  }

  /** Takes note of the epoch that a peer says it knows. */
  hear(peer: NodeId, known: Epoch): void {
    this.#learner.hear(peer, known);
  }

  /** Begins to found or to confirm in the background. */
  start(): void {
    this.#running = true;
    this.#reportStanding();
    this.#joining.start();
    this.#options.messaging.onReachability((_peer, reachable) => reachable && this.#askSooner());
    this.#drive();
  }

  /** Resolves when nothing of it is being stored any more. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#joining.stop();
    this.#newcomers.stop();
    await this.#log.stop();
  }

  /** Calls back with the newest facts each time that they have changed, when they are on stable storage. */
  onFacts(listener: (facts: Facts) => void): void {
    this.#log.onInstalled(listener);
  }

  /** Fetches from others; true as soon as this node knows the epoch, false when it does not by the deadline. */
  async catchUp(atLeast: Epoch, deadline: number): Promise<boolean> {
    return await this.#learner.catchUp(atLeast, deadline);
  }

  /** Changes the facts of the whole cluster; see {@link Change} and {@link ProposeResult}. */
  async propose(change: Change, deadline: number): Promise<ProposeResult> {
    if (this.#log.newest === undefined) {
      const votes = { needed: 1, got: 0 };
      return { kind: 'failed', outcome: 'not-applied', detail: 'this node does not know an epoch yet', votes };
    }
    return await this.#proposer.propose(
      (facts) => (facts === undefined ? { refused: 'no epoch is known' } : change(facts)),
      deadline,
    );
  }

  /**
   * Installs facts that no majority has decided: only for when there is none any more, and at one node. The others hear of them as
   * of any epoch. False when they could not be stored.
   */
  async force(facts: Facts): Promise<boolean> {
    return await this.#log.installDecision(facts);
  }

  /**
   * Asks every member, as long as it can be reached, until it has installed the epoch. Returns those that have not:
   * members that cannot be reached, and at the deadline those that are slow.
   */
  async awaitInstalled(wanted: Epoch, deadline: number): Promise<readonly NodeId[]> {
    const { world, messaging, self } = this.#options;
    return await awaitInstalled(
      { world, messaging, log: this.#log, self: self.id, ...this.#settings },
      wanted,
      deadline,
    );
  }

  /** Whether the member can be asked now. */
  reaches(member: NodeId): boolean {
    return this.#options.messaging.reachable(member);
  }

  #drive(): void {
    if (!this.#running || this.#driving) return;
    this.#driving = true;
    void this.#driveUntilSettled().finally(() => {
      this.#driving = false;
    });
  }

  /** Clients wait for that. Only to ask: proposals of many nodes at the same moment would get in each other's way. */
  #askSooner(): void {
    const { newest, standing } = this.#log;
    if (newest === undefined || standing === 'unbound' || this.#confirmed) return;
    // The first may come too soon: this node itself has no vote before others have vouched for its disk.
    this.#attempts = 0;
    this.#pause?.end();
  }

  async #driveUntilSettled(): Promise<void> {
    const { world } = this.#options;
    const { backoffFirst, backoffLongest } = this.#settings;
    for (this.#attempts = 0; this.#running; this.#attempts++) {
      const duty = this.#duty();
      if (duty === undefined) return;
      try {
        await duty();
      } catch (error) {
        world.log.error('epoch-chain-failed', { error: String(error) });
      }
      if (this.#duty() === undefined) return;
      this.#pause = pause(world.clock, backoff(world.random, this.#attempts, backoffFirst, backoffLongest));
      await this.#pause.over;
    }
  }

  /** What has to be done next; undefined when all is settled or only others can go on. */
  #duty(): (() => Promise<void>) | undefined {
    const facts = this.#log.newest;
    if (facts === undefined) {
      const founding = this.#founding;
      return founding && (async () => await founding.attempt());
    }
    switch (this.#log.standing) {
      case 'superseded':
        return undefined;
      case 'unbound':
        if (this.#refused(facts) !== undefined) return undefined;
        return async () => await this.#introduce();
      case 'member':
      case 'outsider':
        break;
    }
    if (!this.#confirmed) return async () => await this.#confirm();
    const { self } = this.#options;
    const outdated = this.#log.standing === 'member' && memberNamed(facts, self.id)?.url !== self.url;
    return outdated ? async () => await this.#introduce() : undefined;
  }

  async #introduce(): Promise<void> {
    const { world, self } = this.#options;
    const deadline = world.clock.monotonic() + this.#settings.ownProposalTimeout;
    const change: Change = (facts) =>
      this.#log.standing === 'superseded'
        ? { refused: 'another disk has taken its place' }
        : introduceSelf(facts, self);
    const result = await this.propose(change, deadline);
    if (result.kind === 'refused') world.log.error('introduction-refused', { reason: result.reason });
    this.#introductionTrouble = result.kind === 'failed' ? result.detail : undefined;
    if (result.kind === 'failed') world.log.warn('introduction-delayed', { detail: result.detail });
  }

  async #confirm(): Promise<void> {
    if (!(await this.#confirmation.confirm())) return;
    this.#confirmed = true;
    this.#options.world.log.info('epoch-confirmed', { epoch: this.#log.newestEpoch });
  }

  /** Why this node cannot take the place that has its name. */
  #refused(facts: Facts): string | undefined {
    const verdict = acquaint(facts, this.#options.self);
    return verdict.kind === 'refused' ? verdict.detail : undefined;
  }

  #reportStanding(): void {
    const { world, self } = this.#options;
    const { standing, newest } = this.#log;
    const refused = standing === 'unbound' && newest !== undefined ? this.#refused(newest) : undefined;
    if (refused !== undefined) world.log.error('introduction-refused', { reason: refused });
    if (standing !== 'superseded') return;
    world.log.error('superseded', {
      id: self.id,
      storageId: self.storageId,
      detail: SUPERSEDED,
    });
  }
}

type FounderList = EpochChainOptions['founders'];

function sortedById(founders: FounderList): FounderList {
  return founders.toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}
