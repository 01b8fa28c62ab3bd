/**
 * One node's share of the data. It does three things: mint a version on top of what it has, merge a state that another
 * owner sent, and fetch. States are only ever joined, so whatever is sent twice, late or in another order is harmless.
 */

import { counterOf, covers, highestCounter } from '#causality/vector.ts';
import type { HybridClock } from '#causality/hybrid-clock.ts';
import { includes, joinStates } from '#causality/join.ts';
import { encodeState } from '#causality/state-codec.ts';
import type { RequestMark } from '#causality/repeats.ts';
import { EMPTY_STATE, type State } from '#causality/state.ts';
import { toHex } from '#kernel/bytes.ts';
import type { Counter, Span, World } from '#world/world.ts';
import { DiskError } from '#world/world.ts';
import { Refusal } from '#wire/message.ts';
import type { AnswerWay } from '#wire/messaging.ts';
import { ConflictFigures } from './conflicts.ts';
import { DamagedRows } from './damaged-rows.ts';
import { Floors } from './floors.ts';
import { GroupCommit, type GroupTransaction } from './group-commit.ts';
import { Fetches } from './fetches.ts';
import { LargeTurns } from './large-turns.ts';
import type { FetchReply, FetchRequest, StoreReply, StoreRequest } from './messages.ts';
import { checkSize, mintOn, type Minted, type MintRequest, type SizeLimits } from './mint.ts';
import { ClockRow, storeCleanStop, type NodeStorage } from './node-storage.ts';
import { TenureSupply } from './tenure-supply.ts';
import { Retries, type RetryLimits } from './retries.ts';
import { RetryPurge } from './retry-purge.ts';
import { attemptIn } from './settle-retries.ts';
import { Records, type Place, type RecordParticipant, type StoredState } from './records.ts';
import { AlreadyMinted, DISK_FAILED, OVERLOADED, TOO_LATE } from './refusals.ts';
import { storeTogether } from './store-together.ts';
import { fence, type Knowledge, type Scope } from './scope.ts';
import { recordPrefix, RECORDS, REGISTERS } from './tables.ts';

export interface ReplicaOptions {
  readonly world: Pick<World, 'clock' | 'disk' | 'log' | 'metrics' | 'digest'>;
  readonly storage: NodeStorage;
  readonly knowledge: Knowledge;
  /** False while this node does not serve; then its clock may be wrong, too. */
  readonly ready: () => boolean;
  /** Called before each commit, when the group's minted states have been handed to the network. */
  readonly flushNetwork: () => void;
  /** Other rooms' parts in the transactions that change rows. */
  readonly participants: readonly RecordParticipant[];
  readonly limits: ReplicaLimits;
}

export interface ReplicaLimits extends RetryLimits, SizeLimits {
  readonly commitGroupMax: number;
  readonly commitQueueMax: number;
  /** Bytes of the states that wait for the disk. */
  readonly commitQueueBytesMax: number;
}

/** Milliseconds between two attempts to find out whether a full disk has space again. */
const FULL_DISK_PROBE_MS = 1000;

export class Replica {
  readonly #options: ReplicaOptions;
  readonly #commits: GroupCommit;
  readonly #records: Records;
  /** Rows that are forgotten and not got back yet. */
  readonly damaged: DamagedRows;
  /** From when on something is news. */
  readonly floors: Floors;
  readonly #renewals: Counter;
  readonly #conflicts: ConflictFigures;
  readonly #tenures: TenureSupply;
  readonly #clockRow = new ClockRow();
  /** Whether somebody else may know dots that the group being committed has minted. */
  #spoken = false;
  #probing = false;
  readonly #retries: Retries;
  readonly #purge: RetryPurge;
  readonly #fetches: Fetches;
  /** Of whoever reads what may be large. */
  readonly turns: LargeTurns;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    const { clock, disk, log, metrics, digest } = options.world;
    this.#records = new Records({
      log,
      metrics,
      digest,
      participants: options.participants,
      damaged: (place, key) => this.damaged.report(place, key),
    });
    this.#renewals = metrics.counter('quoral_tenures_total', 'Tenures that began because dots may have been forgotten');
    this.#conflicts = new ConflictFigures(metrics);
    this.#commits = new GroupCommit({
      clock,
      disk,
      metrics,
      prologue: (transaction) => {
        this.#spoken = false;
        for (const participant of options.participants) participant.groupBegins?.();
        this.#clockRow.keep(transaction, this.#clock());
      },
      epilogue: (transaction) => {
        for (const participant of options.participants) participant.groupEnds?.(transaction);
        this.#retries.log.groupEnds(transaction);
      },
      beforeCommit: options.flushNetwork,
      onSynced: () => {
        for (const participant of options.participants) participant.groupSynced?.();
        this.#retries.log.groupSynced();
        // A full disk may have cost all of them, and nobody asks a node for a write that says that it has none.
        if (!options.storage.tenure.valid()) this.#tenures.reserve();
      },
      takeBack: () => {
        for (const participant of options.participants) participant.groupFailed?.();
        this.#clockRow.forget();
        this.#retries.log.groupFailed();
        // Dots that were sent and not committed here must never be followed by others of the same actor.
        if (this.#spoken) this.#renewTenure();
      },
      onFailure: (error) => this.#onCommitFailure(error),
      groupSizeMax: options.limits.commitGroupMax,
      queueMax: options.limits.commitQueueMax,
      queueBytesMax: options.limits.commitQueueBytesMax,
    });
    const { storage } = options;
    this.#tenures = new TenureSupply({ log, storage, commits: this.#commits });
    this.#retries = new Retries({
      disk,
      log,
      metrics,
      digest,
      limits: options.limits,
      now: () => clock.wall(),
      remembered: () => this.#purge.later(),
    });
    const { ready, limits } = options;
    const interval = limits.retryPurgeInterval;
    this.#purge = new RetryPurge({ clock, log, commits: this.#commits, retries: this.#retries, ready, interval });
    const renew = (): void => this.#renewTenure();
    this.floors = new Floors(options.world.disk, () => options.knowledge.refilling());
    this.damaged = new DamagedRows({ ...options.world, commits: this.#commits, records: this.#records, renew });
    this.turns = new LargeTurns(clock, metrics);
    this.#fetches = new Fetches({
      ...{ turns: this.turns, world: options.world, knowledge: options.knowledge, damaged: this.damaged },
      ...{ commits: this.#commits, records: this.#records, retries: this.#retries },
    });
  }

  /**
   * Mints a version on top of what this replica has. `send` gets the new state before it is committed here and says
   * whether it gave it to anybody: if so, the write may live on elsewhere whatever happens here.
   * Rejects with {@link Refusal}, {@link AlreadyMinted}, {@link DiskError} or what mint.ts throws; nothing was sent when `send`
   * was not called.
   */
  mint(request: MintRequest, send: (minted: Minted) => boolean): Promise<Minted> {
    return this.#commits.submit({
      run: (transaction) => this.#mint(request, transaction),
      beforeCommit: (minted) => {
        if (send(minted)) this.#spoken = true;
      },
      bytes: request.content?.value.length ?? 0,
      durable: request.durable,
      trace: request.trace,
    });
  }

  /** Joins a state into the replica's own; answers when it is committed, or synced if asked. Rejects with {@link Refusal}. */
  async store(request: StoreRequest, deadline: number, trace?: Span): Promise<StoreReply> {
    const [failure] = await this.storeAll([request], deadline, trace);
    if (failure !== undefined) throw failure;
    return { durable: request.durable };
  }

  /** As {@link store} of each: what has failed it, and undefined where nothing has. Rejects for what is no state. */
  async storeAll(
    requests: readonly StoreRequest[],
    deadline: number,
    trace?: Span,
  ): Promise<readonly (Error | undefined)[]> {
    for (const { scope } of requests) if (this.#isBehind(scope)) await this.#learn(scope, deadline);
    return storeTogether(this.#commits, requests, {
      crc32: this.#options.world.digest.crc32,
      merge: (request, incoming, transaction) => this.#merge(request, incoming, transaction),
      trace,
    });
  }

  /** The replica's state of a key. Throws {@link Refusal}, or rejects with it. */
  fetch(request: FetchRequest, deadline: number, way?: AnswerWay): FetchReply | Promise<FetchReply> {
    return this.#fetches.fetch(request, deadline, way);
  }

  /** Where other rooms submit what shall share the transactions and syncs of this node's writes. */
  get commits(): Pick<GroupCommit, 'submit' | 'synced' | 'syncing'> {
    return this.#commits;
  }

  /** A tenure that is given once, for an actor of another room, which shares this room's supply; undefined when there is none just now. */
  tenureForOnce(): number | undefined {
    return this.#tenures.once();
  }

  /** The way to take away rows that no request can reach any more. */
  get records(): Pick<Records, 'drop' | 'read' | 'write' | 'remove'> {
    return this.#records;
  }

  /** As which actor this node mints. */
  tenure(): number {
    return this.#options.storage.tenure.current();
  }

  /** A hybrid time after all that this node has done, and before whatever begins now: the origin of that. */
  now(): number {
    return this.#clock().tick();
  }

  /** This node's own record as it stands, perhaps not synced yet. Throws {@link Refusal} for a damaged one. */
  record(place: Place, key: Uint8Array): StoredState | undefined {
    this.damaged.requireWhole(place, key);
    return this.#records.read(place, key, this.#options.world.disk);
  }

  /** What requests with idempotency keys have become: whoever hands a key's state on gives those of the key along. */
  get retries(): Pick<Retries, 'read' | 'merge' | 'ofKey' | 'any'> {
    return this.#retries;
  }

  /** Whether this node has any row of the bucket, live or deleted. */
  holdsKeys(bucket: string, incarnation: number): boolean {
    const range = { from: recordPrefix(bucket, incarnation), to: recordPrefix(bucket, incarnation + 1), limit: 1 };
    return [RECORDS, REGISTERS].some((table) => this.#options.world.disk.range(table, range).length > 0);
  }

  /**
   * Finishes what is queued and marks the stop as clean, so that the tenure can go on. A disk that turns out to be full only now
   * has told so: the next start begins another tenure.
   */
  async stop(): Promise<void> {
    this.#purge.stop();
    try {
      await this.#commits.drain();
      this.#clockRow.forget();
      const { disk } = this.#options.world;
      await disk.commit((transaction) =>
        storeCleanStop(transaction, this.#clock().last(), this.#options.storage.tenure.current()),
      ).durable;
    } catch (error) {
      if (!(error instanceof DiskError && error.kind === 'full')) throw error;
    }
  }

  #clock(): HybridClock {
    return this.#options.storage.clock;
  }

  #isBehind(scope: Scope): boolean {
    return scope.epoch > this.#options.knowledge.epoch();
  }

  async #learn(scope: Scope, deadline: number): Promise<void> {
    await this.#options.knowledge.catchUp(scope.epoch, deadline);
  }

  #mint(request: MintRequest, transaction: GroupTransaction): Minted {
    const { storage, knowledge, world, limits } = this.#options;
    const { mark } = request;
    if (!request.stillWanted()) throw new Refusal(TOO_LATE, 'the deadline passed in the queue of the disk');
    const { conflicts } = fence(request.scope, knowledge);
    this.damaged.requireWhole(request.scope, request.key);
    const stored = this.#records.recall(request.scope, request.key, transaction);
    const before = this.#withBase(request, stored?.state ?? EMPTY_STATE);
    // Not before: what was read may have ended the last tenure.
    if (!storage.tenure.valid()) {
      this.#tenures.reserve();
      throw new Refusal(DISK_FAILED, 'this node has no tenure to mint in until it has reserved more on its disk');
    }
    if (mark !== null) this.#checkNew(request, mark, before);
    const after = Math.max(request.after, this.floors.highest(request.scope));
    const { state, dot } = mintOn(
      before,
      { ...request, after },
      {
        node: knowledge.self(),
        tenure: storage.tenure.current(),
        clock: storage.clock,
        conflicts,
        request: mark === null ? undefined : toHex(mark.fingerprint),
        now: world.clock.wall(),
      },
    );
    const encoded = encodeState(state, world.digest.crc32);
    const [was, is] = [stored?.encoded.length ?? 0, encoded.length];
    checkSize(request, { state: before, bytes: was }, { state, bytes: is }, limits, world.clock.wall());
    if (request.operating === null) this.#conflicts.minted(before, request.context, conflicts);
    const retry = mark === null ? null : { ...mark, dot, until: world.clock.wall() + limits.retryWindow };
    this.#records.write(transaction, request.scope, request.key, stored?.state, { state, encoded });
    if (retry !== null) this.#retries.add(transaction, request.scope, request.key, retry);
    return { state, encoded, dot, retry };
  }

  /** What is here, joined with what an operation on a data type has been read for before. */
  #withBase({ scope, operating }: MintRequest, local: State): State {
    const base = operating?.base ?? null;
    if (base === null || includes(local, base.state)) return local;
    this.floors.check(scope, base.origin);
    this.#checkMemory(local, base.state);
    this.#options.storage.clock.receive(highestCounter(base.state.vector));
    return joinStates(local, base.state, 'siblings');
  }

  /** Two attempts at once at one node meet here: the first has left its row, perhaps in this very group. */
  #checkNew(request: MintRequest, mark: RequestMark, before: State): void {
    const known =
      this.#retries.read(request.scope, request.key, mark.id) ??
      attemptIn(before, mark, this.#options.world.clock.wall());
    if (known !== undefined) throw new AlreadyMinted('a request with this idempotency key has been minted here');
    if (this.#retries.full()) {
      const { retriesMax } = this.#options.limits;
      throw new Refusal(OVERLOADED, `this node remembers ${retriesMax} idempotency keys and takes no more`);
    }
  }

  #merge(request: StoreRequest, incoming: State, transaction: GroupTransaction): void {
    const { knowledge, world, storage } = this.#options;
    const { conflicts } = fence(request.scope, knowledge);
    const local = this.#records.recall(request.scope, request.key, transaction)?.state;
    const before = local ?? EMPTY_STATE;
    this.#checkMemory(before, incoming);
    storage.clock.receive(highestCounter(incoming.vector));
    const united = joinStates(before, incoming, conflicts);
    const joined = this.#retries.merge(transaction, request, united, conflicts);
    if (joined === before) return;
    this.floors.check(request.scope, request.origin);
    if (joined !== incoming) this.#conflicts.joined(conflicts);
    const encoded = joined === incoming ? request.state : encodeState(joined, world.digest.crc32);
    this.#records.write(transaction, request.scope, request.key, local, { state: joined, encoded });
  }

  /** Others knowing more of this actor than the actor itself means that this disk has forgotten something. */
  #checkMemory(local: State, incoming: State): void {
    const { knowledge, storage, world } = this.#options;
    const actor = { node: knowledge.self(), tenure: storage.tenure.current() };
    if (covers(local.vector, { ...actor, counter: counterOf(incoming.vector, actor) })) return;
    this.#renewTenure();
    world.log.warn('tenure-renewed', {
      reason: 'another replica knows later dots of this actor',
      tenure: storage.tenure.current(),
    });
  }

  #renewTenure(): void {
    this.#tenures.renew();
    this.#renewals.add();
  }

  /** A full disk is known to have space again only when a commit succeeds: one is tried although no client may write. */
  #probeLater(): void {
    if (this.#probing) return;
    this.#probing = true;
    this.#options.world.clock.after(FULL_DISK_PROBE_MS, () => {
      this.#probing = false;
      // A failure comes back here by itself.
      this.#commits.submit({ run: () => undefined, bytes: 0, durable: true }).catch(() => undefined);
    });
  }

  #onCommitFailure(error: unknown): void {
    const { world } = this.#options;
    if (error instanceof DiskError && error.kind === 'full') this.#probeLater();
    world.log.error('commit-failed', {
      reason: error instanceof Error ? error.message : String(error),
      kind: error instanceof DiskError ? error.kind : 'unexpected',
    });
  }
}
