/** What a script can do with the cluster that it is played on. */

import type { Arena } from './arena.ts';
import { requestName } from './messages-on-the-wire.ts';
import type { Machine } from './cluster.ts';
import type { RingStage } from './ring-stage.ts';
import { ownersOfKey } from './white-box.ts';
import type { Level } from './levels.ts';
import type { Client, Clients, ComposedWrite, Target } from './workload.ts';

export type Script = (stage: Stage, ring: RingStage) => Promise<void>;

export const NODES = 3;
const ROUNDS = 6;
export const TIMEOUT_MS = 2000;

interface Sendable {
  readonly client: Client;
  readonly write: ComposedWrite;
}

/** What a script can do. */
export class Stage {
  readonly arena: Arena;
  readonly #clients: Clients;
  #people = 0;

  constructor(arena: Arena, clients: Clients) {
    this.arena = arena;
    this.#clients = clients;
  }

  /** Plays a sequence on a key of each kind of bucket, again and again; all is well before and after each time. */
  async rounds(
    sequence: (target: Target, machines: readonly [Machine, Machine, Machine]) => Promise<void>,
  ): Promise<void> {
    const [a, b, c] = this.arena.cluster.machines;
    for (let round = 0; round < ROUNDS; round++) {
      const bucket = this.#clients.bucket(round % 2 === 0 ? 'siblings' : 'latest');
      const order = [a!, b!, c!].map((_, i, all) => all[(i + round) % NODES]!) as [Machine, Machine, Machine];
      await sequence({ bucket, key: `round${round}` }, order);
      await this.heal();
    }
  }

  strongKey(key: string): Target {
    return { bucket: this.#clients.bucket('strong'), key };
  }

  /** The same with the owners of the key first and the nodes that may stand in for them. */
  async hintRounds(
    sequence: (
      target: Target,
      owners: readonly [Machine, Machine, Machine],
      others: readonly Machine[],
    ) => Promise<void>,
  ): Promise<void> {
    const { cluster } = this.arena;
    for (let round = 0; round < ROUNDS; round++) {
      const bucket = this.#clients.bucket(round % 2 === 0 ? 'siblings' : 'latest');
      const key = `round${round}`;
      const owners = ownersOfKey(cluster, bucket.name, key) as readonly [Machine, Machine, Machine];
      const others = cluster.machines.filter((machine) => !owners.includes(machine));
      await sequence({ bucket, key }, owners, others);
      await this.heal();
    }
  }

  /** A read that may only fail: too few of those who could know are there. */
  async mustNotAnswer(machine: Machine, target: Target, level: Level): Promise<void> {
    const heard = this.#somebody().read(target, machine, level, TIMEOUT_MS);
    await this.#settle(heard);
    const { shown, answer } = await heard;
    if (shown === null) return;
    const detail = `a read at ${machine.id} that too few can answer is answered ${answer} [${shown.join()}]`;
    this.arena.find({ check: 'strict-reads', key: `${target.bucket.name}/${target.key}`, detail });
  }

  /** A read that must not fail: all is well. */
  async mustAnswer(machine: Machine, target: Target, level: Level): Promise<void> {
    const heard = this.#somebody().read(target, machine, level, TIMEOUT_MS);
    await this.#settle(heard);
    const { shown, answer } = await heard;
    if (shown !== null) return;
    const detail = `a read at ${machine.id}, when all is well, is answered ${answer}`;
    this.arena.find({ check: 'progress', key: `${target.bucket.name}/${target.key}`, detail });
  }

  bucketOf(kind: 'siblings' | 'latest'): Target['bucket'] {
    return this.#clients.bucket(kind);
  }

  machines(): readonly [Machine, Machine, Machine] {
    const [a, b, c] = this.arena.cluster.machines;
    return [a!, b!, c!];
  }

  /** Lists the bucket in small pages, in which there have to be so many keys, each once. */
  async listsAll(machine: Machine, bucket: string, count: number): Promise<void> {
    const keys: string[] = [];
    for (let after: string | null = ''; after !== null;) {
      const target: string = `/v1/kv/${bucket}?prefix=k&limit=2${after === '' ? '' : `&after=${after}`}`;
      const { body } = await this.arena.cluster.request(machine.id, 'GET', target);
      const page = JSON.parse(new TextDecoder().decode(body)) as { keys?: string[]; next?: string | null };
      keys.push(...(page.keys ?? []));
      after = page.next ?? null;
    }
    if (keys.length === count && new Set(keys).size === count) return;
    const detail = `pages of a listing at ${machine.id} have ${keys.join()}, and ${count} keys were written`;
    this.arena.find({ check: 'listings', key: bucket, detail });
  }

  /** Asks for a listing of the key's bucket, which has to show it. */
  async lists(machine: Machine, { bucket, key }: Target): Promise<void> {
    const target = `/v1/kv/${bucket.name}?prefix=${key}`;
    const { status, body } = await this.arena.cluster.request(machine.id, 'GET', target);
    const text = new TextDecoder().decode(body);
    if (status === 200 && (JSON.parse(text) as { keys: string[] }).keys.includes(key)) return;
    const detail = `a listing at ${machine.id} has no ${key}: ${status} ${text.trim()}`;
    this.arena.find({ check: 'listings', key: `${bucket.name}/${key}`, detail });
  }

  /** A blind write by somebody new. */
  async put(machine: Machine, target: Target, level: Level): Promise<void> {
    await this.#settle(this.putting(machine, target, level));
  }

  /** The same, under way. */
  async putting(machine: Machine, target: Target, level: Level, timeout = TIMEOUT_MS): Promise<void> {
    await this.#somebody().write(target, machine, { kind: 'put', level, timeout });
  }

  /** Somebody new all of whose requests belong to one session. */
  inSession(): Client {
    const client = this.#somebody();
    client.beginSession();
    return client;
  }

  async write(client: Client, machine: Machine, target: Target, level: Level): Promise<void> {
    await this.#settle(client.write(target, machine, { kind: 'put', level, timeout: TIMEOUT_MS }));
  }

  async read(client: Client, machine: Machine, target: Target, level: Level): Promise<void> {
    await this.#settle(client.read(target, machine, level, TIMEOUT_MS));
  }

  /** A blind write by somebody new that can be sent several times. */
  keyed(target: Target, level: Level, condition?: 'absent'): Sendable {
    const client = this.#somebody();
    const what = { kind: 'put', level, timeout: TIMEOUT_MS, keyed: true } as const;
    return { client, write: client.compose(target, condition === undefined ? what : { ...what, condition }) };
  }

  async send({ client, write }: Sendable, machine: Machine): Promise<void> {
    await this.#settle(client.attempt(write, machine, TIMEOUT_MS));
  }

  /** A delete by somebody who knows nothing. */
  async remove(machine: Machine, target: Target, level: Level): Promise<void> {
    await this.#settle(this.#somebody().write(target, machine, { kind: 'delete', level, timeout: TIMEOUT_MS }));
  }

  /** The same, under way. */
  async removing(machine: Machine, target: Target, level: Level): Promise<void> {
    await this.#somebody().write(target, machine, { kind: 'delete', level, timeout: TIMEOUT_MS });
  }

  /** A delete by somebody who has read what he deletes. */
  async removeSeen(machine: Machine, target: Target, level: Level): Promise<void> {
    const client = this.#somebody();
    await this.#settle(client.read(target, machine, level, TIMEOUT_MS));
    const knowledge = client.knowledgeOf(target);
    await this.#settle(client.write(target, machine, { kind: 'delete', level, timeout: TIMEOUT_MS, knowledge }));
  }

  async get(machine: Machine, target: Target, level: Level): Promise<void> {
    await this.#settle(this.getting(machine, target, level));
  }

  async getting(machine: Machine, target: Target, level: Level): Promise<void> {
    await this.#somebody().read(target, machine, level, TIMEOUT_MS);
  }

  /** Somebody reads, and writes with what he was shown. */
  async replace(machine: Machine, target: Target, level: Level): Promise<void> {
    const client = this.#somebody();
    await this.#settle(client.read(target, machine, level, TIMEOUT_MS));
    await this.#settle(
      client.write(target, machine, { kind: 'put', level, timeout: TIMEOUT_MS, knowledge: client.knowledgeOf(target) }),
    );
  }

  /** Somebody reads at one node and replaces at the other what he was shown, if it is still so. */
  async swapping(reading: Machine, writing: Machine, target: Target, level: Level): Promise<void> {
    const client = this.#somebody();
    const { shown, etag } = await client.read(target, reading, level, TIMEOUT_MS);
    if (shown === null) return;
    const condition = shown.length === 0 || etag === null ? 'absent' : { write: shown[0]!, etag };
    await client.write(target, writing, { kind: 'put', level, timeout: TIMEOUT_MS, condition });
  }

  /** Lets something happen so many milliseconds after the other has begun, then waits for that. */
  async during(doing: Promise<unknown>, after: number, happens: () => void): Promise<void> {
    await this.pass(after);
    happens();
    await this.#settle(doing);
  }

  /** A touch, which has to find something. */
  async touch({ id }: Machine, { bucket, key }: Target, { query }: Level): Promise<void> {
    const target = `/v1/kv/${bucket.name}/${key}?ttl=3600&${query}`;
    const headers = { 'content-type': 'application/json' };
    const { status } = await this.arena.cluster.request(id, 'POST', target, { headers, body: '{"op":"touch"}' });
    if (status === 204) return;
    this.arena.find({ check: 'progress', key, detail: `a touch at ${id} is answered ${status}` });
  }

  /** A request that the history does not know of; without a status that it must have it must succeed. */
  async aside(machine: Machine, method: 'GET' | 'PUT' | 'DELETE', target: string, expected = 204): Promise<void> {
    const { status } = await this.arena.cluster.request(machine.id, method, target, { body: target });
    if (status === expected) return;
    const detail = `${method} ${target} at ${machine.id} answered ${status} instead of ${expected}`;
    this.arena.find({ check: 'dropped-bucket', key: target, detail });
  }

  /** The machine has no row of that life of the bucket any more. */
  nothingOf({ id, running }: Machine, bucket: string, incarnation: number): void {
    if (running?.node.replica.holdsKeys(bucket, incarnation) !== true) return;
    const detail = `${id} still has rows of life ${incarnation}`;
    this.arena.find({ check: 'dropped-bucket', key: bucket, detail });
  }

  /** Until the machine has just asked another whether it is there, if it still asks anybody. */
  async whileItProbes({ running }: Machine): Promise<void> {
    const probes = (): number => running!.world.metrics.value('quoral_member_probes_total');
    const { simulation } = this.arena.cluster;
    const [before, patience] = [probes(), simulation.now + 2000];
    await simulation.run(() => probes() > before || simulation.now > patience);
  }

  /** How often the machine has found that another does not answer. */
  suspicionsOf({ running }: Machine): number {
    const { metrics } = running!.world;
    const suspects = metrics.value('quoral_member_verdicts_total', { standing: 'suspect' });
    return suspects + metrics.value('quoral_member_silences_total');
  }

  /** The machine has had no more suspicions than these, for all is well with the others. */
  accusesNobody(machine: Machine, before: number): void {
    const more = this.suspicionsOf(machine) - before;
    if (more <= 0) return;
    const detail = `${machine.id}, which was held up itself, has ${more} more suspicions`;
    this.arena.find({ check: 'accusation', key: machine.id, detail });
  }

  /** Nobody has anything against the machine's disk, which is its own. */
  isTrusted({ id, running }: Machine): void {
    const why = running === undefined ? 'it does not run' : running.node.membership.diskPutBack();
    if (why !== undefined)
      this.arena.find({ check: 'accusation', key: id, detail: `${id} is refused its disk: ${why}` });
  }

  /** How many replicas the machine's reads have found behind, for repair to mend. */
  mendedBy({ running }: Machine): number {
    return running!.world.metrics.value('quoral_stale_replicas_found_total');
  }

  /** It has found no more, for all owners that it has read have everything. */
  mendsNobody(machine: Machine, before: number): void {
    const more = this.mendedBy(machine) - before;
    if (more <= 0) return;
    const detail = `${machine.id} repairs ${more} replicas though all owners that it has read are equal`;
    this.arena.find({ check: 'stray-repair', key: machine.id, detail });
  }

  reconnect(a: Machine, b: Machine): void {
    this.arena.cluster.network.heal(a.host, b.host);
  }

  /** Requests of these names get lost: all of them, or those to one machine. */
  loses(names: RegExp, to?: Machine): void {
    const { machines, network } = this.arena.cluster;
    const loses = (message: Uint8Array): boolean => names.test(requestName(message));
    for (const from of machines) {
      for (const target of to === undefined ? machines : [to]) {
        if (from !== target) network.setFault(from.host, target.host, { loses });
      }
    }
  }

  cut(machine: Machine, others: readonly Machine[]): void {
    for (const other of others) this.arena.cluster.network.partition(machine.host, other.host);
  }

  crash(machine: Machine): void {
    machine.medium.extraSyncMilliseconds = 0;
    this.arena.supervisor.crash(machine, 10);
  }

  /** Nothing is wrong with the network and the disks any more. */
  clear(): void {
    this.arena.cluster.network.clearFaults();
    for (const { medium } of this.arena.cluster.machines) {
      medium.extraSyncMilliseconds = 0;
      medium.capacityBytes = Number.POSITIVE_INFINITY;
    }
  }

  async heal(): Promise<void> {
    this.clear();
    await this.pass(20);
    await this.arena.recovered();
  }

  async pass(milliseconds: number): Promise<void> {
    const { simulation } = this.arena.cluster;
    await simulation.run(simulation.now + milliseconds);
  }

  /** Somebody new who does what the script says. */
  somebody(): Client {
    return this.#somebody();
  }

  #somebody(): Client {
    this.#people += 1;
    return this.arena.client(this.#clients, `p${this.#people}`);
  }

  async #settle(doing: Promise<unknown>): Promise<void> {
    await this.arena.cluster.simulation.settle(doing);
  }
}
