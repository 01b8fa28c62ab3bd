/**
 * A cluster under observation: founded with its buckets, watched from outside and inside, healed and brought to rest at the
 * end, and judged. Both the random runs and the scripted scenarios take place in it.
 */

import { assert } from '#kernel/assert.ts';
import { utf8 } from '#kernel/bytes.ts';
import { recordKey } from '#replica/tables.ts';
import type { BucketFacts, FinalSnapshot, Moment, ReplicaSnapshot, WriteRequest } from './history.ts';
import { checkHistory } from './checkers/check-history.ts';
import { checkDataTypes } from './checkers/data-types.ts';
import { CHECK_NAMES, type CheckName } from './checkers/violation.ts';
import { SimulatedCluster, type ClusterOptions, type Machine } from './cluster.ts';
import type { NodeOptions } from '#node.ts';
import { strictAll, strictQuorum } from './levels.ts';
import { Recorder } from './recorder.ts';
import { RingWatch } from './ring-watch.ts';
import { Supervisor } from './supervisor.ts';
import type { Timeline } from './timeline.ts';
import { WatchedLog } from './watched-log.ts';
import { TouchingClient } from './touching-client.ts';
import { TypeClients, typeBuckets, type TypeBucket } from './type-clients.ts';
import { ownersOfKey, snapshotOf, watchMints } from './white-box.ts';
import { checkReclaimed, checkRoots } from './repaired.ts';
import { Client, Clients, type Workload, type WorkloadBucket } from './workload.ts';
import type { Tampering } from './tampering.ts';

/** Where a key is, whatever clients do with it. */
interface KeyOf {
  readonly bucket: { readonly name: string };
  readonly key: string;
}

/** Beside the checkers' names: what the run itself finds. */
export type Check =
  | CheckName
  | 'crash'
  | 'liveness'
  | 'progress'
  | 'determinism'
  | 'dropped-bucket'
  | 'accusation'
  | 'roots'
  | 'stray-repair'
  | 'listings'
  | 'watches'
  | 'data-types'
  | 'ring'
  | 'tombstones';

export interface Finding {
  readonly check: Check;
  /** `bucket/key`, or a node, or nothing in particular. */
  readonly key: string;
  readonly detail: string;
}

export interface ArenaOptions {
  readonly seed: string | number;
  readonly nodes: number;
  /** In place of the nodes' usual settings. */
  readonly node?: Partial<NodeOptions>;
  /** Whether a crash of the run may lose what had not been synced. */
  readonly losesUnsynced: boolean;
  /** Whether members come and go. */
  readonly ringChanges?: boolean;
  /** With a strong bucket in spite of ring changes. */
  readonly strong?: boolean;
  /** Whether there are buckets of data types. */
  readonly types?: boolean;
  /** Whether tombstones are given up soon enough to be waited for. */
  readonly reclaims?: boolean;
  /** Judges all the time, and ends as soon as anything is found. */
  readonly hasty?: boolean;
  readonly timeline?: Timeline;
  /** What a planted bug does to the cluster. */
  readonly tampering?: Tampering;
}

/** Virtual milliseconds between two judgements of a run that is hasty. */
const HASTE_MS = 1000;
/** Why a request is late may be known only later: a node that stands still is noted when it goes on. */
const IN_PASSING = CHECK_NAMES.filter((name) => name !== 'ends-by-deadline');
/** After healing, the cluster serves again within this many virtual milliseconds. */
const RECOVERY_MS = 60_000;
const SAMPLE_INTERVAL_MS = 150;
/** Virtual milliseconds after healing within which everything has come home. */
const HOMECOMING_MS = 60_000;
const HOMECOMING_STEP_MS = 1000;
const FINAL_TIMEOUT_MS = 5000;
/** What a scripted client has no use for. */
const IDLE = { clients: 0, thinkTime: 0, operationsMax: 0, keyLifetime: 1, impatience: 0 } as const;

/** Checks that nothing in the workload feeds yet. */
export const CHECKS_OFF: Readonly<Partial<Record<CheckName, string>>> = {};

/** How the clients of an arena behave; those that a script directs do not begin anything of their own accord. */
export type ClientHabits = Pick<
  Workload,
  'clients' | 'thinkTime' | 'operationsMax' | 'keyLifetime' | 'impatience' | 'random' | 'levels'
>;

export class Arena {
  readonly cluster: SimulatedCluster;
  readonly recorder: Recorder;
  readonly supervisor: Supervisor;
  readonly watch: RingWatch;
  readonly buckets: readonly WorkloadBucket[];
  /** Clients of data types, where there are buckets for them. */
  readonly types: TypeClients | undefined;
  readonly findings: Finding[] = [];
  /** Machines that are to find rows damaged. */
  readonly damaged = new Set<string>();
  readonly #options: ArenaOptions;
  readonly #timeline: Timeline | undefined;
  #convergedAt: Moment | null = null;
  #final: FinalSnapshot | null = null;
  #judgeNext = 0;
  #requestsJudged = 0;
  /** Called when a hasty run has found something. */
  #enough: () => void = () => undefined;
  #ended = false;

  constructor(options: ArenaOptions) {
    const { seed, nodes, node, timeline, tampering } = options;
    this.#options = options;
    this.#timeline = timeline;
    const crashed = (error: unknown): void => this.crashed('', error);
    const note = (host: string, what: string): void => this.note(host, what);
    const log = new WatchedLog({
      crashed: (host, what) => {
        if (!this.damaged.has(host) || !what.startsWith('corrupt-row')) this.crashed(host, what);
      },
      ...(timeline === undefined ? {} : { print: (host, line) => this.note(host, line) }),
    });
    const hooks: Pick<ClusterOptions, 'starting' | 'started' | 'disk'> = {
      starting: (machine) => tampering?.starting?.(machine),
      started: (machine, running) => {
        watchMints(running, this.recorder, (dot, write) => {
          this.note(machine.id, `mints ${dot.node}/${dot.tenure}/${dot.counter} for ${write ?? 'a deletion'}`);
          tampering?.minted?.(machine, dot);
        });
      },
      disk: (disk, machine) => tampering?.disk?.(disk, machine) ?? disk,
    };
    this.cluster = new SimulatedCluster({ seed, nodes, log, ...hooks, ...(node === undefined ? {} : { node }) });
    this.recorder = new Recorder(this.cluster.simulation);
    this.supervisor = new Supervisor(this.cluster, this.recorder, crashed, note);
    this.buckets = bucketsFor(nodes, options.ringChanges === true, options.strong === true);
    this.types = options.types === true ? this.#typeClients() : undefined;
    this.watch = new RingWatch(this.cluster, (key, detail) => {
      // Where nobody comes or goes disks are lost and buckets dropped, and owners may lack what they have acknowledged.
      if (options.ringChanges !== true) return;
      this.note('', `RING ${key}: ${detail}`);
      this.find({ check: 'ring', key, detail });
    });
    if (options.hasty === true) this.#beHasty();
    this.supervisor.diskLost = (machine) => this.watch.diskLost(machine);
    this.recorder.acknowledged = (request) => this.#watchWrite(request);
  }

  /** A strict read must meet it from now on, wherever the partition moves. */
  #watchWrite({ bucket, key, write, quorum }: WriteRequest): void {
    const facts = this.buckets.find(({ name }) => name === bucket)?.facts;
    if (facts === undefined || facts.mode === 'strong') return;
    if (quorum.sloppy || 2 * Math.min(quorum.w, quorum.dw) <= facts.owners) return;
    const rowKey = recordKey(bucket, this.#incarnation(bucket), utf8(key));
    this.watch.acknowledged(rowKey, write, this.recorder.dotsOf(write));
  }

  /**
   * Founds the cluster, then lets `live` happen. Whatever anything throws is a finding, also what nobody catches.
   */
  async run(live: () => Promise<void>): Promise<void> {
    const unhandled = (error: unknown): void => this.crashed('', error);
    process.on('unhandledRejection', unhandled);
    const enough = new Promise<void>((resolve) => (this.#enough = resolve));
    try {
      await Promise.race([this.#found().then(live), enough]);
    } catch (error) {
      this.crashed('', error);
    } finally {
      process.off('unhandledRejection', unhandled);
    }
    if (!this.#ended) this.#judge();
  }

  /** Whether it was ended before its time, because something was found. */
  get ended(): boolean {
    return this.#ended;
  }

  #beHasty(): void {
    const { simulation } = this.cluster;
    const look = simulation.afterEvent;
    simulation.afterEvent = () => {
      look?.();
      if (simulation.now >= this.#judgeNext) this.#judgeSoFar();
      if (this.findings.length === 0) return;
      this.#ended = true;
      simulation.halt();
      this.#enough();
    };
  }

  #judgeSoFar(): void {
    this.#judgeNext = this.cluster.simulation.now + HASTE_MS;
    const { length } = this.recorder.requests;
    if (this.findings.length > 0 || length === this.#requestsJudged) return;
    this.#requestsJudged = length;
    this.#judge(IN_PASSING);
  }

  /** Founds the cluster and defines the buckets; nothing goes wrong yet. */
  async #found(): Promise<void> {
    const cluster = this.cluster;
    const { simulation } = cluster;
    await simulation.settle(Promise.all(cluster.machines.map(async (machine) => await cluster.start(machine))));
    await simulation.run(() => cluster.machines.every(({ running }) => running?.node.ready() === true));
    for (const { name, properties } of [...this.buckets, ...this.#typeBuckets()]) {
      const answer = await cluster.request('n1', 'PUT', `/v1/buckets/${name}`, {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(properties),
      });
      assert(answer.status < 300, `bucket ${name} gets status ${answer.status}`);
    }
  }

  #typeBuckets(): readonly TypeBucket[] {
    const { types, nodes, ringChanges } = this.#options;
    return types === true ? typeBuckets(nodes, ringChanges === true) : [];
  }

  #typeClients(): TypeClients {
    const { simulation, machines } = this.cluster;
    return new TypeClients({
      simulation,
      recorder: this.recorder,
      random: simulation.random.fork('types'),
      buckets: this.#typeBuckets(),
      machines: () =>
        this.#options.ringChanges === true ? machines.filter((machine) => this.#serves(machine)) : machines,
      find: (key, detail) => this.find({ check: 'data-types', key, detail }),
      crashed: (error) => this.crashed('', error),
      note: (what) => this.note('', what),
    });
  }

  workload(habits: ClientHabits): Workload {
    return {
      ...habits,
      cluster: this.cluster,
      recorder: this.recorder,
      buckets: this.buckets,
      crashed: (error) => this.crashed('', error),
      ...(this.movesMembers ? { serves: (machine) => this.#serves(machine) } : {}),
      ...(this.#timeline === undefined ? {} : { note: (client, what) => this.note('', `${client} ${what}`) }),
    };
  }

  /** Clients that do nothing of their own accord. */
  directedClients(): Clients {
    return new Clients(this.workload({ ...IDLE, random: this.cluster.simulation.random.fork('clients') }));
  }

  /** A client that does what it is told. */
  client(clients: Clients, name: string): Client {
    const random = this.cluster.simulation.random.fork(`client ${name}`);
    return new Client(clients, this.workload({ ...IDLE, random }), name);
  }

  /** Somebody who touches what the clients write. */
  touchingClient(clients: Clients): TouchingClient {
    const { simulation, machines } = this.cluster;
    return new TouchingClient({
      simulation,
      random: simulation.random.fork('touches'),
      clients,
      machines: () => (this.movesMembers ? machines.filter((machine) => this.#serves(machine)) : machines),
      crashed: (error) => this.crashed('', error),
      note: (what) => this.note('', what),
    });
  }

  /** Whether members come and go. */
  get movesMembers(): boolean {
    return this.#options.ringChanges === true;
  }

  /** Waits until every disk that was lost is filled again. */
  async refilled(): Promise<void> {
    const { simulation } = this.cluster;
    const isFilled = ({ running }: Machine): boolean => running?.node.member()?.state !== 'refilling';
    const deadline = simulation.now + RECOVERY_MS;
    while (!this.members().every(isFilled) && simulation.now < deadline) await simulation.run(simulation.now + 50);
  }

  /** The machines whose nodes are members now. */
  members(): readonly Machine[] {
    const { machines } = this.cluster;
    const members = this.watch.views.newest?.ring.members.filter(({ state }) => state !== 'removed');
    return machines.filter(({ id }) => members?.some((member) => member.id === id) === true);
  }

  /** Clients ask members, and new ones not before they say that they are ready. */
  #serves(machine: Machine): boolean {
    const member = this.watch.views.newest?.ring.members.find(({ id }) => id === machine.id);
    if (member === undefined || member.state === 'removed') return false;
    return member.state !== 'joining' || machine.running?.node.ready() === true;
  }

  /** Waits until every node serves and every two can use each other, or at least prefer others only for a while. */
  async recovered(): Promise<void> {
    const { simulation } = this.cluster;
    const machines = this.members();
    const isWell = ({ running, id }: Machine): boolean =>
      running?.node.ready() === true &&
      machines.every(
        (other) =>
          other.id === id || running.node.peers.answers(other.id) || running.node.peers.why(other.id) === 'fails',
      );
    const deadline = simulation.now + RECOVERY_MS;
    while (!machines.every(isWell) && simulation.now < deadline) await simulation.run(simulation.now + 50);
    for (const machine of machines) {
      if (isWell(machine)) continue;
      const why = machine.running?.node.notReadyReason() ?? 'it is not connected with all others, or does not run';
      this.find({ check: 'liveness', key: machine.id, detail: `not serving ${RECOVERY_MS} ms after healing: ${why}` });
    }
    // Requests and repairs that began before the healing may still hold what they hold.
    await simulation.run(simulation.now + 6000);
  }

  /**
   * Waits until all owners of all keys have come to the same state by themselves; then looks at what they hold, and has every
   * node read everything.
   */
  async converge(clients: Clients): Promise<void> {
    if (this.findings.some(({ check }) => check === 'liveness' || check === 'crash')) return;
    const { simulation } = this.cluster;
    const machines = this.members();
    const reader = this.client(clients, 'final');
    await this.#servesAll(reader);
    const { targets } = clients;
    await this.#comesHome([...targets, ...(this.types?.keys ?? [])]);
    if (this.#options.reclaims === true) await checkReclaimed(this.cluster, machines, (finding) => this.find(finding));
    checkRoots(this.cluster, (finding) => this.find(finding));
    const replicas = targets.flatMap(({ bucket, key }) => this.#snapshots(bucket.name, key));
    this.#final = { replicas, hints: this.#hintsWaiting() };
    this.#convergedAt = this.recorder.moment();
    await this.#readTypes(machines);
    for (const [i, target] of targets.entries()) {
      const level = strictQuorum(target.bucket.facts);
      await simulation.settle(reader.read(target, machines[i % machines.length]!, level, FINAL_TIMEOUT_MS));
    }
  }

  async #readTypes(machines: readonly Machine[]): Promise<void> {
    const { types } = this;
    if (types === undefined) return;
    for (const { bucket, key } of types.keys) {
      const isStrong = bucket.facts.mode === 'strong';
      if (isStrong || agree(this.#snapshots(bucket.name, key))) continue;
      this.find({ check: 'data-types', key: `${bucket.name}/${key}`, detail: 'its owners hold different states' });
    }
    await types.readAll(machines);
    const { nodes, ringChanges, losesUnsynced } = this.#options;
    const owners = Math.min(3, nodes);
    const most = ringChanges === true ? Math.floor(owners / 2) + 1 : owners;
    const facts = { owners, most, losesUnsynced, disksLost: this.supervisor.disksLost };
    for (const { part, detail } of checkDataTypes(types.history(facts)))
      this.find({ check: 'data-types', key: part, detail });
  }

  /** Waits until the owners of all keys hold the same and no hint waits, without reading anything: the nodes see to it. */
  async #comesHome(targets: readonly KeyOf[]): Promise<void> {
    const { simulation } = this.cluster;
    const began = simulation.now;
    let differing = targets;
    for (;;) {
      differing = differing.filter(({ bucket, key }) => !agree(this.#snapshots(bucket.name, key)));
      const isHome = differing.length === 0 && this.#hintsWaiting().every(({ waiting }) => waiting === 0);
      if (isHome || simulation.now - began > HOMECOMING_MS) break;
      await simulation.run(simulation.now + HOMECOMING_STEP_MS);
    }
  }

  #hintsWaiting(): FinalSnapshot['hints'] {
    return this.members().map(({ id, running }) => ({ node: id, waiting: running?.node.hints.waiting() ?? 0 }));
  }

  /** Every node takes a write at all owners. */
  async #servesAll(writer: Client): Promise<void> {
    const bucket = this.buckets[0]!;
    for (const machine of this.members()) {
      const target = { bucket, key: `last-${machine.id}` };
      const level = strictAll(bucket.facts);
      const writing = writer.write(target, machine, { kind: 'put', level, timeout: FINAL_TIMEOUT_MS });
      const { outcome, answer } = await this.cluster.simulation.settle(writing);
      if (outcome === 'applied') continue;
      const detail = `a write at all owners, all healed, is answered ${answer}`;
      this.find({ check: 'liveness', key: machine.id, detail });
    }
  }

  #snapshots(bucket: string, key: string): readonly ReplicaSnapshot[] {
    return ownersOfKey(this.cluster, bucket, key).map((machine) => this.#snapshot(machine, bucket, key));
  }

  #snapshot(machine: Machine, bucket: string, key: string): ReplicaSnapshot {
    return snapshotOf(machine, bucket, this.#incarnation(bucket), key, this.recorder);
  }

  #incarnation(bucket: string): number {
    for (const { running } of this.cluster.machines) {
      if (running !== undefined) return running.node.buckets.resolve(bucket).incarnation;
    }
    return 0;
  }

  /** Looks at a random row and at all queues, again and again. */
  sample(clients: Clients): void {
    const { simulation, machines } = this.cluster;
    const random = simulation.random.fork('samples');
    const look = (): void => {
      const target = clients.someTarget(random);
      const machine = machines[random.below(machines.length)]!;
      if (target !== undefined && machines.some(({ running }) => running !== undefined)) {
        this.recorder.samples.push(this.#snapshot(machine, target.bucket.name, target.key));
      }
      if (machine.running !== undefined) this.#gauge(machine);
      simulation.schedule(SAMPLE_INTERVAL_MS, 'sample', look);
    };
    simulation.schedule(SAMPLE_INTERVAL_MS, 'sample', look);
  }

  #gauge({ id, running }: Machine): void {
    const { node, world } = running!;
    const { replica, readRepair, wire, hints } = node.options;
    const bounds = {
      quoral_commit_queue_operations: replica.commitQueueMax,
      quoral_hints_all_bytes: hints.bytesMax,
      quoral_read_repairs_in_flight: readRepair.inFlightMax,
      quoral_peer_calls_in_flight: wire.maxInFlightPerPeer * this.#options.nodes,
    };
    for (const [name, bound] of Object.entries(bounds)) {
      const time = this.cluster.simulation.now;
      this.recorder.gauges.push({ node: id, name, value: world.metrics.value(name), bound, time });
    }
  }

  #judge(checks: readonly CheckName[] = CHECK_NAMES): void {
    const facts = Object.fromEntries(this.buckets.map(({ name, facts: bucket }) => [name, bucket]));
    const history = this.recorder.history({
      buckets: facts satisfies Record<string, BucketFacts>,
      convergedAt: this.#convergedAt,
      losesUnsynced: this.#options.losesUnsynced,
      disksLost: this.supervisor.disksLost,
      majoritiesOnly: this.movesMembers,
    });
    const { violations } = checkHistory(history, this.recorder.whiteBox(this.#final), { checks, deadlineSlack: 200 });
    for (const { check, key, detail } of violations) this.find({ check, key, detail });
  }

  crashed(host: string, error: unknown): void {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.note(host, `CRASH ${detail}`);
    this.find({ check: 'crash', key: host, detail });
  }

  find(finding: Finding): void {
    this.findings.push(finding);
  }

  note(host: string, what: string): void {
    this.#timeline?.add(this.cluster.simulation.now, host, what);
  }
}

function bucketsFor(nodes: number, ringChanges: boolean, strong: boolean): readonly WorkloadBucket[] {
  const bucket = (name: string, use: WorkloadBucket['use'], mode: 'siblings' | 'lww', n: number): WorkloadBucket => ({
    name,
    use,
    facts: { mode, owners: Math.min(n, nodes) },
    properties: { conflicts: mode, n },
  });
  return [
    bucket('latest', 'register', 'lww', 3),
    bucket('siblings', 'register', 'siblings', 3),
    bucket('sets', 'set', 'siblings', 3),
    ...(ringChanges && !strong ? [] : [strongBucket(nodes)]),
    // With fewer members than n keys have changing numbers of owners.
    ...(nodes > 3 && !ringChanges ? [bucket('wide', 'register', 'siblings', 5)] : []),
  ];
}

function strongBucket(nodes: number): WorkloadBucket {
  return {
    name: 'strong',
    use: 'register',
    facts: { mode: 'strong', owners: Math.min(3, nodes) },
    properties: { consistency: 'strong', n: 3 },
  };
}

function agree([first, ...others]: readonly ReplicaSnapshot[]): boolean {
  const show = ({ vector, versions }: ReplicaSnapshot): string => JSON.stringify([vector, versions]);
  return first === undefined || others.every((other) => show(other) === show(first));
}
