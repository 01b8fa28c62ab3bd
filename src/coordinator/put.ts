/**
 * The story of a PUT or DELETE at an owner: mint the version on top of what this replica has, give the whole new state to the
 * other owners while the own commit is in flight, count who has it, answer.
 *
 * Once the state has left this node nobody can take it back, so from then on a failure is "unknown" unless every replica
 * has said itself that it did not take it.
 */

import type { Dot } from '#causality/dot.ts';
import { encodeState } from '#causality/state-codec.ts';
import type { VersionVector } from '#causality/state.ts';
import type { Epoch } from '#kernel/identity.ts';
import { WriteTally } from '#quorum/tally.ts';
import { StoreMessage, type StoreRequest } from '#replica/messages.ts';
import { AlreadyMinted, asRefusal, DISK_FULL, mayHaveBegun, OVERLOADED, TooManySiblings } from '#replica/refusals.ts';
import type { StoredState } from '#replica/records.ts';
import type { RetryRow } from '#replica/retry-codec.ts';
import { STALE, type Scope } from '#replica/scope.ts';
import type { Member } from '#ring/ring.ts';
import { Refusal } from '#wire/message.ts';
import { DiskError } from '#world/world.ts';
import { beforeWrite, type Before } from './before-write.ts';
import {
  countedOwners,
  inItsZone,
  reachableOwners,
  REDEFINED,
  routeOf,
  sameBucketNow,
  type Environment,
  type Route,
} from './environment.ts';
import type { Agreement, Trouble, WriteOutcome, WriteRequest } from './requests.ts';
import { failureName } from '#wire/failure-name.ts';

/** A state that has the write, and what the owners shall remember of the request. */
interface Offer extends StoredState {
  readonly dot: Dot;
  readonly retries: readonly RetryRow[];
}

type Ending = 'reached' | 'impossible' | 'deadline' | 'not-minted';

/** Writes at this node, which owns the key. */
export async function writeAtOwner(environment: Environment, asked: WriteRequest): Promise<WriteOutcome> {
  for (let attempt = 0; ; attempt++) {
    const bucket = sameBucketNow(environment, asked.bucket);
    if (bucket === undefined) return redefined(asked);
    const request = { ...asked, bucket };
    const before = await beforeWrite(environment, request);
    if (before.kind === 'over') return before.outcome;
    const round = new WriteRound(environment, request, before);
    const ending = await round.run();
    if (attempt < environment.settings.staleRetries && (await round.mayTryAgain(ending))) continue;
    return round.outcome(ending);
  }
}

function redefined({ w, pw, dw }: WriteRequest): WriteOutcome {
  const agreement = { acked: 0, needed: Math.max(w, pw, dw), of: 0, fallbacks: 0 };
  return { kind: 'not-applied', trouble: 'quorum-unavailable', detail: REDEFINED, agreement };
}

/** One attempt at a write: to whom the state went and what became of it there. */
class WriteRound {
  readonly #environment: Environment;
  readonly #request: WriteRequest;
  readonly #before: Exclude<Before, { kind: 'over' }>;
  readonly #route: Route;
  readonly #targets: readonly Member[];
  readonly #tally: WriteTally;
  /** Owners that count. */
  readonly #of: number;
  /** What is given to the owners. */
  #offer: Offer | undefined;
  /** Replicas that may hold the write, however the round ends. */
  #mayHold = 0;
  #reasonNotMinted: unknown;
  #refusals: string[] = [];
  #newerEpoch: Epoch | undefined;
  #end: (ending: Ending) => void = () => undefined;
  #ended = false;

  constructor(environment: Environment, request: WriteRequest, before: Exclude<Before, { kind: 'over' }>) {
    this.#environment = environment;
    this.#before = before;
    this.#route = routeOf(environment, request.bucket, request.key);
    this.#request = inItsZone(request, this.#route.owners);
    const counted = countedOwners(request, this.#route.owners);
    this.#of = counted.length;
    this.#targets = reachableOwners(environment, this.#route.owners);
    const { w, pw, dw } = this.#request;
    this.#tally = new WriteTally({ w, pw, dw });
    for (const owner of this.#targets)
      this.#tally.expect(owner.index, counted.includes(owner) ? 'primary' : 'bystander');
  }

  async run(): Promise<Ending> {
    const here = this.#targets.find((owner) => owner.id === this.#environment.self);
    if (here === undefined || this.#tally.decision() === 'impossible') return 'impossible';
    const { clock } = this.#environment.world;
    return new Promise<Ending>((resolve) => {
      const timer = clock.after(this.#request.deadline - clock.monotonic(), () => this.#end('deadline'));
      this.#end = (ending) => {
        if (this.#ended) return;
        this.#ended = true;
        timer.cancel();
        resolve(ending);
      };
      if (this.#before.kind === 'mint') void this.#mintHere(here, this.#before.context);
      else void this.#offerAgain(here, this.#before);
    });
  }

  /**
   * When nothing was minted because a replica knew an epoch that this node did not, or because another attempt at the same
   * request was there first: whether to begin anew, with what was learned.
   */
  async mayTryAgain(ending: Ending): Promise<boolean> {
    if (ending !== 'not-minted') return false;
    if (this.#newerEpoch !== undefined)
      await this.#environment.knowledge.catchUp(this.#newerEpoch, this.#request.deadline);
    return this.#newerEpoch !== undefined || this.#reasonNotMinted instanceof AlreadyMinted;
  }

  outcome(ending: Ending): WriteOutcome {
    const agreement = this.#agreement();
    if (ending === 'reached') return this.#applied(agreement);
    const kind = this.#mayHold === 0 ? 'not-applied' : 'unknown';
    if (this.#reasonNotMinted instanceof TooManySiblings) {
      const { message, state } = this.#reasonNotMinted;
      return { kind: 'not-applied', trouble: 'too-many-siblings', detail: message, agreement, context: state.vector };
    }
    const trouble = this.#trouble(ending);
    const written = this.#offer === undefined ? {} : { written: this.#offer.dot };
    return { kind, trouble, detail: this.#detail(trouble), agreement, ...written };
  }

  #agreement(): Agreement {
    const { w, pw, dw } = this.#request;
    return { acked: this.#tally.acked, needed: Math.max(w, pw, dw), of: this.#of, fallbacks: 0 };
  }

  #applied(agreement: Agreement): WriteOutcome {
    const { state, dot } = this.#offer!;
    const minter = this.#environment.knowledge.ring().members.find(({ index }) => index === dot.node);
    return {
      kind: 'applied',
      agreement,
      coordinator: minter?.id ?? this.#environment.self,
      versions: state.versions,
      context: state.vector,
      written: dot,
    };
  }

  #trouble(ending: Ending): Trouble {
    if (this.#refusals.includes(DISK_FULL)) return 'disk-full';
    if (this.#refusals.includes(OVERLOADED)) return 'overloaded';
    // A call's own deadline may pass a moment before that of the round, which is the same.
    return ending === 'deadline' || this.#refusals.includes('timeout') ? 'quorum-timeout' : 'quorum-unavailable';
  }

  #detail(trouble: Trouble): string {
    const reasons = this.#refusals.length > 0 ? ` (${this.#refusals.join(', ')})` : '';
    if (trouble === 'quorum-timeout') return `not enough replicas confirmed the write in time${reasons}`;
    if (trouble === 'disk-full') return `the disk of a replica is full${reasons}`;
    const where = this.#request.zone === undefined ? '' : ` in zone ${this.#request.zone}`;
    return `too few replicas${where} can take the write${reasons}`;
  }

  /** Mints and commits at this node; the other owners get the state before the commit. */
  async #mintHere(here: Member, context: VersionVector): Promise<void> {
    const { environment, request } = { environment: this.#environment, request: this.#request };
    const span = request.trace?.child('replica.mint', 'internal');
    try {
      await environment.replica.mint(
        {
          scope: this.#route.scope,
          key: request.key,
          content: request.content,
          context,
          expiresAt: request.expiresAt,
          durable: request.dw > 0,
          mark: request.mark,
          stillWanted: () => !this.#ended,
          trace: span,
        },
        (minted) => {
          this.#mayHold += 1;
          return this.#sendToOthers(here, { ...minted, retries: minted.retry === null ? [] : [minted.retry] });
        },
      );
      span?.end();
      this.#tally.accept(here.index, request.dw > 0);
      this.#decide();
    } catch (error) {
      span?.end(failureName(error));
      this.#mintFailed(here, error);
    }
  }

  /**
   * The request was carried out before: all owners are given what became of it, this one too, and whoever has it counts. A
   * failure is never "not applied", for the first attempt was.
   */
  async #offerAgain(here: Member, { state, first }: Extract<Before, { kind: 'again' }>): Promise<void> {
    const { environment, request } = { environment: this.#environment, request: this.#request };
    this.#mayHold += 1;
    const encoded = encodeState(state, environment.world.digest.crc32);
    const offer = { state, encoded, dot: first.dot, retries: [first] };
    this.#sendToOthers(here, offer);
    try {
      await environment.replica.store(this.#storeRequest(this.#route.scope, offer), request.deadline);
      this.#tally.accept(here.index, request.dw > 0);
      this.#decide();
    } catch (error) {
      this.#mintFailed(here, error);
    }
  }

  /** Whether anybody was given the offer. */
  #sendToOthers(here: Member, offer: Offer): boolean {
    this.#offer = offer;
    const others = this.#targets.filter((owner) => owner !== here);
    for (const owner of others) void this.#sendTo(owner, offer);
    return others.length > 0;
  }

  #storeRequest(scope: Scope, { encoded, retries }: Offer): StoreRequest {
    const { requestId, key, dw } = this.#request;
    return { scope, requestId, key, state: encoded, durable: dw > 0, retries };
  }

  #mintFailed(here: Member, error: unknown): void {
    const refusal = asRefusal(error);
    const expected = refusal instanceof Refusal || error instanceof TooManySiblings || error instanceof AlreadyMinted;
    if (!expected)
      this.#environment.world.log.error('mint-failed', { requestId: this.#request.requestId, reason: String(error) });
    if (refusal instanceof Refusal) this.#refusals.push(refusal.code);
    if (this.#offer === undefined) {
      this.#reasonNotMinted = error;
      if (refusal instanceof Refusal && refusal.code === STALE) this.#newerEpoch = refusal.value as Epoch;
      this.#end('not-minted');
      return;
    }
    if (error instanceof DiskError && !error.uncertain) this.#mayHold -= 1;
    this.#tally.fail(here.index);
    this.#decide();
  }

  /** Gives the state to one owner; when that owner knows a newer epoch, learns it and offers the state once more. */
  async #sendTo(owner: Member, offer: Offer): Promise<void> {
    const { environment, request } = { environment: this.#environment, request: this.#request };
    this.#mayHold += 1;
    let { scope } = this.#route;
    for (let attempt = 0; ; attempt++) {
      const result = await environment.messaging.call(owner.id, StoreMessage, this.#storeRequest(scope, offer), {
        deadline: request.deadline,
        trace: request.trace,
      });
      if (result.kind === 'reply') {
        this.#tally.accept(owner.index, result.reply.durable);
        break;
      }
      if (result.kind === 'refused' && result.code === STALE && attempt < environment.settings.staleRetries) {
        await environment.knowledge.catchUp(result.value as Epoch, request.deadline);
        // Offered again only if it still belongs there under the same rules; otherwise this owner does not get it.
        const bucket = sameBucketNow(environment, request.bucket);
        const route = bucket === undefined ? undefined : routeOf(environment, bucket, request.key);
        if (route?.owners.some(({ index }) => index === owner.index) === true) {
          ({ scope } = route);
          continue;
        }
      }
      this.#refusals.push(result.kind === 'refused' ? result.code : result.reason);
      if (result.kind !== 'lost' && !(result.kind === 'refused' && mayHaveBegun(result.code))) this.#mayHold -= 1;
      this.#tally.fail(owner.index);
      break;
    }
    this.#decide();
  }

  #decide(): void {
    const decision = this.#tally.decision();
    if (decision !== 'pending') this.#end(decision);
  }
}
