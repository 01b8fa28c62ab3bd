/**
 * Before a node that has started serves, it asks the others what they have seen of its disk, and then has them remember the
 * present boot. A majority of the voters must have done both, as with the epoch; whoever comes later is asked when it comes.
 */

import type { NodeId } from '#kernel/identity.ts';
import type { Messaging } from '#wire/messaging.ts';
import { Refusal } from '#wire/message.ts';
import { DiskError, type World } from '#world/world.ts';
import { whyPutBack, type BootRecord, type BootRecords, type OwnBoots } from './boot-records.ts';
import { BootMessage } from './messages.ts';

export interface BootWitnessOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly self: NodeId;
  readonly own: OwnBoots;
  readonly records: BootRecords;
  /** Milliseconds for one call. */
  readonly callTimeout: number;
}

export class BootWitness {
  readonly #options: BootWitnessOptions;
  readonly #asked = new Set<NodeId>();
  readonly #announced = new Set<NodeId>();
  readonly #busy = new Set<NodeId>();
  #voters: readonly NodeId[] = [];
  #putBack: string | undefined;
  #verified = false;

  /** Registers its handler. */
  constructor(options: BootWitnessOptions) {
    this.#options = options;
    options.messaging.handle(BootMessage, async ({ record, announces }) => {
      const known = options.records.get(record.storage);
      if (announces) await this.#remember(record);
      return { known };
    });
  }

  setVoters(voters: readonly NodeId[]): void {
    // Those of the epoch before may have been enough.
    this.verified();
    this.#voters = voters;
  }

  /** Why this disk cannot vouch for what it has confirmed; undefined as long as nothing speaks against it. */
  putBack(): string | undefined {
    return this.#putBack;
  }

  /**
   * Whether a majority of the voters has had nothing against this disk and remembers this boot. Once is enough: other voters
   * that a later epoch names are told too, but nothing waits for them.
   */
  verified(): boolean {
    this.#verified ||= this.#isMajority(this.#announced);
    return this.#verified && this.#putBack === undefined;
  }

  /** What others have seen. */
  hear(records: readonly BootRecord[]): void {
    for (const record of records) this.#check(record, undefined);
  }

  /** To be called again and again for every member that is connected; does nothing when nothing is left to do. */
  meet(peer: NodeId): void {
    if (this.#busy.has(peer) || this.#announced.has(peer) || this.#putBack !== undefined) return;
    const announces = this.#isMajority(this.#asked);
    if (!announces && this.#asked.has(peer)) return;
    this.#busy.add(peer);
    void this.#call(peer, announces).finally(() => this.#busy.delete(peer));
  }

  async #call(peer: NodeId, announces: boolean): Promise<void> {
    const { world, messaging, own, callTimeout } = this.#options;
    const record: BootRecord = { storage: own.storageId, boot: own.boot, life: own.lives[0]! };
    const deadline = world.clock.monotonic() + callTimeout;
    const result = await messaging.call(peer, BootMessage, { record, announces }, { deadline });
    if (result.kind !== 'reply') return;
    if (result.reply.known !== undefined) this.#check(result.reply.known, peer);
    if (this.#putBack !== undefined) return;
    this.#asked.add(peer);
    if (announces) this.#announced.add(peer);
  }

  async #remember(record: BootRecord): Promise<void> {
    try {
      await this.#options.records.note([record]);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      throw new Refusal('disk-failed', error.message);
    }
  }

  #check(seen: BootRecord, peer: NodeId | undefined): void {
    const why = this.#putBack === undefined ? whyPutBack(this.#options.own, seen) : undefined;
    if (why === undefined) return;
    this.#putBack = why;
    const { storageId, boot } = this.#options.own;
    const remedy = 'delete the data directory: the node comes back empty and is filled by the others';
    this.#options.world.log.error('disk-put-back', { storageId, boot, reason: why, peer, remedy });
  }

  #isMajority(peers: ReadonlySet<NodeId>): boolean {
    const counted = this.#voters.filter((voter) => voter === this.#options.self || peers.has(voter)).length;
    return 2 * counted > this.#voters.length;
  }
}
