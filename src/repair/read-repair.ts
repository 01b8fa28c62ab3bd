/**
 * Read repair: a read that found its replicas different gives the joined state to those that were behind, in the
 * background. It is a help, never a promise: when too much of it is under way it is left out and counted, and a later read
 * or anti-entropy finds the difference again.
 *
 * A key that is read often is found different by many reads before the first of them has mended it, so only one repair of
 * a key is under way. It begins after a short pause of random length: other nodes have read the key at the same moment.
 */

import { encodeState } from '#causality/state-codec.ts';
import type { State } from '#causality/state.ts';
import { toHex } from '#kernel/bytes.ts';
import type { NodeId } from '#kernel/identity.ts';
import { StoreMessage, type StoreRequest } from '#replica/messages.ts';
import type { Replica } from '#replica/replica.ts';
import type { Scope } from '#replica/scope.ts';
import { Refusal } from '#wire/message.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { Counter, World } from '#world/world.ts';
import { staleReplicas, type ReadAnswer } from './stale-replicas.ts';

export interface ReadRepairOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly replica: Replica;
  readonly self: NodeId;
  /** Repairs under way at once; beyond it a repair is left out. */
  readonly inFlightMax: number;
  /** Milliseconds that one repair may take. */
  readonly timeout: number;
  /** Milliseconds of the longest pause before it. */
  readonly jitter: number;
}

export interface ReadDifference {
  readonly scope: Scope;
  readonly requestId: string;
  readonly key: Uint8Array;
  readonly merged: State;
  /** A hybrid time of this node before the read began. */
  readonly origin: number;
  readonly answers: readonly ReadAnswer[];
}

export class ReadRepair {
  readonly #options: ReadRepairOptions;
  readonly #stale: Counter;
  readonly #sent: Counter;
  readonly #leftOut: Counter;
  readonly #repeated: Counter;
  /** Keys of which a repair is under way. */
  readonly #keys = new Set<string>();
  #inFlight = 0;
  #stopped = false;

  constructor(options: ReadRepairOptions) {
    this.#options = options;
    const { metrics } = options.world;
    this.#stale = metrics.counter('quoral_stale_replicas_found_total', 'Replicas that a read found behind');
    this.#sent = metrics.counter('quoral_read_repairs_total', 'States pushed to replicas that a read found behind');
    this.#leftOut = metrics.counter(
      'quoral_read_repairs_left_out_total',
      'Read repairs not made because too many were under way',
    );
    this.#repeated = metrics.counter(
      'quoral_read_repairs_repeated_total',
      'Read repairs not made because one of the same key was under way',
    );
    metrics.gauge('quoral_read_repairs_in_flight', 'Read repairs under way', () => this.#inFlight);
  }

  /** Pushes the merged state to the replicas that lack some of it, after a pause. Returns at once. */
  afterRead(difference: ReadDifference): void {
    const stale = staleReplicas(difference.merged, difference.answers);
    if (stale.length === 0 || this.#stopped) return;
    this.#stale.add(stale.length);
    const name = nameOf(difference);
    if (this.#keys.has(name)) {
      this.#repeated.add();
      return;
    }
    const free = Math.max(0, this.#options.inFlightMax - this.#inFlight);
    if (stale.length > free) this.#leftOut.add(stale.length - free);
    const chosen = stale.slice(0, free);
    if (chosen.length === 0) return;
    this.#keys.add(name);
    this.#inFlight += chosen.length;
    const { clock, random } = this.#options.world;
    const pause = (this.#options.jitter * random.uint32()) / 2 ** 32;
    clock.after(pause, () => void this.#repair(name, difference, chosen));
  }

  /** Begins no more; whoever would still be mended is found again later. */
  stop(): void {
    this.#stopped = true;
  }

  async #repair(name: string, difference: ReadDifference, stale: readonly NodeId[]): Promise<void> {
    const { scope, requestId, key, merged, origin } = difference;
    const state = this.#stopped ? undefined : this.#encode(merged);
    if (state !== undefined) {
      const request: StoreRequest = { scope, requestId, key, state, durable: false, origin };
      await Promise.all(stale.map((replica) => this.#push(replica, request)));
    }
    this.#inFlight -= stale.length;
    this.#keys.delete(name);
  }

  /** A state that has grown beyond what can be encoded is left as it is: the read that found it must not fail of it. */
  #encode(state: State): Uint8Array | undefined {
    try {
      return encodeState(state, this.#options.world.digest.crc32);
    } catch (error) {
      this.#leftOut.add();
      this.#options.world.log.error('read-repair-impossible', { reason: String(error) });
      return undefined;
    }
  }

  async #push(to: NodeId, request: StoreRequest): Promise<void> {
    const { world, messaging, replica, self, timeout } = this.#options;
    const deadline = world.clock.monotonic() + timeout;
    this.#sent.add();
    try {
      if (to === self) await replica.store(request, deadline);
      else await messaging.call(to, StoreMessage, request, { deadline, priority: 'background' });
    } catch (error) {
      if (error instanceof Refusal) world.log.debug('read-repair-refused', { peer: to, reason: error.code });
      else world.log.error('read-repair-faulty', { peer: to, reason: String(error) });
    }
  }
}

function nameOf({ scope, key }: ReadDifference): string {
  return `${scope.bucket} ${scope.incarnation} ${toHex(key)}`;
}
