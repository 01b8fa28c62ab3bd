/**
 * Strong keys at the coordinator: linearizable reads and changes, whichever node takes the request.
 *
 * A read asks a majority of the owners and answers when they agree. Everything else is a change of the key's register, made
 * at the first owner that can be reached: not because that one leads (any owner may propose), but because proposers that meet
 * in one place queue up instead of duelling, and it can save the first phase of each round. A change whose proposer was lost
 * is made again elsewhere under the same id, so it happens once.
 */

import { compareDotsByTime, type Dot } from '#causality/dot.ts';
import { EMPTY_VECTOR, type Version } from '#causality/state.ts';
import type { Bucket } from '#buckets/definition.ts';
import { BallotSource } from '#consensus/ballot.ts';
import { majorityOf } from '#consensus/electorate.ts';
import type { Epoch } from '#kernel/identity.ts';
import type { NodeStorage } from '#replica/node-storage.ts';
import type { Settled } from '#watch/strong-news.ts';
import { mayHaveBegun } from '#replica/refusals.ts';
import { STALE } from '#replica/scope.ts';
import type { Member } from '#ring/ring.ts';
import { Refusal, type MessageType } from '#wire/message.ts';
import type { CallerInfo } from '#wire/messaging.ts';
import { AnsweredAttempts, Attempts, type Attempt } from './attempts.ts';
import { MISMATCH } from './before-write.ts';
import { unavailable, withDoubt, type Failure } from './doubt.ts';
import { REDEFINED, routeOf, sameBucketNow, type Environment } from './environment.ts';
import { withoutValues } from './messages.ts';
import { asAllKnow } from './numbered.ts';
import { AcceptMessage, EraseMessage, PeekMessage, PrepareMessage, RegisterPageMessage } from './register-messages.ts';
import { RegisterForce } from './register-force.ts';
import { RegisterProposer, type Confirmation, type Proposed, type RegisterRequest } from './register-proposer.ts';
import { RegisterRefill } from './register-refill.ts';
import { RegisterRows } from './register-rows.ts';
import type { RegisterLimits } from './register-size.ts';
import { RegisterUpkeep, type UpkeepSettings } from './register-upkeep.ts';
import { decodeShown, decodeValue } from './register-value-codec.ts';
import {
  hasExpired,
  liveLease,
  type ChangeResult,
  type Lease,
  type RegisterChange,
  type RegisterValue,
} from './register-value.ts';
import {
  expiryOf,
  type Agreement,
  type KeyRequest,
  type ReadOutcome,
  type Trouble,
  type WriteOutcome,
  type WriteRequest,
} from './requests.ts';
import { changeMessage, type ForwardedChange } from './strong-message.ts';

export interface StrongOptions {
  readonly environment: Environment;
  readonly storage: NodeStorage;
  readonly limits: RegisterLimits;
  readonly queueMax: number;
  readonly upkeep: UpkeepSettings;
}

export type LeaseChange = Extract<RegisterChange, { readonly kind: 'acquire' | 'release' }>;

export type LeaseOutcome =
  | { readonly kind: 'lease'; readonly lease: Lease | null; readonly agreement: Agreement }
  | { readonly kind: 'leased' | 'held'; readonly lease: Lease; readonly agreement: Agreement }
  | { readonly kind: 'released' | 'ended'; readonly agreement: Agreement }
  | { readonly kind: 'not-held'; readonly lease: Lease | null; readonly agreement: Agreement }
  | {
      readonly kind: 'not-applied' | 'unknown';
      readonly trouble: Trouble;
      readonly detail: string;
      readonly agreement: Agreement;
    };

const TROUBLES: Readonly<Record<Failure['reason'], Trouble>> = {
  unavailable: 'quorum-unavailable',
  timeout: 'quorum-timeout',
  overloaded: 'overloaded',
  'too-large': 'value-too-large',
};

export class StrongKeys {
  readonly #environment: Environment;
  readonly rows: RegisterRows;
  readonly #proposer: RegisterProposer;
  readonly #change: MessageType<ForwardedChange, Proposed>;
  readonly #attempts: Attempts;
  readonly #answered = new AnsweredAttempts();
  /** To be filled before this node, whose disk was lost, may vote again. */
  readonly refill: RegisterRefill;
  /** To be started and stopped with the node. */
  readonly upkeep: RegisterUpkeep;
  readonly force: RegisterForce;

  /** Registers the handlers of registers with the environment's messaging. */
  constructor({ environment, storage, limits, queueMax, upkeep }: StrongOptions) {
    const { messaging, world } = environment;
    const ballots = new BallotSource(world.clock, storage.boot);
    const rows = new RegisterRows({
      ...environment,
      observe: (ballot) => ballots.observe(ballot),
      onDamaged: (name, reason) => this.upkeep.mend.report(name, reason),
    });
    this.#environment = environment;
    this.#attempts = new Attempts(world.random);
    this.rows = rows;
    const look = (bucket: Bucket, key: Uint8Array, deadline: number): Promise<Proposed> =>
      this.#make({ requestId: 'repair', bucket, key, deadline }, { kind: 'look' });
    this.upkeep = new RegisterUpkeep({ environment, rows, ballots, look, settings: upkeep });
    const { erase } = this.upkeep;
    const onChosen = (bucket: Bucket, key: Uint8Array, value: RegisterValue): void =>
      erase.chosen({ bucket: bucket.name, incarnation: bucket.incarnation, key }, value);
    const isAnswered = (id: Uint8Array): boolean => this.#answered.has(id);
    this.#proposer = new RegisterProposer({
      environment,
      rows,
      storage,
      limits,
      queueMax,
      ballots,
      onChosen,
      isAnswered,
    });
    this.#change = changeMessage(world.digest.crc32);
    messaging.handle(PeekMessage, (request, caller) => rows.peek(request, caller));
    messaging.handle(PrepareMessage, (request, { deadline, trace }) => rows.prepare(request, deadline, trace));
    messaging.handle(AcceptMessage, (request, { deadline, trace }) => rows.accept(request, deadline, trace));
    messaging.handle(EraseMessage, (request, { deadline }) => rows.erase(request, deadline));
    this.refill = new RegisterRefill({ ...environment, rows });
    this.force = new RegisterForce({ environment, rows, storage, ballots });
    messaging.handle(RegisterPageMessage, ({ epoch, after }, { from }) =>
      this.#whenReady(() => this.refill.page(after, epoch, from)),
    );
    messaging.handle(this.#change, (request, caller) => this.#whenReady(() => this.#takeForwarded(request, caller)));
  }

  async read(request: KeyRequest): Promise<ReadOutcome> {
    const { self, world } = this.#environment;
    const peeked = await this.#proposer.peek(request.bucket, request.key, request.deadline, request.trace, decodeShown);
    if (peeked !== undefined && !hasExpired(peeked.value, world.clock.wall())) {
      return found(peeked.value.state.versions, self, peeked.confirmation);
    }
    const proposed = await this.#make(request, { kind: 'look' });
    if (proposed.kind === 'failed') {
      const { reason, detail } = proposed;
      return { kind: 'failed', trouble: TROUBLES[reason], detail, agreement: this.#agreement(request) };
    }
    const { state } = expectResult(proposed.result, 'state');
    return found(state.versions, self, proposed.confirmation);
  }

  /**
   * What the key holds and how it came to that, so that no change up to `last` can be made any more that is not part of it;
   * undefined when that cannot be found out now.
   */
  async settled(request: KeyRequest, last: Dot): Promise<Settled | undefined> {
    const { key, deadline, trace } = request;
    for (const attempt of ['peek', 'after a round'] as const) {
      // A change that somebody has accepted is either taken over by a round, or the round's ballot keeps it out for ever.
      if (attempt !== 'peek' && (await this.#make(request, { kind: 'look' })).kind === 'failed') return undefined;
      const peeked = await this.#proposer.peek(request.bucket, key, deadline, trace, decodeValue);
      if (peeked === undefined) continue;
      const { state, recent } = peeked.value;
      const reached = state.vector.some((dot) => compareDotsByTime(dot, last) >= 0);
      if (reached || attempt !== 'peek') return { state, made: recent.map(({ dot }) => dot) };
    }
    return undefined;
  }

  async write(request: WriteRequest): Promise<WriteOutcome> {
    const { content, operation, conditions, returnBody } = request;
    const mark = asAllKnow(this.#environment, request.mark);
    const expiresAt = expiryOf(request, this.#environment.world.clock.wall());
    const proposed = await this.#make(request, {
      ...{ kind: 'write', content, operation, conditions, mark, expiresAt, returnBody },
    });
    if (proposed.kind === 'failed') return this.#failed(request, proposed);
    const { result, confirmation } = proposed;
    const agreement = agreementOf(confirmation);
    const { self, knowledge } = this.#environment;
    switch (result.kind) {
      case 'written': {
        const { versions } = result.state;
        const minter = knowledge.ring().members.find(({ index }) => index === result.written.node);
        const shown = request.returnBody ? versions : withoutValues(versions);
        return {
          kind: 'applied',
          agreement,
          coordinator: minter?.id ?? self,
          versions: shown,
          context: EMPTY_VECTOR,
          written: result.written,
        };
      }
      case 'precondition-failed':
        return { kind: 'precondition-failed', agreement, coordinator: self, etag: result.etag };
      case 'idempotency-mismatch':
        return {
          kind: 'not-applied',
          trouble: 'idempotency-mismatch',
          detail: MISMATCH,
          agreement,
        };
      case 'given-up':
        return {
          kind: 'unknown',
          trouble: 'idempotency-mismatch',
          detail: 'the client has said, with Quoral-Answered-Below, that it waits for this request no more',
          agreement,
        };
      case 'unfitting':
        return { kind: 'not-applied', trouble: 'conflict', detail: result.detail, agreement };
      case 'too-many-keys':
        return {
          kind: 'not-applied',
          trouble: 'overloaded',
          detail: 'the key remembers as many idempotency keys as it may',
          agreement,
        };
      default:
        throw new RangeError(`a write ended as ${result.kind}`);
    }
  }

  /** Gives, renews or takes back the lease of the key. */
  async changeLease(request: KeyRequest, change: LeaseChange): Promise<LeaseOutcome> {
    const proposed = await this.#make(request, change);
    if (proposed.kind === 'failed') return this.#failed(request, proposed);
    const agreement = agreementOf(proposed.confirmation);
    const { result } = proposed;
    switch (result.kind) {
      case 'leased':
      case 'held':
      case 'released':
      case 'ended':
      case 'not-held':
        return { ...result, agreement };
      default:
        throw new RangeError(`a lease ended as ${result.kind}`);
    }
  }

  async showLease(request: KeyRequest): Promise<LeaseOutcome> {
    const { ready, world } = this.#environment;
    const peeked = await this.#proposer.peek(request.bucket, request.key, request.deadline, request.trace, decodeShown);
    // The clock may have jumped meanwhile.
    const now = world.clock.wall();
    if (peeked !== undefined && ready()) {
      return { kind: 'lease', lease: liveLease(peeked.value, now), agreement: agreementOf(peeked.confirmation) };
    }
    const proposed = await this.#make(request, { kind: 'look' });
    if (proposed.kind === 'failed') return this.#failed(request, proposed);
    const { lease } = expectResult(proposed.result, 'state');
    return { kind: 'lease', lease, agreement: agreementOf(proposed.confirmation) };
  }

  /** Makes the change here or at the first owner that takes it. */
  async #make(request: KeyRequest, change: RegisterChange): Promise<Proposed> {
    const attempt = this.#attempts.begin();
    try {
      return await this.#makeIt(request, change, attempt);
    } catch (error) {
      attempt.inDoubt = true;
      throw error;
    } finally {
      this.#attempts.end(attempt);
    }
  }

  async #makeIt(request: KeyRequest, change: RegisterChange, attempt: Attempt): Promise<Proposed> {
    const { settings } = this.#environment;
    const { id } = attempt;
    let triedAt = 0;
    for (let tries = 0; tries <= settings.staleRetries; tries++) {
      const bucket = sameBucketNow(this.#environment, request.bucket);
      if (bucket === undefined) return unavailable(REDEFINED, triedAt > 0);
      const { owners } = routeOf(this.#environment, bucket, request.key);
      const { key, deadline, trace } = request;
      const outcome = await this.#offer(owners, { bucket, key, deadline, change, id, triedAt, trace }, attempt);
      if (outcome.kind !== 'again') return outcome;
      ({ triedAt } = outcome);
    }
    return unavailable('the ring kept changing while the request was under way', triedAt > 0);
  }

  /** `again`: an owner knew a newer epoch. */
  async #offer(
    owners: readonly Member[],
    request: RegisterRequest,
    attempt: Attempt,
  ): Promise<Proposed | { readonly kind: 'again'; readonly triedAt: number }> {
    const { self, messaging, knowledge, world } = this.#environment;
    const { deadline, trace } = request;
    let { triedAt } = request;
    for (const owner of this.#proposers(owners)) {
      if (deadline <= world.clock.monotonic()) break;
      const answeredBelow = this.#attempts.answeredBelow(attempt);
      if (owner.id === self) {
        this.#answered.note(attempt.id, answeredBelow);
        return withDoubt(await this.#proposer.propose({ ...request, triedAt }), triedAt);
      }
      const sentAt = world.clock.wall();
      const forwarded = { ...request, triedAt, epoch: knowledge.epoch(), answeredBelow };
      const result = await messaging.call(owner.id, this.#change, forwarded, { deadline, trace });
      if (result.kind === 'reply') return withDoubt(result.reply, triedAt);
      if (result.kind === 'lost' || (result.kind === 'refused' && mayHaveBegun(result.code))) {
        triedAt ||= sentAt;
        attempt.inDoubt = true;
      }
      if (result.kind === 'refused' && result.code === STALE) {
        await knowledge.catchUp(result.value as Epoch, deadline);
        return { kind: 'again', triedAt };
      }
    }
    if (deadline > world.clock.monotonic()) return unavailable('no owner of the key can take the change', triedAt > 0);
    return { kind: 'failed', reason: 'timeout', detail: 'no owner gave an outcome in time', mayBeMade: triedAt > 0 };
  }

  /** In preference order, so that all nodes choose the same one; the doubtful ones last. */
  #proposers(owners: readonly Member[]): readonly Member[] {
    const { self, peers } = this.#environment;
    const usable: Member[] = [];
    const doubtful: Member[] = [];
    for (const owner of owners) {
      const is = owner.id === self ? 'usable' : peers.assess(owner.id);
      if (is === 'usable') usable.push(owner);
      else if (is === 'doubtful') doubtful.push(owner);
    }
    return doubtful.length === 0 ? usable : [...usable, ...doubtful];
  }

  async #takeForwarded(request: ForwardedChange, { deadline, trace }: CallerInfo): Promise<Proposed> {
    const { knowledge, resolveBucket, self } = this.#environment;
    if (request.epoch > knowledge.epoch()) await knowledge.catchUp(request.epoch, deadline);
    const bucket = resolveBucket(request.bucket.name);
    if (bucket.version !== request.bucket.version || bucket.incarnation !== request.bucket.incarnation) {
      throw new Refusal(STALE, `bucket ${bucket.name} is defined in epoch ${bucket.version} here`, knowledge.epoch());
    }
    const { owners } = routeOf(this.#environment, bucket, request.key);
    if (!owners.some(({ id }) => id === self)) {
      throw new Refusal(STALE, 'this node does not own the key', knowledge.epoch());
    }
    // A late copy: whoever sent it has its answer.
    if (this.#answered.has(request.id)) return unavailable('the change has been answered already', true);
    this.#answered.note(request.id, request.answeredBelow);
    return asAskedFor(request, await this.#proposer.propose({ ...request, bucket, deadline, trace }));
  }

  #whenReady<T>(answer: () => Promise<T>): Promise<T> {
    if (this.#environment.ready()) return answer();
    throw new Refusal('not-ready', 'this node has not confirmed its epoch, or its disk has failed');
  }

  #failed(request: KeyRequest, { reason, detail, mayBeMade }: Failure) {
    const kind = mayBeMade ? ('unknown' as const) : ('not-applied' as const);
    return { kind, trouble: TROUBLES[reason], detail, agreement: this.#agreement(request) };
  }

  #agreement({ bucket, key }: KeyRequest): Agreement {
    const { owners } = routeOf(this.#environment, bucket, key);
    return { acked: 0, needed: majorityOf(owners.length), of: owners.length, fallbacks: 0 };
  }
}

/** Values that nobody wants to see do not travel. */
function asAskedFor({ change }: ForwardedChange, proposed: Proposed): Proposed {
  if (change.kind !== 'write' || change.returnBody || proposed.kind !== 'done') return proposed;
  const { result } = proposed;
  if (result.kind !== 'written') return proposed;
  const state = { ...result.state, versions: withoutValues(result.state.versions) };
  return { ...proposed, result: { ...result, state } };
}

function expectResult<K extends ChangeResult['kind']>(
  result: ChangeResult,
  kind: K,
): Extract<ChangeResult, { readonly kind: K }> {
  if (result.kind !== kind) throw new RangeError(`a change ended as ${result.kind}, not as ${kind}`);
  return result as Extract<ChangeResult, { readonly kind: K }>;
}

function agreementOf({ acked, needed, of }: Confirmation): Agreement {
  return { acked, needed, of, fallbacks: 0 };
}

function found(
  versions: readonly Version[],
  coordinator: Environment['self'],
  confirmation: Confirmation,
): ReadOutcome {
  const there = versions.filter(({ content }) => content !== null);
  return { kind: 'found', agreement: agreementOf(confirmation), coordinator, versions: there, context: EMPTY_VECTOR };
}
