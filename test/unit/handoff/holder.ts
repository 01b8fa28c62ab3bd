/** A node that keeps hints, on one simulated machine, and owners that a test answers for. */

import { HybridClock } from '#causality/hybrid-clock.ts';
import type { Conflicts, State } from '#causality/state.ts';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import { concatBytes } from '#kernel/bytes.ts';
import { clusterId, epoch, nodeId, storageId, type NodeId, type NodeIndex } from '#kernel/identity.ts';
import { HintDelivery, type HintDeliverySettings } from '#handoff/hint-delivery.ts';
import { HintRoom } from '#handoff/hint-room.ts';
import { HintTable } from '#handoff/hint-table.ts';
import { DEFAULT_HINT_SETTINGS } from '#handoff/hints.ts';
import { HANDOFF_TABLES, type HintName } from '#handoff/tables.ts';
import { utf8 } from '#kernel/bytes.ts';
import type { Assessment } from '#membership/reachability.ts';
import { GroupCommit } from '#replica/group-commit.ts';
import type { StoreReply, StoreRequest } from '#replica/messages.ts';
import type { RetryRow } from '#replica/retry-codec.ts';
import { REPLICA_TABLES } from '#replica/tables.ts';
import type { Knowledge } from '#replica/scope.ts';
import { foundRing } from '#ring/founding.ts';
import { ownersOf } from '#ring/preference-list.ts';
import type { Ring } from '#ring/ring.ts';
import type { CallResult, Messaging } from '#wire/messaging.ts';
import { digest } from '#world/digest.ts';
import type { World } from '#world/world.ts';
import { OneMachine, type OneProcess } from '../replica/worlds.ts';
import { dot, stateOf } from '../causality/examples.ts';

export const RING: Ring = foundRing({
  clusterId: clusterId('0'.repeat(32)),
  founders: ['a', 'b', 'c', 'd', 'e'].map((id, i) => ({
    id: nodeId(id),
    peer: `${id}:1`,
    url: '',
    zone: 'z',
    weight: 1,
    storageId: storageId(String(i).repeat(32)),
  })),
  partitionCount: 8,
  hashSeed: '0'.repeat(32),
});
/** Owners of partition 0, in order. */
export const OWNERS = ownersOf(RING, 3, 0).owners;
/** No owner of it: the node under test. */
export const HOLDER = RING.members.find(({ index }) => !OWNERS.includes(index))!;

export function memberId(index: NodeIndex): NodeId {
  return RING.members.find((member) => member.index === index)!.id;
}

export function encoded(node: number, counter: number): Uint8Array {
  return encodeState(stateOf([dot(node, counter)], [dot(node, counter)]), digest.crc32);
}

export function decoded(state: Uint8Array): State {
  return decodeState(state, digest.crc32);
}

export function nameFor(owner: NodeIndex, key: string): HintName {
  return { owner, n: 3, partition: 0, bucket: 'b', incarnation: 0, key: utf8(key) };
}

/** What the cluster decided, as the node knows it; a test changes it. */
export class Facts {
  ring = RING;
  epoch = epoch(3);
  bucket = { n: 3, incarnation: 0, version: epoch(0), conflicts: 'siblings' as Conflicts };

  knowledge(): Knowledge {
    return {
      epoch: () => this.epoch,
      ring: () => this.ring,
      self: () => HOLDER.index,
      bucket: () => this.bucket,
      refilling: () => false,
      catchUp: () => Promise.resolve(true),
    };
  }
}

export type OwnerAnswer = CallResult<StoreReply>;

export class Holder {
  readonly machine = new OneMachine([...REPLICA_TABLES, ...HANDOFF_TABLES]);
  readonly facts = new Facts();
  /** What owners were given, in order. */
  readonly given: { readonly to: NodeId; readonly request: StoreRequest; readonly patience?: number }[] = [];
  /** How an owner answers; at once by default. */
  answer: (to: NodeId, request: StoreRequest) => Promise<OwnerAnswer> = () =>
    Promise.resolve({ kind: 'reply', reply: { durable: true } });
  readonly reachable = new Set<NodeId>();
  retries: readonly RetryRow[] = [];
  readonly records = new Map<string, Uint8Array>();
  readonly bounds: { bytesMax: number; ageMax: number };
  readonly settings: HintDeliverySettings;
  /** Whether this node serves: not while its clock is in doubt, for one thing. */
  ready = true;
  process!: OneProcess;
  clock!: HybridClock;
  table!: HintTable;
  room!: HintRoom;
  delivery!: HintDelivery;
  #listeners: ((peer: NodeId, now: Assessment) => void)[] = [];

  constructor(settings: Partial<HintDeliverySettings> = {}, bounds = { bytesMax: 1024 ** 2, ageMax: 3_600_000 }) {
    this.settings = { ...DEFAULT_HINT_SETTINGS, ...settings };
    this.bounds = bounds;
    this.boot();
  }

  /** A new process on the same disk. */
  boot(): void {
    this.process = this.machine.boot();
    const world = this.process as unknown as World;
    const { clock } = world;
    this.#listeners = [];
    this.clock = new HybridClock({
      wall: () => clock.wall(),
      start: (this.clock as HybridClock | undefined)?.last() ?? 0,
    });
    const commits = new GroupCommit({
      ...world,
      prologue: () => undefined,
      epilogue: () => undefined,
      beforeCommit: () => undefined,
      takeBack: () => undefined,
      onFailure: () => undefined,
      groupSizeMax: 128,
      queueMax: 10_000,
      queueBytesMax: 1024 ** 3,
    });
    const nameOf = memberId;
    this.table = new HintTable({ world, commits, clock: this.clock, nameOf, bytesMax: this.bounds.bytesMax });
    this.room = new HintRoom({ world, table: this.table, nameOf, ready: () => this.ready, ...this.bounds });
    this.delivery = new HintDelivery({
      world,
      messaging: this.#messaging(),
      peers: {
        usable: (peer) => this.reachable.has(peer),
        onChange: (listener) => void this.#listeners.push(listener),
      },
      table: this.table,
      room: this.room,
      replica: {
        store: (request) => {
          this.given.push({ to: HOLDER.id, request });
          return Promise.resolve({ durable: true });
        },
        now: () => 1,
        retries: { ofKey: () => this.retries },
        record: (_place, key) => {
          const record = this.records.get(String.fromCharCode(...key));
          return record === undefined ? undefined : { state: decoded(record), encoded: record };
        },
      },
      knowledge: this.facts.knowledge(),
      self: HOLDER.id,
      ready: () => this.ready,
      settings: this.settings,
    });
    this.table.start();
  }

  /** Ends the process as `kill -9` does. */
  crash(): void {
    this.machine.host.kill();
  }

  cameBack(peer: NodeId): void {
    this.reachable.add(peer);
    for (const listener of this.#listeners) listener(peer, 'usable');
  }

  async store(owner: NodeIndex, key: string, state: Uint8Array, change: { sole?: boolean; low?: number } = {}) {
    const low = change.low ?? this.clock.tick();
    const hint = { state, own: false, sole: change.sole ?? false, low };
    return this.machine.simulation.settle(this.table.store(nameFor(owner, key), hint, 'siblings', true));
  }

  /** Of what the node has itself. */
  async note(owner: NodeIndex, key: string): Promise<unknown> {
    const hint = { state: null, own: true, sole: false, low: this.clock.tick() };
    return this.machine.simulation.settle(this.table.store(nameFor(owner, key), hint, 'siblings', true));
  }

  async run(milliseconds: number): Promise<void> {
    await this.machine.simulation.run(this.machine.simulation.now + milliseconds);
  }

  #messaging(): Messaging {
    const messaging: Pick<Messaging, 'call'> = {
      call: async (to, _type, request, { deadline }) => {
        const store = request as unknown as StoreRequest;
        this.given.push({ to, request: store, patience: deadline - this.machine.simulation.now });
        return (await this.answer(to, store)) as never;
      },
    };
    return messaging as Messaging;
  }
}

export function joinedKeys(requests: readonly StoreRequest[]): string {
  return String.fromCharCode(...concatBytes(requests.map(({ key }) => key)));
}
