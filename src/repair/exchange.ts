/**
 * One exchange: this node and another owner compare their trees of a partition from the top down, and whatever turns out to
 * differ is joined at both. It needs the fewest bytes for the fewest differences: 256 for the nodes, 256 for the leaves of
 * each node that differs, 16 for each key of a leaf that differs, and then the states themselves.
 *
 * Merkle 1987; DeCandia et al. 2007, section 4.7. Only joins are made, so an exchange may end anywhere and begin again.
 */

import { concatBytes } from '#kernel/bytes.ts';
import type { Epoch, NodeId } from '#kernel/identity.ts';
import type { Hash64 } from '#kernel/siphash.ts';
import type { Replica } from '#replica/replica.ts';
import { STALE, type Knowledge } from '#replica/scope.ts';
import { recordName } from '#replica/tables.ts';
import { Refusal, type MessageType } from '#wire/message.ts';
import type { Messaging } from '#wire/messaging.ts';
import { transferTime } from '#wire/settings.ts';
import type { World } from '#world/world.ts';
import { STATES_UNDER_WAY_MAX, type Pages } from './at-once.ts';
import { compareHashes, compareKeys, type KeyDifference } from './compare-keys.ts';
import {
  ENTRY_BYTES,
  hashAt,
  hashesToBytes,
  KeysMessage,
  LeavesMessage,
  NodesMessage,
  PullMessage,
  PushMessage,
  ROWS_MAX,
  RowsMessage,
  type Basis,
  type KeysReply,
  type PushReply,
  type PushRequest,
  type RowOnTheWire,
} from './exchange-messages.ts';
import { differences, leafOf, LEAVES_OF_NODE } from './merkle-tree.ts';
import { retriesOf } from './retries-of.ts';
import type { Pace } from './pace.ts';
import { PAGE_BYTES, type TreeSource } from './tree-source.ts';
import type { TreePlace } from './tree-tables.ts';
import type { MerkleTrees } from './trees.ts';

/** Leaves whose keys are compared in one step, at first; twice as many after a step with few keys. */
const LEAVES_A_STEP = 64;
const FEW_KEYS = 256;

export interface ExchangeEnvironment {
  readonly world: World;
  readonly messaging: Messaging;
  readonly knowledge: Knowledge;
  readonly replica: Replica;
  readonly trees: MerkleTrees;
  readonly source: TreeSource;
  readonly pace: Pace;
  readonly pages: Pages;
  /** Milliseconds for one call, beside those for the states that it carries. */
  readonly callTimeout: number;
}

export interface ExchangeOptions {
  /** Differences of keys written within so many milliseconds are left alone; 0: of none. */
  readonly settle: number;
  /** Differing keys after which it ends, to be continued by another exchange. */
  readonly keysMax: number;
  readonly bucket?: string | undefined;
  /** Whether the other owner must be able to vouch for what it lacks. */
  readonly vouch?: boolean;
  /** `push`: this node gives what it has and takes nothing, because it owns the partition no longer. */
  readonly direction?: 'both' | 'push';
}

export interface ExchangeResult {
  /** Keys of which the two had different states, or only one had any. */
  readonly differing: number;
  readonly recent: number;
  readonly pulled: number;
  readonly pushed: number;
  /** States that one of the two did not take. */
  readonly refused: number;
  /** Whether all differences were looked at. */
  readonly complete: boolean;
}

/** The row is of a life of its bucket that has ended, so that it will go by itself where it still is. */
const OTHER_LIFE = 'other-life';

/** The other end cannot go on now; what was joined stays joined. */
export class ExchangeFailed extends Error {
  override readonly name = 'ExchangeFailed';
}

export async function exchange(
  environment: ExchangeEnvironment,
  peer: NodeId,
  place: TreePlace,
  options: ExchangeOptions,
): Promise<ExchangeResult> {
  return await new Exchange(environment, peer, place, options).run();
}

/** One call to the other end, whose every failure ends the exchange. `bytes`: how many the states in it have, or in its answer. */
export async function ask<Request, Reply>(
  {
    world,
    messaging,
    knowledge,
    callTimeout,
  }: Pick<ExchangeEnvironment, 'world' | 'messaging' | 'knowledge' | 'callTimeout'>,
  peer: NodeId,
  type: MessageType<Request, Reply>,
  request: Request,
  bytes = 0,
): Promise<Reply> {
  const deadline = world.clock.monotonic() + callTimeout + transferTime(bytes);
  const result = await messaging.call(peer, type, request, { deadline, channel: 'bulk' });
  if (result.kind === 'reply') return result.reply;
  if (result.kind !== 'refused') throw new ExchangeFailed(result.reason);
  if (result.code === STALE) await knowledge.catchUp(result.value as Epoch, deadline);
  throw new ExchangeFailed(`${result.code}: ${result.detail}`);
}

class Exchange {
  readonly #environment: ExchangeEnvironment;
  readonly #peer: NodeId;
  readonly #place: TreePlace;
  readonly #options: ExchangeOptions;
  readonly #basis: Basis;
  #differing = 0;
  #recent = 0;
  #pulled = 0;
  #pushed = 0;
  #refused = 0;

  constructor(environment: ExchangeEnvironment, peer: NodeId, place: TreePlace, options: ExchangeOptions) {
    this.#environment = environment;
    this.#peer = peer;
    this.#place = place;
    this.#options = options;
    this.#basis = environment.source.basisOf(place);
  }

  async run(): Promise<ExchangeResult> {
    const leaves = await this.#notTakenWhole(await this.#differingLeaves());
    if (leaves === undefined) return this.#result(false);
    let atOnce = LEAVES_A_STEP;
    for (let first = 0; first < leaves.length;) {
      const step = leaves.slice(first, first + atOnce);
      const keys = await this.#compareLeaves(step);
      if (keys === undefined) return this.#result(false);
      first += step.length;
      if (keys < FEW_KEYS) atOnce *= 2;
    }
    return this.#result(true);
  }

  /**
   * Takes over, row by row, the leaves in which this node has nothing: no keys have to be listed and compared for that. Returns
   * the other ones, or undefined when the exchange has done as much as it may.
   */
  async #notTakenWhole(leaves: readonly number[]): Promise<readonly number[] | undefined> {
    const { settle, bucket, direction, vouch = false, keysMax } = this.#options;
    // What was written just now, or is of another bucket, shows only in lists of keys.
    if (settle > 0 || bucket !== undefined || direction === 'push') return leaves;
    const tree = this.#environment.trees.tree(this.#place);
    const empty = leaves.filter((leaf) => tree.isEmpty(leaf));
    let after: Hash64 | undefined;
    for (let left: readonly number[] = empty; left.length > 0;) {
      if (this.#differing >= keysMax) return undefined;
      const origin = this.#environment.replica.now();
      const request = { basis: this.#basis, place: this.#place, leaves: left, after, vouch };
      const { rows, last } = await this.#askWithStates(RowsMessage, request);
      this.#differing += rows.length;
      await this.#take(origin, rows);
      if (last === undefined) break;
      if (after !== undefined && compareHashes(last, after) <= 0) throw new ExchangeFailed('no state comes back');
      after = last;
      left = left.filter((leaf) => leaf >= leafOf(last));
    }
    const whole = new Set(empty);
    return leaves.filter((leaf) => !whole.has(leaf));
  }

  async #take(origin: number, rows: readonly RowOnTheWire[]): Promise<void> {
    const { pace, pages } = this.#environment;
    const bytes = bytesOf(rows);
    pages.came(bytes);
    await pace.take(bytes);
    const { joined, refusals } = await joinRows(this.#environment, this.#place, origin, rows);
    this.#pulled += joined;
    this.#note(rows.length - joined, refusals, 'here');
  }

  async #differingLeaves(): Promise<readonly number[]> {
    const { source } = this.#environment;
    const place = this.#place;
    const vouch = this.#options.vouch === true;
    const theirNodes = await this.#ask(NodesMessage, { basis: this.#basis, place, vouch });
    const nodes = differences(source.nodes(place, false), theirNodes);
    if (nodes.length === 0) return [];
    const theirLeaves = await this.#ask(LeavesMessage, { basis: this.#basis, place, nodes });
    await this.#environment.pace.take(theirNodes.length + theirLeaves.length);
    return differences(source.leaves(place, nodes), theirLeaves).map(
      (i) => nodes[Math.floor(i / LEAVES_OF_NODE)]! * LEAVES_OF_NODE + (i % LEAVES_OF_NODE),
    );
  }

  /** How many keys the other has there; undefined when the exchange has done as much as it may. */
  async #compareLeaves(leaves: readonly number[]): Promise<number | undefined> {
    const { settle, bucket, vouch = false } = this.#options;
    const request = { place: this.#place, leaves, bucket, settle };
    const theirs = await this.#allKeys((after) =>
      this.#ask(KeysMessage, { ...request, basis: this.#basis, after, vouch }),
    );
    const mine = await this.#allKeys((after) => this.#environment.source.keys({ ...request, after }));
    const { differing, recent } = compareKeys(mine, theirs);
    this.#recent += recent;
    for (let first = 0; first < differing.length; first += ROWS_MAX) {
      if (this.#differing >= this.#options.keysMax) return undefined;
      await this.#mend(differing.slice(first, first + ROWS_MAX));
    }
    return theirs.entries.length / ENTRY_BYTES;
  }

  async #allKeys(page: (after: Hash64 | undefined) => Promise<KeysReply>): Promise<KeysReply> {
    const pages: KeysReply[] = [];
    let after: Hash64 | undefined;
    for (;;) {
      const reply = await page(after);
      pages.push(reply);
      await this.#environment.pace.take(reply.entries.length + reply.recent.length);
      if (!reply.more || reply.entries.length === 0) break;
      after = hashAt(reply.entries, reply.entries.length - ENTRY_BYTES);
    }
    const all = (part: 'entries' | 'recent'): Uint8Array => concatBytes(pages.map((one) => one[part]));
    return { entries: all('entries'), recent: all('recent'), more: false };
  }

  async #mend(differing: readonly KeyDifference[]): Promise<void> {
    this.#differing += differing.length;
    if (this.#options.direction !== 'push')
      await this.#pull(differing.filter(({ theirs }) => theirs !== undefined).map(({ hash }) => hash));
    // What this node has just got from there, it need not give back.
    await this.#push(
      this.#options.direction === 'push' ? differing : differing.filter(({ mine }) => mine !== undefined),
    );
  }

  async #pull(wanted: readonly Hash64[]): Promise<void> {
    for (let first = 0; first < wanted.length;) {
      const hashes = hashesToBytes(wanted.slice(first));
      const origin = this.#environment.replica.now();
      const request = { basis: this.#basis, place: this.#place, hashes };
      const { handled, rows } = await this.#askWithStates(PullMessage, request);
      await this.#take(origin, rows);
      if (handled === 0) throw new ExchangeFailed('no state comes back');
      // What is not there any more was taken away meanwhile, or cannot be read.
      if (rows.length < handled) this.#refused += handled - rows.length;
      first += handled;
    }
  }

  /** Gives the other owner what it lacks: also what this node has learnt a moment ago, joined with its own. */
  async #push(differing: readonly KeyDifference[]): Promise<void> {
    const { world, trees, replica } = this.#environment;
    let origin = 0;
    let page: RowOnTheWire[] = [];
    const send = async (): Promise<void> => {
      if (page.length === 0) return;
      const bytes = bytesOf(page);
      await this.#environment.pace.take(bytes);
      const request = { place: this.#place, origin, rows: page };
      const { joined, refusals } = await this.#askWithStates(PushMessage, request, bytes);
      this.#pushed += joined;
      this.#note(page.length - joined, refusals, this.#peer);
      page = [];
    };
    for (const { hash, theirs } of differing) {
      // A row that does not fit into the page any more waits for it to be sent, and may be dead by then.
      const readAt = replica.now();
      for (const { state, encoded, rowKey } of trees.index.rowsOf(world.disk, this.#place, hash)) {
        if (state === undefined || encoded === undefined) continue;
        const now = trees.hash.stateHash(hash, state);
        if (now.high === theirs?.high && now.low === theirs.low) continue;
        if (page.length >= ROWS_MAX || bytesOf(page) + encoded.length > PAGE_BYTES) await send();
        if (page.length === 0) origin = readAt;
        page.push([rowKey, encoded, retriesOf(replica, this.#place, rowKey)]);
      }
    }
    await send();
  }

  #note(refused: number, refusals: readonly string[], by: string): void {
    this.#refused += refused;
    if (refusals.some((code) => code !== OTHER_LIFE)) {
      const { n, partition } = this.#place;
      this.#environment.world.log.warn('repair-refused', { peer: this.#peer, n, partition, by, refused, refusals });
    }
  }

  async #ask<Request, Reply>(type: MessageType<Request, Reply>, request: Request): Promise<Reply> {
    return await ask(this.#environment, this.#peer, type, request);
  }

  /** `bytes` of the states in the request; without it the answer has them. */
  async #askWithStates<Request, Reply>(
    type: MessageType<Request, Reply>,
    request: Request,
    bytes?: number,
  ): Promise<Reply> {
    // Those that are under way already go before.
    const most = STATES_UNDER_WAY_MAX + PAGE_BYTES;
    const call = async (): Promise<Reply> => await ask(this.#environment, this.#peer, type, request, most);
    return await this.#environment.pages.underWay(bytes, call);
  }

  #result(complete: boolean): ExchangeResult {
    return {
      differing: this.#differing,
      recent: this.#recent,
      pulled: this.#pulled,
      pushed: this.#pushed,
      refused: this.#refused,
      complete,
    };
  }
}

/**
 * Joins states of another owner with this node's, on stable storage; those that it may not take are counted. `origin`: a
 * hybrid time, of whichever node, before the states were read.
 */
export async function joinRows(
  {
    world,
    knowledge,
    replica,
    callTimeout,
  }: Pick<ExchangeEnvironment, 'world' | 'knowledge' | 'replica' | 'callTimeout'>,
  place: TreePlace,
  origin: number,
  rows: PushRequest['rows'],
): Promise<PushReply> {
  const deadline = world.clock.monotonic() + callTimeout;
  const refusals = await Promise.all(
    rows.map(async ([rowKey, state, retries]) => {
      const { bucket, incarnation, key } = recordName(rowKey);
      const { version: definition, incarnation: current } = knowledge.bucket(bucket);
      if (current !== incarnation) return OTHER_LIFE;
      const scope = { ...place, epoch: knowledge.epoch(), bucket, incarnation, definition };
      try {
        await replica.store({ scope, requestId: 'repair', key, state, durable: true, origin, retries }, deadline);
        return undefined;
      } catch (error) {
        if (error instanceof Refusal) return error.code;
        throw error;
      }
    }),
  );
  const refused = refusals.filter((code) => code !== undefined);
  return { joined: rows.length - refused.length, refusals: [...new Set(refused)] };
}

function bytesOf(rows: readonly RowOnTheWire[]): number {
  return rows.reduce((sum, [rowKey, state]) => sum + rowKey.length + state.length, 0);
}
