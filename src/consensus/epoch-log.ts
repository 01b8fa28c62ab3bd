/**
 * The decided epochs that this node knows. An epoch becomes visible here only when it is on stable storage, so a node
 * never acts on facts that it could forget, and only if it belongs to the cluster and the founding that this disk
 * belongs to: two foundings of the same list of founders are two clusters.
 */

import { toHex } from '#kernel/bytes.ts';
import type { ClusterId, Epoch, NodeId, StorageId } from '#kernel/identity.ts';
import { epoch } from '#kernel/identity.ts';
import { encode } from '#wire/codec.ts';
import type { World } from '#world/world.ts';
import { memberNamed } from './electorate.ts';
import type { Member } from '#ring/ring.ts';
import { EpochTables } from './epoch-tables.ts';
import { factsToWire } from './facts-codec.ts';
import type { Facts } from './facts.ts';
import type { DecidedEpochs } from './messages.ts';

export interface EpochLogOptions {
  readonly world: World;
  readonly self: { readonly id: NodeId; readonly storageId: StorageId };
}

/**
 * What the newest epoch says of this node and its disk:
 * - `outsider`: it has no member of this name, or one that was removed.
 * - `member`: it names this disk.
 * - `unbound`: the name is a member's, with no disk or with one that this node no longer has.
 * - `superseded`: it named this disk once and names another now, which has taken its place for good.
 */
export type Standing = 'outsider' | 'member' | 'unbound' | 'superseded';

export class EpochLog {
  readonly #world: World;
  readonly #self: EpochLogOptions['self'];
  readonly #tables: EpochTables;
  readonly #listeners: ((facts: Facts) => void)[] = [];
  /** Undefined while this node does not know which cluster it will belong to. */
  #clusterId: ClusterId | undefined;
  #newest: Facts | undefined;
  /** This node in those facts: what was found, whether it is bound to this disk, and in which. */
  #member: Member | undefined;
  #isBound = false;
  #memberIn: Facts | undefined;
  #origin: string;
  /** Whether some decided epoch has named this disk. */
  #named: boolean;
  #foreignReported = '';
  /** Why the last epoch could not be stored; a full disk is told of once, though others bring the epoch again and again. */
  #trouble: string | undefined;
  /** Installations run one after the other. */
  #lastInstallation: Promise<unknown> = Promise.resolve();
  #stopped = false;

  /** @throws DamagedRow when the disk does not hold what was written to it */
  constructor(options: EpochLogOptions) {
    const { world, self } = options;
    this.#world = world;
    this.#self = self;
    this.#tables = new EpochTables(world.digest);
    this.#newest = this.#tables.newest(world.disk);
    this.#origin = this.#tables.origin(world.disk) ?? '';
    this.#named = this.#tables.named(world.disk) !== undefined;
    this.#clusterId = this.#newest?.ring.clusterId;
  }

  /** Follows no other cluster than this one from now on. */
  expectCluster(clusterId: ClusterId): void {
    this.#clusterId ??= clusterId;
  }

  get newest(): Facts | undefined {
    return this.#newest;
  }

  /** 0 before the first. */
  get newestEpoch(): Epoch {
    return this.#newest?.epoch ?? epoch(0);
  }

  /** 64 hex digits: the digest of the first epoch of this node's cluster; empty before the first. */
  get origin(): string {
    return this.#origin;
  }

  get standing(): Standing {
    // Asked several times for each request: texts are compared once for each epoch.
    if (this.#newest !== this.#memberIn) {
      this.#memberIn = this.#newest;
      this.#member = this.#newest && memberNamed(this.#newest, this.#self.id);
      this.#isBound = this.#member?.storageId === this.#self.storageId;
    }
    const member = this.#member;
    if (member === undefined || member.state === 'removed') return 'outsider';
    if (this.#isBound) return 'member';
    return this.#named ? 'superseded' : 'unbound';
  }

  /** A decided epoch, if it is still kept here. */
  at(number: Epoch): Facts | undefined {
    return number === this.#newest?.epoch ? this.#newest : this.#tables.epoch(this.#world.disk, number);
  }

  /** What to tell somebody who wants to know the epoch `first`: that one and the newest, or nothing. */
  decidedFrom(first: Epoch): DecidedEpochs {
    const newest = this.#newest;
    if (newest === undefined || newest.epoch < first) return { origin: this.#origin, epochs: [] };
    const asked = first < newest.epoch ? this.at(first) : undefined;
    return { origin: this.#origin, epochs: asked === undefined ? [newest] : [asked, newest] };
  }

  /** True when the other's chain began with another first epoch, which is logged once for each such chain. */
  isForeign(origin: string, from: NodeId): boolean {
    if (origin === '' || this.#origin === '' || origin === this.#origin) return false;
    if (origin !== this.#foreignReported) {
      this.#foreignReported = origin;
      const isMember = this.#newest !== undefined && memberNamed(this.#newest, from) !== undefined;
      this.#world.log.error('foreign-founding', {
        from,
        ownFirstEpoch: this.#origin,
        foreignFirstEpoch: origin,
        detail: isMember
          ? 'two clusters were founded from the same list of founders: one of them must be taken down'
          : 'it belongs to another cluster with the same secret: take it out of seeds, and give each cluster a secret of its own',
      });
    }
    return true;
  }

  /** Calls back with the newest facts each time that they have changed. */
  onInstalled(listener: (facts: Facts) => void): void {
    this.#listeners.push(listener);
  }

  /** Installs what was decided here. See {@link install}. */
  async installDecision(facts: Facts): Promise<boolean> {
    const origin = facts.epoch === 1 ? this.#digestOf(facts) : this.#origin;
    return await this.install({ origin, epochs: [facts] }, this.#self.id);
  }

  /** Makes decided epochs durable and then visible. False when they are foreign or the disk failed, which is logged. */
  async install(decided: DecidedEpochs, from: NodeId): Promise<boolean> {
    const installation = this.#lastInstallation.then(() => this.#install(decided, from));
    this.#lastInstallation = installation;
    return await installation;
  }

  /** Whether nothing is to be stored any more, votes neither. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Installs nothing any more; resolves when what is being installed is. To be awaited before the disk is closed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#lastInstallation;
  }

  async #install(decided: DecidedEpochs, from: NodeId): Promise<boolean> {
    if (this.#stopped || this.isForeign(decided.origin, from)) return false;
    const unknown = decided.epochs.filter((facts) => facts.epoch > this.newestEpoch);
    const newest = unknown.at(-1);
    if (newest === undefined) return true;
    if (this.#clusterId !== undefined && newest.ring.clusterId !== this.#clusterId) {
      this.#world.log.error('foreign-cluster', { from, own: this.#clusterId, foreign: newest.ring.clusterId });
      return false;
    }
    const named = unknown.some((facts) => memberNamed(facts, this.#self.id)?.storageId === this.#self.storageId);
    try {
      await this.#world.disk.commit((transaction) => {
        this.#tables.putEpochs(transaction, unknown);
        if (this.#origin === '') this.#tables.putOrigin(transaction, decided.origin);
        if (named && !this.#named) this.#tables.putNamed(transaction, this.#self.id);
      }).durable;
    } catch (error) {
      if (this.#trouble !== String(error)) {
        this.#trouble = String(error);
        this.#world.log.error('epoch-not-stored', { epoch: newest.epoch, error: this.#trouble });
      }
      return false;
    }
    this.#trouble = undefined;
    this.#clusterId = newest.ring.clusterId;
    this.#origin ||= decided.origin;
    this.#named ||= named;
    this.#newest = newest;
    this.#world.log.info('epoch-installed', { epoch: newest.epoch, from });
    this.#forgetVotes(newest.epoch);
    for (const listener of this.#listeners) listener(newest);
    return true;
  }

  /** Only now that the epochs are visible: an acceptor asked in between must still find its votes. */
  #forgetVotes(decided: Epoch): void {
    try {
      const { durable } = this.#world.disk.commit((transaction) => {
        this.#tables.deleteVotesUpTo(transaction, decided);
      });
      // Old votes that survive do no harm, and a failed disk shows itself at the next commit that matters.
      durable.catch(() => undefined);
    } catch (error) {
      this.#world.log.warn('old-votes-kept', { epoch: decided, error: String(error) });
    }
  }

  #digestOf(facts: Facts): string {
    return toHex(this.#world.digest.sha256(encode(factsToWire(facts))));
  }
}
