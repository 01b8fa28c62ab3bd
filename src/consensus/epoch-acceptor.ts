/**
 * This node as a voter on epochs: the pure acceptor (acceptor.ts) with its votes on disk.
 *
 * It votes on an epoch only while it knows the epoch before, because that one names the voters and the disks that count;
 * and it answers only when its vote is on stable storage.
 */

import type { Epoch, NodeId, StorageId } from '#kernel/identity.ts';
import { Refusal } from '#wire/message.ts';
import { DiskError } from '#world/world.ts';
import type { World } from '#world/world.ts';
import { accept, prepare } from './acceptor.ts';
import type { Vote } from './acceptor.ts';
import { mayVoteAfter, memberNamed } from './electorate.ts';
import type { EpochLog } from './epoch-log.ts';
import { EpochTables } from './epoch-tables.ts';
import type { Ballot, Facts } from './facts.ts';
import type { AcceptReply, NoVote, PrepareReply } from './messages.ts';

export interface EpochAcceptorOptions {
  readonly world: World;
  readonly log: EpochLog;
  readonly self: { readonly id: NodeId; readonly storageId: StorageId };
  readonly founders: readonly NodeId[];
  /** False while it is not known whether the disk still has all votes that this node gave. */
  readonly trusted: () => boolean;
}

type Step =
  | { readonly kind: 'rejected'; readonly highest: Ballot }
  | { readonly kind: 'voted'; readonly vote: Vote<Facts> };

export class EpochAcceptor {
  readonly #options: EpochAcceptorOptions;
  readonly #tables: EpochTables;

  constructor(options: EpochAcceptorOptions) {
    this.#options = options;
    this.#tables = new EpochTables(options.world.digest);
  }

  /** @throws Refusal when this node has no vote on that epoch: `stopping`, `behind`, `not-a-voter` or `disk-failed` */
  async prepare(instance: Epoch, ballot: Ballot): Promise<PrepareReply> {
    const result = await this.#vote(instance, (vote) => {
      const step = prepare(vote, ballot);
      return step.kind === 'promised' ? { kind: 'voted', vote: step.vote } : step;
    });
    return result.kind === 'voted' ? { kind: 'promised', accepted: result.vote.accepted } : result;
  }

  /** @throws Refusal as {@link prepare} does */
  async accept(ballot: Ballot, facts: Facts): Promise<AcceptReply> {
    this.#refuseLostVote(facts);
    const result = await this.#vote(facts.epoch, (vote) => {
      const step = accept(vote, ballot, facts);
      return step.kind === 'accepted' ? { kind: 'voted', vote: step.vote } : step;
    });
    return result.kind === 'voted' ? { kind: 'accepted' } : result;
  }

  /** Whether this node may vote on the epoch after the newest known one. */
  mayVote(): boolean {
    const { log, self, founders, trusted } = this.#options;
    if (log.newest === undefined) return founders.includes(self.id);
    return trusted() && mayVoteAfter(log.newest, self.id, self.storageId);
  }

  /** Whether a proposal for the epoch after the newest known one was accepted here. */
  hasUndecidedVote(): boolean {
    const next = (this.#options.log.newestEpoch + 1) as Epoch;
    return this.#tables.readVote(this.#options.world.disk, next).accepted !== null;
  }

  async #vote(
    instance: Epoch,
    decide: (vote: Vote<Facts>) => Step,
  ): Promise<NoVote | { readonly kind: 'voted'; readonly vote: Vote<Facts> }> {
    const { world, log } = this.#options;
    if (log.stopped) throw new Refusal('stopping', 'this node is stopping and votes no more');
    if (instance <= log.newestEpoch) return { kind: 'decided', decided: log.decidedFrom(instance) };
    if (instance > log.newestEpoch + 1) {
      throw new Refusal(
        'behind',
        `asked to vote on epoch ${instance}, knows epoch ${log.newestEpoch}`,
        log.newestEpoch,
      );
    }
    this.#refuseWithoutVote();
    try {
      let step: Step | undefined;
      const { durable } = world.disk.commit((transaction) => {
        step = decide(this.#tables.readVote(transaction, instance));
        // Written even when nothing changed: the answer must not rest on an earlier commit that is still in flight.
        if (step.kind === 'voted') this.#tables.putVote(transaction, instance, step.vote);
      });
      await durable;
      return step!;
    } catch (error) {
      if (error instanceof DiskError) throw new Refusal('disk-failed', error.message);
      throw error;
    }
  }

  #refuseWithoutVote(): void {
    if (this.mayVote()) return;
    const { log, self } = this.#options;
    throw new Refusal('not-a-voter', `no vote for ${self.id} with its present disk after epoch ${log.newestEpoch}`);
  }

  /** A first epoch that names another disk for this node was proposed while it had that disk, and voted with it. */
  #refuseLostVote(facts: Facts): void {
    const { self } = this.#options;
    const named = facts.epoch === 1 ? memberNamed(facts, self.id)?.storageId : undefined;
    if (named !== undefined && named !== null && named !== self.storageId) {
      throw new Refusal('not-a-voter', `the proposed first epoch names another disk of ${self.id}`);
    }
  }
}
