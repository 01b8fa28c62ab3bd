/** What a script about a ring change can do beside what every script can. */

import { utf8 } from '#kernel/bytes.ts';
import type { NodeIndex } from '#kernel/identity.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import { isMoving, writersOf, type MoveStage } from '#ring/moving.ts';
import { ownersOf, preferenceList } from '#ring/preference-list.ts';
import type { Ring } from '#ring/ring.ts';
import { RECORDS, recordKey } from '#replica/tables.ts';
import type { PlanView } from '#operator/ring-plans.ts';
import { Refusal } from '#wire/message.ts';
import { isNoted } from '#repair/moved-rows.ts';
import type { Arena } from './arena.ts';
import type { Machine } from './cluster.ts';
import { levelsFor, sloppyAll, strictAll, strictQuorum } from './levels.ts';
import { LinkBoard } from './link-board.ts';
import { requestName } from './messages-on-the-wire.ts';
import type { Stage } from './stage.ts';
import type { Target } from './workload.ts';

const N = 3;
const FACTS = { owners: N, mode: 'siblings' } as const;
const STRICT = strictQuorum(FACTS);
const ALL = strictAll(FACTS);
const ALL_SLOPPY = sloppyAll(FACTS);
const ONE = levelsFor(FACTS).find(({ query }) => query === 'consistency=one')!;
/** After so long a node knows that it is cut off. */
export const HOLDS_NO_CLIENTS = 4500;
const NEWCOMER = 'n6';
const BUCKET = 'siblings';
const JSON_TYPE = { 'content-type': 'application/json' };
const UNTIL_MS = 60_000;
const OVER_MS = 120_000;
const LEARNS = /^consensus\.(decided|learn)$/;

/** A partition that moves, its key, and who has a part in that. */
export interface Cast {
  readonly target: Target;
  readonly partition: number;
  /** Drives the change. */
  readonly first: Machine;
  /** Owns before and after, as `first` does. */
  readonly other: Machine;
  readonly leaver: Machine;
  readonly incoming: Machine;
  /** Owns nothing of it at any time. */
  readonly outsider: Machine;
  /** `first` and `other` in the order in which the ring names them. */
  readonly staying: readonly [Machine, Machine];
  /** Of the plan. */
  readonly id: string;
  readonly apply: () => Promise<void>;
}

export class RingStage {
  readonly #arena: Arena;
  readonly #stage: Stage;
  readonly #links: LinkBoard;
  readonly #releases: (() => void)[] = [];

  constructor(arena: Arena, stage: Stage) {
    this.#arena = arena;
    this.#stage = stage;
    this.#links = new LinkBoard(arena.cluster.network);
  }

  /** Plans the change, to which the newcomer belongs, and finds a partition that moves with n1 as one that stays. */
  async cast(change: unknown): Promise<Cast> {
    await this.newcomer(NEWCOMER);
    const first = this.#machine('n1');
    const { id, moves } = await this.plan(first, change);
    const ring = this.#ring();
    for (const { n, partition, from, to } of moves) {
      if (n !== N || from === null || from === 'n1' || to !== NEWCOMER) continue;
      const owners = this.#ownersOf(ring, partition);
      const staying = owners.filter((owner) => owner.id !== from) as unknown as readonly [Machine, Machine];
      if (!staying.includes(first)) continue;
      return {
        ...{ target: { bucket: this.#stage.bucketOf(BUCKET), key: keyIn(ring, partition) }, partition, first, staying },
        other: staying.find((owner) => owner !== first)!,
        leaver: this.#machine(from),
        incoming: this.#machine(to),
        id,
        outsider: this.others(first).find((machine) => machine.id !== NEWCOMER && !owners.includes(machine))!,
        apply: async () => await this.apply(first, id),
      };
    }
    throw new Error('no partition moves from another to the newcomer and stays at n1');
  }

  /** A node that waits to join. */
  async newcomer(id: string): Promise<void> {
    const { cluster, supervisor } = this.#arena;
    supervisor.start(cluster.add(id, ['n1:7201', 'n2:7201']));
    await this.#stage.pass(4000);
  }

  async plan(machine: Machine, change: unknown): Promise<PlanView> {
    return (await this.#post(machine, '/v1/ring/plans', change)) as PlanView;
  }

  async apply(machine: Machine, plan: string): Promise<void> {
    await this.#post(machine, `/v1/ring/plans/${plan}/apply`, {});
  }

  /** The same, and whatever comes of it. */
  applying({ running }: Machine, plan: string): void {
    void running!.api('POST', `/v1/ring/plans/${plan}/apply`, JSON_TYPE, utf8('{}'));
  }

  async steer(machine: Machine, what: 'pause' | 'resume' | 'abort', body: object = {}): Promise<void> {
    await this.#post(machine, `/v1/ring/transfers/${what}`, body);
  }

  /** A key that all of these give away. */
  givenAwayBy(leavers: readonly string[], moves: PlanView['moves']): Target {
    const ring = this.#ring();
    const { partition } = moves.find(({ n, partition: at }) => {
      const from = moves.filter((move) => move.n === N && move.partition === at).map((move) => move.from);
      return n === N && leavers.every((id) => from.includes(id));
    })!;
    return { bucket: this.#stage.bucketOf(BUCKET), key: keyIn(ring, partition) };
  }

  /** A strong key of the same partition, and the owner that proposes what is to become of it. */
  strongIn({ partition }: Cast): { readonly target: Target; readonly proposer: Machine } {
    const ring = this.#ring();
    const { bucket } = this.#stage.strongKey('');
    const [proposer] = this.#ownersOf(ring, partition);
    return { target: { bucket, key: keyIn(ring, partition, bucket.name) }, proposer: proposer! };
  }

  /** A key that does not move, of whose owners `first` is one, and for another of them the leaver would stand in first. */
  attendedBy({ first, leaver }: Cast): { readonly target: Target; readonly absent: Machine } {
    const ring = this.#ring();
    const { partitions } = ring.placements.find(({ n }) => n === N)!;
    const partition = partitions.findIndex((entry, at) => {
      if (entry.move !== undefined || !this.#ownersOf(ring, at).includes(first)) return false;
      return preferenceList(ring, N, at).fallbacks[0]?.id === leaver.id;
    });
    if (partition < 0) throw new Error(`${leaver.id} stands in first for no owner beside ${first.id}`);
    const absent = this.#ownersOf(ring, partition).findLast((owner) => owner !== first)!;
    return { target: { bucket: this.#stage.bucketOf(BUCKET), key: keyIn(ring, partition) }, absent };
  }

  /** Until the machine has taken over what there was of the partition. */
  async hasTaken({ partition }: Cast, machine: Machine): Promise<void> {
    const place = { n: N, partition };
    const has = (): boolean => {
      const entry = this.#arena.watch.views.entryKnownBy(machine, place);
      return entry?.move?.stage === 'dual' && isNoted(machine.running!.world.disk, place, entry);
    };
    await this.#arena.cluster.simulation.run(has, UNTIL_MS);
  }

  /** The row of the key is damaged there, and the machine finds that. */
  damages({ target, partition }: Cast, { id, medium, running }: Machine): void {
    this.#arena.damaged.add(id);
    medium.flipByte(RECORDS, rowKeyOf(target), 5);
    const { replica } = running!.node;
    try {
      replica.record({ n: N, partition, bucket: target.bucket.name, incarnation: 0 }, utf8(target.key));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  }

  /** Until the machine owns nothing by the newest ring, and decides nothing. */
  async isFree({ id }: Machine): Promise<void> {
    const isSo = (): boolean => {
      const ring = this.#ring();
      const index = ring.members.findLast((member) => member.id === id)!.index;
      const owns = ring.placements.some(({ partitions }) =>
        partitions.some((entry) => writersOf(entry).includes(index)),
      );
      return !owns && !ring.voters.includes(index);
    };
    await this.#arena.cluster.simulation.run(isSo, UNTIL_MS);
  }

  /** It has left, and took nothing with it that it kept for others. */
  keepsNoHints({ id, running }: Machine): void {
    const waiting = running?.node.hints.waiting() ?? 0;
    if (waiting === 0) return;
    this.#arena.find({ check: 'ring', key: id, detail: `${id} has left with ${waiting} hints for others` });
  }

  anyTarget(): Target {
    return { bucket: this.#stage.bucketOf(BUCKET), key: 'k' };
  }

  others(machine: Machine): readonly Machine[] {
    return this.#arena.cluster.machines.filter((other) => other !== machine);
  }

  /** These learn of no epoch, from nobody. */
  deaf(...machines: readonly Machine[]): void {
    for (const machine of machines) {
      this.loses(LEARNS, [machine], this.others(machine));
      this.loses(LEARNS, this.others(machine), [machine]);
    }
  }

  /** Requests of these names get lost on these ways. */
  loses(names: RegExp, from: readonly Machine[], to: readonly Machine[]): void {
    const loses = (message: Uint8Array): boolean => names.test(requestName(message));
    for (const a of from) for (const b of to) if (a !== b) this.#links.add(a.host, b.host, { loses });
  }

  cut(machine: Machine, others: readonly Machine[]): void {
    for (const other of others) {
      this.#links.add(machine.host, other.host, { blocked: true });
      this.#links.add(other.host, machine.host, { blocked: true });
    }
  }

  /** Requests of this name from one to the other wait until they are released, or all is well again. */
  holds(from: Machine, to: Machine, name: string): () => void {
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const { messaging } = from.running!.node;
    const call = messaging.call.bind(messaging);
    messaging.call = async (peer, type, request, options) => {
      if (peer === to.id && type.name === name) await released;
      return await call(peer, type, request, options);
    };
    this.#releases.push(release);
    return release;
  }

  /** Nothing is wrong any more. */
  clear(): void {
    this.#links.clear();
    for (const release of this.#releases) release();
  }

  /** Until the node knows that the partition is in this stage. */
  async until({ partition }: Cast, machine: Machine, stage: MoveStage): Promise<void> {
    const isThere = (): boolean =>
      this.#arena.watch.views.entryKnownBy(machine, { n: N, partition })?.move?.stage === stage;
    await this.#arena.cluster.simulation.run(isThere, UNTIL_MS);
  }

  /** Until the change is over. */
  async over(): Promise<void> {
    const { simulation } = this.#arena.cluster;
    const end = simulation.now + OVER_MS;
    await simulation.run(() => this.#ring().change === undefined || simulation.now > end);
    if (this.#ring().change === undefined) return;
    this.#arena.find({ check: 'liveness', key: '', detail: `the ring change is not over after ${OVER_MS} ms` });
  }

  /** Until former owners that were away have brought what they have, too. */
  async brought(): Promise<void> {
    await this.#arena.cluster.simulation.run(() => !isMoving(this.#ring()), UNTIL_MS);
  }

  /** It has brought what it had of the key, and let go of it. */
  hasNothingOf({ id, medium }: Machine, { bucket, key }: Target): void {
    if (medium.row(RECORDS, rowKeyOf({ bucket, key })) === undefined) return;
    const detail = `${id} owns the key no more and has not brought what it has`;
    this.#arena.find({ check: 'ring', key: `${bucket.name}/${key}`, detail });
  }

  async put(machine: Machine, target: Target): Promise<void> {
    await this.#stage.put(machine, target, STRICT);
  }

  async putting(machine: Machine, target: Target, timeout: number): Promise<void> {
    await this.#stage.putting(machine, target, STRICT, timeout);
  }

  /** A write at as many nodes as there are owners, fallbacks among them. */
  async puttingSloppily(machine: Machine, target: Target, timeout: number): Promise<void> {
    await this.#stage.putting(machine, target, ALL_SLOPPY, timeout);
  }

  async putAtAll(machine: Machine, target: Target): Promise<void> {
    await this.#stage.put(machine, target, ALL);
  }

  async putAlone(machine: Machine, target: Target): Promise<void> {
    await this.#stage.put(machine, target, ONE);
  }

  async removeSeen(machine: Machine, target: Target): Promise<void> {
    await this.#stage.removeSeen(machine, target, ALL);
  }

  async get(machine: Machine, target: Target): Promise<void> {
    await this.#stage.get(machine, target, STRICT);
  }

  #machine(id: string): Machine {
    return this.#arena.cluster.machine(id);
  }

  #ring(): Ring {
    return this.#arena.watch.views.newest!.ring;
  }

  #ownersOf(ring: Ring, partition: number): readonly Machine[] {
    const nameOf = (index: NodeIndex): string => ring.members.find((member) => member.index === index)!.id;
    return ownersOf(ring, N, partition).owners.map((index) => this.#machine(nameOf(index)));
  }

  async #post({ id }: Machine, path: string, body: unknown): Promise<unknown> {
    const options = { headers: JSON_TYPE, body: JSON.stringify(body) };
    const { status, body: bytes } = await this.#arena.cluster.request(id, 'POST', path, options);
    const text = new TextDecoder().decode(bytes);
    if (status >= 300) throw new Error(`POST ${path} at ${id}: ${status} ${text}`);
    return JSON.parse(text) as unknown;
  }
}

function rowKeyOf({ bucket, key }: Target): Uint8Array {
  return recordKey(bucket.name, 0, utf8(key));
}

function keyIn(ring: Ring, partition: number, bucket = BUCKET): string {
  for (let i = 0; ; i++) if (partitionOf(ring, hashKey(ring, bucket, utf8(`k${i}`))) === partition) return `k${i}`;
}
