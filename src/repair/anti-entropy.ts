/**
 * Anti-entropy: this node compares its trees with each of the others in turn, the one first with which it has not compared
 * for the longest, and at once with one that has come back. All roots that two nodes share are summed up in one hash, so a
 * converged pair exchanges a few dozen bytes a turn; where that hash differs, the partitions that differ are found through
 * the hashes of groups of them, and an exchange mends each.
 */

import type { NodeId } from '#kernel/identity.ts';
import { asRefusal } from '#replica/refusals.ts';
import { fenceSender } from '#replica/scope.ts';
import { Refusal } from '#wire/message.ts';
import type { Handler } from '#wire/messaging.ts';
import type { Counter, Timer } from '#world/world.ts';
import { exchangesAtOnce, Gate, workOn } from './at-once.ts';
import {
  ask,
  exchange,
  ExchangeFailed,
  joinRows,
  type ExchangeEnvironment,
  type ExchangeOptions,
  type ExchangeResult,
} from './exchange.ts';
import {
  ForestMessage,
  GROUP_SIZE,
  KeysMessage,
  LeavesMessage,
  NodesMessage,
  PullMessage,
  PushMessage,
  RootsMessage,
  RowsMessage,
} from './exchange-messages.ts';
import { differences } from './merkle-tree.ts';
import { RetriesMessage, retriesPage, takeRetries } from './take-retries.ts';
import type { TreePlace } from './tree-tables.ts';

export interface AntiEntropySettings {
  /** Milliseconds between two comparisons that this node begins, on average. */
  readonly interval: number;
  /** Milliseconds after a write during which its replicas may differ without being repaired. */
  readonly settle: number;
  /** Milliseconds for one call of an exchange. */
  readonly callTimeout: number;
}

export interface AntiEntropyOptions extends ExchangeEnvironment {
  readonly self: NodeId;
  /** Whether this node may act and answer at all. */
  readonly ready: () => boolean;
  readonly settings: AntiEntropySettings;
}

export interface PlaceResult extends ExchangeResult {
  readonly place: TreePlace;
}

/** Partitions that are mended in one turn, and differing keys in one exchange. */
const PLACES_A_TURN = 64;
export const KEYS_AN_EXCHANGE = 4096;
/** Milliseconds to the next turn when one has left something, and when a peer has come back: others go first. */
const SOON_MS = 1000;
const RETURNED_MS = 2000;

export class AntiEntropy {
  readonly #options: AntiEntropyOptions;
  /** When each peer was last compared with, by the monotonic clock. */
  readonly #comparedAt = new Map<NodeId, number>();
  readonly #counters: Readonly<Record<'equal' | 'differed' | 'failed', Counter>>;
  readonly #pulled: Counter;
  readonly #pushed: Counter;
  #timer: Timer | undefined;
  #stopped = true;
  readonly #gate: Gate;

  constructor(options: AntiEntropyOptions) {
    this.#options = options;
    this.#gate = new Gate(() => this.#atOnce());
    const { metrics } = options.world;
    const comparisons = (result: string): Counter =>
      metrics.counter('quoral_comparisons_total', 'Comparisons of Merkle trees that this node began', { result });
    this.#counters = { equal: comparisons('equal'), differed: comparisons('differed'), failed: comparisons('failed') };
    const keys = (direction: string): Counter =>
      metrics.counter('quoral_repaired_keys_total', 'States that an exchange brought to a replica', { direction });
    this.#pulled = keys('pulled');
    this.#pushed = keys('pushed');
    this.#handle();
    options.messaging.onReachability((peer, reachable) => {
      if (!reachable || this.#stopped) return;
      this.#comparedAt.delete(peer);
      this.#schedule(RETURNED_MS * (0.5 + this.#chance()));
    });
  }

  start(): void {
    this.#stopped = false;
    this.#schedule(this.#options.settings.interval * this.#chance());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** The partitions shared with the peer whose roots differ. Throws {@link ExchangeFailed}. */
  async differingPlaces(peer: NodeId): Promise<readonly TreePlace[]> {
    const { source, trees } = this.#options;
    if (!trees.ready()) throw new ExchangeFailed('the trees of this node are being built');
    const basis = source.basis();
    const places = source.shared(peer);
    const groups = source.groups(places);
    const theirGroups = await ask(this.#options, peer, ForestMessage, { basis, overall: source.overall(groups) });
    if (theirGroups === null) return [];
    if (theirGroups.length !== groups.length * 8) throw new ExchangeFailed('the two share other partitions');
    const differing = groups.flatMap(({ high, low }, i) => {
      const view = new DataView(theirGroups.buffer, theirGroups.byteOffset);
      return view.getUint32(i * 8) === high && view.getUint32(i * 8 + 4) === low ? [] : [i];
    });
    if (differing.length === 0) return [];
    const theirRoots = await ask(this.#options, peer, RootsMessage, { basis, groups: differing });
    const wanted = differing.flatMap((group) => places.slice(group * GROUP_SIZE, (group + 1) * GROUP_SIZE));
    if (theirRoots.length !== wanted.length * 8) throw new ExchangeFailed('the two share other partitions');
    return differences(source.roots(wanted), theirRoots).map((i) => wanted[i]!);
  }

  /** Compares one partition with the peer and mends both, when few enough others do. Throws {@link ExchangeFailed}. */
  async exchange(peer: NodeId, place: TreePlace, given: Partial<ExchangeOptions> = {}): Promise<PlaceResult> {
    const options = { settle: this.#options.settings.settle, keysMax: KEYS_AN_EXCHANGE, ...given };
    return await this.#gate.pass(async () => {
      const result = await exchange(this.#options, peer, place, options);
      this.#note(peer, place, result);
      return { ...result, place };
    });
  }

  /** What requests have become, of the keys of a partition whose states this node has from the peer. Throws {@link ExchangeFailed}. */
  async takeRetries(peer: NodeId, place: TreePlace): Promise<void> {
    await this.#gate.pass(async () => await takeRetries(this.#options, peer, place));
  }

  /** Compares with the peer from the top and mends what differs, up to a bound; true when something is left. Never rejects. */
  async compareWith(peer: NodeId): Promise<boolean> {
    const { clock } = this.#options.world;
    this.#comparedAt.set(peer, clock.monotonic());
    try {
      const places = await this.differingPlaces(peer);
      let left = places.length > PLACES_A_TURN;
      let differed = false;
      await workOn(places.slice(0, PLACES_A_TURN), this.#atOnce(), async (place) => {
        if (this.#stopped) return;
        const { differing, complete } = await this.exchange(peer, place);
        if (!complete) left = true;
        if (differing > 0) differed = true;
      });
      if (this.#stopped) return false;
      this.#counters[differed ? 'differed' : 'equal'].add();
      return left;
    } catch (error) {
      this.#counters.failed.add();
      const expected = error instanceof ExchangeFailed || asRefusal(error) instanceof Refusal;
      if (expected) this.#options.world.log.debug('comparison-failed', { peer, reason: String(error) });
      else this.#options.world.log.error('comparison-faulty', { peer, reason: String(error) });
      return false;
    }
  }

  #handle(): void {
    const { messaging, source } = this.#options;
    const check = (): void => this.#check();
    messaging.handle(ForestMessage, ({ basis, overall }, { from }) => {
      check();
      source.check(basis);
      const groups = source.groups(source.shared(from));
      return differences(source.overall(groups), overall).length === 0 ? null : source.groupBytes(groups);
    });
    messaging.handle(RootsMessage, ({ basis, groups }, { from }) => {
      check();
      source.check(basis);
      const places = source.shared(from);
      return source.roots(groups.flatMap((group) => places.slice(group * GROUP_SIZE, (group + 1) * GROUP_SIZE)));
    });
    messaging.handle(NodesMessage, ({ basis, place, vouch = false }) => {
      check();
      source.checkPlace(basis, place);
      return source.nodes(place, vouch);
    });
    messaging.handle(LeavesMessage, ({ basis, place, nodes }) => {
      check();
      source.checkPlace(basis, place);
      return source.leaves(place, nodes);
    });
    messaging.handle(
      KeysMessage,
      this.#resting(async (request) => {
        source.checkPlace(request.basis, request.place);
        return await source.keys(request);
      }),
    );
    messaging.handle(
      PullMessage,
      this.#resting((request) => {
        source.checkPlace(request.basis, request.place);
        return source.pull(request);
      }),
    );
    messaging.handle(
      RowsMessage,
      this.#resting((request) => {
        source.checkPlace(request.basis, request.place);
        return source.rows(request);
      }),
    );
    messaging.handle(
      RetriesMessage,
      this.#resting((request) => {
        source.checkPlace(request.basis, request.place);
        return retriesPage(this.#options, request);
      }),
    );
    messaging.handle(
      PushMessage,
      this.#resting(async ({ place, origin, rows }, { from }) => {
        fenceSender(from, this.#options.knowledge);
        return await joinRows(this.#options, place, origin, rows);
      }),
    );
  }

  /** Many may ask at once, each at a pace of its own: the answer waits when this node has done more for them than it should. */
  #resting<Request, Reply>(work: Handler<Request, Reply>): Handler<Request, Reply> {
    const { world, pace } = this.#options;
    return async (request, caller) => {
      this.#check();
      const begun = world.clock.monotonic();
      const reply = await work(request, caller);
      await pace.answered(begun);
      return reply;
    };
  }

  #check(): void {
    if (!this.#options.ready()) throw new Refusal('not-ready', 'this node does not serve yet');
  }

  #note(peer: NodeId, { n, partition }: TreePlace, result: ExchangeResult): void {
    this.#pulled.add(result.pulled);
    this.#pushed.add(result.pushed);
    if (result.differing === 0) return;
    const { differing, pulled, pushed, refused, complete } = result;
    const fields = { peer, n, partition, keys: differing, pulled, pushed, refused, complete };
    this.#options.world.log.info('partition-repaired', fields);
  }

  #schedule(delay: number): void {
    this.#timer?.cancel();
    this.#timer = this.#options.world.clock.after(delay, () => void this.#turn());
  }

  async #turn(): Promise<void> {
    if (this.#stopped) return;
    const { interval } = this.#options.settings;
    this.#schedule(interval * (0.5 + this.#chance()));
    const peer = this.#next();
    if (peer === undefined) return;
    const returned = !this.#comparedAt.has(peer);
    const left = await this.compareWith(peer);
    if (!this.#stopped && (left || returned)) this.#schedule(Math.min(SOON_MS, interval));
  }

  /** The peer that shares partitions with this node and was compared with the longest ago. */
  #next(): NodeId | undefined {
    const { knowledge, messaging, source, self, ready, trees } = this.#options;
    if (!ready() || !trees.ready()) return undefined;
    const age = (peer: NodeId): number => this.#comparedAt.get(peer) ?? -Infinity;
    return knowledge
      .ring()
      .members.filter(({ id, state }) => id !== self && state !== 'removed' && messaging.reachable(id))
      .map(({ id }) => id)
      .filter((id) => source.shared(id).length > 0)
      .toSorted((a, b) => age(a) - age(b))[0];
  }

  #atOnce(): number {
    const { messaging, knowledge } = this.#options;
    return exchangesAtOnce(messaging, knowledge.ring(), 1);
  }

  #chance(): number {
    return this.#options.world.random.uint32() / 2 ** 32;
  }
}
