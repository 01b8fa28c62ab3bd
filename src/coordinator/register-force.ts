/**
 * The way out for a strong key of which so many owners have lost the register that no majority can say what was chosen.
 *
 * It is a round like any other, but that damaged registers take part in it as ones that have accepted nothing, because somebody
 * has said so in so many words. All owners that can be asked must take part, a majority at least, so the latest value that any of
 * them has is gone on with. Its ballot is above everything that they can have promised: what an owner that is away had accepted
 * was promised by a majority, hence by one of these, and so is below it and can never win again. A damaged register that has
 * promised has no vote in other rounds before it accepts, so a round that is broken off has changed nothing.
 *
 * While the key's owners change and the new ones vote already, former ones may be the last that have it, and what they have can become
 * no more. They are asked as well, and have no vote.
 */

import { EMPTY_VECTOR } from '#causality/state.ts';
import { withLeastVector } from '#causality/operate.ts';
import { counterFor } from '#causality/write.ts';
import type { Bucket } from '#buckets/definition.ts';
import { valueToAdopt, type Accepted } from '#consensus/acceptor.ts';
import { compareBallots, type BallotSource } from '#consensus/ballot.ts';
import { majorityOf } from '#consensus/electorate.ts';
import type { ProposalFailure } from '#consensus/epoch-proposer.ts';
import type { NodeId } from '#kernel/identity.ts';
import type { NodeStorage } from '#replica/node-storage.ts';
import { ownersOf } from '#ring/preference-list.ts';
import type { Member } from '#ring/ring.ts';
import { Refusal } from '#wire/message.ts';
import { routeOf, type Environment, type Route } from './environment.ts';
import { ForceAcceptMessage, ForcePrepareMessage, SurveyMessage, type SurveyReply } from './register-messages.ts';
import { RegisterRound } from './register-round.ts';
import type { RegisterRows } from './register-rows.ts';
import { decodeValue, encodeValue } from './register-value-codec.ts';
import { NO_VALUE, type RegisterValue } from './register-value.ts';

export interface RegisterForceOptions {
  readonly environment: Environment;
  readonly rows: RegisterRows;
  readonly storage: NodeStorage;
  readonly ballots: BallotSource;
}

/** What one owner has of the register. */
export interface RegisterSighting {
  readonly node: NodeId;
  /** `silent`: it cannot be asked, or has no vote now. */
  readonly register: 'whole' | 'damaged' | 'silent';
  /** Or it is a former owner, and has what it had. */
  readonly votes: boolean;
  /** Why it is silent; empty when it is not. */
  readonly reason: string;
  /** Of a whole one: what it has accepted last. */
  readonly accepted: Accepted<RegisterValue> | null;
}

export interface RegisterSurvey {
  readonly partition: number;
  readonly sightings: readonly RegisterSighting[];
}

export type Forced = { readonly kind: 'forced' } | ProposalFailure;

/**
 * Milliseconds by which the ballot is ahead of the clock: an owner that was given a new disk knows no more what the old one had
 * promised to somebody whose clock was ahead.
 */
const LEAD_MS = 60_000;
const ATTEMPTS_MAX = 5;

export class RegisterForce {
  readonly #options: RegisterForceOptions;

  /** Registers the handlers with the environment's messaging. */
  constructor(options: RegisterForceOptions) {
    this.#options = options;
    const { environment, rows } = options;
    const { messaging } = environment;
    messaging.handle(SurveyMessage, (request, { deadline }) => rows.survey(request, deadline));
    messaging.handle(ForcePrepareMessage, (request, { deadline }) => rows.forcePrepare(request, deadline));
    messaging.handle(ForceAcceptMessage, (request, { deadline }) => rows.forceAccept(request, deadline));
  }

  /** Asks every owner itself. */
  async survey(bucket: Bucket, key: Uint8Array, deadline: number): Promise<RegisterSurvey> {
    const route = routeOf(this.#options.environment, bucket, key);
    const { scope, owners } = route;
    const sightings = await Promise.all(
      [...owners, ...this.#former(route)].map(async (owner): Promise<RegisterSighting> => {
        const about = { node: owner.id, votes: owners.includes(owner) };
        const answer = await this.#ask(owner, { scope, key }, deadline);
        if (typeof answer === 'string') return { ...about, register: 'silent', reason: answer, accepted: null };
        const { damaged, accepted } = answer;
        const value = accepted === null ? null : { ballot: accepted.ballot, value: this.#decoded(accepted.value) };
        return { ...about, register: damaged ? 'damaged' : 'whole', reason: '', accepted: value };
      }),
    );
    return { partition: scope.partition, sightings };
  }

  /** Those that have voted until the new owners began to. */
  #former({ scope, owners, writers }: Route): readonly Member[] {
    const { move } = ownersOf(this.#options.environment.knowledge.ring(), scope.n, scope.partition);
    return move?.stage === 'read-new' ? writers.filter((member) => !owners.includes(member)) : [];
  }

  /** Goes on with the latest value that these have, all of whom must take part. */
  async force(bucket: Bucket, key: Uint8Array, takePart: readonly NodeId[], deadline: number): Promise<Forced> {
    const { environment, rows, ballots } = this.#options;
    const { world, knowledge } = environment;
    const route = routeOf(environment, bucket, key);
    const members = route.owners.filter(({ id }) => takePart.includes(id));
    const all = { environment, rows, route, key, deadline, trace: undefined };
    const first = new RegisterRound({ ...all, quorum: { members, needed: members.length } });
    const hopeless = first.hopeless();
    if (hopeless !== undefined) return failed('not-applied', hopeless, members.length, first.asked);
    const left: (Accepted<Uint8Array> | null)[] = [];
    for (const former of this.#former(route).filter(({ id }) => takePart.includes(id))) {
      const answer = await this.#ask(former, { scope: route.scope, key }, deadline);
      if (typeof answer === 'string') {
        const got = first.asked + left.length;
        return failed('not-applied', `${former.id}: ${answer}`, takePart.length, got);
      }
      left.push(answer.accepted);
    }
    ballots.observe({ time: world.clock.wall() + LEAD_MS, node: knowledge.self(), boot: 0 });
    for (let attempt = 0, detail = '', got = 0; ; attempt++) {
      if (attempt === ATTEMPTS_MAX) return failed('not-applied', detail, members.length, got);
      const ballot = ballots.next(knowledge.self());
      const promised = await first.forcePrepare(ballot);
      if (promised.kind === 'rejected') ballots.observe(promised.highest);
      if (promised.kind !== 'majority') {
        detail = promised.kind === 'failed' ? promised.detail : `the first phase was ${promised.kind}`;
        got = promised.kind === 'stale' ? 0 : promised.got;
        continue;
      }
      const bytes = valueToAdopt([...promised.values, ...left]);
      const value = this.#fresh(bytes === undefined ? NO_VALUE : this.#decoded(bytes), ballot.time);
      const majority = majorityOf(route.owners.length);
      const second = new RegisterRound({ ...all, quorum: { members, needed: majority } });
      const accepted = await second.forceAccept(ballot, encodeValue(value, world.digest.crc32));
      if (accepted.kind !== 'majority') {
        const confirmed = accepted.kind === 'stale' ? 0 : accepted.got;
        return failed('unknown', 'a majority did not confirm it in time', majority, confirmed);
      }
      const { partition } = route.scope;
      world.log.warn('register-forced', { bucket: bucket.name, partition, key, owners: takePart.join(', ') });
      return { kind: 'forced' };
    }
  }

  /**
   * The value as it goes on: a later write than all that was lost, for those who watch; and no token of a lease may be given twice,
   * so that the one who holds it by this value has to ask for a new one.
   */
  #fresh(value: RegisterValue, leastToken: number): RegisterValue {
    const { environment, storage } = this.#options;
    const { state, lease, version } = value;
    const counter = counterFor(storage.clock.tick(), EMPTY_VECTOR, state);
    const dot = { node: environment.knowledge.self(), tenure: storage.tenure.current(), counter };
    const fence = Math.max(value.fence + 1, leastToken);
    return {
      ...value,
      ...{ version: version + 1, state: withLeastVector(state, dot), fence },
      lease: lease === null ? null : { ...lease, token: fence },
    };
  }

  /** Why there is no answer, where there is none. */
  async #ask(
    owner: Member,
    request: Parameters<RegisterRows['survey']>[0],
    deadline: number,
  ): Promise<SurveyReply | string> {
    const { environment, rows } = this.#options;
    try {
      if (owner.id === environment.self) return await rows.survey(request, deadline);
    } catch (error) {
      if (error instanceof Refusal) return `${error.code}: ${error.message}`;
      throw error;
    }
    const result = await environment.messaging.call(owner.id, SurveyMessage, request, { deadline });
    if (result.kind === 'reply') return result.reply;
    return result.kind === 'refused' ? `${result.code}: ${result.detail}` : result.reason;
  }

  #decoded(bytes: Uint8Array): RegisterValue {
    return decodeValue(bytes, this.#options.environment.world.digest.crc32);
  }
}

function failed(outcome: ProposalFailure['outcome'], detail: string, needed: number, got: number): ProposalFailure {
  return { kind: 'failed', outcome, detail, votes: { needed, got } };
}

/** The sighting of the latest value; undefined when none has any. */
export function latestOf(sightings: readonly RegisterSighting[]): RegisterSighting | undefined {
  return sightings.reduce<RegisterSighting | undefined>((best, one) => {
    if (one.accepted === null) return best;
    const isLater = best === undefined || compareBallots(one.accepted.ballot, best.accepted!.ballot) > 0;
    return isLater ? one : best;
  }, undefined);
}
