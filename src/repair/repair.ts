/**
 * The room's door: everything that makes replicas agree again without being asked.
 */

import type { Hash64 } from '#kernel/siphash.ts';
import type { NodeId } from '#kernel/identity.ts';
import type { Replica } from '#replica/replica.ts';
import type { Messaging } from '#wire/messaging.ts';
import { Pages } from './at-once.ts';
import { AntiEntropy, type AntiEntropySettings } from './anti-entropy.ts';
import { DEAD_TABLES, type DeadRows } from './dead-rows.ts';
import { EndedVersions } from './ended.ts';
import { Expiry } from './expiry.ts';
import { Mend } from './mend.ts';
import { MoveVotes, type MoveVotesOptions } from './move-votes.ts';
import { MOVE_TABLES } from './moved-rows.ts';
import { Moves, type MovesOptions, type MovesSettings } from './moves.ts';
import { Pace, type PaceOptions, type PaceSettings } from './pace.ts';
import { TreeSource } from './tree-source.ts';
import { hasPlacement } from '#ring/preference-list.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import type { Knowledge } from '#replica/scope.ts';
import type { RecordName } from '#replica/tables.ts';
import type { TableDefinition, World } from '#world/world.ts';
import { Reclaim, type ReclaimSettings } from './reclaim.ts';
import { ReclaimMember, type ReclaimMemberOptions } from './reclaim-member.ts';
import { LONG_VECTORS_TABLES, type LongVectors } from './long-vectors.ts';
import { LostFloors } from './lost-floors.ts';
import { REFILL_TABLES, Refill, type RefillOptions } from './refill.ts';
import { Slices, type SlicesOptions } from './slices.ts';
import { Scrub } from './scrub.ts';
import { TreeRebuild } from './tree-rebuild.ts';
import { TREE_TABLES, type TreePlace } from './tree-tables.ts';
import type { MerkleTrees } from './trees.ts';
import { Weigher } from './weigh.ts';

export const REPAIR_TABLES: readonly TableDefinition[] = [
  ...TREE_TABLES,
  ...MOVE_TABLES,
  ...REFILL_TABLES,
  ...DEAD_TABLES,
  ...LONG_VECTORS_TABLES,
];

/** Milliseconds between two looks at whether something is to be done that had to wait. */
const TICK_MS = 1000;

export type RepairSettings = AntiEntropySettings &
  ReclaimSettings &
  PaceSettings & {
    /** Milliseconds in which every row is read once, to see whether it is whole. */
    readonly scrubPeriod: number;
    readonly moves: MovesSettings;
    /** Bytes a second that a node spends on a ring change that does not say how many. */
    readonly transferRate: number;
    /** Milliseconds between two looks of the node that drives a ring change. */
    readonly driveInterval: number;
    /** Milliseconds that a member which leaves may be out of reach before the ring changes without it. */
    readonly leaverPatience: number;
  };

export const DEFAULT_REPAIR_SETTINGS: RepairSettings = {
  interval: 15_000,
  settle: 5000,
  callTimeout: 30_000,
  bytesPerSecond: 8 * 1024 ** 2,
  busyDelay: 50,
  share: 0.15,
  scrubPeriod: 7 * 24 * 3_600_000,
  reclaimInterval: 600_000,
  reclaimAge: 600_000,
  reclaimWait: 30_000,
  moves: { lookInterval: 500, atOnce: 2, installTimeout: 2000, stallAlarm: 60_000 },
  transferRate: 8 * 1024 ** 2,
  driveInterval: 500,
  leaverPatience: 30_000,
};

export interface RepairOptions
  extends
    Pick<MovesOptions, 'storageId' | 'awaitInstalled' | 'knownRing' | 'keepsOnlyCopies' | 'letRegistersGo'>,
    Pick<MoveVotesOptions, 'isStrong' | 'takeRegisters' | 'giveRegistersUp' | 'away'>,
    Pick<RefillOptions, 'isInUse'>,
    Pick<SlicesOptions, 'readRegisters' | 'levelRegisters'> {
  readonly world: World;
  readonly messaging: Messaging;
  readonly knowledge: Knowledge;
  readonly replica: Replica;
  readonly trees: MerkleTrees;
  readonly dead: DeadRows;
  readonly long: LongVectors;
  /** See {@link ReclaimMember}. */
  readonly waiting: ReclaimMemberOptions['waiting'];
  readonly self: NodeId;
  /** Whether this node may serve. */
  readonly ready: () => boolean;
  /** See {@link PaceOptions}. */
  readonly served: PaceOptions['served'];
  /** Makes this member, which is filled again, active in the facts of the cluster; true when it is. */
  readonly activate: () => Promise<boolean>;
  readonly settings: RepairSettings;
}

export class Repair {
  readonly #options: RepairOptions;
  readonly #rebuild: TreeRebuild;
  readonly antiEntropy: AntiEntropy;
  readonly scrub: Scrub;
  readonly slices: Slices;
  readonly weigher: Weigher;
  readonly moves: Moves;
  readonly #moveVotes: MoveVotes;
  readonly #mend: Mend;
  readonly #refill: Refill;
  readonly #lostFloors: LostFloors;
  readonly #expiry: Expiry;
  readonly reclaim: Reclaim;
  #running = false;

  constructor(options: RepairOptions) {
    this.#options = options;
    const { world, knowledge, trees, settings } = options;
    const pace = new Pace({
      ...{ clock: world.clock, settings, served: options.served },
      throttle: () => {
        const change = options.knownRing()?.change;
        return change === undefined || change.throttle !== undefined ? change?.throttle : settings.transferRate;
      },
    });
    const source = new TreeSource({ ...options, pace });
    const pages = new Pages();
    this.antiEntropy = new AntiEntropy({ ...options, source, pace, pages, callTimeout: settings.callTimeout });
    const placeOf = (name: RecordName): TreePlace | undefined => placeOfRow(knowledge, name);
    this.#rebuild = new TreeRebuild({ world, trees, placeOf });
    this.scrub = new Scrub({ ...options, pace, placeOf, period: settings.scrubPeriod });
    this.slices = new Slices({ ...options, antiEntropy: this.antiEntropy, scrub: this.scrub, source });
    this.weigher = new Weigher(options);
    this.moves = new Moves({
      ...options,
      ...{ source, pace, pages, callTimeout: settings.callTimeout, settings: settings.moves },
      learnFloors: () => this.#lostFloors.learnOnce(),
      floorsBehind: () => this.#lostFloors.behind(),
    });
    const { leaverPatience, callTimeout } = settings;
    this.#moveVotes = new MoveVotes({ ...options, leaverPatience, lookInterval: settings.moves.lookInterval });
    this.#mend = new Mend({ ...options, leaverPatience, callTimeout });
    this.#expiry = new Expiry(options);
    const shared = { ...options, callTimeout: settings.callTimeout };
    this.reclaim = new Reclaim({ ...shared, member: new ReclaimMember(shared), ended: new EndedVersions(options) });
    this.#refill = new Refill({ ...options, antiEntropy: this.antiEntropy });
    this.#lostFloors = new LostFloors(options);
  }

  /** What this node's rows of the partition come to. */
  root(place: TreePlace): Hash64 {
    return this.#options.trees.root(place);
  }

  /** To be called when the facts have changed. */
  wake(): void {
    this.moves.wake();
    this.#moveVotes.wake();
  }

  start(): void {
    this.#running = true;
    this.antiEntropy.start();
    this.scrub.start();
    this.#mend.start();
    this.#refill.start();
    this.#lostFloors.start();
    this.moves.start();
    this.#moveVotes.start();
    this.#expiry.start();
    this.reclaim.start();
    this.#tick();
  }

  stop(): void {
    this.#running = false;
    this.antiEntropy.stop();
    this.scrub.stop();
    this.#mend.stop();
    this.#refill.stop();
    this.#lostFloors.stop();
    this.moves.stop();
    this.#moveVotes.stop();
    this.#expiry.stop();
    this.reclaim.stop();
    this.#rebuild.stop();
  }

  #tick(): void {
    if (!this.#running) return;
    if (this.#options.knowledge.epoch() > 0) this.#rebuild.start();
    this.#options.world.clock.after(TICK_MS, () => this.#tick());
  }
}

/** The partition that the row belongs to; undefined when its bucket is in another life now. */
export function placeOfRow(knowledge: Knowledge, { bucket, incarnation, key }: RecordName): TreePlace | undefined {
  const known = knowledge.bucket(bucket);
  const ring = knowledge.ring();
  if (known.incarnation !== incarnation || !hasPlacement(ring, known.n)) return undefined;
  return { n: known.n, partition: partitionOf(ring, hashKey(ring, bucket, key)) };
}
