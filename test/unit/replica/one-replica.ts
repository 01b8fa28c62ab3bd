/** A replica on a machine of its own, as the only owner of its keys. */

import type { Conflicts, State } from '#causality/state.ts';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import { utf8 } from '#kernel/bytes.ts';
import { clusterId, epoch, nodeId, storageId } from '#kernel/identity.ts';
import type { Minted } from '#replica/mint.ts';
import { takeStorage, type NodeStorage } from '#replica/node-storage.ts';
import { Replica } from '#replica/replica.ts';
import type { RetryLimits } from '#replica/retries.ts';
import { decodeEntry, type RetryRow } from '#replica/retry-codec.ts';
import { RETRY_LOG } from '#replica/tables.ts';
import { foundRing } from '#ring/founding.ts';
import { digest } from '#world/digest.ts';
import { OneMachine, type OneProcess } from './worlds.ts';

const RING = foundRing({
  clusterId: clusterId('0'.repeat(32)),
  founders: [{ id: nodeId('n1'), peer: 'n1:1', url: '', zone: 'z', weight: 1, storageId: storageId('0'.repeat(32)) }],
  partitionCount: 8,
  hashSeed: '0'.repeat(32),
});
const SELF = RING.members[0]!.index;
export const SCOPE = { epoch: epoch(1), n: 3, partition: 0, bucket: 'b', incarnation: 0, definition: epoch(0) };
export const KEY = utf8('k');
export const CONTENT = { value: utf8('v'), contentType: 'a/b', contentEncoding: '', meta: [] };
export const WINDOW = 10 * 60_000;

export function mark(id: number, fingerprint = id) {
  return { id: new Uint8Array(16).fill(id), fingerprint: new Uint8Array(16).fill(fingerprint) };
}

export class OneReplica {
  readonly machine: OneMachine;
  readonly process: OneProcess;
  readonly replica: Replica;
  readonly storage: NodeStorage;
  readonly #now: { refilling: boolean };

  private constructor(
    machine: OneMachine,
    process: OneProcess,
    replica: Replica,
    storage: NodeStorage,
    now: { refilling: boolean },
  ) {
    this.#now = now;
    this.machine = machine;
    this.process = process;
    this.replica = replica;
    this.storage = storage;
  }

  static async boot(conflicts: Conflicts = 'siblings', limits: Partial<RetryLimits> = {}, machine = new OneMachine()) {
    const process = machine.boot();
    const wall = (): number => process.clock.wall();
    const { disk, random } = process;
    const storage = await machine.simulation.settle(takeStorage({ disk, random, wall, id: nodeId('n1') }));
    const now = { refilling: false };
    const replica = new Replica({
      world: process,
      storage,
      knowledge: {
        epoch: () => epoch(1),
        ring: () => RING,
        self: () => SELF,
        bucket: () => ({ n: 3, incarnation: 0, version: epoch(0), conflicts }),
        refilling: () => now.refilling,
        catchUp: () => Promise.resolve(false),
      },
      ready: () => true,
      flushNetwork: () => undefined,
      participants: [],
      limits: {
        siblingsMax: 100,
        entriesMax: 1000,
        stateBytesMax: 1 << 20,
        commitGroupMax: 128,
        commitQueueMax: 1000,
        commitQueueBytesMax: 1 << 30,
        ...{ retryWindow: WINDOW, retriesMax: 1000, retryPurgeInterval: 1000, ...limits },
      },
    });
    return new OneReplica(machine, process, replica, storage, now);
  }

  /** Whether the node has lost its disk and is not filled again. */
  set refilling(is: boolean) {
    this.#now.refilling = is;
  }

  /** `sent`: whether others get the version, too. */
  mint(id: number, key = KEY, sent = false): Promise<Minted> {
    const request = { scope: SCOPE, key, operating: null, content: CONTENT, context: [], expiresAt: 0, durable: true };
    return this.replica.mint({ ...request, mark: mark(id), after: 0, stillWanted: () => true }, () => sent);
  }

  async store(state: State, retries: readonly RetryRow[]): Promise<State> {
    const encoded = encodeState(state, digest.crc32);
    const request = { scope: SCOPE, requestId: 'r', key: KEY, state: encoded, durable: true, origin: 1, retries };
    await this.settle(this.replica.store(request, Infinity));
    const { state: row } = await this.replica.fetch({ scope: SCOPE, requestId: 'r', key: KEY }, Infinity);
    return decodeState(row!, digest.crc32);
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.machine.simulation.settle(promise);
  }

  /** How many rows of requests are on the disk, and how many the index knows. */
  rows(): readonly number[] {
    const entries = this.process.disk.range(RETRY_LOG, { limit: 10_000 });
    const rows = entries.flatMap(([, bytes]) => decodeEntry(bytes, digest.crc32)!);
    return [rows.length, this.process.metrics.value('quoral_retries')];
  }
}
