/**
 * One node, put together. It runs in any world: `quoral node` gives it the real one, the simulator a simulated one.
 */

import { TokenDirectory } from '#access/directory.ts';
import { isoDate } from '#api/http-date.ts';
import { settlementOf } from '#buckets/definition.ts';
import { BucketDirectory } from '#buckets/directory.ts';
import { timeOf } from '#causality/hybrid-clock.ts';
import type { Mac } from '#kernel/native.ts';
import type { ClusterId, Epoch, NodeId } from '#kernel/identity.ts';
import { present } from '#kernel/assert.ts';
import { CHAIN_TABLES, type EpochChain } from '#consensus/epoch-chain.ts';
import type { JoiningSettings } from '#consensus/epoch-joining.ts';
import type { Facts } from '#consensus/facts.ts';
import { Coordinator } from '#coordinator/coordinator.ts';
import type { CoordinatorSettings } from '#coordinator/environment.ts';
import type { UpkeepSettings } from '#coordinator/register-upkeep.ts';
import { Hints, type HintSettings } from '#handoff/hints.ts';
import { HANDOFF_TABLES } from '#handoff/tables.ts';
import { MEMBERSHIP_TABLES } from '#membership/boot-records.ts';
import type { Membership } from '#membership/membership.ts';
import type { HedgeSettings } from '#membership/hedging.ts';
import type { Reachability } from '#membership/reachability.ts';
import type { MembershipSettings } from '#membership/settings.ts';
import { BucketKeys } from '#operator/bucket-keys.ts';
import { ExplainKey, type ExplainKeyOptions } from '#operator/explain-key.ts';
import type { RingRepair } from '#operator/ring-repair.ts';
import { ReadRepair } from '#repair/read-repair.ts';
import { REPAIR_TABLES, type Repair, type RepairSettings } from '#repair/repair.ts';
import { treeOfRow } from '#repair/tree-of-row.ts';
import { DeadRows } from '#repair/dead-rows.ts';
import { LongVectors } from '#repair/long-vectors.ts';
import { MerkleTrees } from '#repair/trees.ts';
import { StorageMismatch, takeStorage, type NodeStorage } from '#replica/node-storage.ts';
import { Changes, CHANGES_TABLES, logBoot } from '#replica/changes.ts';
import { DroppedBuckets, type Life } from '#replica/dropped-buckets.ts';
import { Replica, type ReplicaLimits } from '#replica/replica.ts';
import type { Knowledge } from '#replica/scope.ts';
import { REPLICA_TABLES } from '#replica/tables.ts';
import { clusterIdOf } from '#ring/founding.ts';
import type { Member } from '#ring/ring.ts';
import type { VersionRange } from '#wire/handshake.ts';
import type { Messaging } from '#wire/messaging.ts';
import { createMessaging } from '#wire/peers.ts';
import type { WireSettings } from '#wire/settings.ts';
import { epochChain, foundersText, peersOf } from './node-chain.ts';
import { createNodePeers, tellClockLead } from './node-peers.ts';
import type { TableDefinition, World } from '#world/world.ts';
import type { Watches, WatchSettings } from '#watch/watches.ts';
import { contextMac } from './context-mac.ts';
import { createWatches } from './node-watches.ts';
import { createRepair, type NodeRepair } from './node-repair.ts';
import { ownMember } from './own-member.ts';
import { whyNotReady } from './why-not-ready.ts';

/** Every table that a node's disk must have. */
export const NODE_TABLES: readonly TableDefinition[] = [
  ...REPLICA_TABLES,
  ...CHAIN_TABLES,
  ...REPAIR_TABLES,
  ...HANDOFF_TABLES,
  ...MEMBERSHIP_TABLES,
  ...CHANGES_TABLES,
];

export interface NodeOptions {
  /** A token with all rights that this node alone knows; undefined for none. */
  readonly adminToken: string | undefined;
  readonly id: NodeId;
  /** `host:port` under which the others reach its peer door. */
  readonly peer: string;
  /** Base URL of its client door. */
  readonly url: string;
  readonly zone: string;
  readonly weight: number;
  /** What all nodes of the cluster share; peers prove that they know it, and it signs contexts. */
  readonly secret: Uint8Array;
  /** Founders of a new cluster, this node among them. A disk that has a ring ignores it. */
  readonly founders: readonly { readonly id: NodeId; readonly peer: string }[];
  /** `host:port` of peers of a running cluster that it wants to join: then it has no founders. A disk that has a ring ignores it. */
  readonly seeds?: readonly string[];
  readonly joining?: JoiningSettings;
  readonly partitionCount: number;
  readonly foundingPatience: number;
  readonly wire: WireSettings;
  /** In place of all protocol versions that this program speaks. */
  readonly protocolVersions?: VersionRange | undefined;
  readonly membership: MembershipSettings;
  readonly hedging: HedgeSettings;
  readonly replica: ReplicaLimits;
  readonly coordinator: CoordinatorSettings;
  readonly hints: HintSettings;
  readonly repair: RepairSettings;
  readonly watch: WatchSettings;
  /** In place of what those of repair say of strong keys. */
  readonly upkeep?: Partial<UpkeepSettings>;
  readonly drop: { readonly bytesPerSecond: number };
  readonly readRepair: { readonly inFlightMax: number; readonly timeout: number; readonly jitter: number };
}

export class QuoralNode {
  readonly world: World;
  readonly options: NodeOptions;
  readonly messaging: Messaging;
  readonly chain: EpochChain;
  readonly membership: Membership;
  /** Says of every peer whether it can be used now. */
  readonly peers: Reachability;
  readonly buckets: BucketDirectory;
  readonly tokens: TokenDirectory;
  readonly replica: Replica;
  readonly hints: Hints;
  readonly coordinator: Coordinator;
  /** Signs contexts: the same on every node of the cluster. */
  readonly mac: Mac;
  readonly bucketKeys: BucketKeys;
  readonly explainKey: ExplainKey;
  readonly readRepair: ReadRepair;
  readonly #repairs: NodeRepair;
  readonly dropped: DroppedBuckets;
  readonly watches: Watches;
  /** This node in the newest ring that it knows. */
  readonly member: () => Member | undefined;
  /** Why data requests are refused now, in words; undefined when they are served. */
  readonly notReadyReason: () => string | undefined;
  readonly #storage: NodeStorage;
  readonly #founded: ClusterId | '';

  /** Takes the disk into possession. Rejects with what is wrong with it. */
  static async create(world: World, options: NodeOptions): Promise<QuoralNode> {
    const { disk, random, clock } = world;
    const storage = await takeStorage({
      ...{ disk, random, wall: () => clock.wall(), id: options.id },
      begins: (transaction, boot) => logBoot(transaction, options.watch, boot, clock.wall()),
    });
    const node = new QuoralNode(world, options, storage);
    node.#checkAddress();
    return node;
  }

  /** Opens the peer door, then founds the cluster or confirms its epoch in the background. Rejects with what is wrong with the door. */
  async start(): Promise<void> {
    await this.messaging.start();
    tellClockLead(this.world.log, this.hybridClockLead(), this.options.membership.clocks.warnFrom);
    this.membership.start();
    this.chain.start();
    this.repair.start();
    this.#repairs.ringDriver.start();
    this.hints.start();
    this.dropped.start();
    this.buckets.start(this.world);
    this.coordinator.strong.upkeep.start();
  }

  private constructor(world: World, options: NodeOptions, storage: NodeStorage) {
    this.world = world;
    this.options = options;
    this.#storage = storage;
    // Before the first epoch another list of founders may still be tried.
    this.#founded = options.founders.length === 0 ? '' : clusterIdOf(options.founders, world.digest.sha256);
    this.mac = contextMac(world, options.secret);
    this.messaging = this.#createMessaging(storage);
    this.chain = epochChain(world, options, storage, this.messaging, () => this.membership.diskVerified());
    this.member = ownMember(this.chain, options.id);
    this.notReadyReason = whyNotReady(this, storage);
    const { membership, peers, hedging } = createNodePeers({
      world,
      messaging: this.messaging,
      self: options.id,
      storage,
      epoch: () => this.chain.facts()?.epoch ?? 0,
      heardEpoch: (peer, epoch) => this.chain.hear(peer, epoch as Epoch),
      membership: options.membership,
      hedging: options.hedging,
    });
    this.membership = membership;
    this.peers = peers;
    this.buckets = new BucketDirectory(this.chain);
    this.tokens = tokenDirectory(world, this.chain, options);
    const knowledge = this.#knowledge();
    const trees = new MerkleTrees({ world, secret: options.secret });
    const [dead, long] = [new DeadRows(world.disk, world.metrics), new LongVectors(world.disk, world.metrics)];
    const changes = new Changes(world, options.watch, storage.boot, () => this.ready());
    this.replica = new Replica({
      ...{ world, storage, knowledge, ready: () => this.ready() },
      flushNetwork: () => this.#flushNetwork(),
      participants: [trees, dead, long, changes],
      limits: options.replica,
    });
    this.hints = this.#createHints(knowledge, storage);
    this.bucketKeys = new BucketKeys(this.messaging, [this.replica, this.hints]);
    this.explainKey = this.#createExplainKey(knowledge);
    this.#repairs = createRepair({
      ...{ world, messaging: this.messaging, knowledge, replica: this.replica, trees, dead, long, chain: this.chain },
      waiting: (since, places) => this.hints.oldestSince(since, places),
      keepsOnlyCopies: () => this.hints.keepsOnlyCopies(),
      self: { id: options.id, storageId: storage.storageId },
      ...{ ready: () => this.ready(), served: () => this.coordinator.served },
      settings: options.repair,
      registers: () => this.coordinator.strong.refill,
      registerUpkeep: () => this.coordinator.strong.upkeep,
    });
    this.watches = createWatches(this, changes, storage);
    this.dropped = this.#droppedBuckets(knowledge, trees);
    this.readRepair = this.#createReadRepair();
    this.coordinator = new Coordinator({
      world,
      ...{ messaging: this.messaging, peers: this.peers, hedging },
      ...{ replica: this.replica, changes },
      hints: this.hints,
      repair: this.readRepair,
      knowledge,
      self: options.id,
      ready: () => this.ready(),
      settings: options.coordinator,
      resolveBucket: (name) => this.buckets.resolve(name),
      strong: {
        storage,
        limits: options.replica,
        queueMax: options.coordinator.strongChangesMax,
        upkeep: { ...options.repair, ...options.upkeep },
      },
    });
    this.#connect();
  }

  /** What a commit makes durable is on its way to the others meanwhile. */
  #flushNetwork(): void {
    this.coordinator.flush();
    this.messaging.flush();
  }

  #createMessaging({ storageId }: NodeStorage): Messaging {
    const { world, options } = this;
    const clusterId = (): string => this.clusterId;
    return createMessaging({
      world,
      self: {
        ...{ id: options.id, storageId, foundersText: foundersText(options) },
        get clusterId(): string {
          return clusterId();
        },
      },
      secret: options.secret,
      epoch: () => this.chain.facts()?.epoch ?? 0,
      settings: options.wire,
      versions: options.protocolVersions,
    });
  }

  #createHints(knowledge: Knowledge, { clock }: NodeStorage): Hints {
    const { world, messaging, peers, replica, options } = this;
    const { id: self, hints: settings, replica: limits } = options;
    const ready = (): boolean => this.ready();
    return new Hints({ world, messaging, peers, replica, knowledge, clock, self, ready, settings, limits });
  }

  #createExplainKey(knowledge: Knowledge): ExplainKey {
    const { messaging, replica, hints, world } = this;
    const { digest } = world;
    const self = this.options.id;
    const accepted: ExplainKeyOptions['accepted'] = (name) => this.coordinator.strong.rows.held(name)?.state;
    return new ExplainKey({ messaging, replica, hints, accepted, knowledge, digest, self, timeText: isoDate });
  }

  get repair(): Repair {
    return this.#repairs.repair;
  }

  get away(): NodeRepair['away'] {
    return this.#repairs.away;
  }

  get ringRepair(): RingRepair {
    return this.#repairs.ringRepair;
  }

  /** Empty for a node that wants to join a cluster and has not met it. */
  get clusterId(): ClusterId | '' {
    return this.chain.facts()?.ring.clusterId ?? this.#founded;
  }

  /** Milliseconds that the times of this node's writes are ahead of its calendar clock: they never go back with it. */
  hybridClockLead(): number {
    return Math.max(0, timeOf(this.#storage.clock.last()) - this.world.clock.wall());
  }

  /** False when all tenures of this boot are spent. */
  tenureValid(): boolean {
    return this.#storage.tenure.valid();
  }

  #createReadRepair(): ReadRepair {
    const { world, messaging, replica, options } = this;
    return new ReadRepair({ world, messaging, replica, self: options.id, ...options.readRepair });
  }

  #droppedBuckets(knowledge: Knowledge, trees: MerkleTrees): DroppedBuckets {
    const { commits, records } = this.replica;
    const dropped = new DroppedBuckets({
      world: this.world,
      commits,
      records,
      lives: () => livesOf(this.chain.facts()),
      others: () => this.hints.discardDropped(),
      placeOf: (transaction, rowKey) => treeOfRow(transaction, trees.hash, knowledge.ring(), rowKey),
      ...this.options.drop,
    });
    this.chain.onFacts(() => dropped.look());
    return dropped;
  }

  /** True when data requests may be served: see {@link notReadyReason}. */
  ready(): boolean {
    return this.notReadyReason() === undefined;
  }

  /** Tells the other nodes that this one is about to stop, so that they go around it from now on. */
  announceStop(): void {
    this.watches.stop();
    this.messaging.announceStop();
  }

  /**
   * Ends cleanly: calls of peers that were begun are answered (for `patience` milliseconds at most), queued writes are
   * committed, the disk is marked so that the tenure can go on.
   */
  async stop(patience: number): Promise<void> {
    this.watches.stop();
    this.repair.stop();
    this.#repairs.ringDriver.stop();
    this.coordinator.strong.upkeep.stop();
    this.dropped.stop();
    this.buckets.stop();
    await this.messaging.drain(patience);
    this.readRepair.stop();
    this.hints.stop();
    await this.membership.stop();
    await this.chain.stop();
    await this.messaging.stop();
    if (this.world.disk.failure() === undefined) await this.replica.stop();
    await this.world.disk.close();
  }

  #knowledge(): Knowledge {
    const facts = (): Facts => present(this.chain.facts(), 'the facts of a founded cluster');
    return {
      epoch: () => this.chain.facts()?.epoch ?? (0 as Epoch),
      ring: () => facts().ring,
      self: () => present(this.member(), `member ${this.options.id}`).index,
      bucket: (name) => {
        const { incarnation, version, properties } = this.buckets.resolve(name);
        return { n: properties.n, incarnation, version, conflicts: settlementOf(properties) };
      },
      refilling: () => this.member()?.state === 'refilling',
      catchUp: (atLeast, deadline) => this.chain.catchUp(atLeast, deadline),
    };
  }

  /** The others dial the address that the ring names: under another one this node would be alone without knowing why. */
  #checkAddress(): void {
    const known = this.member()?.peer;
    if (known === undefined || known === this.options.peer) return;
    throw new StorageMismatch(
      `the ring on this disk names ${this.options.id} at ${known}, but --advertise or --peer-listen says ${this.options.peer}: start it with the former, or let a node with another name and an empty data directory take its place (quoral ring plan --replace)`,
    );
  }

  /** Stays connected with whom it should, and has the members of the newest ring watched. */
  #connect(): void {
    const connect = (): void => this.messaging.setPeers(peersOf(this.options, this.chain));
    const follow = (facts: Facts | undefined): void => {
      connect();
      if (facts === undefined) return;
      const { members, voters } = facts.ring;
      this.membership.setMembers(
        members.filter(({ state }) => state !== 'removed'),
        voters,
      );
      this.hints.membersChanged();
    };
    follow(this.chain.facts());
    this.chain.onFacts(follow);
    this.chain.onNewcomers(connect);
    this.messaging.onReachability((_peer, isReachable) => {
      if (!isReachable) this.coordinator.strong.upkeep.someoneIsAway();
    });
  }
}

/** The buckets that were dropped at least once. */
function livesOf(facts: Facts | undefined): readonly Life[] {
  const dropped = facts?.buckets.filter(({ incarnation }) => incarnation > 0) ?? [];
  return dropped.map(({ name, incarnation }) => ({ bucket: name, incarnation }));
}

function tokenDirectory({ digest, random, clock }: World, chain: EpochChain, options: NodeOptions): TokenDirectory {
  return new TokenDirectory({ chain, digest, random, wall: () => clock.wall(), bootstrap: options.adminToken });
}
