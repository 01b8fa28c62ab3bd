/**
 * This node as an owner of strong keys: the pure register (consensus/register.ts) with its rows on disk.
 *
 * An answer leaves only when the register is on stable storage. A damaged row is refused, never taken for an empty one: an
 * acceptor that forgets lets two values be chosen. So does an owner that has lost its disk, which therefore has no vote
 * until it was filled again, and one whose disk may have been put back to an earlier state: it has none in rounds of its own either.
 */

import { encodeGlimpse } from '#causality/glimpse.ts';
import type { Ballot } from '#consensus/facts.ts';
import { acceptRegister, emptyRegister, mayErase, prepareRegister } from '#consensus/register.ts';
import { equalBytes } from '#kernel/bytes.ts';
import { nodeIndex } from '#kernel/identity.ts';
import type { GroupTransaction } from '#replica/group-commit.ts';
import { CORRUPT_ROW } from '#replica/records.ts';
import { asRefusal, REFILLING } from '#replica/refusals.ts';
import type { Changes } from '#replica/changes.ts';
import { LARGE_ROW_BYTES } from '#replica/large-turns.ts';
import type { Replica } from '#replica/replica.ts';
import { knowsVotes } from '#repair/moved-rows.ts';
import { fence, type Knowledge, type Scope } from '#replica/scope.ts';
import { recordKey, recordName, REGISTERS, type RecordName } from '#replica/tables.ts';
import { withMarkers } from '#watch/strong-news.ts';
import { MalformedMessage, Refusal } from '#wire/message.ts';
import type { AnswerWay } from '#wire/messaging.ts';
import type { DiskReader, Span, World } from '#world/world.ts';
import { RegisterBounds } from './register-bounds.ts';
import type {
  AcceptReply,
  AcceptRequest,
  EraseReply,
  EraseRequest,
  OfRegister,
  PeekReply,
  PeekRequest,
  PrepareReply,
  PrepareRequest,
  SurveyReply,
} from './register-messages.ts';
import {
  DAMAGED_REGISTER,
  decodeRegister,
  encodeForced,
  encodeRegister,
  forcedPromise,
  type Vote,
} from './register-row-codec.ts';
import { decodeShown, decodeValue } from './register-value-codec.ts';
import { NO_VALUE, type RegisterValue } from './register-value.ts';

export interface RegisterRowsOptions {
  readonly world: Pick<World, 'disk' | 'digest'>;
  readonly replica: Replica;
  readonly knowledge: Knowledge;
  /** Whether this node serves now, and so may trust its disk. */
  readonly ready: () => boolean;
  /** Where watches read what has been accepted. */
  readonly changes: Pick<Changes, 'note'>;
  /** Told of every ballot that this node sees as an owner. */
  readonly observe: (ballot: Ballot) => void;
  /** Told of every row that turns out to be damaged. */
  readonly onDamaged: (row: RecordName, reason: string) => void;
}

/** What a vote needs beside the register. */
interface Voting {
  readonly bytes: number;
  readonly deadline: number;
  readonly trace: Span | undefined;
}

/** Until when the answer is waited for, and how it leaves, unless it is for this node itself. */
interface PeekCaller {
  readonly deadline: number;
  readonly way?: AnswerWay | undefined;
}

/** What runs in the transaction, and how it stores a vote; as another row than usual where one is given. */
type Step<T> = (transaction: GroupTransaction, put: (rowKey: Uint8Array, vote: Vote, row?: Uint8Array) => void) => T;

export class RegisterRows {
  readonly #options: RegisterRowsOptions;
  readonly #bounds: RegisterBounds;

  constructor(options: RegisterRowsOptions) {
    this.#options = options;
    this.#bounds = new RegisterBounds(options.world.disk);
  }

  /**
   * Rejects with {@link Refusal}, as all of these do. A large row is read when its turn comes, and when there is room for it on its
   * `way` to another node.
   */
  async peek({ scope, key, valuesUpTo }: PeekRequest, { deadline, way }: PeekCaller): Promise<PeekReply> {
    this.#assertReady();
    await this.#synced(scope, key);
    this.#mayVote(scope);
    const { world, replica } = this.#options;
    const rowKey = recordKey(scope.bucket, scope.incarnation, key);
    const row = world.disk.recallUpTo(REGISTERS, rowKey, LARGE_ROW_BYTES);
    if (typeof row === 'number') {
      await replica.turns.take(row, deadline, valuesUpTo < row ? undefined : way);
      // Much may have happened since the turn was asked for.
      await this.#synced(scope, key);
      this.#mayVote(scope);
    }
    const { accepted } = this.#register(scope, key, typeof row === 'number' ? world.disk.get(REGISTERS, rowKey) : row);
    if (accepted === null || accepted.value.length <= valuesUpTo) return { accepted };
    return { accepted: { ballot: accepted.ballot, value: null } };
  }

  /** What there is, also where it is damaged. Of one that is no owner any more it is all that it will ever be. */
  async survey({ scope, key }: OfRegister, deadline: number): Promise<SurveyReply> {
    const { knowledge } = this.#options;
    this.#assertReady();
    if (scope.epoch > knowledge.epoch()) await knowledge.catchUp(scope.epoch, deadline);
    await this.#synced(scope, key);
    this.#mayVote(scope);
    const { register, damaged } = this.#readForced(scope, key, this.#options.world.disk);
    const { bucket, incarnation } = scope;
    if (damaged)
      this.#options.onDamaged({ bucket, incarnation, key }, 'it was asked for when the owners were compared');
    return { damaged, accepted: register.accepted };
  }

  async prepare({ scope, key, ballot }: PrepareRequest, deadline: number, trace?: Span): Promise<PrepareReply> {
    this.#options.observe(ballot);
    return this.#vote(scope, key, { bytes: 0, deadline, trace }, (register, put) => {
      const step = prepareRegister(register, ballot);
      if (step.kind === 'rejected') return step;
      put(step.register);
      return { kind: 'promised', accepted: step.register.accepted };
    });
  }

  async accept(request: AcceptRequest, deadline: number, trace?: Span): Promise<AcceptReply> {
    const { scope, key, ballot, value, next } = request;
    this.#options.observe(next ?? ballot);
    return this.#vote(scope, key, { bytes: value.length, deadline, trace }, (register, put) =>
      this.#accept(register, request, put),
    );
  }

  #accept(register: Vote, { scope, key, ballot, value, next }: AcceptRequest, put: (next: Vote) => void): AcceptReply {
    const step = acceptRegister(register, { ballot, value }, next, equalBytes);
    if (step.kind === 'rejected') return step;
    put(step.register);
    this.#options.changes.note(recordKey(scope.bucket, scope.incarnation, key), this.#glimpse(value));
    return { kind: 'accepted' };
  }

  /**
   * A promise for a round in which a damaged register takes part as one that has accepted nothing. What it had promised before lies
   * below the ceiling, so the ballot must be above that; it stays damaged, and without a vote in all other rounds, until it
   * accepts.
   */
  async forcePrepare({ scope, key, ballot }: PrepareRequest, deadline: number, trace?: Span): Promise<PrepareReply> {
    const { world, observe } = this.#options;
    observe(ballot);
    return this.#within(scope, { bytes: 0, deadline, trace }, (transaction, put) => {
      const { register, damaged } = this.#readForced(scope, key, transaction);
      const step = prepareRegister(register, ballot);
      if (step.kind === 'rejected') return step;
      const row = damaged ? encodeForced(ballot, world.digest.crc32) : undefined;
      put(recordKey(scope.bucket, scope.incarnation, key), step.register, row);
      return { kind: 'promised', accepted: step.register.accepted };
    });
  }

  /** What such a round proposes. Refused where the register is damaged and took no part in one. */
  async forceAccept(request: AcceptRequest, deadline: number, trace?: Span): Promise<AcceptReply> {
    const { scope, key, value } = request;
    const { crc32 } = this.#options.world.digest;
    return this.#within(scope, { bytes: value.length, deadline, trace }, (transaction, put) => {
      const rowKey = recordKey(scope.bucket, scope.incarnation, key);
      const row = transaction.get(REGISTERS, rowKey);
      const tookPart = row !== undefined && !this.isWhole(row) && forcedPromise(row, crc32) !== undefined;
      const { register } = tookPart
        ? this.#readForced(scope, key, transaction)
        : { register: this.#read(scope, key, transaction) };
      return this.#accept(register, request, (next) => put(rowKey, next));
    });
  }

  /**
   * Takes the row away if it still is what all owners have accepted as nothing under this ballot. From then on no ballot up to
   * it is promised or accepted for any register of the partition that has no row.
   */
  erase({ scope, key, ballot }: EraseRequest, deadline: number): Promise<EraseReply> {
    this.#options.observe(ballot);
    return this.#within(scope, { bytes: 0, deadline, trace: undefined }, (transaction) => {
      const rowKey = recordKey(scope.bucket, scope.incarnation, key);
      if (transaction.get(REGISTERS, rowKey) === undefined) return { erased: true };
      if (!mayErase(this.#read(scope, key, transaction), ballot)) return { erased: false };
      transaction.delete(REGISTERS, rowKey);
      this.#bounds.raiseFloor(transaction, scope, ballot);
      return { erased: true };
    });
  }

  /** What this node has accepted last, perhaps not by a majority; undefined when it has no row of the key. */
  held(name: RecordName): RegisterValue | undefined {
    const row = this.#options.world.disk.get(REGISTERS, recordKey(name.bucket, name.incarnation, name.key));
    return row === undefined ? undefined : this.valueIn(name, row);
  }

  /** Refuses a row that is damaged. */
  valueIn(name: RecordName, row: Uint8Array): RegisterValue {
    const { accepted } = this.#decode(name, row);
    return accepted === null ? NO_VALUE : decodeValue(accepted.value, this.#options.world.digest.crc32);
  }

  /** Milliseconds: above every ballot that a register here has promised, also one whose row is damaged. */
  get ceiling(): number {
    return this.#bounds.ceiling;
  }

  /** Puts a register in the place of a row that is damaged; one that is whole, or not there, stays as it is. */
  mend(scope: Scope, key: Uint8Array, register: Vote, deadline: number): Promise<void> {
    const bytes = register.accepted?.value.length ?? 0;
    return this.#within(scope, { bytes, deadline, trace: undefined }, (transaction, put) => {
      const rowKey = recordKey(scope.bucket, scope.incarnation, key);
      const row = transaction.get(REGISTERS, rowKey);
      if (row === undefined || this.isWhole(row)) return;
      put(rowKey, register);
    });
  }

  isWhole(row: Uint8Array): boolean {
    try {
      decodeRegister(row, this.#options.world.digest.crc32);
      return true;
    } catch (error) {
      if (error instanceof MalformedMessage) return false;
      throw error;
    }
  }

  /** The same, and if it is not, it is to be mended. */
  isWholeOrTold(rowKey: Uint8Array, row: Uint8Array, why: string): boolean {
    const isWhole = this.isWhole(row);
    if (!isWhole) this.#options.onDamaged(recordName(rowKey), why);
    return isWhole;
  }

  /** Joins rows of another owner with this node's own, on stable storage. */
  async mergeAll(
    rows: readonly (readonly [rowKey: Uint8Array, row: Uint8Array])[],
    merge: (mine: Vote, theirs: Vote) => Vote,
  ): Promise<void> {
    const { crc32 } = this.#options.world.digest;
    await Promise.all(
      rows.map(async ([rowKey, row]) => {
        const theirs = decodeRegister(row, crc32);
        await this.#durably({ bytes: row.length, trace: undefined }, (transaction, put) => {
          const own = transaction.get(REGISTERS, rowKey);
          // Of a damaged one it takes more than one other owner.
          if (own !== undefined && !this.isWhole(own)) return;
          const mine = own === undefined ? emptyRegister(null) : decodeRegister(own, crc32);
          put(rowKey, merge(mine, theirs));
        });
      }),
    );
  }

  /** From now on these are damaged, on stable storage: what they should say is not known. */
  async markDamaged(rowKeys: readonly Uint8Array[]): Promise<void> {
    await Promise.all(
      rowKeys.map((rowKey) =>
        this.#durably({ bytes: 0, trace: undefined }, (transaction) =>
          transaction.put(REGISTERS, rowKey, DAMAGED_REGISTER),
        ),
      ),
    );
  }

  #glimpse(value: Uint8Array): Uint8Array {
    return encodeGlimpse(withMarkers(decodeShown(value, this.#options.world.digest.crc32).state));
  }

  #vote<Reply>(
    scope: Scope,
    key: Uint8Array,
    voting: Voting,
    decide: (register: Vote, put: (next: Vote) => void) => Reply,
  ): Promise<Reply> {
    const rowKey = recordKey(scope.bucket, scope.incarnation, key);
    return this.#within(scope, voting, (transaction, put) =>
      decide(this.#read(scope, key, transaction), (next) => put(rowKey, next)),
    );
  }

  /** Runs as an owner that may vote. */
  async #within<T>(scope: Scope, voting: Voting, run: Step<T>): Promise<T> {
    const { knowledge } = this.#options;
    this.#assertReady();
    if (scope.epoch > knowledge.epoch()) await knowledge.catchUp(scope.epoch, voting.deadline);
    return this.#durably(voting, (transaction, put) => {
      this.#mayVote(scope);
      return run(transaction, put);
    });
  }

  async #durably<T>({ bytes, trace }: Pick<Voting, 'bytes' | 'trace'>, run: Step<T>): Promise<T> {
    const { replica, world } = this.#options;
    let ceiling = 0;
    try {
      const result = await replica.commits.submit({
        run: (transaction) =>
          run(transaction, (rowKey, vote, row = encodeRegister(vote, world.digest.crc32)) => {
            transaction.put(REGISTERS, rowKey, row);
            ceiling = Math.max(ceiling, this.#bounds.raise(transaction, vote.promised));
          }),
        bytes,
        durable: true,
        trace,
      });
      this.#bounds.raised(ceiling);
      return result;
    } catch (error) {
      throw asRefusal(error);
    }
  }

  /** Asked again after each wait. */
  #mayVote(scope: Scope): void {
    const { knowledge } = this.#options;
    this.#assertReady();
    fence(scope, knowledge);
    if (knowledge.refilling()) throw new Refusal(REFILLING, 'this node has lost its disk and has no vote yet');
    if (!knowsVotes(this.#options.world.disk, knowledge.ring(), scope, knowledge.self()))
      throw new Refusal(REFILLING, 'this node is a new owner and has not taken over what was chosen before');
  }

  #assertReady(): void {
    if (this.#options.ready()) return;
    throw new Refusal('not-ready', 'this node has not confirmed its epoch, or its disk cannot be trusted');
  }

  #read(scope: Scope, key: Uint8Array, from: Pick<DiskReader, 'get'>): Vote {
    const { bucket, incarnation } = scope;
    const row = from.get(REGISTERS, recordKey(bucket, incarnation, key));
    return this.#register(scope, key, row, from);
  }

  /** What the row says; without one no more than what holds for the whole partition. */
  #register(
    scope: Scope,
    key: Uint8Array,
    row: Uint8Array | undefined,
    from: Pick<DiskReader, 'get'> = this.#options.world.disk,
  ): Vote {
    const { bucket, incarnation } = scope;
    return row === undefined
      ? emptyRegister(this.#bounds.floor(from, scope))
      : this.#decode({ bucket, incarnation, key }, row);
  }

  /** A damaged register as one that has accepted nothing, and has promised all that it may have. */
  #readForced(
    scope: Scope,
    key: Uint8Array,
    from: Pick<DiskReader, 'get'>,
  ): { readonly register: Vote; readonly damaged: boolean } {
    const row = from.get(REGISTERS, recordKey(scope.bucket, scope.incarnation, key));
    if (row === undefined || this.isWhole(row)) return { register: this.#read(scope, key, from), damaged: false };
    const ceiling: Ballot = { time: this.ceiling + 1, node: nodeIndex(0), boot: 0 };
    const promised = forcedPromise(row, this.#options.world.digest.crc32) ?? ceiling;
    return { register: { promised, accepted: null }, damaged: true };
  }

  /** A row that is shown before it is on stable storage may be forgotten again. */
  async #synced({ bucket, incarnation }: Scope, key: Uint8Array): Promise<void> {
    try {
      await this.#options.replica.commits.synced(REGISTERS, recordKey(bucket, incarnation, key));
    } catch (error) {
      throw asRefusal(error);
    }
  }

  #decode(name: RecordName, row: Uint8Array): Vote {
    const { world, onDamaged } = this.#options;
    try {
      return decodeRegister(row, world.digest.crc32);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      onDamaged(name, error.message);
      throw new Refusal(CORRUPT_ROW, `the register of this key is damaged: ${error.message}`);
    }
  }
}
