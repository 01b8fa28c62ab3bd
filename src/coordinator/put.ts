/**
 * The story of a PUT or DELETE at an owner: mint the version on top of what this replica has, give the whole new state to the
 * other owners while the own commit is in flight, count who has it, answer.
 *
 * Once the state has left this node nobody can take it back, so from then on a failure is "unknown" unless every replica
 * has said itself that it did not take it.
 */

import { EMPTY_VECTOR, type VersionVector } from '#causality/state.ts';
import type { Epoch } from '#kernel/identity.ts';
import { WriteTally } from '#quorum/tally.ts';
import { StoreMessage } from '#replica/messages.ts';
import { asRefusal, DISK_FULL, mayHaveBegun, OVERLOADED, TooManySiblings } from '#replica/replica.ts';
import type { StoredState } from '#replica/records.ts';
import { STALE } from '#replica/scope.ts';
import type { Member } from '#ring/ring.ts';
import { Refusal } from '#wire/message.ts';
import { DiskError } from '#world/world.ts';
import { reachableOwners, REDEFINED, routeOf, sameBucketNow, type Environment, type Route } from './environment.ts';
import { readKey } from './get.ts';
import type { Agreement, Trouble, WriteOutcome, WriteRequest } from './requests.ts';

type Ending = 'reached' | 'impossible' | 'deadline' | 'not-minted';

/** Writes at this node, which owns the key. */
export async function writeAtOwner(environment: Environment, request: WriteRequest): Promise<WriteOutcome> {
  const seen = await whatTheClientSaw(environment, request);
  if ('kind' in seen) return seen;
  for (let attempt = 0; ; attempt++) {
    const bucket = sameBucketNow(environment, request.bucket);
    if (bucket === undefined) return redefined(request);
    const round = new WriteRound(environment, { ...request, bucket }, seen.context);
    const ending = await round.run();
    const newer = round.newerEpoch();
    if (ending === 'not-minted' && newer !== undefined && attempt < environment.settings.staleRetries) {
      await environment.knowledge.catchUp(newer, request.deadline);
      continue;
    }
    return round.outcome(ending);
  }
}

function redefined({ w, pw, dw }: WriteRequest): WriteOutcome {
  const agreement = { acked: 0, needed: Math.max(w, pw, dw), of: 0, fallbacks: 0 };
  return { kind: 'not-applied', trouble: 'quorum-unavailable', detail: REDEFINED, agreement };
}

/** The context to write with: a delete without one removes what a read at the request's `r` finds. */
async function whatTheClientSaw(
  environment: Environment,
  request: WriteRequest,
): Promise<{ context: VersionVector } | WriteOutcome> {
  if (request.context !== null) return { context: request.context };
  if (request.content !== null) return { context: EMPTY_VECTOR };
  const read = await readKey(environment, request);
  if (read.kind === 'found') return { context: read.context };
  return {
    kind: 'not-applied',
    trouble: read.trouble,
    detail: `reading what to delete: ${read.detail}`,
    agreement: read.agreement,
  };
}

/** One attempt at a write: to whom the state went and what became of it there. */
class WriteRound {
  readonly #environment: Environment;
  readonly #request: WriteRequest;
  readonly #context: VersionVector;
  readonly #route: Route;
  readonly #targets: readonly Member[];
  readonly #tally: WriteTally;
  #minted: StoredState | undefined;
  /** Replicas that may hold the write, however the round ends. */
  #mayHold = 0;
  #reasonNotMinted: unknown;
  #refusals: string[] = [];
  #newerEpoch: Epoch | undefined;
  #end: (ending: Ending) => void = () => undefined;
  #ended = false;

  constructor(environment: Environment, request: WriteRequest, context: VersionVector) {
    this.#environment = environment;
    this.#request = request;
    this.#context = context;
    this.#route = routeOf(environment, request.bucket, request.key);
    this.#targets = reachableOwners(environment, this.#route.owners);
    this.#tally = new WriteTally({ w: request.w, pw: request.pw, dw: request.dw });
    for (const owner of this.#targets) this.#tally.expect(owner.index, 'primary');
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
      void this.#mintHere(here);
    });
  }

  /** An epoch that a replica knew and this node did not, when nothing was minted because of it. */
  newerEpoch(): Epoch | undefined {
    return this.#newerEpoch;
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
    return { kind, trouble, detail: this.#detail(trouble), agreement };
  }

  #agreement(): Agreement {
    const { w, pw, dw } = this.#request;
    return { acked: this.#tally.acked, needed: Math.max(w, pw, dw), of: this.#route.owners.length, fallbacks: 0 };
  }

  #applied(agreement: Agreement): WriteOutcome {
    const { state } = this.#minted!;
    return {
      kind: 'applied',
      agreement,
      coordinator: this.#environment.self,
      versions: state.versions,
      context: state.vector,
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
    return `too few replicas can take the write${reasons}`;
  }

  /** Mints and commits at this node; the other owners get the state before the commit. */
  async #mintHere(here: Member): Promise<void> {
    const { environment, request } = { environment: this.#environment, request: this.#request };
    const span = request.trace?.child('replica.mint', 'internal');
    try {
      await environment.replica.mint(
        {
          scope: this.#route.scope,
          key: request.key,
          content: request.content,
          context: this.#context,
          expiresAt: request.expiresAt,
          durable: request.dw > 0,
          stillWanted: () => !this.#ended,
          trace: span,
        },
        (minted) => {
          this.#minted = minted;
          this.#mayHold += 1;
          const others = this.#targets.filter((owner) => owner !== here);
          for (const owner of others) void this.#sendTo(owner, minted);
          return others.length > 0;
        },
      );
      span?.end();
      this.#tally.accept(here.index, request.dw > 0);
      this.#decide();
    } catch (error) {
      span?.end(String(error));
      this.#mintFailed(here, error);
    }
  }

  #mintFailed(here: Member, error: unknown): void {
    const refusal = asRefusal(error);
    const expected = refusal instanceof Refusal || error instanceof TooManySiblings;
    if (!expected)
      this.#environment.world.log.error('mint-failed', { requestId: this.#request.requestId, reason: String(error) });
    if (refusal instanceof Refusal) this.#refusals.push(refusal.code);
    if (this.#minted === undefined) {
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
  async #sendTo(owner: Member, minted: StoredState): Promise<void> {
    const { environment, request } = { environment: this.#environment, request: this.#request };
    this.#mayHold += 1;
    let { scope } = this.#route;
    for (let attempt = 0; ; attempt++) {
      const result = await environment.messaging.call(
        owner.id,
        StoreMessage,
        { scope, requestId: request.requestId, key: request.key, state: minted.encoded, durable: request.dw > 0 },
        { deadline: request.deadline, trace: request.trace },
      );
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
