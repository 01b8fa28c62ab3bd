/**
 * One phase of a round among the owners of a strong key: ask all that can be reached, count to a majority of all.
 */

import type { Accepted } from '#consensus/acceptor.ts';
import { compareBallots } from '#consensus/ballot.ts';
import type { Ballot } from '#consensus/facts.ts';
import { poll, type PollAnswer } from '#consensus/poll.ts';
import { agreedValue } from '#consensus/register.ts';
import { majorityOf } from '#consensus/electorate.ts';
import type { Epoch } from '#kernel/identity.ts';
import { CORRUPT_ROW } from '#replica/records.ts';
import { STALE } from '#replica/scope.ts';
import type { Member } from '#ring/ring.ts';
import { Refusal, type MessageType } from '#wire/message.ts';
import { MAX_MESSAGE_BYTES } from '#world/limits.ts';
import type { Span } from '#world/world.ts';
import { reachableOwners, type Environment, type Route } from './environment.ts';
import {
  AcceptMessage,
  ForceAcceptMessage,
  ForcePrepareMessage,
  PeekMessage,
  PrepareMessage,
  type PeekReply,
  type PeekRequest,
} from './register-messages.ts';
import type { RegisterRows } from './register-rows.ts';

/** Milliseconds that one phase waits for the owners, within the deadline of the request. */
const PHASE_MS = 1000;
/** The same for a look without a promise, after which a round finds out. */
const PEEK_MS = 500;

/** How a phase ended, when a majority did not agree to it. */
export type Setback =
  /** Somebody uses a higher ballot. `got` owners agreed. */
  | { readonly kind: 'rejected'; readonly highest: Ballot; readonly got: number }
  /** An owner knows an epoch that this node does not. */
  | { readonly kind: 'stale'; readonly epoch: Epoch }
  /** `late`: with those that have not answered in time it might have been a majority. */
  | { readonly kind: 'failed'; readonly detail: string; readonly late: boolean; readonly got: number };

export type Phase<T> = { readonly kind: 'majority'; readonly values: readonly T[] } | Setback;

export interface RoundOptions {
  readonly environment: Environment;
  /** This node's own registers, for when it is an owner itself. */
  readonly rows: RegisterRows;
  readonly route: Route;
  readonly key: Uint8Array;
  /** An instant of the monotonic clock. */
  readonly deadline: number;
  /** The step that the round is a part of, when it is traced. */
  readonly trace: Span | undefined;
  /** Whom to ask and how many must agree, in place of all owners and a majority of them. */
  readonly quorum?: { readonly members: readonly Member[]; readonly needed: number };
}

type Reply<T> = { readonly kind: 'yes'; readonly value: T } | { readonly kind: 'rejected'; readonly highest: Ballot };

export class RegisterRound {
  readonly #options: RoundOptions;
  readonly #members: readonly Member[];
  readonly #asked: readonly Member[];
  readonly majority: number;
  #stale: Epoch | undefined;
  /** Owners that have failed to answer the phase, and those of them that were only late. */
  #failures = 0;
  #late = 0;
  /** Owners that have lost what they had of the key. */
  readonly #damaged = new Set<string>();

  constructor(options: RoundOptions) {
    const { environment, route, quorum } = options;
    const { members, needed } = quorum ?? { members: route.owners, needed: majorityOf(route.owners.length) };
    this.#options = options;
    this.#members = members;
    this.#asked = reachableOwners(environment, members).filter(({ state }) => state !== 'refilling');
    this.majority = needed;
  }

  /** Owners of the key, reachable or not. */
  get of(): number {
    return this.#options.route.owners.length;
  }

  /** Owners that can be asked. */
  get asked(): number {
    return this.#asked.length;
  }

  /** Why no phase can succeed now; undefined when one may. */
  hopeless(): string | undefined {
    if (this.#asked.length >= this.majority) return undefined;
    const few = `${this.#asked.length} of the ${this.majority} owners that are needed can be asked`;
    const empty = this.#members.filter(({ state }) => state === 'refilling').map(({ id }) => id);
    return empty.length === 0
      ? few
      : `${few}: ${empty.join(', ')} must be filled again first, after the loss of a disk`;
  }

  /**
   * What was accepted, without a promise. Of a large value one owner sends the bytes, the others the ballot. Where the first of
   * them differ, because a change is under way or one is behind, the others may make it a majority.
   */
  peek(): Promise<Phase<Accepted<Uint8Array | null> | null>> {
    const { rows, environment } = this.#options;
    const [whole] = this.#asked;
    return this.#phase(
      PeekMessage,
      (owner) => this.#peekRequest(owner === whole ? MAX_MESSAGE_BYTES : environment.settings.valuesUpTo),
      (request, deadline) => rows.peek(request, { deadline }),
      ({ accepted }) => ({ kind: 'yes', value: accepted }),
      { milliseconds: PEEK_MS, isEnough: (values) => agreedValue(values, this.majority) !== undefined },
    );
  }

  /** Under which ballot each has accepted what it has. */
  ballots(): Promise<Phase<Accepted<Uint8Array | null> | null>> {
    return this.#phase(
      PeekMessage,
      () => this.#peekRequest(0),
      (request, deadline) => this.#options.rows.peek(request, { deadline }),
      ({ accepted }) => ({ kind: 'yes', value: accepted }),
      { milliseconds: PEEK_MS },
    );
  }

  /** The value that a majority has accepted under the ballot, from the first owner that has it still. */
  async valueUnder(ballot: Ballot): Promise<Uint8Array | undefined> {
    const { rows, deadline } = this.#options;
    const request = this.#peekRequest(MAX_MESSAGE_BYTES);
    for (const owner of this.#asked) {
      const read = ({ accepted }: PeekReply): Reply<PeekReply['accepted']> => ({ kind: 'yes', value: accepted });
      const answer = await this.#answerOf(
        owner,
        PeekMessage,
        request,
        (asked) => rows.peek(asked, { deadline }),
        read,
        deadline,
      );
      if (answer.kind !== 'yes' || answer.value === null) continue;
      if (answer.value.value !== null && compareBallots(answer.value.ballot, ballot) === 0) return answer.value.value;
    }
    return undefined;
  }

  /** Phase 1; the values are what the owners had accepted. */
  prepare(ballot: Ballot): Promise<Phase<Accepted<Uint8Array> | null>> {
    const { rows } = this.#options;
    return this.#phase(
      PrepareMessage,
      () => ({ ...this.#ofRegister(), ballot }),
      (request, deadline, trace) => rows.prepare(request, deadline, trace),
      (reply) => (reply.kind === 'promised' ? { kind: 'yes', value: reply.accepted } : reply),
    );
  }

  /** Phase 2, with the promise for the `next` ballot. */
  accept(ballot: Ballot, value: Uint8Array, next: Ballot | null): Promise<Phase<null>> {
    const { rows } = this.#options;
    return this.#phase(
      AcceptMessage,
      () => ({ ...this.#ofRegister(), ballot, value, next }),
      (request, deadline, trace) => rows.accept(request, deadline, trace),
      (reply) => (reply.kind === 'accepted' ? { kind: 'yes', value: null } : reply),
    );
  }

  /** Both phases of a round in which damaged registers take part (register-force.ts). */
  forcePrepare(ballot: Ballot): Promise<Phase<Accepted<Uint8Array> | null>> {
    const { rows } = this.#options;
    return this.#phase(
      ForcePrepareMessage,
      () => ({ ...this.#ofRegister(), ballot }),
      (request, deadline, trace) => rows.forcePrepare(request, deadline, trace),
      (reply) => (reply.kind === 'promised' ? { kind: 'yes', value: reply.accepted } : reply),
    );
  }

  forceAccept(ballot: Ballot, value: Uint8Array): Promise<Phase<null>> {
    const { rows } = this.#options;
    return this.#phase(
      ForceAcceptMessage,
      () => ({ ...this.#ofRegister(), ballot, value, next: null }),
      (request, deadline, trace) => rows.forceAccept(request, deadline, trace),
      (reply) => (reply.kind === 'accepted' ? { kind: 'yes', value: null } : reply),
    );
  }

  #ofRegister() {
    const { route, key } = this.#options;
    return { scope: route.scope, key };
  }

  #peekRequest(valuesUpTo: number): PeekRequest {
    return { ...this.#ofRegister(), valuesUpTo };
  }

  async #phase<Request, Answer, T>(
    type: MessageType<Request, Answer>,
    requestFor: (owner: Member) => Request,
    own: (request: Request, deadline: number, trace: Span | undefined) => Promise<Answer>,
    read: (answer: Answer) => Reply<T>,
    until: { readonly milliseconds: number; readonly isEnough?: (values: readonly T[]) => boolean } = {
      milliseconds: PHASE_MS,
    },
  ): Promise<Phase<T>> {
    const { clock } = this.#options.environment.world;
    const deadline = Math.min(this.#options.deadline, clock.monotonic() + until.milliseconds);
    this.#failures = 0;
    this.#late = 0;
    const answers = this.#asked.map((owner) => this.#answerOf(owner, type, requestFor(owner), own, read, deadline));
    const result = await poll(answers, { majority: this.majority, waitForAll: false, isEnough: until.isEnough });
    if (result.kind === 'majority' || result.kind === 'rejected') return result;
    if (this.#stale !== undefined) return { kind: 'stale', epoch: this.#stale };
    const late = this.#late > 0 && this.#asked.length - this.#failures + this.#late >= this.majority;
    const [said, got] = result.kind === 'failed' ? [result.detail, result.got] : [result.kind, 0];
    return { kind: 'failed', detail: this.#lost() ?? said, late, got };
  }

  /** Never rejects. */
  async #answerOf<Request, Answer, T>(
    owner: Member,
    type: MessageType<Request, Answer>,
    request: Request,
    own: (request: Request, deadline: number, trace: Span | undefined) => Promise<Answer>,
    read: (answer: Answer) => Reply<T>,
    deadline: number,
  ): Promise<PollAnswer<T>> {
    try {
      return await this.#ask(owner, type, request, own, read, deadline);
    } catch (error) {
      if (error instanceof Refusal) return this.#refused(owner, error.code, error.value);
      this.#options.environment.world.log.error('register-faulty', { reason: String(error) });
      return { kind: 'failed', detail: `${owner.id}: internal` };
    }
  }

  async #ask<Request, Answer, T>(
    owner: Member,
    type: MessageType<Request, Answer>,
    request: Request,
    own: (request: Request, deadline: number, trace: Span | undefined) => Promise<Answer>,
    read: (answer: Answer) => Reply<T>,
    deadline: number,
  ): Promise<PollAnswer<T>> {
    const { environment, trace } = this.#options;
    const { self, messaging } = environment;
    if (owner.id === self) return this.#unlessLate(own(request, deadline, trace).then(read), deadline);
    const result = await messaging.call(owner.id, type, request, { deadline, trace });
    if (result.kind === 'reply') return read(result.reply);
    if (result.kind === 'refused') return this.#refused(owner, result.code, result.value);
    this.#failures += 1;
    if (result.reason === 'timeout') this.#late += 1;
    return { kind: 'failed', detail: `${owner.id}: ${result.reason}` };
  }

  /** The own disk may hang, and the round must end all the same. */
  #unlessLate<T>(answer: Promise<Reply<T>>, deadline: number): Promise<PollAnswer<T>> {
    const { clock } = this.#options.environment.world;
    return new Promise((resolve, reject) => {
      const late = (): void => {
        this.#failures += 1;
        this.#late += 1;
        resolve({ kind: 'failed', detail: 'the disk of this node did not answer in time' });
      };
      const timer = clock.after(Math.max(0, deadline - clock.monotonic()), late);
      answer.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  /** What to say where too few owners have the register; undefined when a majority may have it. */
  #lost(): string | undefined {
    if (this.#damaged.size === 0 || this.#asked.length - this.#damaged.size >= this.majority) return undefined;
    const silent = this.#members.length - this.#asked.length;
    const away = silent === 0 ? '' : ` and ${silent} cannot be asked`;
    return (
      `too few owners of the key have what was decided of it last: it is damaged at ${[...this.#damaged].join(', ')}${away}. ` +
      'It comes back by itself when enough others have it; if none ever will, quoral key force shows what is left, and goes on with that'
    );
  }

  #refused(owner: Member, code: string, value: number): PollAnswer<never> {
    this.#failures += 1;
    if (code === STALE) this.#stale = Math.max(this.#stale ?? 0, value) as Epoch;
    if (code === CORRUPT_ROW) this.#damaged.add(owner.id);
    return { kind: 'failed', detail: `${owner.id}: ${code}` };
  }
}
