/**
 * The coordinator's door. Any node takes a request: a read is coordinated where it came in, a write is minted at an owner,
 * to which a node that does not own the key forwards it once.
 */

import type { Epoch, NodeId } from '#kernel/identity.ts';
import {
  FetchMessage,
  StoreMessage,
  StoresMessage,
  type FetchReply,
  type FetchRequest,
  type StoreReply,
  type StoreRequest,
} from '#replica/messages.ts';
import { mayHaveBegun } from '#replica/refusals.ts';
import { fenceSender, STALE } from '#replica/scope.ts';
import type { Member } from '#ring/ring.ts';
import { Refusal, type MessageType } from '#wire/message.ts';
import { ranOutOfTime, type CallerInfo, type Handler } from '#wire/messaging.ts';
import { BundleMessage } from './bundle-message.ts';
import { bundled, Bundles, takeBundle } from './bundles.ts';
import {
  reachableFallbacks,
  reachableOwners,
  REDEFINED,
  requestNow,
  routeOf,
  type Environment,
} from './environment.ts';
import { CoordinatorFigures } from './figures.ts';
import { FoldIncrements } from './fold-increments.ts';
import { readKey } from './get.ts';
import { listPage, type ListOutcome, type ListPageRequest } from './list.ts';
import { listHere } from './list-here.ts';
import { ListMessage } from './list-messages.ts';
import { operateMessage, withoutValues, writeMessage, type ForwardedWrite } from './messages.ts';
import { writeHere } from './put.ts';
import type { Agreement, ReadOutcome, ReadRequest, Trouble, WriteOutcome, WriteRequest } from './requests.ts';
import { StrongKeys, type StrongOptions } from './strong.ts';
import { storeResult, StoresTogether } from './stores-together.ts';
import { traced } from './traced.ts';

const NOT_READY = 'not-ready';

export interface CoordinatorOptions extends Omit<Environment, 'figures'> {
  readonly strong: Omit<StrongOptions, 'environment'>;
}

export class Coordinator {
  readonly #options: Environment;
  readonly #writeMessage: MessageType<ForwardedWrite, WriteOutcome>;
  readonly #operateMessage: MessageType<ForwardedWrite, WriteOutcome>;
  readonly #stores: StoresTogether;
  readonly #bundles: Bundles;
  readonly #fold: FoldIncrements;
  /** Keys of strong buckets go their own way. */
  readonly strong: StrongKeys;
  #served = 0;

  /** Registers the handlers of replica and coordinator requests with the environment's messaging. */
  constructor({ strong, ...options }: CoordinatorOptions) {
    this.#stores = new StoresTogether(options.messaging, options.world.clock);
    const figures = new CoordinatorFigures(options.world.metrics);
    this.#options = { ...options, messaging: this.#stores, figures };
    this.strong = new StrongKeys({ environment: this.#options, ...strong });
    this.#fold = new FoldIncrements(this.#options);
    this.#writeMessage = writeMessage(options.world.digest.crc32);
    this.#operateMessage = operateMessage(options.world.digest.crc32);
    const { messaging, replica } = this.#options;
    const store: Handler<StoreRequest, StoreReply> = (request, { from, deadline, trace }) => {
      this.#checkReady();
      this.#served += 1;
      fenceSender(from, options.knowledge);
      return replica.store(request, deadline, trace);
    };
    const fetch: Handler<FetchRequest, FetchReply> = (request, { deadline, way }) => {
      this.#checkReady();
      this.#served += 1;
      return replica.fetch(request, deadline, way);
    };
    messaging.handle(StoreMessage, store);
    messaging.handle(StoresMessage, async (requests, { from, deadline, trace }) => {
      this.#checkReady();
      this.#served += requests.length;
      fenceSender(from, options.knowledge);
      const failures = await replica.storeAll(requests, deadline, trace);
      return failures.map((failure, i) => storeResult(failure, requests[i]!, options.world.log));
    });
    messaging.handle(FetchMessage, fetch);
    this.#bundles = new Bundles(messaging, options.world.clock);
    messaging.handle(BundleMessage, (bundle, caller) => {
      const together = this.#together();
      return takeBundle(bundle, caller, [
        bundled(StoreMessage, store),
        bundled(FetchMessage, fetch, ({ state }) => state?.length ?? 0),
        bundled(this.#writeMessage, (write) => this.#takeForwarded(write, caller, together)),
      ]);
    });
    messaging.handle(ListMessage, (request, { deadline }) => {
      this.#checkReady();
      this.#served += 1;
      return listHere(this.#options, request, deadline);
    });
    messaging.handle(this.#writeMessage, (request, caller) => this.#takeForwarded(request, caller, this.#options));
    messaging.handle(this.#operateMessage, (request, caller) => this.#takeForwarded(request, caller, this.#options));
  }

  /** How often clients, or coordinators for them, have wanted something of this node: for whoever gives way to them. */
  get served(): number {
    return this.#served;
  }

  read(request: ReadRequest): Promise<ReadOutcome> {
    return this.#counted(this.#options, request);
  }

  write(request: WriteRequest): Promise<WriteOutcome> {
    return this.#countedWrite(this.#options, request);
  }

  /** For the operations of one batch: those that begin at once share their messages and their commits. */
  batch(): Pick<Coordinator, 'read' | 'write'> {
    const together = this.#together();
    return {
      read: (request) => this.#counted(together, request),
      write: (request) => this.#countedWrite(together, request),
    };
  }

  /** To be called before each commit, so that what it makes durable is on its way to the others meanwhile. */
  flush(): void {
    this.#bundles.flush();
    this.#stores.flush();
  }

  #together(): Environment {
    return { ...this.#options, messaging: this.#bundles.bundler() };
  }

  async #counted(environment: Environment, request: ReadRequest): Promise<ReadOutcome> {
    this.#served += 1;
    const outcome = this.#options.ready()
      ? await traced('coordinator.get', request, (read) => this.#read(environment, read))
      : notReady(request.r);
    this.#options.figures.read(outcome, request.bucket.properties.type);
    return outcome;
  }

  async #countedWrite(environment: Environment, request: WriteRequest): Promise<WriteOutcome> {
    this.#served += 1;
    const outcome = forAllAttempts(request, await this.#write(environment, request));
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

  #read(environment: Environment, read: ReadRequest): Promise<ReadOutcome> {
    return read.bucket.properties.consistency === 'strong' ? this.strong.read(read) : readKey(environment, read);
  }

  async #write(environment: Environment, request: WriteRequest): Promise<WriteOutcome> {
    if (!this.#options.ready()) {
      return { kind: 'not-applied', trouble: NOT_READY, detail: NOT_READY_DETAIL, agreement: noAgreement(request.w) };
    }
    if (request.bucket.properties.consistency === 'strong') {
      return traced('coordinator.put', request, (write) => this.strong.write(write));
    }
    for (let attempt = 0; attempt <= this.#options.settings.staleRetries; attempt++) {
      const now = requestNow(this.#options, request);
      if (now === undefined) return notApplied(request, REDEFINED);
      const outcome = await this.#tryWrite(environment, now);
      if (outcome !== 'moved') return outcome;
    }
    return notApplied(request, 'the ring kept changing while the request was under way');
  }

  /** Writes here or at another owner; `moved` when an owner knew a newer epoch and nothing was begun. */
  #tryWrite(environment: Environment, request: WriteRequest): Promise<WriteOutcome | 'moved'> {
    const { self, world } = this.#options;
    const { owners } = routeOf(this.#options, request.bucket, request.key);
    const isOwner = includesNode(owners, self);
    // A version that is sent and then not committed for want of space costs a tenure: rather let another owner mint.
    if (isOwner && world.disk.failure()?.kind !== 'full') return this.#writeHere(environment, request);
    return this.#writeElsewhere(environment, request, owners);
  }

  async #writeElsewhere(
    environment: Environment,
    request: WriteRequest,
    owners: readonly Member[],
  ): Promise<WriteOutcome | 'moved'> {
    const { self } = this.#options;
    const isOwner = includesNode(owners, self);
    const others = reachableOwners(this.#options, owners).filter(({ id }) => id !== self);
    if (isOwner && others.length === 0) return this.#writeHere(environment, request);
    const outcome = await this.#forward(environment, request, others);
    if (outcome !== 'nobody') return outcome;
    if (!isOwner && this.#mayStandIn(request)) return this.#writeHere(environment, request);
    return notApplied(request, 'no owner of the key can take the write');
  }

  /** Whether this node may mint in the place of owners of whom none can be reached. */
  #mayStandIn(request: WriteRequest): boolean {
    const route = routeOf(this.#options, request.bucket, request.key);
    const { self } = this.#options;
    return request.sloppy && reachableFallbacks(this.#options, route).some(({ id }) => id === self);
  }

  #writeHere(environment: Environment, request: WriteRequest): Promise<WriteOutcome> {
    const writing = traced('coordinator.put', request, (write) => writeHere(environment, write));
    if (request.operation === undefined) return writing;
    return writing.then((outcome) => {
      this.#fold.consider(request, outcome);
      return outcome;
    });
  }

  /**
   * Tries one owner after the other until one may have begun; then its answer, or "unknown", is the answer. `nobody` when
   * none is there: one that is there and refuses has its reasons, which a fallback must not get around.
   */
  async #forward(
    environment: Environment,
    request: WriteRequest,
    candidates: readonly Member[],
  ): Promise<WriteOutcome | 'moved' | 'nobody'> {
    const { messaging, knowledge, world, figures } = environment;
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
        const trouble = ranOutOfTime(reason) ? 'quorum-timeout' : 'quorum-unavailable';
        const detail = `${owner.id}, which coordinated the write, gave no outcome (${reason})`;
        return { kind: 'unknown', trouble, detail, agreement: noAgreement(needed(request)) };
      }
      if (result.kind === 'refused' && result.code === STALE) {
        await knowledge.catchUp(result.value as Epoch, request.deadline);
        return 'moved';
      }
      if (result.kind === 'not-sent' && ranOutOfTime(result.reason))
        return notApplied(request, 'no time was left to send it to an owner of the key', 'quorum-timeout');
      if (result.kind === 'refused' && result.code !== NOT_READY) refused = true;
      world.log.debug('forward-refused', { requestId: request.requestId, peer: owner.id, result: result.kind });
    }
    return refused ? notApplied(request, 'no owner of the key can take the write') : 'nobody';
  }

  async #takeForwarded(
    request: ForwardedWrite,
    { deadline, trace }: CallerInfo,
    environment: Environment,
  ): Promise<WriteOutcome> {
    this.#checkReady();
    this.#served += 1;
    const { knowledge, resolveBucket } = this.#options;
    if (request.epoch > knowledge.epoch()) await knowledge.catchUp(request.epoch, deadline);
    const bucket = resolveBucket(request.bucket.name);
    if (bucket.version !== request.bucket.version || bucket.incarnation !== request.bucket.incarnation) {
      throw new Refusal(STALE, `bucket ${bucket.name} is defined in epoch ${bucket.version} here`, knowledge.epoch());
    }
    const { owners } = routeOf(this.#options, bucket, request.key);
    if (!includesNode(owners, this.#options.self)) {
      throw new Refusal(STALE, 'this node does not own the key', knowledge.epoch());
    }
    const outcome = await this.#writeHere(environment, { ...request, bucket, deadline, trace });
    // What nobody wants to see need not travel back.
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

function includesNode(members: readonly Member[], node: NodeId): boolean {
  for (const { id } of members) if (id === node) return true;
  return false;
}

function notReady(replicas: number): ReadOutcome {
  return { kind: 'failed', trouble: NOT_READY, detail: NOT_READY_DETAIL, agreement: noAgreement(replicas) };
}

function needed({ w, pw, dw }: WriteRequest): number {
  return Math.max(w, pw, dw);
}

function noAgreement(replicas: number): Agreement {
  return { acked: 0, needed: replicas, of: 0, fallbacks: 0 };
}

function notApplied(request: WriteRequest, detail: string, trouble: Trouble = 'quorum-unavailable'): WriteOutcome {
  return { kind: 'not-applied', trouble, detail, agreement: noAgreement(needed(request)) };
}
