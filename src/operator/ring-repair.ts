/**
 * Repair of the whole cluster, now: every member reads its rows and looks at their checksums, then every pair of members
 * compares all partitions that it shares and mends what differs. One run at a time for each node that is asked; what it has
 * found can be looked at while it runs and afterwards.
 */

import type { NodeId } from '#kernel/identity.ts';
import type { Reclaim } from '#repair/reclaim.ts';
import { ReclaimMessage } from '#repair/reclaim-messages.ts';
import {
  CompareSliceMessage,
  FIRST_LEVEL,
  FIRST_SLICE,
  ScrubSliceMessage,
  type ComparedPlace,
  type CompareReply,
  type CompareSlice,
  type ScrubReply,
  type ScrubSlice,
  type Slices,
} from '#repair/slices.ts';
import type { Knowledge } from '#replica/scope.ts';
import type { MessageType } from '#wire/message.ts';
import { Refusal } from '#wire/message.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { Clock, Log } from '#world/world.ts';

export interface RepairedNode {
  readonly node: string;
  /** Rows whose checksum was looked at, and those that did not fit. */
  rows: number;
  damaged: number;
  /** States that this node has got from others. */
  received: number;
}

export interface RepairedPartition {
  readonly n: number;
  readonly partition: number;
  readonly between: readonly [string, string];
  keys: number;
}

export interface RepairRun {
  readonly id: number;
  state: 'running' | 'done';
  readonly bucket: string | null;
  /** Steps done of all steps: two a member, one a pair of members. */
  done: number;
  readonly steps: number;
  /** Partitions compared, counted once a pair. */
  compared: number;
  /** Keys of which two owners had different states. */
  keys: number;
  /** Keys that were being written while they were compared, and differed at the end. */
  underWay: number;
  /** States that a replica did not take. */
  refused: number;
  readonly nodes: readonly RepairedNode[];
  readonly differed: RepairedPartition[];
  /** Tombstones that were given up, when that was wanted, and what was in the way of others. */
  reclaimed: number;
  readonly blocked: string[];
  /** What could not be done, in words. */
  readonly failures: string[];
}

export interface RingRepairOptions {
  readonly world: { readonly clock: Clock; readonly log: Log };
  readonly messaging: Messaging;
  readonly knowledge: Knowledge;
  readonly slices: Slices;
  readonly reclaim: Reclaim;
  readonly self: NodeId;
  /** Milliseconds for one slice. */
  readonly callTimeout: number;
  /** Milliseconds after which a write that was under way should be everywhere. */
  readonly settle: number;
}

/** Partitions that are listed one by one, and failures: the rest is only counted. */
const LISTED_MAX = 1000;
const ATTEMPTS = 3;
const RETRY_MS = 1000;

export class RingRepair {
  readonly #options: RingRepairOptions;
  #run: RepairRun | undefined;
  #last = 0;

  constructor(options: RingRepairOptions) {
    this.#options = options;
  }

  /** The run that is under way, or the last one. */
  current(): RepairRun | undefined {
    return this.#run;
  }

  /** Begins a run; undefined when one is under way. */
  begin(bucket: string | undefined, reclaim = false): RepairRun | undefined {
    if (this.#run?.state === 'running') return undefined;
    const members = this.#options.knowledge.ring().members.filter(({ state }) => state !== 'removed');
    const ids = members.map(({ id }) => id);
    const pairs = ids.flatMap((a, i) => ids.slice(i + 1).map((b) => [a, b] as const));
    // Whoever waits for a run of before this node was started again must not take another for it.
    this.#last = Math.max(this.#last + 1, Math.floor(this.#options.world.clock.wall()));
    const run: RepairRun = {
      id: this.#last,
      state: 'running',
      bucket: bucket ?? null,
      done: 0,
      steps: 2 * ids.length + pairs.length + (reclaim ? ids.length : 0),
      compared: 0,
      keys: 0,
      underWay: 0,
      refused: 0,
      nodes: ids.map((node) => ({ node, rows: 0, damaged: 0, received: 0 })),
      differed: [],
      reclaimed: 0,
      blocked: [],
      failures: [],
    };
    this.#run = run;
    void this.#go(run, ids, pairs, bucket, reclaim);
    return run;
  }

  async #go(
    run: RepairRun,
    ids: readonly NodeId[],
    pairs: readonly (readonly [NodeId, NodeId])[],
    bucket: string | undefined,
    reclaim: boolean,
  ): Promise<void> {
    const { log, clock } = this.#options.world;
    log.info('ring-repair-begun', { id: run.id, bucket: run.bucket });
    for (const id of ids) {
      await this.#step(run, `rows of ${id}`, () => this.#look(run, id, bucket));
    }
    for (const [a, b] of pairs) {
      await this.#step(run, `${a} with ${b}`, async () => {
        let { underWay, shared } = await this.#compare(run, a, b, bucket);
        if (underWay > 0) {
          await new Promise<void>((resolve) => void clock.after(this.#options.settle, resolve));
          ({ underWay, shared } = await this.#compare(run, a, b, bucket));
        }
        run.underWay += underWay;
        run.compared += shared;
      });
    }
    for (const id of ids) await this.#step(run, `strong keys of ${id}`, () => this.#level(run, id, bucket));
    // Each drives other partitions; all at once, since each waits for messages to arrive.
    if (reclaim)
      await Promise.all(ids.map((id) => this.#step(run, `tombstones of ${id}`, () => this.#reclaim(run, id))));
    run.state = 'done';
    const { id, keys, compared, failures } = run;
    log.info('ring-repair-done', { id, keys, compared, failures: failures.length });
  }

  async #step(run: RepairRun, name: string, work: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await work();
        break;
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (attempt === ATTEMPTS) {
          fail(run, `${name}: ${reason}`);
          break;
        }
        await new Promise<void>((resolve) => void this.#options.world.clock.after(RETRY_MS, resolve));
      }
    }
    run.done += 1;
  }

  async #look(run: RepairRun, id: NodeId, bucket: string | undefined): Promise<void> {
    const node = run.nodes.find((one) => one.node === id)!;
    node.rows = 0;
    for (let from: Uint8Array | undefined = FIRST_SLICE; from !== undefined;) {
      const slice: ScrubSlice = { from, bucket };
      const reply: ScrubReply = await this.#at(id, ScrubSliceMessage, slice, () => this.#options.slices.look(slice));
      node.rows += reply.rows;
      node.damaged += reply.damaged;
      from = reply.next;
    }
  }

  async #level(run: RepairRun, id: NodeId, bucket: string | undefined): Promise<void> {
    let apart = 0;
    for (let from: Uint8Array | undefined = FIRST_LEVEL; from !== undefined;) {
      const slice: ScrubSlice = { from, bucket };
      const reply: ScrubReply = await this.#at(id, ScrubSliceMessage, slice, () => this.#options.slices.look(slice));
      apart += reply.damaged;
      from = reply.next;
    }
    // Not tried again here: whoever is away may be so for long.
    if (apart > 0)
      fail(
        run,
        `strong keys of ${id}: of ${apart} some owner cannot be asked now; compared once it can, or by another repair`,
      );
  }

  async #reclaim(run: RepairRun, id: NodeId): Promise<void> {
    const { reclaim, world } = this.#options;
    const before = (await this.#at(id, ReclaimMessage, 0, async () => reclaim.run(false))).given;
    for (let begin = 1; ; begin = 0) {
      const progress = await this.#at(id, ReclaimMessage, begin, async () => reclaim.run(begin === 1));
      if (!progress.running) {
        run.reclaimed += progress.given - before;
        run.blocked.push(...progress.blocked.slice(0, LISTED_MAX - run.blocked.length));
        return;
      }
      await new Promise<void>((resolve) => void world.clock.after(RETRY_MS, resolve));
    }
  }

  /** Keys that were being written meanwhile and still differ, and how many partitions the two share. */
  async #compare(
    run: RepairRun,
    a: NodeId,
    b: NodeId,
    bucket: string | undefined,
  ): Promise<{ readonly underWay: number; readonly shared: number }> {
    let underWay = 0;
    let shared = 0;
    for (let from = 0; from >= 0;) {
      const slice: CompareSlice = { peer: b, from, bucket };
      const reply: CompareReply = await this.#at(a, CompareSliceMessage, slice, () =>
        this.#options.slices.compare(slice),
      );
      shared = reply.shared;
      for (const place of reply.places) {
        underWay += place.recent;
        this.#note(run, a, b, place);
      }
      from = reply.next;
    }
    return { underWay, shared };
  }

  #note(
    run: RepairRun,
    a: NodeId,
    b: NodeId,
    { n, partition, differing, pulled, pushed, refused }: ComparedPlace,
  ): void {
    run.keys += differing;
    run.refused += refused;
    run.nodes.find(({ node }) => node === a)!.received += pulled;
    run.nodes.find(({ node }) => node === b)!.received += pushed;
    if (differing === 0) return;
    const known = run.differed.find(
      (one) => one.n === n && one.partition === partition && one.between.join() === `${a},${b}`,
    );
    if (known !== undefined) known.keys += differing;
    else if (run.differed.length < LISTED_MAX) run.differed.push({ n, partition, between: [a, b], keys: differing });
  }

  async #at<Request, Reply>(
    id: NodeId,
    type: MessageType<Request, Reply>,
    request: Request,
    here: () => Promise<Reply>,
  ): Promise<Reply> {
    const { messaging, self, world, callTimeout } = this.#options;
    if (id === self) return await here();
    const deadline = world.clock.monotonic() + callTimeout;
    const result = await messaging.call(id, type, request, { deadline, channel: 'bulk' });
    if (result.kind === 'reply') return result.reply;
    if (result.kind === 'refused') throw new Refusal(result.code, `${id} says: ${result.detail}`);
    throw new Error(`${id}: ${result.reason}`);
  }
}

function fail(run: RepairRun, what: string): void {
  if (run.failures.length < LISTED_MAX) run.failures.push(what);
}
