/**
 * The coordinator's door. Any node takes a request: a read is coordinated where it came in, a write is minted at an owner,
 * to which a node that does not own the key forwards it once.
 */

import type { Epoch } from '#kernel/identity.ts';
import { FetchMessage, StoreMessage } from '#replica/messages.ts';
import { mayHaveBegun } from '#replica/refusals.ts';
import { STALE } from '#replica/scope.ts';
import type { Member } from '#ring/ring.ts';
import { Refusal, type MessageType } from '#wire/message.ts';
import type { CallerInfo } from '#wire/messaging.ts';
import {
  reachableFallbacks,
  reachableOwners,
  REDEFINED,
  routeOf,
  sameBucketNow,
  type Environment,
} from './environment.ts';
import { CoordinatorFigures } from './figures.ts';
import { readKey } from './get.ts';
import { listPage, type ListOutcome, type ListPageRequest } from './list.ts';
import { listHere } from './list-here.ts';
import { ListMessage } from './list-messages.ts';
import { operateMessage, withoutValues, writeMessage, type ForwardedWrite } from './messages.ts';
import { writeHere } from './put.ts';
import type { Agreement, ReadOutcome, ReadRequest, WriteOutcome, WriteRequest } from './requests.ts';
import { StrongKeys, type StrongOptions } from './strong.ts';
import { traced } from './traced.ts';

const NOT_READY = 'not-ready';

export interface CoordinatorOptions extends Omit<Environment, 'figures'> {
  readonly strong: Omit<StrongOptions, 'environment'>;
}

export class Coordinator {
  readonly #options: Environment;
  readonly #writeMessage: MessageType<ForwardedWrite, WriteOutcome>;
  readonly #operateMessage: MessageType<ForwardedWrite, WriteOutcome>;
  /** Keys of strong buckets go their own way. */
  readonly strong: StrongKeys;

  /** Registers the handlers of replica and coordinator requests with the environment's messaging. */
  constructor({ strong, ...options }: CoordinatorOptions) {
    this.#options = { ...options, figures: new CoordinatorFigures(options.world.metrics) };
    this.strong = new StrongKeys({ environment: this.#options, ...strong });
    this.#writeMessage = writeMessage(options.world.digest.crc32);
    this.#operateMessage = operateMessage(options.world.digest.crc32);
    const { messaging, replica } = options;
    messaging.handle(StoreMessage, (request, { deadline, trace }) => {
      this.#checkReady();
      return replica.store(request, deadline, trace);
    });
    messaging.handle(FetchMessage, (request, { deadline }) => {
      this.#checkReady();
      return replica.fetch(request, deadline);
    });
    messaging.handle(ListMessage, (request, { deadline }) => {
      this.#checkReady();
      return listHere(this.#options, request, deadline);
    });
    messaging.handle(this.#writeMessage, (request, caller) => this.#takeForwarded(request, caller));
    messaging.handle(this.#operateMessage, (request, caller) => this.#takeForwarded(request, caller));
  }

  async read(request: ReadRequest): Promise<ReadOutcome> {
    const outcome = await this.#read(request);
    this.#options.figures.read(outcome);
    return outcome;
  }

  async write(request: WriteRequest): Promise<WriteOutcome> {
    const outcome = forAllAttempts(request, await this.#write(request));
    this.#options.figures.write(outcome);
    return outcome;
  }

  /** One page of the keys of a bucket. */
  async list(request: ListPageRequest): Promise<ListOutcome> {
    if (!this.#options.ready())
      return { kind: 'failed', trouble: NOT_READY, detail: NOT_READY_DETAIL, needed: request.r, got: 0 };
    const outcome = await listPage(this.#options, request);
    this.#options.figures.listed(outcome);
    return outcome;
  }

  async #read(request: ReadRequest): Promise<ReadOutcome> {
    if (!this.#options.ready()) {
      return { kind: 'failed', trouble: NOT_READY, detail: NOT_READY_DETAIL, agreement: noAgreement(request.r) };
    }
    const { consistency } = request.bucket.properties;
    return traced('coordinator.get', request, (read) =>
      consistency === 'strong' ? this.strong.read(read) : readKey(this.#options, read),
    );
  }

  async #write(request: WriteRequest): Promise<WriteOutcome> {
    if (!this.#options.ready()) {
      return { kind: 'not-applied', trouble: NOT_READY, detail: NOT_READY_DETAIL, agreement: noAgreement(request.w) };
    }
    if (request.bucket.properties.consistency === 'strong') {
      return traced('coordinator.put', request, (write) => this.strong.write(write));
    }
    for (let attempt = 0; attempt <= this.#options.settings.staleRetries; attempt++) {
      const bucket = sameBucketNow(this.#options, request.bucket);
      if (bucket === undefined) return notApplied(request, REDEFINED);
      const outcome = await this.#tryWrite({ ...request, bucket });
      if (outcome !== 'moved') return outcome;
    }
    return notApplied(request, 'the ring kept changing while the request was under way');
  }

  /** Writes here or at another owner; `moved` when an owner knew a newer epoch and nothing was begun. */
  async #tryWrite(request: WriteRequest): Promise<WriteOutcome | 'moved'> {
    const { self, world } = this.#options;
    const { owners } = routeOf(this.#options, request.bucket, request.key);
    const candidates = reachableOwners(this.#options, owners);
    const others = candidates.filter(({ id }) => id !== self);
    // A version that is sent and then not committed for want of space costs a tenure: rather let another owner mint.
    const full = world.disk.failure()?.kind === 'full' && others.length > 0;
    const isOwner = others.length < candidates.length;
    if (isOwner && !full) return this.#shown(request, await this.#writeHere(request));
    const outcome = await this.#forward(request, others);
    if (outcome !== 'nobody') return outcome;
    if (!isOwner && this.#mayStandIn(request)) return this.#shown(request, await this.#writeHere(request));
    return notApplied(request, 'no owner of the key can take the write');
  }

  /** Whether this node may mint in the place of owners of whom none can be reached. */
  #mayStandIn(request: WriteRequest): boolean {
    const route = routeOf(this.#options, request.bucket, request.key);
    const { self } = this.#options;
    return request.sloppy && reachableFallbacks(this.#options, route).some(({ id }) => id === self);
  }

  #writeHere(request: WriteRequest): Promise<WriteOutcome> {
    return traced('coordinator.put', request, (write) => writeHere(this.#options, write));
  }

  /**
   * Tries one owner after the other until one may have begun; then its answer, or "unknown", is the answer. `nobody` when
   * none is there: one that is there and refuses has its reasons, which a fallback must not get around.
   */
  async #forward(request: WriteRequest, candidates: readonly Member[]): Promise<WriteOutcome | 'moved' | 'nobody'> {
    const { messaging, knowledge, world, figures } = this.#options;
    if (candidates.length > 0) figures.forwarded.add();
    let refused = false;
    const message = request.operation === undefined ? this.#writeMessage : this.#operateMessage;
    for (const owner of candidates) {
      const forwarded = { ...request, epoch: knowledge.epoch() };
      const { deadline, trace } = request;
      const result = await messaging.call(owner.id, message, forwarded, { deadline, trace });
      if (result.kind === 'reply') return result.reply;
      if (result.kind === 'lost' || (result.kind === 'refused' && mayHaveBegun(result.code))) {
        const reason = result.kind === 'lost' ? result.reason : result.detail;
        const trouble = reason === 'timeout' ? 'quorum-timeout' : 'quorum-unavailable';
        const detail = `${owner.id}, which coordinated the write, gave no outcome (${reason})`;
        return { kind: 'unknown', trouble, detail, agreement: noAgreement(needed(request)) };
      }
      if (result.kind === 'refused' && result.code === STALE) {
        await knowledge.catchUp(result.value as Epoch, request.deadline);
        return 'moved';
      }
      if (result.kind === 'refused' && result.code !== NOT_READY) refused = true;
      world.log.debug('forward-refused', { requestId: request.requestId, peer: owner.id, result: result.kind });
    }
    return refused ? notApplied(request, 'no owner of the key can take the write') : 'nobody';
  }

  async #takeForwarded(request: ForwardedWrite, { deadline, trace }: CallerInfo): Promise<WriteOutcome> {
    this.#checkReady();
    const { knowledge, resolveBucket } = this.#options;
    if (request.epoch > knowledge.epoch()) await knowledge.catchUp(request.epoch, deadline);
    const bucket = resolveBucket(request.bucket.name);
    if (bucket.version !== request.bucket.version || bucket.incarnation !== request.bucket.incarnation) {
      throw new Refusal(STALE, `bucket ${bucket.name} is defined in epoch ${bucket.version} here`, knowledge.epoch());
    }
    const { owners } = routeOf(this.#options, bucket, request.key);
    if (!owners.some(({ id }) => id === this.#options.self)) {
      throw new Refusal(STALE, 'this node does not own the key', knowledge.epoch());
    }
    const write = { ...request, bucket, deadline, trace };
    return this.#shown(write, await this.#writeHere(write));
  }

  #shown(request: WriteRequest, outcome: WriteOutcome): WriteOutcome {
    if (outcome.kind !== 'applied' || request.returnBody) return outcome;
    return { ...outcome, versions: withoutValues(outcome.versions) };
  }

  #checkReady(): void {
    if (!this.#options.ready()) throw new Refusal(NOT_READY, NOT_READY_DETAIL);
  }
}

const NOT_READY_DETAIL = 'this node has not confirmed its epoch with a majority of the cluster, or its disk has failed';

/**
 * A request with an idempotency key may have been sent before, to another node, and be applied or on its way. That this
 * attempt left nothing behind must not be taken for the outcome of the request.
 */
function forAllAttempts({ mark }: WriteRequest, outcome: WriteOutcome): WriteOutcome {
  return mark !== null && outcome.kind === 'not-applied' ? { ...outcome, kind: 'unknown' } : outcome;
}

function needed({ w, pw, dw }: WriteRequest): number {
  return Math.max(w, pw, dw);
}

function noAgreement(replicas: number): Agreement {
  return { acked: 0, needed: replicas, of: 0, fallbacks: 0 };
}

function notApplied(request: WriteRequest, detail: string): WriteOutcome {
  return { kind: 'not-applied', trouble: 'quorum-unavailable', detail, agreement: noAgreement(needed(request)) };
}
