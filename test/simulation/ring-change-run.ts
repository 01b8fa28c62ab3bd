/**
 * A ring change under load and faults, from a seed: strict requests all the time while nodes crash and links break, and after
 * every step a look into the nodes: of each acknowledged write so many owners that serve reads must have it that every strict
 * read meets one.
 */

import { utf8 } from '#kernel/bytes.ts';
import type { NodeIndex } from '#kernel/identity.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import { ownersOf } from '#ring/preference-list.ts';
import type { Ring } from '#ring/ring.ts';
import { decodeState } from '#causality/state-codec.ts';
import { RECORDS, recordKey } from '#replica/tables.ts';
import type { PlanView } from '#operator/ring-plans.ts';
import { digest } from '#world/digest.ts';
import { announceDecided, learnDecided } from '#consensus/messages.ts';
import { HintMessage } from '#handoff/messages.ts';
import { DEFAULT_HINT_SETTINGS } from '#handoff/hints.ts';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { StoreMessage } from '#replica/messages.ts';
import type { Messaging } from '#wire/messaging.ts';
import { SimulatedCluster, type Machine, type RunningProcess } from './cluster.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const STRICT = 'consistency=strict_quorum';
const CLIENTS = 12;
const KEYS = 24;
const PAUSE_MS = 30;
const LOOK_MS = 60;

/** Nothing but the change itself brings a write to those that lack it. */
const UNMENDED = {
  repair: { ...DEFAULT_REPAIR_SETTINGS, interval: 3_600_000 },
  hints: { ...DEFAULT_HINT_SETTINGS, interval: 3_600_000 },
  readRepair: { inFlightMax: 0, timeout: 5000, jitter: 0 },
};

export interface ChangeRun {
  readonly violations: readonly string[];
  readonly acknowledged: number;
  readonly finished: boolean;
}

export interface ChangeCase {
  readonly seed: number | string;
  readonly founders: number;
  readonly joiners: readonly string[];
  readonly change: unknown;
  /** `nodes`: crashes and broken links. `messages`: writes get lost or come late, epochs spread slowly, and nothing is mended. */
  readonly faults: 'none' | 'nodes' | 'messages';
  /** A founder that is gone for good before the change begins. */
  readonly dead?: string;
}

export async function runRingChange(given: ChangeCase): Promise<ChangeRun> {
  const begun: { run?: Run } = {};
  const cluster = await SimulatedCluster.founded({
    seed: given.seed,
    nodes: given.founders,
    ...(given.faults === 'messages' ? { node: UNMENDED } : {}),
    started: (_, running) => begun.run?.disturb(running),
  });
  begun.run = new Run(given, cluster);
  return await begun.run.go();
}

class Run {
  readonly #case: ChangeCase;
  readonly #cluster: SimulatedCluster;
  readonly #violations: string[] = [];
  readonly #acked = new Map<string, number>();
  #acknowledged = 0;
  #stopped = false;
  readonly #dead = new Set<string>();
  /** Nodes that learn of no epoch now. */
  readonly #deaf = new Set<string>();
  #random: () => number;

  constructor(given: ChangeCase, cluster: SimulatedCluster) {
    this.#case = given;
    this.#cluster = cluster;
    let state = utf8(String(given.seed)).reduce((sum, byte) => (sum * 31 + byte) >>> 0, 7);
    this.#random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
  }

  async go(): Promise<ChangeRun> {
    const { joiners, change, dead } = this.#case;
    const cluster = this.#cluster;
    for (const { running } of cluster.machines) if (running !== undefined) this.disturb(running);
    const clients = Array.from({ length: CLIENTS }, async (_, client) => await this.#client(client));
    const watcher = this.#watch();
    await this.#pass(1000);
    for (const id of joiners) await cluster.simulation.settle(cluster.start(cluster.add(id, ['n1:7201', 'n2:7201'])));
    await this.#pass(4000);
    if (dead !== undefined) {
      cluster.crash(cluster.machine(dead));
      this.#dead.add(dead);
      await this.#pass(5000);
    }
    if (this.#case.faults !== 'messages') await this.#begin(change);
    if (this.#case.faults === 'nodes') await this.#harm();
    if (this.#case.faults === 'messages') await this.#deafen();
    const end = cluster.simulation.now + 90_000;
    await cluster.simulation.run(() => !this.#moves() || cluster.simulation.now > end || this.#violations.length > 0);
    const finished = !this.#moves();
    await this.#pass(1000);
    this.#stopped = true;
    await cluster.simulation.settle(Promise.all([...clients, watcher]));
    return { violations: this.#violations, acknowledged: this.#acknowledged, finished };
  }

  /** Stands between the node and the network. */
  disturb({ node }: RunningProcess): void {
    if (this.#case.faults !== 'messages') return;
    const { messaging } = node;
    const call: Messaging['call'] = messaging.call.bind(messaging);
    messaging.call = async (to, type, request, options) => {
      const chance = this.#random();
      const deaf = this.#deaf.has(type.name === announceDecided.name ? to : node.options.id);
      if (deaf && (type.name === announceDecided.name || type.name === learnDecided.name)) {
        return { kind: 'lost', reason: 'timeout' };
      }
      if (type.name === StoreMessage.name) {
        if (chance < 0.25) return { kind: 'lost', reason: 'timeout' };
        if (chance < 0.5) await this.#sleep(this.#random() * 2500);
      } else if (type.name === announceDecided.name && chance < 0.5) return { kind: 'lost', reason: 'timeout' };
      else if (type.name === learnDecided.name && chance < 0.5) await this.#sleep(this.#random() * 800);
      else if (type.name === HintMessage.name) return { kind: 'lost', reason: 'timeout' };
      return await call(to, type, request, options);
    };
  }

  async #pass(milliseconds: number): Promise<void> {
    await this.#cluster.simulation.run(this.#cluster.simulation.now + milliseconds);
  }

  #moves(): boolean {
    return this.#cluster.machines.some(({ running }) => running?.node.chain.facts()?.ring.change !== undefined);
  }

  /** Plans and begins the change, through one node after the other until one can. */
  async #begin(change: unknown): Promise<void> {
    let trouble = '';
    for (let attempt = 0; attempt < 40 && !this.#moves(); attempt++) {
      const running = this.#cluster.machines.filter((machine) => machine.running?.node.ready() === true);
      const { id } = running[attempt % running.length]!;
      const post = async (path: string, body: unknown): Promise<unknown> => {
        const options = { headers: JSON_TYPE, body: JSON.stringify(body) };
        const answer = await this.#cluster.request(id, 'POST', path, options);
        const text = new TextDecoder().decode(answer.body);
        if (answer.status < 300) return JSON.parse(text) as unknown;
        trouble = `${path} at ${id}: ${answer.status} ${text}`;
        return undefined;
      };
      const plan = (await post('/v1/ring/plans', change)) as PlanView | undefined;
      if (plan !== undefined) await post(`/v1/ring/plans/${plan.id}/apply`, {});
      await this.#pass(200);
    }
    if (!this.#moves()) throw new Error(trouble);
  }

  /** One node or one link at a time, so that a majority can go on. */
  async #harm(): Promise<void> {
    const { network } = this.#cluster;
    for (let turn = 0; turn < 8; turn++) {
      await this.#pass(200 + this.#random() * 900);
      const machines = this.#cluster.machines.filter(({ id }) => !this.#dead.has(id));
      const one = machines[Math.floor(this.#random() * machines.length)]!;
      const other = machines[Math.floor(this.#random() * machines.length)]!;
      if (this.#random() < 0.5 || one === other) {
        this.#cluster.crash(one);
        await this.#pass(100 + this.#random() * 2000);
        await this.#cluster.simulation.settle(this.#cluster.start(one));
      } else {
        network.partition(one.host, other.host);
        await this.#pass(100 + this.#random() * 3000);
        network.heal(one.host, other.host);
      }
    }
  }

  /** Some nodes learn nothing for a while, or reach only one other: by the old rules they go on. */
  #disconnect(): () => void {
    const { network, machines } = this.#cluster;
    const founders = machines.slice(0, this.#case.founders);
    const pick = (): Machine => founders[Math.floor(this.#random() * founders.length)]!;
    if (this.#random() < 0.5) {
      for (const machine of [pick(), pick()]) this.#deaf.add(machine.id);
      return () => this.#deaf.clear();
    }
    const [lonely, friend] = [pick(), pick()];
    this.#deaf.add(lonely.id);
    const others = machines.filter((machine) => machine !== lonely && machine !== friend);
    for (const other of others) network.partition(lonely.host, other.host);
    return () => {
      this.#deaf.clear();
      for (const other of others) network.heal(lonely.host, other.host);
    };
  }

  async #deafen(): Promise<void> {
    for (let turn = 0; turn < 2; turn++) {
      const heal = this.#disconnect();
      if (turn === 0) {
        await this.#pass(this.#random() * 3000);
        await this.#begin(this.#case.change);
      }
      await this.#pass(6000 + this.#random() * 5000);
      heal();
      await this.#pass(this.#random() * 1500);
    }
  }

  async #client(client: number): Promise<void> {
    const { machines } = this.#cluster;
    for (let i = 1; !this.#stopped; i++) {
      await this.#sleep(PAUSE_MS * (0.5 + this.#random()));
      const key = `k${client}-${i % KEYS}`;
      const ready = machines.filter(({ running }) => running?.node.ready() === true);
      const through = ready[Math.floor(this.#random() * ready.length)]?.running;
      if (through === undefined) continue;
      if (this.#random() < 0.5) {
        const put = await this.#within(through.api('PUT', `/v1/kv/b/${key}?${STRICT}`, {}, utf8(String(i))));
        if (put?.status !== 204) continue;
        this.#acked.set(key, Math.max(i, this.#acked.get(key) ?? 0));
        this.#acknowledged += 1;
      } else {
        const wanted = this.#acked.get(key);
        const get = await this.#within(through.api('GET', `/v1/kv/b/${key}?${STRICT}`, {}, undefined));
        if (wanted === undefined || get === undefined || (get.status !== 200 && get.status !== 404)) continue;
        const value = get.status === 404 ? 0 : Number(new TextDecoder().decode(get.body));
        if (value < wanted) this.#violate(`a strict read of ${key} gave ${value}, and ${wanted} was acknowledged`);
      }
    }
  }

  /** A process that was killed never answers. */
  async #within<T>(answer: Promise<T>): Promise<T | undefined> {
    return await Promise.race([answer, this.#sleep(6000).then(() => undefined)]);
  }

  async #sleep(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => void this.#cluster.simulation.schedule(milliseconds, 'test', resolve));
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      await this.#sleep(LOOK_MS);
      this.#look();
    }
  }

  #look(): void {
    const ring = this.#newest();
    if (ring === undefined) return;
    for (const [key, wanted] of this.#acked) {
      const { owners, move } = ownersOf(ring, 3, partitionOf(ring, hashKey(ring, 'b', utf8(key))));
      // Some may not know of the stage yet: what they serve is what the stage before said.
      const sets = move?.stage === 'read-new' ? [owners, move.others] : [owners];
      for (const set of sets) {
        const holders = set.filter((index) => this.#holds(ring, index, key) >= wanted).length;
        if (2 * holders > set.length) continue;
        this.#violate(`${key}=${wanted} is held by ${holders} of ${set.length} in stage ${move?.stage ?? 'stable'}`);
      }
    }
  }

  /** What the disk has, whether its process runs or not. */
  #holds(ring: Ring, index: NodeIndex, key: string): number {
    const { id } = ring.members.find((member) => member.index === index)!;
    const row = this.#cluster
      .machine(id)
      .medium.table(RECORDS)
      .get(recordKey('b', 0, utf8(key)));
    if (row === undefined) return 0;
    const { versions } = decodeState(row, digest.crc32);
    return Math.max(
      0,
      ...versions.map(({ content }) => (content === null ? 0 : Number(new TextDecoder().decode(content.value)))),
    );
  }

  #newest(): Ring | undefined {
    const known = this.#cluster.machines.flatMap(({ running }) => running?.node.chain.facts() ?? []);
    return known.toSorted((a, b) => b.epoch - a.epoch)[0]?.ring;
  }

  #violate(text: string): void {
    if (this.#violations.length < 5) this.#violations.push(`${Math.round(this.#cluster.simulation.now)} ms: ${text}`);
  }
}
