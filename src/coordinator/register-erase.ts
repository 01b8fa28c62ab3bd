/**
 * Takes registers away that hold nothing any more: deleted keys, ended leases, values that have expired. A register is what
 * keeps late messages from being accepted, so it must not simply go; published stores that let this state expire lost writes.
 *
 * What does it, without any clock having to be right: all owners promise and accept the nothing that is there under one fresh
 * ballot; then each of them takes its row away if it has promised nobody more since, and in the same transaction raises the
 * floor of the partition to that ballot, below which it promises and accepts nothing for a key without a row. An owner that
 * cannot be reached holds it up.
 */

import type { BallotSource } from '#consensus/ballot.ts';
import { valueToAdopt } from '#consensus/acceptor.ts';
import type { Ballot } from '#consensus/facts.ts';
import { toHex } from '#kernel/bytes.ts';
import { recordKey, type RecordName } from '#replica/tables.ts';
import { STALE, NOT_OWNER, type Scope } from '#replica/scope.ts';
import { ownersOf } from '#ring/preference-list.ts';
import type { Member } from '#ring/ring.ts';
import { MalformedMessage, Refusal } from '#wire/message.ts';
import type { Counter, Timer } from '#world/world.ts';
import { ownRouteOf, type Environment, type Route } from './environment.ts';
import { EraseMessage, type EraseRequest } from './register-messages.ts';
import { RegisterRound } from './register-round.ts';
import type { RegisterRows } from './register-rows.ts';
import { decodeValue, encodeValue } from './register-value-codec.ts';
import { NO_VALUE, nothingFrom, type RegisterValue } from './register-value.ts';

/** Keys that wait; what is over it is found again when the rows are read through. */
const CANDIDATES_MAX = 10_000;
const AT_ONCE = 8;
const CALL_MS = 5000;
/** How often the owners are told before it is left to the next one that finds a row. */
const TELLINGS_MAX = 5;

export interface EraseOptions {
  readonly environment: Environment;
  readonly rows: RegisterRows;
  readonly ballots: BallotSource;
  /** Milliseconds between two looks at what is due. */
  readonly interval: number;
  /** Milliseconds for which nothing must have changed. */
  readonly age: number;
}

interface Candidate {
  readonly name: RecordName;
  /** Milliseconds since 1970. */
  dueAt: number;
  /** What all owners have accepted as nothing, and the owners that have not confirmed that it is gone. */
  agreed: { readonly scope: Scope; readonly ballot: Ballot; owners: readonly Member[]; tellings: number } | undefined;
}

export class RegisterErase {
  readonly #options: EraseOptions;
  readonly #erased: Counter;
  readonly #candidates = new Map<string, Candidate>();
  #timer: Timer | undefined;
  #stopped = true;

  constructor(options: EraseOptions) {
    this.#options = options;
    const { metrics } = options.environment.world;
    this.#erased = metrics.counter('quoral_registers_erased_total', 'Strong keys without a value that were taken away');
    const help = 'Strong keys without a value, or with one that ends, that wait to be taken away';
    metrics.gauge('quoral_registers_to_erase', help, () => this.#candidates.size);
  }

  start(): void {
    this.#stopped = false;
    this.#later();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** To be called with what the owners have accepted; remembers the key when it will hold nothing one day. */
  chosen(name: RecordName, value: RegisterValue): void {
    const dueAt = nothingFrom(value, this.#options.age);
    if (dueAt === Infinity) return;
    const id = idOf(name);
    if (this.#candidates.size < CANDIDATES_MAX || this.#candidates.has(id)) {
      this.#candidates.set(id, { name, dueAt, agreed: undefined });
    }
  }

  /** To be called with what a row here holds. What is being done about that goes on. */
  found(name: RecordName, value: RegisterValue): void {
    if (this.#candidates.get(idOf(name))?.dueAt !== nothingFrom(value, this.#options.age)) this.chosen(name, value);
  }

  #later(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.environment.world.clock.after(this.#options.interval, () => void this.#pass());
  }

  async #pass(): Promise<void> {
    const { environment } = this.#options;
    const { world, ready } = environment;
    const now = world.clock.wall();
    const due = ready() ? [...this.#candidates].filter(([, { dueAt }]) => dueAt <= now) : [];
    for (let first = 0; first < due.length && !this.#stopped && ready(); first += AT_ONCE) {
      await Promise.all(due.slice(first, first + AT_ONCE).map(([id, candidate]) => this.#try(id, candidate)));
    }
    this.#later();
  }

  async #try(id: string, candidate: Candidate): Promise<void> {
    try {
      const done = await this.#erase(candidate);
      if (done && this.#candidates.get(id) === candidate) this.#candidates.delete(id);
    } catch (error) {
      const { log } = this.#options.environment.world;
      // A damaged row is mended first; a value of a later program is left to it.
      const isKnown = error instanceof Refusal || error instanceof MalformedMessage;
      if (isKnown) log.debug('register-not-erased', { reason: error.message });
      else log.error('register-faulty', { reason: String(error) });
    }
  }

  /** True when the candidate needs not be looked at again. */
  async #erase(candidate: Candidate): Promise<boolean> {
    const { environment } = this.#options;
    candidate.agreed ??= await this.#agree(candidate);
    const { agreed } = candidate;
    if (agreed === undefined) return candidate.dueAt === Infinity;
    const { scope, ballot } = agreed;
    const request = { scope, key: candidate.name.key, ballot };
    const open = await Promise.all(
      agreed.owners.map(async (owner) => ((await this.#tell(owner, request)) ? [] : [owner])),
    );
    agreed.owners = open.flat();
    agreed.tellings += 1;
    if (agreed.owners.length > 0) return agreed.tellings >= TELLINGS_MAX;
    this.#erased.add();
    environment.world.log.debug('register-erased', { bucket: scope.bucket, key: candidate.name.key });
    return true;
  }

  /** Has all owners accept that nothing is there. Undefined when they do not; the candidate then says when it is due again. */
  async #agree(candidate: Candidate): Promise<Candidate['agreed']> {
    const { environment, rows, ballots, age } = this.#options;
    const { world, knowledge } = environment;
    const { name } = candidate;
    const route = ownRouteOf(environment, name)?.route;
    const held = route === undefined ? undefined : rows.held(name);
    candidate.dueAt = held === undefined ? Infinity : nothingFrom(held, age);
    if (route === undefined || candidate.dueAt > world.clock.wall() || isMoving(environment, route)) return undefined;
    const everybody = { members: route.owners, needed: route.owners.length };
    const deadline = world.clock.monotonic() + CALL_MS;
    const { key } = name;
    const round = new RegisterRound({ environment, rows, route, key, deadline, trace: undefined, quorum: everybody });
    if (round.hopeless() !== undefined) return undefined;
    const ballot = ballots.next(knowledge.self());
    const promised = await round.prepare(ballot);
    if (promised.kind === 'rejected') ballots.observe(promised.highest);
    if (promised.kind !== 'majority') return undefined;
    const bytes = valueToAdopt(promised.values) ?? encodeValue(NO_VALUE, world.digest.crc32);
    const value = decodeValue(bytes, world.digest.crc32);
    candidate.dueAt = nothingFrom(value, age);
    // The times of ballots are what fencing tokens are never below, so they must outgrow those that were given.
    if (candidate.dueAt > world.clock.wall() || value.fence >= ballot.time) return undefined;
    // That clock may have jumped since the pass began.
    if (!environment.ready()) return undefined;
    const accepted = await round.accept(ballot, bytes, null);
    if (accepted.kind === 'rejected') ballots.observe(accepted.highest);
    if (accepted.kind !== 'majority') return undefined;
    return { scope: route.scope, ballot, owners: route.owners, tellings: 0 };
  }

  /** Whether the owner needs not be told again. The scope is the one under which all agreed: other owners fence it off. */
  async #tell(owner: Member, request: EraseRequest): Promise<boolean> {
    const { environment, rows } = this.#options;
    const { self, messaging, world } = environment;
    const deadline = world.clock.monotonic() + CALL_MS;
    if (owner.id === self) {
      await rows.erase(request, deadline);
      return true;
    }
    const result = await messaging.call(owner.id, EraseMessage, request, { deadline, priority: 'background' });
    return result.kind === 'reply' || (result.kind === 'refused' && [STALE, NOT_OWNER].includes(result.code));
  }
}

function idOf({ bucket, incarnation, key }: RecordName): string {
  return toHex(recordKey(bucket, incarnation, key));
}

/** Whether the owners are about to be others: "all of them" would mean something else in a moment. */
export function isMoving({ knowledge }: Environment, { scope }: Route): boolean {
  return ownersOf(knowledge.ring(), scope.n, scope.partition).move !== undefined;
}
