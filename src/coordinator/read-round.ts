/**
 * Asking the owners of a key for what they have: as many as are needed, this node first, the others when one fails or is
 * slow. Where owners are missing, fallbacks are asked for hints. What they keep is joined into the answer; they count only
 * for an owner for whom they keep the key: that a fallback has nothing says nothing about the key.
 */

import { settlementOf } from '#buckets/definition.ts';
import { EMPTY_VECTOR, type State, type VersionVector } from '#causality/state.ts';
import { covers, dominates, joinVectors } from '#causality/vector.ts';
import { assert, present } from '#kernel/assert.ts';
import { HeldMessage, type HeldReply } from '#handoff/messages.ts';
import type { Epoch, NodeId, NodeIndex } from '#kernel/identity.ts';
import type { Checksum } from '#kernel/native.ts';
import { ReadTally, type Role } from '#quorum/tally.ts';
import { isAnswerTo } from '#replica/fetched.ts';
import { FetchMessage, type FetchReply, type FetchRequest } from '#replica/messages.ts';
import { STALE } from '#replica/scope.ts';
import type { Member } from '#ring/ring.ts';
import { Refusal, type MessageType } from '#wire/message.ts';
import { ranOutOfTime, type CallResult } from '#wire/messaging.ts';
import { callPatiently } from '#wire/patient-call.ts';
import {
  countedOwners,
  fallbacksOf,
  inItsZone,
  reachableFallbacks,
  reachableOwners,
  routeOf,
  scaled,
  type Environment,
  type Route,
} from './environment.ts';
import { answerOf, joinAnswers, knows, vectorOf, type Answer, type Joined } from './join-answers.ts';
import { fetchHere, type LocalRead } from './fetch-here.ts';
import { forget, ReadHedge, type HedgedRead } from './read-hedge.ts';
import type { Agreement, ReadEnding, RoundRequest } from './requests.ts';
import { ValuesFrom } from './values-from.ts';

/** One attempt at a read: who was asked, what came back. */
export class ReadRound implements HedgedRead, LocalRead {
  readonly #environment: Environment;
  readonly #request: RoundRequest;
  readonly #crc32: Checksum;
  /** A hybrid time before anything was read. */
  readonly #origin: number;
  readonly #route: Route;
  /** Those whose answers count. */
  readonly #owners: readonly Member[];
  readonly #needs: { readonly r: number; readonly pr: number };
  readonly #tally: ReadTally;
  readonly #answers: Answer[] = [];
  /** Owners that have said no more than that they know nothing of the request. */
  #isNewTo = 0;
  #waiting: Member[];
  /** Who may be asked for hints when more owners turn out to be missing; worked out when that happens. */
  #fallbacks: Member[] | undefined;
  /** Owners for whom somebody has given an answer that counts. */
  readonly #answeredFor: NodeIndex[] = [];
  /** Who has been asked, or will be when the turn comes. */
  readonly #invited: NodeId[] = [];
  /** Who has answered, with something or with nothing. */
  readonly #heard: NodeId[] = [];
  /** What those that have answered know together; only kept for a session. */
  #known: VersionVector = EMPTY_VECTOR;
  /** Asked, and without an answer so far. */
  readonly #asked: NodeId[] = [];
  readonly #hedge: ReadHedge;
  readonly #valuesFrom: ValuesFrom;
  #late = false;
  #turnedAway = false;
  /** Who gave no answer that counts, and why. */
  readonly #failures: string[] = [];
  /** The numbers are met, and more are asked for what the session has seen. */
  #hasEnough = false;
  #resolve: (ending: ReadEnding) => void = () => undefined;
  #ended = false;

  constructor(environment: Environment, request: RoundRequest) {
    this.#environment = environment;
    this.#crc32 = environment.world.digest.crc32;
    this.#origin = environment.replica.now();
    this.#route = routeOf(environment, request.bucket, request.key);
    this.#request = inItsZone(request, this.#route.owners);
    this.#owners = countedOwners(request, this.#route.owners);
    const { r, pr, replicas = this.#owners.length } = this.#request;
    this.#needs = { r: scaled(r, replicas, this.#owners.length), pr: scaled(pr, replicas, this.#owners.length) };
    this.#tally = new ReadTally(this.#needs);
    this.#waiting = reachableOwners(environment, this.#owners).filter((owner) => owner.state !== 'refilling');
    for (const owner of this.#waiting) this.#invite(owner, 'primary');
    for (let missing = this.#owners.length - this.#waiting.length; missing > 0; missing--) this.#expectFallback();
    this.#valuesFrom = new ValuesFrom(request, environment.settings);
    this.#hedge = new ReadHedge(environment, request.deadline, this);
  }

  run(): Promise<ReadEnding> {
    if (this.#tally.decision() === 'impossible') return Promise.resolve({ kind: 'impossible' });
    const { r, pr } = this.#needs;
    const { retryId, fingerprint, whole } = this.#request;
    // Where an earlier attempt is known, whoever knows of it is worth more than a message saved.
    const first =
      retryId !== undefined && (fingerprint === undefined || whole === true) ? this.#waiting.length : Math.max(r, pr);
    return new Promise<ReadEnding>((resolve) => {
      this.#resolve = resolve;
      this.#ask(first);
      if (!this.#ended) this.#hedge.start();
    });
  }

  end(ending: ReadEnding): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#hedge.cancel();
    this.#resolve(ending);
  }

  next(): NodeId | undefined {
    return this.#waiting[0]?.id;
  }

  slow(): readonly NodeId[] {
    const { self } = this.#environment;
    return this.#asked.includes(self) ? this.#asked.filter((id) => id !== self) : this.#asked;
  }

  askNext(): void {
    this.#valuesFrom.slow(this.#asked);
    this.#ask(1);
  }

  agreement(): Agreement {
    const { r, pr } = this.#needs;
    const { acked, fallbacks } = this.#tally;
    return { acked, needed: Math.max(r, pr), of: this.#owners.length, fallbacks };
  }

  /** Whether enough have answered, whatever they know. */
  enough(): boolean {
    return this.#tally.decision() === 'reached';
  }

  /** Whether somebody had too much to do. */
  turnedAway(): boolean {
    return this.#turnedAway;
  }

  /** Who gave no answer that counts, with the reason: owners that could not even be asked come first. */
  failures(): readonly string[] {
    const { peers, self } = this.#environment;
    const unasked = this.#owners.filter(({ id }) => id !== self && !this.#invited.includes(id));
    return [
      ...unasked.map(({ id, state }) => `${id}: ${state === 'refilling' ? state : peers.why(id)}`),
      ...this.#failures,
    ];
  }

  /** What has been said so far, by those who know more of the request than that it is new. */
  get answers(): readonly Answer[] {
    return this.#answers;
  }

  /** How many of those that have answered know nothing of the request, and have not said what they hold. */
  isNewTo(): 'all' | 'some' | 'none' {
    if (this.#isNewTo === 0) return 'none';
    return this.#answers.length === 0 ? 'all' : 'some';
  }

  #ask(count: number): void {
    const next = this.#waiting.splice(0, count);
    // All of them first: this node may answer at once.
    for (const { id } of next) this.#asked.push(id);
    for (const member of next) this.#fetch(member);
  }

  #invite(member: Member, role: Role): void {
    this.#invited.push(member.id);
    this.#tally.expect(member.index, role);
  }

  #isOwner(member: Member): boolean {
    return this.#route.owners.includes(member);
  }

  /** One more fallback may be asked, when its turn comes. */
  #expectFallback(): void {
    const { sloppy, zone } = this.#request;
    if (!sloppy || zone !== undefined) return;
    this.#fallbacks ??= [...reachableFallbacks(this.#environment, this.#route)];
    const fallback = this.#fallbacks.shift();
    if (fallback === undefined) return;
    this.#invite(fallback, 'fallback');
    this.#waiting.push(fallback);
  }

  #fetch(member: Member): void {
    const { hedging, peers, self } = this.#environment;
    const { requestId, key, retryId, whole } = this.#request;
    const fingerprint = whole === true ? undefined : this.#request.fingerprint;
    const { scope } = this.#route;
    const isOwner = this.#isOwner(member);
    const valuesUpTo = isOwner ? this.#valuesFrom.limitFor(member.id) : undefined;
    const fetch: FetchRequest = { scope, requestId, key, retryId, fingerprint };
    if (member.id === self) return fetchHere(this.#environment, this.#request, fetch, member, isOwner, this);
    hedging.called();
    if (isOwner) {
      peers.asked(member.id);
      const { unless } = this.#valuesFrom;
      const request: FetchRequest = valuesUpTo === undefined ? fetch : { scope, requestId, key, valuesUpTo, unless };
      void this.#call(member, FetchMessage, request).then((result) => {
        if (result.kind !== 'reply') this.#unanswered(member, result);
        else if (isAnswerTo(request, result.reply)) this.answered(member, result.reply);
        else this.#failed(member, 'answers what it was not asked', 0);
      });
    } else {
      void this.#call(member, HeldMessage, fetch).then((result) =>
        result.kind === 'reply' ? this.heldBy(member, result.reply) : this.#unanswered(member, result),
      );
    }
  }

  /** When the peer has too much to do, somebody else is asked at once; when there is nobody else, it gets some time. */
  #call<Reply>(
    { id }: Member,
    type: MessageType<FetchRequest, Reply>,
    fetch: FetchRequest,
  ): Promise<CallResult<Reply>> {
    const { deadline, trace } = this.#request;
    const hasAlternative = (): boolean => this.#waiting.length > 0 || this.#ended;
    return callPatiently(this.#environment, id, type, fetch, { deadline, trace, hasAlternative });
  }

  failedHere(here: Member, error: unknown): void {
    if (error instanceof Refusal) this.#failed(here, error.code, error.value);
    else this.#faulty(here, error);
  }

  #unanswered(member: Member, result: Exclude<CallResult<unknown>, { kind: 'reply' }>): void {
    if (result.kind === 'refused') this.#failed(member, result.code, result.value);
    else this.#failed(member, result.reason, 0);
  }

  /** A fault of this program costs the answer of this replica, not the process. */
  #faulty(owner: Member, error: unknown): void {
    this.#environment.world.log.error('fetch-faulty', { requestId: this.#request.requestId, reason: String(error) });
    this.#failed(owner, 'internal', 0);
  }

  answered(owner: Member, given: FetchReply): void {
    if (this.#ended) return;
    forget(this.#asked, owner.id);
    if (owner.id === this.#environment.self) this.#valuesFrom.answeredHere(given);
    const reply = this.#valuesFrom.inFull(given);
    if (reply.isNew === true) this.#isNewTo += 1;
    else if (this.#request.retryId !== undefined && reply.retry === undefined)
      return this.#failed(owner, 'does not know what was sent again', 0);
    else this.#answers.push(answerOf(owner.id, reply));
    this.#answeredFor.push(owner.index);
    this.#tally.accept(owner.index);
    this.#learn(owner, reply);
    this.#decide();
  }

  /**
   * A fallback's hints. Of a request that was sent before they may tell, but they do not count: the hint of the first attempt
   * may lie at another fallback.
   */
  heldBy(fallback: Member, reply: HeldReply): void {
    if (this.#ended) return;
    forget(this.#asked, fallback.id);
    const { owners, ...answer } = reply;
    if (answer.state !== null) this.#answers.push({ from: fallback.id, isOwner: false, ...answer });
    this.#learn(fallback, answer);
    const place = owners.find(
      (owner) => !this.#answeredFor.includes(owner) && this.#owners.some(({ index }) => index === owner),
    );
    if (place === undefined || this.#request.retryId !== undefined || this.#hasEnough) {
      this.#failed(fallback, 'keeps nothing of the key', 0);
      return;
    }
    this.#answeredFor.push(place);
    this.#tally.accept(fallback.index, place);
    this.#decide();
  }

  #failed(owner: Member, reason: string, value: number): void {
    if (this.#ended) return;
    this.#environment.world.log.debug('fetch-failed', { requestId: this.#request.requestId, peer: owner.id, reason });
    if (reason === STALE) {
      this.end({ kind: 'stale', epoch: value as Epoch });
      return;
    }
    forget(this.#asked, owner.id);
    this.#valuesFrom.failed(owner.id);
    this.#failures.push(`${owner.id}: ${reason}`);
    if (reason === 'overloaded') this.#turnedAway = true;
    if (ranOutOfTime(reason)) this.#late = true;
    this.#expectFallback();
    this.#tally.fail(owner.index);
    this.#ask(1);
    this.#decide();
  }

  #decide(): void {
    const decision = this.#tally.decision();
    if (decision === 'pending') return;
    if (decision === 'reached' && !this.met()) {
      this.#askEverybody();
      return;
    }
    this.end({ kind: decision === 'impossible' && this.#late ? 'deadline' : decision });
  }

  /** Whether what the session has seen is known to those that have answered. */
  met(): boolean {
    const { least } = this.#request;
    return least === undefined || dominates(this.#known, least);
  }

  /**
   * Whether what the session has seen was a tombstone, or is older than one, that has been given up since: everybody who
   * could know it has said that he does not, and it is from below the floor to which all have looked for such.
   */
  givenUp(): boolean {
    const { scope, owners } = this.#route;
    const everybody = [...owners, ...fallbacksOf(this.#environment, this.#route)];
    if (!everybody.every(({ id }) => this.#heard.includes(id))) return false;
    const floor = this.#environment.replica.floors.of(scope);
    return (this.#request.least ?? []).every((dot) => dot.counter <= floor || covers(this.#known, dot));
  }

  #learn(from: Member, reply: FetchReply): void {
    if (this.#request.least === undefined) return;
    this.#heard.push(from.id);
    this.#known = joinVectors(this.#known, vectorOf(reply, this.#crc32));
  }

  /** Enough have answered, and the session has seen more: whoever was not asked may know it, in hints and other zones too. */
  #askEverybody(): void {
    if (!this.#hasEnough) {
      this.#hasEnough = true;
      this.#fallbacks = [];
      const others = [
        ...reachableOwners(this.#environment, this.#route.owners),
        ...reachableFallbacks(this.#environment, this.#route),
      ].filter(({ id, state }) => !this.#invited.includes(id) && state !== 'refilling');
      for (const other of others) this.#invite(other, 'bystander');
      this.#waiting.push(...others);
      this.#ask(this.#waiting.length);
    }
    if (this.#asked.length === 0) this.end({ kind: 'unmet' });
  }

  /** Whether an answer has no values. */
  hasOutlines(): boolean {
    return this.#answers.some(({ outline }) => outline !== undefined);
  }

  /**
   * Gets the values that nobody has sent. False when that fails, or when a replica knows less than it did: all has to be asked again.
   */
  async complete(): Promise<boolean> {
    for (;;) {
      const joined = this.#joined();
      if (joined.kind === 'joined') return true;
      const owner = this.#route.owners.find(({ id }) => id === joined.from);
      const place = this.#answers.findIndex(({ from }) => from === joined.from);
      this.#environment.figures.valuesFetched.add();
      const { requestId, key } = this.#request;
      const fetch = { scope: this.#route.scope, requestId, key };
      const result = await this.#call(present(owner, joined.from), FetchMessage, fetch);
      if (result.kind !== 'reply' || !knows(result.reply, joined.outline, this.#crc32)) return false;
      this.#answers[place] = answerOf(joined.from, result.reply);
    }
  }

  /** Joins the answers; when they differ, hands those that are behind to repair. Throws CorruptState. */
  merged(): State {
    const joined = this.#joined();
    assert(joined.kind === 'joined', 'values are complete before answers are joined');
    const { merged, parts } = joined;
    const { requestId, key } = this.#request;
    if (parts.length === 0) return merged;
    this.#environment.repair.afterRead({
      ...{ scope: this.#route.scope, requestId, key, merged },
      // Never towards fallbacks: their hints would only take longer to go home.
      answers: parts.filter(({ isOwner }) => isOwner),
      origin: this.#origin,
    });
    return merged;
  }

  #joined(): Joined {
    return joinAnswers(this.#answers, settlementOf(this.#request.bucket.properties), this.#environment.world.digest);
  }
}
