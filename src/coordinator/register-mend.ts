/**
 * Gets damaged registers back. Until then their owner has no vote on them: one that has forgotten what it promised lets two
 * values be chosen.
 *
 * What the lost row may have promised lies below the node's ceiling (register-bounds.ts). So the owner prepares a ballot above
 * that at N−W+1 of the others (W a majority): whatever a majority has chosen with the lost vote is known to one of them, and
 * nothing that the lost vote was counted for can be chosen any more without being known to one. It then goes on as one that has
 * promised that ballot and accepted the latest that they have.
 */

import type { Accepted } from '#consensus/acceptor.ts';
import { compareBallots, type BallotSource } from '#consensus/ballot.ts';
import { toHex } from '#kernel/bytes.ts';
import { othersNeeded } from '#repair/mend.ts';
import { recordKey, type RecordName } from '#replica/tables.ts';
import { Refusal } from '#wire/message.ts';
import type { Counter, Timer } from '#world/world.ts';
import { routeOf, type Environment } from './environment.ts';
import { RegisterRound } from './register-round.ts';
import type { RegisterRows } from './register-rows.ts';

/** Registers that wait; what is over it is found again. */
const DAMAGED_MAX = 10_000;
const AT_ONCE = 8;
const CALL_MS = 5000;
const RETRY_MS = 1000;
const COMPLAINT_MS = 60_000;

export interface RegisterMendOptions {
  readonly environment: Environment;
  readonly rows: RegisterRows;
  readonly ballots: BallotSource;
}

export class RegisterMend {
  readonly #options: RegisterMendOptions;
  readonly #mended: Counter;
  readonly #damaged = new Map<string, RecordName>();
  #complainedAt = -Infinity;
  #timer: Timer | undefined;
  #running = false;
  #stopped = true;

  constructor(options: RegisterMendOptions) {
    this.#options = options;
    const { metrics } = options.environment.world;
    const help = 'Damaged registers of strong keys that were got back from other owners';
    this.#mended = metrics.counter('quoral_registers_mended_total', help);
    const damaged = 'Registers of strong keys that are damaged, on which this node has no vote';
    metrics.gauge('quoral_registers_damaged', damaged, () => this.#damaged.size);
  }

  start(): void {
    this.#stopped = false;
    this.#soon(RETRY_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  report(name: RecordName, reason: string): void {
    const id = toHex(recordKey(name.bucket, name.incarnation, name.key));
    if (this.#damaged.size >= DAMAGED_MAX || this.#damaged.has(id)) return;
    this.#options.environment.world.log.warn('register-damaged', { bucket: name.bucket, key: name.key, reason });
    this.#damaged.set(id, name);
    this.#soon(0);
  }

  #soon(delay: number): void {
    if (this.#stopped || this.#running || this.#damaged.size === 0) return;
    this.#timer?.cancel();
    this.#timer = this.#options.environment.world.clock.after(delay, () => void this.#pass());
  }

  async #pass(): Promise<void> {
    this.#running = true;
    const rows = this.#options.environment.ready() ? [...this.#damaged] : [];
    for (let first = 0; first < rows.length && !this.#stopped; first += AT_ONCE) {
      await Promise.all(rows.slice(first, first + AT_ONCE).map(([id, name]) => this.#try(id, name)));
    }
    this.#running = false;
    this.#soon(RETRY_MS);
  }

  async #try(id: string, name: RecordName): Promise<void> {
    const { environment } = this.#options;
    try {
      const failure = await this.#mend(name);
      if (failure === undefined) this.#damaged.delete(id);
      else this.#complain(name, failure);
    } catch (error) {
      if (error instanceof Refusal) this.#complain(name, error.message);
      else environment.world.log.error('register-faulty', { reason: String(error) });
    }
  }

  /** What went wrong, if something did. */
  async #mend(name: RecordName): Promise<string | undefined> {
    const { environment, rows, ballots } = this.#options;
    const { world, knowledge, self } = environment;
    const { key } = name;
    const bucket = environment.resolveBucket(name.bucket);
    if (bucket.incarnation !== name.incarnation) return undefined;
    const route = routeOf(environment, bucket, key);
    const others = route.owners.filter(({ id }) => id !== self);
    if (others.length === route.owners.length) return undefined;
    const quorum = { members: others, needed: othersNeeded(route.owners.length) };
    const deadline = world.clock.monotonic() + CALL_MS;
    const round = new RegisterRound({ environment, rows, route, key, deadline, trace: undefined, quorum });
    const hopeless = round.hopeless();
    if (hopeless !== undefined) return hopeless;
    ballots.observe({ time: rows.ceiling, node: knowledge.self(), boot: 0 });
    const ballot = ballots.next(knowledge.self());
    const promised = await round.prepare(ballot);
    if (promised.kind === 'rejected') ballots.observe(promised.highest);
    if (promised.kind !== 'majority') return promised.kind === 'failed' ? promised.detail : promised.kind;
    await rows.mend(route.scope, key, { promised: ballot, accepted: latest(promised.values) }, deadline);
    this.#mended.add();
    world.log.info('row-mended', { bucket: name.bucket, partition: route.scope.partition, key });
    return undefined;
  }

  #complain({ bucket, key }: RecordName, reason: string): void {
    const { clock, log } = this.#options.environment.world;
    if (clock.monotonic() < this.#complainedAt + COMPLAINT_MS) return;
    this.#complainedAt = clock.monotonic();
    log.warn('register-not-mended', { bucket, key, reason });
  }
}

function latest(answers: readonly (Accepted<Uint8Array> | null)[]): Accepted<Uint8Array> | null {
  return answers.reduce((best, answer) => {
    if (answer === null) return best;
    return best === null || compareBallots(answer.ballot, best.ballot) > 0 ? answer : best;
  }, null);
}
