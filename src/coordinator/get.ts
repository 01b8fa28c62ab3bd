/**
 * The story of a GET: ask as many owners as the request needs, this node first; ask the others when one fails or is slow;
 * join what they answer; mend those that turned out to be behind.
 */

import { EMPTY_STATE, type Conflicts, type State, type Version } from '#causality/state.ts';
import { joinStates } from '#causality/join.ts';
import { CorruptState, decodeState } from '#causality/state-codec.ts';
import { equalBytes } from '#kernel/bytes.ts';
import type { Epoch, NodeId } from '#kernel/identity.ts';
import { ReadTally } from '#quorum/tally.ts';
import { FetchMessage, type FetchRequest } from '#replica/messages.ts';
import { STALE } from '#replica/scope.ts';
import type { Member } from '#ring/ring.ts';
import { Refusal } from '#wire/message.ts';
import { reachableOwners, REDEFINED, routeOf, sameBucketNow, type Environment, type Route } from './environment.ts';
import type { Agreement, ReadOutcome, ReadRequest } from './requests.ts';

interface Answer {
  readonly from: NodeId;
  readonly state: Uint8Array | null;
}

type Ending =
  | { readonly kind: 'reached' | 'impossible' | 'deadline' }
  /** A replica knows an epoch that this node does not. */
  | { readonly kind: 'stale'; readonly epoch: Epoch };

export async function readKey(environment: Environment, request: ReadRequest): Promise<ReadOutcome> {
  for (let attempt = 0; ; attempt++) {
    const bucket = sameBucketNow(environment, request.bucket);
    if (bucket === undefined) return redefined(request);
    const round = new ReadRound(environment, { ...request, bucket });
    const ending = await round.run();
    if (ending.kind === 'reached') return foundOrDamaged(environment, round);
    if (ending.kind === 'stale' && attempt < environment.settings.staleRetries) {
      await environment.knowledge.catchUp(ending.epoch, request.deadline);
      continue;
    }
    const late = ending.kind === 'deadline';
    return {
      kind: 'failed',
      trouble: late ? 'quorum-timeout' : 'quorum-unavailable',
      detail: late ? 'not enough replicas answered in time' : 'too few replicas can be reached',
      agreement: round.agreement(),
    };
  }
}

/** A state that came over damaged, which its sender had verified, is no answer; which one it was the log says. */
function foundOrDamaged(environment: Environment, round: ReadRound): ReadOutcome {
  try {
    return round.found();
  } catch (error) {
    if (!(error instanceof CorruptState)) throw error;
    environment.world.log.error('answer-damaged', { reason: error.message, from: round.answeredBy() });
    const detail = `a replica's answer was damaged on its way: ${error.message}`;
    return { kind: 'failed', trouble: 'quorum-unavailable', detail, agreement: round.agreement() };
  }
}

function redefined({ r, pr }: ReadRequest): ReadOutcome {
  const agreement = { acked: 0, needed: Math.max(r, pr), of: 0, fallbacks: 0 };
  return { kind: 'failed', trouble: 'quorum-unavailable', detail: REDEFINED, agreement };
}

/** One attempt at a read: who was asked, what came back. */
class ReadRound {
  readonly #environment: Environment;
  readonly #request: ReadRequest;
  readonly #route: Route;
  readonly #tally: ReadTally;
  readonly #answers: Answer[] = [];
  #waiting: Member[];
  #late = false;
  #end: (ending: Ending) => void = () => undefined;
  #ended = false;

  constructor(environment: Environment, request: ReadRequest) {
    this.#environment = environment;
    this.#request = request;
    this.#route = routeOf(environment, request.bucket, request.key);
    this.#tally = new ReadTally({ r: request.r, pr: request.pr });
    this.#waiting = reachableOwners(environment, this.#route.owners).filter((owner) => owner.state !== 'refilling');
    for (const owner of this.#waiting) this.#tally.expect(owner.index, 'primary');
  }

  async run(): Promise<Ending> {
    if (this.#tally.decision() === 'impossible') return { kind: 'impossible' };
    const { clock } = this.#environment.world;
    const { deadline, r, pr } = this.#request;
    return new Promise<Ending>((resolve) => {
      const timers = [
        clock.after(deadline - clock.monotonic(), () => this.#end({ kind: 'deadline' })),
        clock.after(this.#environment.settings.readHedgeDelay, () => this.#hedge()),
      ];
      this.#end = (ending) => {
        if (this.#ended) return;
        this.#ended = true;
        for (const timer of timers) timer.cancel();
        resolve(ending);
      };
      this.#ask(Math.max(r, pr));
    });
  }

  agreement(): Agreement {
    const { r, pr } = this.#request;
    return { acked: this.#tally.acked, needed: Math.max(r, pr), of: this.#route.owners.length, fallbacks: 0 };
  }

  answeredBy(): readonly NodeId[] {
    return this.#answers.map(({ from }) => from);
  }

  /** Throws CorruptState when an answer cannot be read. */
  found(): ReadOutcome {
    const { conflicts } = this.#request.bucket.properties;
    const merged = this.#merge(conflicts);
    const now = this.#environment.world.clock.wall();
    return {
      kind: 'found',
      agreement: this.agreement(),
      coordinator: this.#environment.self,
      versions: merged.versions.filter((version) => isLive(version, now)),
      context: merged.vector,
    };
  }

  /** Those that were asked are slow: the others may be faster. */
  #hedge(): void {
    if (this.#waiting.length === 0) return;
    this.#environment.figures.hedged.add();
    this.#ask(this.#waiting.length);
  }

  #ask(count: number): void {
    for (const owner of this.#waiting.splice(0, count)) void this.#fetch(owner);
  }

  async #fetch(owner: Member): Promise<void> {
    const { environment, request } = { environment: this.#environment, request: this.#request };
    const fetch: FetchRequest = { scope: this.#route.scope, requestId: request.requestId, key: request.key };
    if (owner.id === environment.self) {
      const span = request.trace?.child('replica.fetch', 'internal');
      try {
        const { state } = await environment.replica.fetch(fetch, request.deadline);
        span?.end();
        this.#answered(owner, state);
      } catch (error) {
        span?.end(String(error));
        if (error instanceof Refusal) this.#failed(owner, error.code, error.value);
        else this.#faulty(owner, error);
      }
      return;
    }
    const { deadline, trace } = request;
    const result = await environment.messaging.call(owner.id, FetchMessage, fetch, { deadline, trace });
    if (result.kind === 'reply') this.#answered(owner, result.reply.state);
    else if (result.kind === 'refused') this.#failed(owner, result.code, result.value);
    else this.#failed(owner, result.reason, 0);
  }

  /** A fault of this program costs the answer of this replica, not the process. */
  #faulty(owner: Member, error: unknown): void {
    this.#environment.world.log.error('fetch-faulty', { requestId: this.#request.requestId, reason: String(error) });
    this.#failed(owner, 'internal', 0);
  }

  #answered(owner: Member, state: Uint8Array | null): void {
    if (this.#ended) return;
    this.#answers.push({ from: owner.id, state });
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

  /** Joins the answers; when they differ, hands those that are behind to repair. */
  #merge(conflicts: Conflicts): State {
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

/** A version that a reader may see: not a deletion marker, not expired. */
export function isLive(version: Version, now: number): boolean {
  return version.content !== null && (version.expiresAt === 0 || version.expiresAt > now);
}
