/**
 * Changing a strong key: CASPaxos (Rystsov 2018) among the key's owners. Any node may propose at any time and safety does
 * not depend on who does; that requests of a key usually meet at one owner (strong.ts) only keeps proposers from duelling.
 *
 * A round prepares a fresh ballot at a majority, takes the value under the highest accepted ballot, makes the changes on it
 * and has a majority accept the result. That accept asks for the next ballot's promise as well, so a proposer that goes on
 * with the same key saves the first phase. Two rules that shortcuts have broken elsewhere: whatever is answered, a read too,
 * was accepted by a majority; and a ballot is used for one proposal only, so after anything but a success the next attempt
 * prepares a fresh one.
 *
 * An attempt that was not confirmed may have been chosen all the same. The next one then finds its changes in the value by
 * their ids, or has closed the door on them with its higher ballot.
 */

import type { Bucket } from '#buckets/definition.ts';
import { EMPTY_VECTOR } from '#causality/state.ts';
import { counterFor } from '#causality/write.ts';
import { valueToAdopt, type Accepted } from '#consensus/acceptor.ts';
import { compareBallots, type BallotSource } from '#consensus/ballot.ts';
import type { Ballot } from '#consensus/facts.ts';
import { agreedValue } from '#consensus/register.ts';
import { backoff, sleep } from '#consensus/waiting.ts';
import { equalBytes, toHex } from '#kernel/bytes.ts';
import type { Checksum } from '#kernel/native.ts';
import type { NodeStorage } from '#replica/node-storage.ts';
import { ownersOf } from '#ring/preference-list.ts';
import { MalformedMessage } from '#wire/message.ts';
import type { Span } from '#world/world.ts';
import { REDEFINED, routeOf, sameBucketNow, STOPPED_SERVING, type Environment } from './environment.ts';
import { RegisterCache } from './register-cache.ts';
import { RegisterFigures } from './register-figures.ts';
import { RegisterRound, type Setback } from './register-round.ts';
import type { RegisterRows } from './register-rows.ts';
import { tooLarge, type RegisterLimits } from './register-size.ts';
import { decodeValue, encodeValue } from './register-value-codec.ts';
import {
  BATCH_MAX,
  changeValue,
  isForgotten,
  NO_VALUE,
  RECENT_MAX,
  type ChangeResult,
  type RegisterChange,
  type RegisterValue,
  type ShownValue,
  wasLetGo,
} from './register-value.ts';

/** Bounds of the random wait after a duel, in milliseconds. */
const BACKOFF_FIRST_MS = 4;
const BACKOFF_LONGEST_MS = 200;
/** Rounds of one batch before its requests are told that the key is contended. */
const ATTEMPTS_MAX = 20;
/**
 * Longer than any request may take, shorter than the others remember what they have made: the monotonic clock of a machine that
 * was suspended does not tell.
 */
const STOOD_STILL_MS = 75_000;

export interface RegisterRequest {
  readonly bucket: Bucket;
  readonly key: Uint8Array;
  /** An instant of the monotonic clock. */
  readonly deadline: number;
  readonly change: RegisterChange;
  /** 16 bytes: equal for all attempts at this change, wherever they are made. */
  readonly id: Uint8Array;
  /** When another proposer was given the change, whose fate there is not known: milliseconds since 1970; 0 for never. */
  readonly triedAt: number;
  /** The step that wants the change, when it is traced. */
  readonly trace?: Span | undefined;
}

export interface Confirmation {
  readonly acked: number;
  readonly needed: number;
  readonly of: number;
}

export type FailureReason = 'unavailable' | 'timeout' | 'overloaded' | 'too-large';

export type Proposed =
  | { readonly kind: 'done'; readonly result: ChangeResult; readonly confirmation: Confirmation }
  /** `mayBeMade`: the change was proposed to somebody and may yet win. */
  | {
      readonly kind: 'failed';
      readonly reason: FailureReason;
      readonly detail: string;
      readonly mayBeMade: boolean;
    };

export interface RegisterProposerOptions {
  readonly environment: Environment;
  readonly rows: RegisterRows;
  readonly storage: NodeStorage;
  readonly limits: RegisterLimits;
  /** Changes that wait for their turn at this node. */
  readonly queueMax: number;
  /** Shared by all that propose at this node: a ballot is used once. */
  readonly ballots: BallotSource;
  /** Told of every value that a majority has accepted. */
  readonly onChosen: (bucket: Bucket, key: Uint8Array, value: RegisterValue) => void;
  /** Whether nobody looks for the change any more. */
  readonly isAnswered: (id: Uint8Array) => boolean;
}

interface Task {
  readonly request: RegisterRequest;
  readonly settle: (proposed: Proposed) => void;
  /** Milliseconds since 1970. */
  readonly arrivedAt: number;
  settled: boolean;
  /** The version of the value that it was first made on. */
  firstVersion: number | undefined;
  /** An owner may have accepted it. */
  proposed: boolean;
}

export class RegisterProposer {
  readonly #options: RegisterProposerOptions;
  readonly #ballots: BallotSource;
  readonly #cache = new RegisterCache();
  readonly #figures: RegisterFigures;
  /** The changes of each key that has any, in the order of their arrival. */
  readonly #queues = new Map<string, Task[]>();
  #waiting = 0;

  constructor(options: RegisterProposerOptions) {
    const { environment, ballots } = options;
    this.#options = options;
    this.#ballots = ballots;
    this.#figures = new RegisterFigures(environment.world.metrics);
    environment.world.metrics.gauge(
      'quoral_register_changes',
      'Changes of strong keys that wait or are under way.',
      () => this.#waiting,
    );
  }

  /** Makes the change, or says by the deadline what is known of it. Never rejects. */
  propose(request: RegisterRequest): Promise<Proposed> {
    const { clock } = this.#options.environment.world;
    if (this.#waiting >= this.#options.queueMax) {
      return Promise.resolve(failed('overloaded', `${this.#waiting} changes of strong keys wait already`, false));
    }
    this.#waiting += 1;
    return new Promise<Proposed>((resolve) => {
      const task: Task = {
        request,
        arrivedAt: clock.wall(),
        settled: false,
        firstVersion: undefined,
        proposed: false,
        settle: (proposed) => {
          if (task.settled) return;
          task.settled = true;
          timer.cancel();
          this.#waiting -= 1;
          resolve(proposed);
        },
      };
      const timer = clock.after(request.deadline - clock.monotonic(), () =>
        task.settle(failed('timeout', 'a majority of the owners did not confirm in time', task.proposed)),
      );
      this.#enqueue(task);
    });
  }

  /**
   * What a majority of the owners has accepted under one ballot, in one round without a write; undefined when they differ or
   * too few can answer, which {@link propose} of a look can settle. Owners that are slow are asked again: a round would have them take
   * and store the whole value, however large, twice, and be slower still.
   */
  async peek<V extends ShownValue>(
    bucket: Bucket,
    key: Uint8Array,
    deadline: number,
    trace: Span | undefined,
    decode: (bytes: Uint8Array, checksum: Checksum) => V,
  ): Promise<{ readonly value: V | RegisterValue; readonly confirmation: Confirmation } | undefined> {
    const { environment, rows } = this.#options;
    const route = routeOf(environment, bucket, key);
    const round = new RegisterRound({ environment, rows, route, key, deadline, trace });
    if (round.hopeless() !== undefined) return undefined;
    const phase = await round.peek();
    if (phase.kind === 'failed' && phase.late && environment.world.clock.monotonic() < deadline)
      return this.peek(bucket, key, deadline, trace, decode);
    if (phase.kind !== 'majority') return undefined;
    const agreed = agreedValue(phase.values, round.majority);
    if (agreed === undefined) return undefined;
    const bytes = agreed.accepted === null ? undefined : await valueOf(agreed.accepted, phase.values, round);
    if (bytes === undefined && agreed.accepted !== null) return undefined;
    const value = bytes === undefined ? NO_VALUE : decode(bytes, environment.world.digest.crc32);
    return { value, confirmation: { acked: phase.values.length, needed: round.majority, of: round.of } };
  }

  #enqueue(task: Task): void {
    const { bucket, key } = task.request;
    const name = `${bucket.name}/${bucket.incarnation}/${toHex(key)}`;
    const queue = this.#queues.get(name);
    if (queue !== undefined) {
      queue.push(task);
      return;
    }
    const fresh = [task];
    this.#queues.set(name, fresh);
    void this.#work(name, fresh);
  }

  /** One batch after the other: what waits while a round is under way shares the next one. */
  async #work(name: string, queue: Task[]): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.splice(0, BATCH_MAX);
      try {
        await this.#make(name, batch);
      } catch (error) {
        const detail = error instanceof MalformedMessage ? error.message : 'this node has failed on the request';
        this.#options.environment.world.log.error('register-faulty', { reason: String(error) });
        for (const task of batch) task.settle(failed('unavailable', detail, task.proposed));
      }
    }
    this.#queues.delete(name);
  }

  async #make(name: string, batch: readonly Task[]): Promise<void> {
    const { environment, rows } = this.#options;
    const { world, knowledge } = environment;
    let detail = '';
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const open = batch.filter((task) => !task.settled);
      const [first] = open;
      if (first === undefined) return;
      const { key } = first.request;
      const bucket = sameBucketNow(environment, first.request.bucket);
      if (bucket === undefined) return failAll(open, REDEFINED);
      const deadline = Math.max(...open.map(({ request }) => request.deadline));
      const route = routeOf(environment, bucket, key);
      // A round that several share stands in the trace of the first that has one.
      const trace = open.find(({ request }) => request.trace !== undefined)?.request.trace;
      const round = new RegisterRound({ environment, rows, route, key, deadline, trace });
      const hopeless = round.hopeless();
      if (hopeless !== undefined) return failAll(open, hopeless);
      const { changedIn } = ownersOf(knowledge.ring(), route.scope.n, route.scope.partition);
      const setback = await this.#attempt(round, name, changedIn, open);
      if (setback === undefined) return;
      this.#figures.setbacks[setback.kind].add();
      if (setback.kind === 'failed') ({ detail } = setback);
      if (setback.kind === 'rejected') this.#ballots.observe(setback.highest);
      if (setback.kind === 'stale') await knowledge.catchUp(setback.epoch, deadline);
      else await sleep(world.clock, backoff(world.random, attempt, BACKOFF_FIRST_MS, BACKOFF_LONGEST_MS));
    }
    failAll(batch, `no round of ${ATTEMPTS_MAX} succeeded: ${detail === '' ? 'others change the key too' : detail}`);
  }

  /** One round. Undefined when it succeeded, and then all of the batch have their answers. */
  async #attempt(
    round: RegisterRound,
    name: string,
    changedIn: Parameters<RegisterCache['take']>[1],
    batch: readonly Task[],
  ): Promise<Setback | undefined> {
    const { environment, limits, onChosen } = this.#options;
    const warm = this.#cache.take(name, changedIn);
    const base = warm ?? (await this.#prepare(round));
    if ('kind' in base) return base;
    const encode = (one: RegisterValue): Uint8Array => encodeValue(one, environment.world.digest.crc32);
    let { value, results } = this.#change(base, batch);
    let encoded = encode(value);
    // Only those go that make it too large.
    if (encoded.length > limits.stateBytesMax) {
      ({ value, results } = this.#change(base, batch, (one) => encode(one).length));
      encoded = encode(value);
    }
    const next = this.#ballots.next(environment.knowledge.self());
    for (const { task } of results) if (task.request.change.kind !== 'look') task.proposed = true;
    const accepted = await round.accept(base.ballot, encoded, next);
    if (accepted.kind !== 'majority') return accepted;
    this.#figures[warm === undefined ? 'cold' : 'warm'].add();
    this.#cache.put(name, { ballot: next, value, bytes: encoded.length, changedIn });
    const { bucket, key } = batch[0]!.request;
    onChosen(bucket, key, value);
    const confirmation = { acked: accepted.values.length, needed: round.majority, of: round.of };
    for (const { task, result } of results) task.settle({ kind: 'done', result, confirmation });
    return undefined;
  }

  async #prepare(round: RegisterRound): Promise<{ readonly ballot: Ballot; readonly value: RegisterValue } | Setback> {
    const ballot = this.#ballots.next(this.#options.environment.knowledge.self());
    const promised = await round.prepare(ballot);
    if (promised.kind !== 'majority') return promised;
    return { ballot, value: this.#decoded(valueToAdopt(promised.values)) };
  }

  /** Makes one change after the other on the value. */
  #change(
    base: { readonly ballot: Ballot; readonly value: RegisterValue },
    batch: readonly Task[],
    bytesOf?: (value: RegisterValue) => number,
  ): { readonly value: RegisterValue; readonly results: { readonly task: Task; readonly result: ChangeResult }[] } {
    const { environment, storage, isAnswered, limits } = this.#options;
    let { value } = base;
    const results: { readonly task: Task; readonly result: ChangeResult }[] = [];
    for (const task of batch) {
      // Its request has been told meanwhile that nothing was done, and that must stay true.
      if (task.settled) continue;
      if (environment.world.clock.wall() - task.arrivedAt > STOOD_STILL_MS) {
        task.settle(failed('timeout', 'this node stood still for longer than changes are remembered', true));
        continue;
      }
      if (mayHaveBeenMade(task, value)) {
        task.settle(failed('unavailable', 'too many changes came after one whose fate is not known', true));
        continue;
      }
      task.firstVersion ??= value.version;
      // What has ended is decided here, by a clock that may have jumped since the request came in.
      if (!environment.ready()) {
        task.settle(failed('unavailable', STOPPED_SERVING, task.proposed));
        continue;
      }
      const counter = counterFor(storage.clock.tick(), EMPTY_VECTOR, value.state);
      const changed = changeValue(value, task.request.change, {
        id: task.request.id,
        retried: task.request.triedAt > 0,
        dot: { node: environment.knowledge.self(), tenure: storage.tenure.current(), counter },
        now: environment.world.clock.wall(),
        leastToken: base.ballot.time,
        isAnswered,
      });
      const large = tooLarge(value, changed.value, limits, bytesOf);
      if (large !== undefined) {
        task.settle(failed('too-large', large, task.proposed));
        continue;
      }
      ({ value } = changed);
      results.push({ task, result: changed.result });
    }
    return { value, results };
  }

  /** @throws MalformedMessage for a value that this program cannot read */
  #decoded(bytes: Uint8Array | undefined): RegisterValue {
    return bytes === undefined ? NO_VALUE : decodeValue(bytes, this.#options.environment.world.digest.crc32);
  }
}

/** The bytes of what a majority has accepted: from whoever has sent them, or from one of them who is asked for them now. */
async function valueOf(
  { ballot, value }: Accepted<Uint8Array | null>,
  answers: readonly (Accepted<Uint8Array | null> | null)[],
  round: RegisterRound,
): Promise<Uint8Array | undefined> {
  const whole = answers.find(
    (answer) => answer !== null && answer.value !== null && compareBallots(answer.ballot, ballot) === 0,
  );
  return value ?? whole?.value ?? (await round.valueUnder(ballot));
}

/** Whether the change may have been made already, or may yet be, without being remembered: then it must not be made now. */
function mayHaveBeenMade({ request, proposed, firstVersion, arrivedAt }: Task, value: RegisterValue): boolean {
  if (isForgotten(value, request)) return true;
  const isFar = value.version - (firstVersion ?? 0) >= RECENT_MAX - BATCH_MAX;
  if (!proposed || (!isFar && !wasLetGo(value, arrivedAt))) return false;
  return !value.recent.some(({ id }) => equalBytes(id, request.id));
}

function failed(reason: FailureReason, detail: string, mayBeMade: boolean): Proposed {
  return { kind: 'failed', reason, detail, mayBeMade };
}

function failAll(tasks: readonly Task[], detail: string): void {
  for (const task of tasks) task.settle(failed('unavailable', detail, task.proposed));
}
