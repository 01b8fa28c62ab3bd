/**
 * The story of a page of a listing: plan which owners answer for which partitions, ask each once for its part, ask others in
 * the place of those that fail, merge, and leave out what is deleted or has expired. As many owners of each partition are
 * asked as a read asks of a key, so a key that is live on all its owners is always there, and so is one whose write reached a
 * quorum. There is no snapshot: keys that come and go meanwhile may be there or not.
 */

import { decodeGlimpse } from '#causality/glimpse.ts';
import { joinStates } from '#causality/join.ts';
import { CorruptState } from '#causality/state-codec.ts';
import { EMPTY_STATE, type State } from '#causality/state.ts';
import { settlementOf, type Bucket } from '#buckets/definition.ts';
import { compareBallots } from '#consensus/ballot.ts';
import type { Ballot } from '#consensus/facts.ts';
import { ballotFromWire } from '#consensus/vote-codec.ts';
import { majorityOf } from '#consensus/electorate.ts';
import { equalBytes } from '#kernel/bytes.ts';
import type { Epoch, NodeId, NodeIndex } from '#kernel/identity.ts';
import { NOT_OWNER, STALE } from '#replica/scope.ts';
import { ownersOf } from '#ring/preference-list.ts';
import type { Member, PartitionOwners, Ring } from '#ring/ring.ts';
import { decode } from '#wire/codec.ts';
import { MalformedMessage, Refusal } from '#wire/message.ts';
import { ranOutOfTime, type CallResult } from '#wire/messaging.ts';
import { asArray } from '#wire/shape.ts';
import type { Span } from '#world/world.ts';
import { REDEFINED, reachableOwners, sameBucketNow, type Environment } from './environment.ts';
import { isLive } from './get.ts';
import { listHere } from './list-here.ts';
import { ListMessage, type ListReply, type ListRequest } from './list-messages.ts';
import { mergePages, type SourcePage } from './list-merge.ts';
import { entriesWanted, partitionsToBits, planCoverage, type Coverage, type Uncovered } from './list-plan.ts';
import type { Trouble } from './requests.ts';

export interface ListPageRequest {
  readonly requestId: string;
  readonly bucket: Bucket;
  readonly prefix: Uint8Array;
  /** Only keys after this one; empty for all. */
  readonly after: Uint8Array;
  /** Keys, 1 to 1000. */
  readonly limit: number;
  /** Owners of each partition that must answer. */
  readonly r: number;
  readonly deadline: number;
  readonly trace?: Span | undefined;
}

export type ListOutcome =
  | {
      readonly kind: 'page';
      /** In the order of their bytes. There may be none although more follow: then only deleted ones were met. */
      readonly keys: readonly Uint8Array[];
      /** Where the next page begins: after this key; null when this was the last. */
      readonly next: Uint8Array | null;
    }
  | {
      readonly kind: 'failed';
      readonly trouble: Trouble;
      readonly detail: string;
      readonly needed: number;
      readonly got: number;
    };

export async function listPage(environment: Environment, request: ListPageRequest): Promise<ListOutcome> {
  for (let attempt = 0; attempt <= environment.settings.staleRetries; attempt++) {
    const bucket = sameBucketNow(environment, request.bucket);
    if (bucket === undefined) return failed(request, 'quorum-unavailable', REDEFINED, 0);
    const round = new ListRound(environment, { ...request, bucket });
    const ending = await round.run();
    if (typeof ending === 'object') {
      await environment.knowledge.catchUp(ending.newer, request.deadline);
      continue;
    }
    if (ending === 'covered') return round.page();
    return round.failure(ending);
  }
  return failed(request, 'quorum-unavailable', 'the ring kept changing while the request was under way', 0);
}

function failed({ r }: ListPageRequest, trouble: Trouble, detail: string, got: number): ListOutcome {
  return { kind: 'failed', trouble, detail, needed: r, got };
}

type Ending = 'covered' | 'lacking' | 'late' | { readonly newer: Epoch };

function partitionsOf(ring: Ring, n: number): readonly PartitionOwners[] {
  const placement = ring.placements.find((one) => one.n === n);
  // Says what is wrong when there is none.
  return placement?.partitions ?? [ownersOf(ring, n, 0)];
}

/** Plans for one ring; above that all are forgotten and made anew. */
const PLANS_MAX = 64;

const plans = new WeakMap<Ring, Map<string, Coverage>>();

/** Most pages have the same plan as the one before. */
function firstPlan(ring: Ring, name: string, uncovered: readonly Uncovered[], ranking: readonly NodeIndex[]): Coverage {
  const known = plans.get(ring) ?? new Map<string, Coverage>();
  plans.set(ring, known);
  const plan = known.get(name) ?? planCoverage(uncovered, ranking);
  if (known.size >= PLANS_MAX) known.clear();
  known.set(name, plan);
  return plan;
}

/** A call gets at most this part of the time that is left, so that there is some left to ask somebody else. */
const SHARE_OF_TIME = 0.5;

class ListRound {
  readonly #environment: Environment;
  readonly #request: ListPageRequest;
  readonly #epoch: Epoch;
  readonly #ring: Ring;
  readonly #owners: readonly PartitionOwners[];
  /** Who can be asked, those first that should be. */
  #ranking: readonly Member[];
  readonly #pages: SourcePage[] = [];
  /** How many have answered for each partition. */
  readonly #answered: Uint8Array;
  /** The partitions for which each node was asked. */
  readonly #tried = new Map<NodeIndex, Set<number>>();
  readonly #failures: string[] = [];
  /** Those that it ended for, because too few of their owners are left to ask. */
  #lacking: readonly number[] = [];
  #late = false;
  #newer: Epoch | undefined;

  constructor(environment: Environment, request: ListPageRequest) {
    this.#environment = environment;
    this.#request = request;
    const { knowledge } = environment;
    const ring = knowledge.ring();
    this.#ring = ring;
    this.#epoch = knowledge.epoch();
    const { n } = request.bucket.properties;
    this.#owners = partitionsOf(ring, n);
    this.#answered = new Uint8Array(ring.partitionCount);
    const members = ring.members.filter(({ state }) => state !== 'refilling' && state !== 'removed');
    // A rotating start spreads the work of many listings over the nodes.
    const start = members.length === 0 ? 0 : environment.world.random.uint32() % members.length;
    this.#ranking = reachableOwners(environment, [...members.slice(start), ...members.slice(0, start)]);
  }

  async run(): Promise<Ending> {
    const { clock } = this.#environment.world;
    for (;;) {
      const uncovered = this.#uncovered();
      if (uncovered.length === 0) return 'covered';
      if (this.#newer !== undefined) return { newer: this.#newer };
      if (clock.monotonic() >= this.#request.deadline) return 'late';
      const ranking = this.#ranking.map(({ index }) => index);
      const { asked, lacking } =
        this.#tried.size === 0
          ? firstPlan(this.#ring, this.#planName(ranking), uncovered, ranking)
          : planCoverage(uncovered, ranking);
      this.#lacking = lacking;
      if (lacking.length > 0) return this.#late ? 'late' : 'lacking';
      await Promise.all([...asked].map(async ([node, partitions]) => this.#ask(node, partitions)));
    }
  }

  #uncovered(): Uncovered[] {
    const uncovered: Uncovered[] = [];
    for (const [partition, { owners }] of this.#owners.entries()) {
      const needed = this.#neededOf(owners.length) - this.#answered[partition]!;
      if (needed <= 0) continue;
      const wasAsked = (owner: NodeIndex): boolean => this.#tried.get(owner)?.has(partition) === true;
      const candidates = this.#tried.size === 0 ? owners : owners.filter((owner) => !wasAsked(owner));
      uncovered.push({ partition, needed, candidates });
    }
    return uncovered;
  }

  /** While members come or go, what r means in a cluster of this size may be too few of a partition's present owners. */
  #neededOf(owners: number): number {
    const { r } = this.#request;
    const inChange = this.#ring.change !== undefined;
    return Math.min(inChange ? Math.max(r, majorityOf(owners)) : r, owners);
  }

  #planName(ranking: readonly NodeIndex[]): string {
    return `${this.#request.bucket.properties.n} ${this.#request.r} ${ranking.join()}`;
  }

  async #ask(node: NodeIndex, partitions: readonly number[]): Promise<void> {
    this.#tried.set(node, new Set([...(this.#tried.get(node) ?? []), ...partitions]));
    const { id } = this.#ranking.find(({ index }) => index === node)!;
    const result = await this.#call(id, partitions);
    if (result.kind !== 'reply') {
      this.#noAnswer(id, result);
      return;
    }
    const { entries, upTo, unable } = result.reply;
    this.#pages.push({ entries, upTo });
    const excluded = new Set(unable);
    if (excluded.size > 0) this.#failures.push(`${id}: damaged rows`);
    for (const partition of partitions) if (!excluded.has(partition)) this.#answered[partition]! += 1;
  }

  #noAnswer(id: NodeId, result: Exclude<CallResult<unknown>, { kind: 'reply' }>): void {
    const reason = result.kind === 'refused' ? result.code : result.reason;
    this.#environment.world.log.debug('list-failed', { requestId: this.#request.requestId, peer: id, reason });
    // Whoever owns nothing there any more says from which epoch on.
    if (result.kind === 'refused' && (reason === STALE || (reason === NOT_OWNER && result.value > this.#epoch)))
      this.#newer = result.value as Epoch;
    if (ranOutOfTime(reason)) this.#late = true;
    this.#failures.push(`${id}: ${reason}`);
  }

  async #call(id: NodeId, partitions: readonly number[]): Promise<CallResult<ListReply>> {
    const { world, messaging, self } = this.#environment;
    const { bucket, prefix, after, limit, trace } = this.#request;
    const count = this.#owners.length;
    const request: ListRequest = {
      scope: {
        epoch: this.#epoch,
        n: bucket.properties.n,
        bucket: bucket.name,
        incarnation: bucket.incarnation,
        definition: bucket.version,
      },
      partitions: partitionsToBits(partitions, count),
      prefix,
      after,
      limit: entriesWanted(limit, partitions.length / count),
    };
    const now = world.clock.monotonic();
    const deadline = now + (this.#request.deadline - now) * SHARE_OF_TIME;
    if (id !== self) return messaging.call(id, ListMessage, request, { deadline, trace });
    try {
      return { kind: 'reply', reply: await listHere(this.#environment, request, deadline) };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { kind: 'refused', code: error.code, detail: error.message, value: error.value };
    }
  }

  page(): ListOutcome {
    const { bucket, limit } = this.#request;
    const merged = mergePages(this.#pages);
    const judge = bucket.properties.consistency === 'strong' ? registerIsLive : this.#recordJudge();
    const keys: Uint8Array[] = [];
    try {
      for (const { key, summaries } of merged.keys) {
        if (!judge(summaries)) continue;
        // One more than wanted shows that there is more.
        if (keys.length === limit) return { kind: 'page', keys, next: keys.at(-1)! };
        keys.push(key);
      }
    } catch (error) {
      if (!(error instanceof CorruptState || error instanceof MalformedMessage)) throw error;
      const detail = `a replica's answer was damaged on its way: ${error.message}`;
      return failed(this.#request, 'quorum-unavailable', detail, 0);
    }
    return { kind: 'page', keys, next: merged.upTo };
  }

  #recordJudge(): (summaries: readonly Uint8Array[]) => boolean {
    const conflicts = settlementOf(this.#request.bucket.properties);
    const now = this.#environment.world.clock.wall();
    return (summaries) => {
      const [first] = summaries;
      let joined: State = first === undefined ? EMPTY_STATE : decodeGlimpse(first);
      for (let i = 1; i < summaries.length; i++) {
        if (!equalBytes(summaries[i]!, first!)) joined = joinStates(joined, decodeGlimpse(summaries[i]!), conflicts);
      }
      return joined.versions.some((version) => isLive(version, now));
    };
  }

  failure(ending: 'lacking' | 'late'): ListOutcome {
    // Those that have not answered, because nobody was asked once one partition had too few, could all have been covered.
    const lacking = this.#lacking.length > 0 ? this.#lacking : this.#uncovered().map(({ partition }) => partition);
    const got = Math.min(...lacking.map((partition) => this.#answered[partition]!));
    const reasons = this.#failures.length === 0 ? '' : ` (${this.#failures.slice(0, 8).join(', ')})`;
    const of = `of ${lacking.length} of ${this.#owners.length} partitions, such as ${lacking[0] ?? 0},`;
    return ending === 'late'
      ? failed(this.#request, 'quorum-timeout', `${of} not enough owners answered in time${reasons}`, got)
      : failed(this.#request, 'quorum-unavailable', `${of} too few owners can be reached${reasons}`, got);
  }
}

/** The value of the highest ballot decides: it is the latest that was accepted anywhere among those that were asked. */
function registerIsLive(summaries: readonly Uint8Array[]): boolean {
  let highest: Ballot | undefined;
  let live = false;
  for (const summary of summaries) {
    const body = decode(summary);
    if (body === null) continue;
    const fields = asArray(body, 2, 'register');
    const ballot = ballotFromWire(fields[0]);
    if (highest !== undefined && compareBallots(ballot, highest) <= 0) continue;
    highest = ballot;
    live = fields[1] === true;
  }
  return live;
}
