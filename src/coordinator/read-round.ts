/**
 * Asking the owners of a key for what they have: as many as are needed, this node first, the others when one fails or is
 * slow.
 */

import { EMPTY_STATE, type State } from '#causality/state.ts';
import { joinStates } from '#causality/join.ts';
import { decodeState } from '#causality/state-codec.ts';
import { equalBytes } from '#kernel/bytes.ts';
import type { Epoch, NodeId } from '#kernel/identity.ts';
import { ReadTally } from '#quorum/tally.ts';
import { FetchMessage, type FetchReply, type FetchRequest } from '#replica/messages.ts';
import type { RetryRow } from '#replica/retry-codec.ts';
import { STALE } from '#replica/scope.ts';
import type { Member } from '#ring/ring.ts';
import { Refusal } from '#wire/message.ts';
import { countedOwners, inItsZone, reachableOwners, routeOf, type Environment, type Route } from './environment.ts';
import { ReadHedge } from './read-hedge.ts';
import type { Agreement, ReadRequest } from './requests.ts';
import { failureName } from '#wire/failure-name.ts';

/** A read that may also ask what a request with an idempotency key has become. */
export interface RoundRequest extends ReadRequest {
  readonly retryId?: Uint8Array | undefined;
}

interface Answer extends FetchReply {
  readonly from: NodeId;
}

export type Ending =
  | { readonly kind: 'reached' | 'impossible' | 'deadline' }
  /** A replica knows an epoch that this node does not. */
  | { readonly kind: 'stale'; readonly epoch: Epoch };

/** One attempt at a read: who was asked, what came back. */
export class ReadRound {
  readonly #environment: Environment;
  readonly #request: RoundRequest;
  readonly #route: Route;
  /** Those whose answers count. */
  readonly #owners: readonly Member[];
  readonly #tally: ReadTally;
  readonly #answers: Answer[] = [];
  #waiting: Member[];
  /** Asked, and without an answer so far. */
  readonly #asked = new Set<NodeId>();
  readonly #hedge: ReadHedge;
  #late = false;
  #end: (ending: Ending) => void = () => undefined;
  #ended = false;

  constructor(environment: Environment, request: RoundRequest) {
    this.#environment = environment;
    this.#route = routeOf(environment, request.bucket, request.key);
    this.#request = inItsZone(request, this.#route.owners);
    this.#owners = countedOwners(request, this.#route.owners);
    this.#tally = new ReadTally({ r: this.#request.r, pr: this.#request.pr });
    this.#waiting = reachableOwners(environment, this.#owners).filter((owner) => owner.state !== 'refilling');
    for (const owner of this.#waiting) this.#tally.expect(owner.index, 'primary');
    this.#hedge = new ReadHedge(environment, {
      next: () => this.#waiting[0]?.id,
      slow: () => [...this.#asked].filter((id) => id !== environment.self),
      askNext: () => this.#ask(1),
    });
  }

  async run(): Promise<Ending> {
    if (this.#tally.decision() === 'impossible') return { kind: 'impossible' };
    const { clock } = this.#environment.world;
    const { deadline, r, pr, retryId } = this.#request;
    return new Promise<Ending>((resolve) => {
      const timer = clock.after(deadline - clock.monotonic(), () => this.#end({ kind: 'deadline' }));
      this.#end = (ending) => {
        if (this.#ended) return;
        this.#ended = true;
        timer.cancel();
        this.#hedge.cancel();
        resolve(ending);
      };
      // Whoever knows of an earlier attempt is worth more than a message saved.
      this.#ask(retryId === undefined ? Math.max(r, pr) : this.#waiting.length);
      this.#hedge.start();
    });
  }

  agreement(): Agreement {
    const { r, pr } = this.#request;
    return { acked: this.#tally.acked, needed: Math.max(r, pr), of: this.#owners.length, fallbacks: 0 };
  }

  answeredBy(): readonly NodeId[] {
    return this.#answers.map(({ from }) => from);
  }

  /** What the owners that have answered say the request has become, when that was asked for. */
  retries(): readonly RetryRow[] {
    return this.#answers.flatMap(({ retry }) => retry ?? []);
  }

  /** Whether one of them remembers as many idempotency keys as it may. */
  retriesFull(): boolean {
    return this.#answers.some(({ retriesFull }) => retriesFull === true);
  }

  #ask(count: number): void {
    for (const owner of this.#waiting.splice(0, count)) {
      this.#asked.add(owner.id);
      void this.#fetch(owner);
    }
  }

  async #fetch(owner: Member): Promise<void> {
    const { environment, request } = { environment: this.#environment, request: this.#request };
    const { requestId, key, retryId } = request;
    const plain = { scope: this.#route.scope, requestId, key };
    const fetch: FetchRequest = retryId === undefined ? plain : { ...plain, retryId };
    if (owner.id === environment.self) {
      const span = request.trace?.child('replica.fetch', 'internal');
      try {
        const reply = await environment.replica.fetch(fetch, request.deadline);
        span?.end();
        this.#answered(owner, reply);
      } catch (error) {
        span?.end(failureName(error));
        if (error instanceof Refusal) this.#failed(owner, error.code, error.value);
        else this.#faulty(owner, error);
      }
      return;
    }
    const { deadline, trace } = request;
    environment.hedging.called();
    const result = await environment.messaging.call(owner.id, FetchMessage, fetch, { deadline, trace });
    if (result.kind === 'reply') this.#answered(owner, result.reply);
    else if (result.kind === 'refused') this.#failed(owner, result.code, result.value);
    else this.#failed(owner, result.reason, 0);
  }

  /** A fault of this program costs the answer of this replica, not the process. */
  #faulty(owner: Member, error: unknown): void {
    this.#environment.world.log.error('fetch-faulty', { requestId: this.#request.requestId, reason: String(error) });
    this.#failed(owner, 'internal', 0);
  }

  #answered(owner: Member, reply: FetchReply): void {
    if (this.#ended) return;
    this.#asked.delete(owner.id);
    if (this.#request.retryId !== undefined && reply.retry === undefined) {
      this.#failed(owner, 'knows-no-retries', 0);
      return;
    }
    this.#answers.push({ from: owner.id, ...reply });
    this.#tally.accept(owner.index);
    this.#decide();
  }

  #failed(owner: Member, reason: string, value: number): void {
    if (this.#ended) return;
    this.#environment.world.log.debug('fetch-failed', { requestId: this.#request.requestId, peer: owner.id, reason });
    if (reason === STALE) {
      this.#end({ kind: 'stale', epoch: value as Epoch });
      return;
    }
    this.#asked.delete(owner.id);
    if (reason === 'timeout') this.#late = true;
    this.#tally.fail(owner.index);
    this.#ask(1);
    this.#decide();
  }

  #decide(): void {
    const decision = this.#tally.decision();
    if (decision === 'pending') return;
    // A call's own deadline may pass a moment before that of the round, which is the same.
    this.#end({ kind: decision === 'impossible' && this.#late ? 'deadline' : decision });
  }

  /** Joins the answers; when they differ, hands those that are behind to repair. Throws CorruptState. */
  merged(): State {
    const { conflicts } = this.#request.bucket.properties;
    const crc32 = this.#environment.world.digest.crc32;
    const first = this.#answers[0]?.state ?? null;
    if (this.#answers.every(({ state }) => sameState(state, first))) {
      return first === null ? EMPTY_STATE : decodeState(first, crc32);
    }
    const states = this.#answers.map(({ from, state }) => ({
      from,
      state: state === null ? EMPTY_STATE : decodeState(state, crc32),
    }));
    const merged = states.reduce((joined, { state }) => joinStates(joined, state, conflicts), EMPTY_STATE);
    this.#environment.repair.afterRead({
      scope: this.#route.scope,
      requestId: this.#request.requestId,
      key: this.#request.key,
      merged,
      answers: states,
    });
    return merged;
  }
}

function sameState(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : equalBytes(a, b);
}
