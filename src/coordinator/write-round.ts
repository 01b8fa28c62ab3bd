/**
 * One attempt at a write: mint the version, give the whole new state to the other owners while the own commit is in flight, let
 * fallbacks stand in for owners that cannot be reached or are silent for too long, count who has it: owners before fallbacks.
 *
 * Once the state has left this node nobody can take it back, so from then on a failure is "unknown" unless every node has
 * said itself that it did not take it. When the client has its answer the round goes on: whoever of the owners has not got
 * the write in the end gets a hint.
 */

import { encodeState } from '#causality/state-codec.ts';
import { HintMessage } from '#handoff/messages.ts';
import type { Epoch, NodeIndex } from '#kernel/identity.ts';
import type { WriteTally } from '#quorum/tally.ts';
import { StoreMessage, type StoreRequest } from '#replica/messages.ts';
import { STALE, type Scope } from '#replica/scope.ts';
import type { Member } from '#ring/ring.ts';
import { Refusal } from '#wire/message.ts';
import { failureName } from '#wire/failure-name.ts';
import type { CallResult } from '#wire/messaging.ts';
import { callPatiently } from '#wire/patient-call.ts';
import type { Span, Timer } from '#world/world.ts';
import { mintedWrite, type Before, type ToMint } from './before-write.ts';
import {
  countedOwners,
  inItsZone,
  isDoubtful,
  memberAt,
  reachableFallbacks,
  reachableOwners,
  routeOf,
  scopeOnceLearned,
  type Environment,
  type Route,
} from './environment.ts';
import { MissedWrites, type StoredStandIn } from './missed-writes.ts';
import type { WriteOutcome, WriteRequest } from './requests.ts';
import { StandIns, type StandIn } from './stand-ins.ts';
import { tellFaultyMint, WriteLedger } from './write-ledger.ts';
import { applied, failed, shown, type Ending, type Offer } from './write-outcome.ts';
import { WriteRules } from './write-rules.ts';

type Minting = Exclude<Before, { kind: 'over' }>;
type NoReply = Exclude<CallResult<unknown>, { kind: 'reply' }>;

export class WriteRound {
  readonly #environment: Environment;
  readonly #request: WriteRequest;
  readonly #before: Minting;
  readonly #route: Route;
  /** This node as an owner; undefined when it stands in for owners of whom none can be reached. */
  readonly #here: Member | undefined;
  readonly #rules: WriteRules;
  /** The other owners that can be asked. */
  readonly #others: Member[];
  readonly #standIns: StandIns;
  /** Who gets a hint together with the owners' states. */
  readonly #planned: StandIn[] = [];
  /** Owners for whom there is nobody but this node. */
  readonly #unattended: Member[] = [];
  readonly #tally: WriteTally;
  /** Owners that count. */
  readonly #of: number;
  readonly #missed: MissedWrites;
  #offer: Offer | undefined;
  /** Owners that have the write. */
  readonly #confirmed: NodeIndex[] = [];
  /** Hints that fallbacks have stored, for owners that may still have to get them. */
  readonly #stored: StoredStandIn[] = [];
  readonly #ledger: WriteLedger;
  /** Commits and calls under way. */
  #underWay = 0;
  #committedHere = false;
  #resolve: (ending: Ending) => void = () => undefined;
  #timer: Timer | undefined;
  #ended = false;

  constructor(environment: Environment, request: WriteRequest, before: Minting) {
    this.#environment = environment;
    this.#before = before;
    this.#route = routeOf(environment, request.bucket, request.key);
    this.#request = inItsZone(request, this.#route.owners);
    this.#of = countedOwners(request, this.#route.owners).length;
    this.#ledger = new WriteLedger(environment);
    const readAt = before.kind === 'again' ? before.origin : before.base?.origin;
    this.#missed = new MissedWrites(environment, request, this.#route.scope, readAt);
    this.#rules = new WriteRules(environment, this.#request, this.#route);
    this.#tally = this.#rules.tally;
    const asked = reachableOwners(environment, this.#rules.writers);
    this.#here = asked.find(({ id }) => id === environment.self);
    this.#others = asked.filter((owner) => owner !== this.#here);
    const candidates = (): readonly Member[] =>
      request.sloppy && request.zone === undefined ? reachableFallbacks(environment, this.#route) : [];
    this.#standIns = new StandIns(candidates, ({ index }) => this.#tally.expects(index));
    this.#rules.expect(asked);
    if (this.#here === undefined) this.#standInMyself();
    for (const owner of this.#rules.writers) {
      if (asked.includes(owner) ? isDoubtful(environment, owner) : !this.#standIns.has(owner)) this.#plan(owner);
    }
  }

  run(): Promise<Ending> {
    // A fallback keeps no row of a request with an idempotency key: sent again to owners that are back it would be made twice.
    const mayStandIn = this.#before.kind === 'again' || this.#request.mark === null;
    const mints = this.#here !== undefined || (mayStandIn && this.#standIns.has(this.#route.owners[0]!));
    if (!mints || this.#tally.decision() === 'impossible') return Promise.resolve('impossible');
    const { hedging, settings, world } = this.#environment;
    const remaining = this.#request.deadline - world.clock.monotonic();
    const others = this.#others.map(({ id }) => id);
    const hintAfter = Math.min(hedging.standInAfter(others, StoreMessage.name, settings.hintAfter), remaining);
    return new Promise<Ending>((resolve) => {
      this.#resolve = resolve;
      this.#lookAfter(hintAfter, remaining);
      if (this.#before.kind === 'again') this.#offerAgain(this.#before);
      else if (this.#here === undefined) this.#mintInPlace(this.#before);
      else this.#mintHere(this.#here, this.#before);
    });
  }

  #end(ending: Ending): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.cancel();
    this.#resolve(ending);
  }

  /** Whether to begin anew: nothing was minted, for this node knew too little or another attempt was there first. */
  async mayTryAgain(ending: Ending): Promise<boolean> {
    if (ending !== 'not-minted') return false;
    const { newerEpoch, mintedBefore } = this.#ledger;
    if (newerEpoch !== undefined) await this.#environment.knowledge.catchUp(newerEpoch, this.#request.deadline);
    return newerEpoch !== undefined || mintedBefore;
  }

  outcome(ending: Ending): WriteOutcome {
    const { w, pw, dw } = this.#request;
    const { acked, fallbacks } = this.#tally;
    const agreement = { acked, needed: Math.max(w, pw, dw), of: this.#of, fallbacks };
    if (ending !== 'reached')
      return failed(this.#ledger.failure(ending, this.#offer?.dot, this.#request.zone, this.#unattended), agreement);
    const offer = shown(this.#offer!, this.#environment.world.clock.wall());
    return applied(offer, agreement, memberAt(this.#environment, offer.dot.node));
  }

  // --- Who stands in for whom --------------------------------------------------------------------------------------

  /** This node is the fallback of the first owner. */
  #standInMyself(): void {
    const { self, knowledge } = this.#environment;
    const owner = this.#route.owners[0]!;
    this.#standIns.take(owner, self);
    if (this.#standIns.has(owner)) this.#tally.expect(knowledge.self(), 'fallback', owner.index);
  }

  #plan(owner: Member): void {
    const standIn = this.#standIns.assign(owner);
    if (standIn === undefined) {
      // One that is asked all the same may have it in the end.
      if (!this.#others.includes(owner)) this.#unattended.push(owner);
      return;
    }
    this.#tally.expect(standIn.fallback.index, 'fallback', owner.index);
    this.#planned.push(standIn);
  }

  /** The next fallback gets the write, if there is one; it is announced before the owner is taken for failed. */
  #standInFor(owner: Member): void {
    if (this.#ended || this.#offer === undefined || this.#standIns.has(owner)) return;
    const standIn = this.#standIns.assign(owner);
    if (standIn === undefined) return;
    this.#tally.expect(standIn.fallback.index, 'fallback', owner.index);
    void this.#hint(standIn, this.#offer);
  }

  /**
   * One timer for the silent and the deadline: nearly every write is over before it rings. Whoever stands in gets twice as long as
   * those before, so that the fallbacks of a large ring are not asked all at once.
   */
  #lookAfter(patience: number, remaining: number): void {
    this.#timer = this.#environment.world.clock.after(Math.min(patience, remaining), () => {
      this.#tally.waitForPrimaries(false);
      this.#decide();
      if (this.#ended || patience >= remaining) return this.#end('deadline');
      this.#standInForTheSilent();
      this.#lookAfter(2 * patience, remaining - patience);
    });
  }

  #standInForTheSilent(): void {
    if (this.#offer === undefined) return;
    for (const owner of [...this.#others, ...this.#standIns.releaseSilent()])
      if (!this.#confirmed.includes(owner.index)) this.#standInFor(owner);
  }

  // --- Minting -----------------------------------------------------------------------------------------------------

  /** Mints and commits at this node; the others get the state before the commit. */
  #mintHere(here: Member, before: ToMint): void {
    const { replica, world } = this.#environment;
    const { key, mark, dw, trace } = this.#request;
    const { scope } = this.#route;
    const span = trace?.child('replica.mint', 'internal');
    const write = mintedWrite(this.#request, before, world.clock.wall());
    const { content, operating, context, expiresAt, after } = write;
    const stillWanted = (): boolean => !this.#ended;
    const minting = replica.mint(
      { scope, key, content, operating, context, expiresAt, after, durable: dw > 0, mark, stillWanted, trace: span },
      ({ state, encoded, dot, retry }) => {
        this.#ledger.given();
        return this.#giveToOthers({ state, encoded, dot, retries: retry === null ? [] : [retry] });
      },
    );
    // In the same turn as the mint, so that it shares its commit.
    for (const owner of this.#unattended) this.#missed.note(owner);
    void this.#committing(here.index, minting, span);
  }

  /** Mints in the place of owners; what this node keeps counts for the first of them. */
  #mintInPlace(before: ToMint): void {
    const { environment, request } = { environment: this.#environment, request: this.#request };
    const minting = environment.hints.mint(
      {
        scope: this.#route.scope,
        key: request.key,
        owners: [this.#route.owners[0]!, ...this.#unattended].map(({ index }) => index),
        ...mintedWrite(request, before, environment.world.clock.wall()),
        durable: request.dw > 0,
        stillWanted: () => !this.#ended,
      },
      (minted) => {
        this.#ledger.given();
        this.#giveToOthers({ ...minted, retries: [] });
      },
    );
    void this.#committing(environment.knowledge.self(), minting);
  }

  /**
   * The request was carried out before: all owners are given what became of it, this one too, and whoever has it counts. A
   * failure is never "not applied", for the first attempt was.
   */
  #offerAgain({ state, first }: Extract<Before, { kind: 'again' }>): void {
    const { environment, request } = { environment: this.#environment, request: this.#request };
    this.#ledger.given();
    const encoded = encodeState(state, environment.world.digest.crc32);
    const offer = { state, encoded, dot: first.dot, retries: [first] };
    this.#giveToOthers(offer);
    const storing =
      this.#here === undefined
        ? Promise.reject(new Refusal('not-owner', 'a fallback offers nothing again'))
        : environment.replica.store(this.#storeRequest(this.#route.scope, offer), request.deadline);
    void this.#committing(environment.knowledge.self(), storing);
  }

  /** Until this node, whose index it is, has committed the write for an owner, itself or the first, or has failed to. */
  async #committing(self: NodeIndex, commit: Promise<unknown>, span?: Span): Promise<void> {
    this.#underWay += 1;
    try {
      await commit;
      span?.end();
      this.#committedHere = true;
      const isOwner = this.#here !== undefined;
      if (isOwner) this.#confirmed.push(self);
      this.#tally.accept(self, this.#request.dw > 0, isOwner ? undefined : 'fallback');
      this.#decide();
    } catch (error) {
      span?.end(failureName(error));
      this.#mintFailed(self, error);
    }
    this.#over();
  }

  #mintFailed(self: NodeIndex, error: unknown): void {
    tellFaultyMint(this.#environment.world.log, this.#request.requestId, error);
    if (this.#offer === undefined) {
      this.#ledger.notMinted(error);
      this.#end('not-minted');
      return;
    }
    this.#ledger.notCommitted(error);
    this.#tally.fail(self);
    this.#decide();
  }

  // --- Giving it to others -----------------------------------------------------------------------------------------

  /** Whether anybody was given the offer. */
  #giveToOthers(offer: Offer): boolean {
    this.#offer = offer;
    for (const owner of this.#others) this.#sendTo(owner, offer);
    for (const standIn of this.#planned) void this.#hint(standIn, offer);
    return this.#others.length + this.#planned.length > 0;
  }

  #storeRequest(scope: Scope, { encoded, retries }: Offer): StoreRequest {
    const { requestId, key, dw } = this.#request;
    return { scope, requestId, key, state: encoded, durable: dw > 0, origin: this.#missed.origin, retries };
  }

  /** Gives the state to one owner. */
  #sendTo(owner: Member, offer: Offer, scope: Scope = this.#route.scope): void {
    this.#ledger.given();
    this.#underWay += 1;
    this.#environment.peers.asked(owner.id);
    this.#offerTo(owner, offer, scope, 0);
  }

  #offerTo(owner: Member, offer: Offer, scope: Scope, attempt: number): void {
    const { deadline, trace } = this.#request;
    const store = this.#storeRequest(scope, offer);
    void callPatiently(this.#environment, owner.id, StoreMessage, store, { deadline, trace }).then((result) =>
      result.kind === 'reply'
        ? this.#storedAt(owner, result.reply.durable)
        : this.#notStored(owner, offer, scope, attempt, result),
    );
  }

  #storedAt(owner: Member, durable: boolean): void {
    this.#confirmed.push(owner.index);
    this.#tally.accept(owner.index, durable);
    this.#decide();
    this.#over();
  }

  /** When the owner knows a newer epoch, learns it and offers the state once more. */
  async #notStored(owner: Member, offer: Offer, scope: Scope, attempt: number, result: NoReply): Promise<void> {
    let hasNoPlace = false;
    if (result.kind === 'refused' && result.code === STALE) {
      const newer = await scopeOnceLearned(this.#environment, this.#request, owner, result.value as Epoch);
      this.#adopt(offer);
      const goesByNewer = this.#rules.refusedBy(owner, scope);
      if (newer !== undefined && attempt < this.#environment.settings.staleRetries)
        return this.#offerTo(owner, offer, newer, attempt + 1);
      hasNoPlace = goesByNewer && newer === undefined;
    }
    this.#ledger.notTaken(owner.id, result);
    if (!hasNoPlace) this.#standInFor(owner);
    this.#tally.fail(owner.index);
    this.#decide();
    this.#over();
  }

  /** The partition has begun to move, or gone on: those that take writes now get this one too. */
  #adopt(offer: Offer): void {
    const adopted = this.#rules.adopt();
    if (adopted === undefined) return;
    this.#standIns.withdraw(this.#rules.writers);
    this.#others.push(...adopted.added);
    for (const owner of adopted.added) this.#sendTo(owner, offer, adopted.scope);
  }

  /** Gives the state to a fallback, to keep it for the owner. */
  async #hint(standIn: StandIn, offer: Offer): Promise<void> {
    const { owner, fallback } = standIn;
    this.#ledger.given();
    this.#underWay += 1;
    const store = this.#storeRequest(this.#route.scope, offer);
    const hint = { store, owner: owner.index, sole: !this.#tally.primariesSuffice(), origin: this.#missed.origin };
    const { deadline, trace } = this.#request;
    const result = await this.#environment.messaging.call(fallback.id, HintMessage, hint, { deadline, trace });
    if (result.kind === 'reply') {
      standIn.hasIt = true;
      this.#tally.accept(fallback.index, result.reply.durable, 'fallback');
      this.#stored.push({ ...standIn, revision: result.reply.revision });
    } else {
      this.#ledger.notTaken(fallback.id, result);
      this.#standIns.release(standIn);
      if (!this.#confirmed.includes(owner.index)) this.#standInFor(owner);
      this.#tally.fail(fallback.index, 'fallback');
    }
    this.#decide();
    this.#over();
  }

  #decide(): void {
    const decision = this.#tally.decision();
    if (decision !== 'pending') this.#end(decision);
  }

  // --- Afterwards --------------------------------------------------------------------------------------------------

  /** One of the commits and calls has ended; with the last of them it is known which owners have missed the write. */
  #over(): void {
    this.#underWay -= 1;
    const offer = this.#offer;
    if (this.#underWay > 0 || offer === undefined) return;
    // So many owners have it that no hint is needed for its sake.
    if (this.#tally.primariesSuffice()) this.#missed.settle(this.#stored);
    if (!this.#committedHere) return;
    for (const owner of this.#rules.writers) {
      if (this.#confirmed.includes(owner.index) || this.#unattended.includes(owner)) continue;
      if (owner.id === this.#environment.self && this.#here === undefined) continue;
      if (this.#stored.some((kept) => kept.owner.index === owner.index)) continue;
      if (this.#here !== undefined) this.#missed.note(owner);
      else if (owner !== this.#route.owners[0]) this.#missed.keep(owner, this.#storeRequest(this.#route.scope, offer));
    }
  }
}
