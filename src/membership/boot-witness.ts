/**
 * Before a node that has started serves, it asks the others what they have seen of its disk, and then has them remember the
 * present boot. A majority of the voters must have done both, as with the epoch; whoever comes later is asked when it comes.
 *
 * While it serves it leaves a mark with the voters now and then. The others hear of marks as they hear of boots.
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
  /** Who remembers this boot, and the mark that they have been told. */
  readonly #announced = new Map<NodeId, number>();
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
    if (this.#busy.has(peer) || this.#putBack !== undefined) return;
    if (this.#announced.has(peer)) {
      if (this.#lacksMark(peer)) void this.#tellMark(peer, this.#options.callTimeout);
      return;
    }
    const announces = this.#isMajority(this.#asked);
    if (!announces && this.#asked.has(peer)) return;
    this.#busy.add(peer);
    void this.#call(peer, announces, this.#options.callTimeout).finally(() => this.#busy.delete(peer));
  }

  /** Writes a mark on this disk, for the voters to be told of when they are met; none before this boot is verified. */
  async mark(): Promise<void> {
    if (!this.verified()) return;
    try {
      await this.#options.own.marks.raise();
    } catch (error) {
      this.#options.world.log.warn('mark-not-written', { reason: String(error) });
    }
  }

  /** The last mark of this boot; waits no longer than so many milliseconds for the voters to take note. */
  async lastMark(patience: number): Promise<void> {
    await this.mark();
    const lacking = [...this.#announced.keys()].filter((peer) => this.#lacksMark(peer));
    await Promise.all(lacking.map((peer) => this.#tellMark(peer, patience)));
  }

  #lacksMark(peer: NodeId): boolean {
    return this.#announced.get(peer)! < this.#mark && this.#voters.includes(peer);
  }

  get #mark(): number {
    const { marks, boot } = this.#options.own;
    return marks.of(boot);
  }

  /** Whoever does not take note is told again, after a while. */
  async #tellMark(peer: NodeId, timeout: number): Promise<void> {
    const { clock } = this.#options.world;
    this.#busy.add(peer);
    const noted = await this.#call(peer, true, timeout);
    if (noted) this.#busy.delete(peer);
    else clock.after(timeout, () => this.#busy.delete(peer));
  }

  /** Whether the peer has done what it was asked. */
  async #call(peer: NodeId, announces: boolean, timeout: number): Promise<boolean> {
    const { world, messaging, own } = this.#options;
    const record: BootRecord = { storage: own.storageId, boot: own.boot, life: own.lives[0]!, mark: this.#mark };
    const deadline = world.clock.monotonic() + timeout;
    const result = await messaging.call(peer, BootMessage, { record, announces }, { deadline });
    if (result.kind !== 'reply') return false;
    if (result.reply.known !== undefined) this.#check(result.reply.known, peer);
    if (this.#putBack !== undefined) return true;
    this.#asked.add(peer);
    if (announces) this.#announced.set(peer, record.mark);
    return true;
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

  #isMajority(peers: { has(peer: NodeId): boolean }): boolean {
    const counted = this.#voters.filter((voter) => voter === this.#options.self || peers.has(voter)).length;
    return 2 * counted > this.#voters.length;
  }
}
