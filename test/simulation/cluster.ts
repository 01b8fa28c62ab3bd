/**
 * A whole cluster in one process: the real node, coordinator, wire encoding and HTTP layer over simulated clocks, disks and
 * a simulated network. Equal seeds give equal runs.
 */

import { createApp } from '#api/app.ts';
import { inProcess, type InProcess, type InProcessAnswer } from '#api/in-process.ts';
import { DEFAULT_HINT_SETTINGS } from '#handoff/hints.ts';
import { DEFAULT_COORDINATOR_SETTINGS } from '#coordinator/environment.ts';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { present } from '#kernel/assert.ts';
import { nodeId, type NodeId } from '#kernel/identity.ts';
import { DEFAULT_HEDGE_SETTINGS } from '#membership/hedging.ts';
import { DEFAULT_MEMBERSHIP_SETTINGS } from '#membership/settings.ts';
import type { VersionRange } from '#wire/handshake.ts';
import { DEFAULT_WIRE_SETTINGS } from '#wire/settings.ts';
import { SimulatedMedium } from '#world/simulated/disk-medium.ts';
import { openSimulatedDisk, type SimulatedDisk } from '#world/simulated/disk.ts';
import { SimulatedHost } from '#world/simulated/host.ts';
import { SimulatedLog } from '#world/simulated/log.ts';
import { SimulatedNetwork } from '#world/simulated/network.ts';
import { Simulation } from '#world/simulated/scheduler.ts';
import { simulatedClock } from '#world/simulated/clock.ts';
import type { SimulatedTraces } from '#world/simulated/trace.ts';
import type { Disk } from '#world/world.ts';
import { DEFAULT_WATCH_SETTINGS } from '#watch/watches.ts';
import { simulatedWorld, type SimulatedWorld } from '#world/simulated/world.ts';
import { nodeServices } from '#node-services.ts';
import { NODE_TABLES, QuoralNode, type NodeOptions } from '#node.ts';

const SECRET = new TextEncoder().encode('the secret of a simulated cluster');
const REQUEST_SETTINGS = {
  'value-max': 4 * 1024 * 1024,
  'request-timeout': 5000,
  'requests-max': 4096,
  auth: 'off',
  'metrics-open': false,
  'audit-refusals-max': 10,
} as const;
/** Few enough that a simulated ring is founded fast, many enough that every node owns and lacks some. */
const PARTITIONS = 16;

export interface ClusterOptions {
  readonly seed: string | number;
  readonly nodes: number;
  readonly trace?: (line: string) => void;
  /** In place of what every node is started with. */
  readonly node?: Partial<NodeOptions>;
  /** The protocol versions that a node speaks when it starts, in place of all that there are. */
  readonly protocolVersions?: (id: NodeId) => VersionRange;
  /** Of each machine in order; all in one without it. */
  readonly zones?: readonly string[];
  /** In place of one that keeps everything. */
  readonly log?: SimulatedLog;
  /** Takes the spans of all nodes; without it nothing is traced. */
  readonly traces?: SimulatedTraces;
  /** Stands between a node and its disk. */
  readonly disk?: (disk: SimulatedDisk, machine: Machine) => Disk;
  /** Called before a process takes the disk into possession. */
  readonly starting?: (machine: Machine) => void;
  /** Called when a process has taken the disk into possession and opened its door. */
  readonly started?: (machine: Machine, running: RunningProcess) => void;
}

/** A machine with its disk, on which one process after the other may run. */
export interface Machine {
  readonly id: NodeId;
  readonly address: string;
  readonly host: SimulatedHost;
  readonly medium: SimulatedMedium;
  /** Whom it asks when it has no ring; founders ask each other. */
  readonly seeds?: readonly string[];
  /** Another one than all others have. */
  readonly secret?: Uint8Array;
  /** What runs on it now; undefined when nothing does, or not yet. */
  running: RunningProcess | undefined;
}

export interface RunningProcess {
  readonly node: QuoralNode;
  readonly world: SimulatedWorld;
  readonly disk: SimulatedDisk;
  readonly api: InProcess;
}

export class SimulatedCluster {
  readonly simulation: Simulation;
  readonly network: SimulatedNetwork;
  readonly log: SimulatedLog;
  readonly machines: Machine[];
  readonly #founders: NodeOptions['founders'];
  readonly #options: ClusterOptions;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.simulation = new Simulation({
      seed: options.seed,
      ...(options.trace === undefined ? {} : { trace: options.trace }),
    });
    this.network = new SimulatedNetwork(this.simulation);
    this.log = options.log ?? new SimulatedLog(options.trace);
    const founders = Array.from({ length: options.nodes }, (_, index) => {
      const id = nodeId(`n${index + 1}`);
      const host = new SimulatedHost(this.simulation, id);
      return { id, address: `${id}:7201`, host, medium: new SimulatedMedium(), running: undefined };
    });
    this.machines = founders;
    this.#founders = founders.map(({ id, address }) => ({ id, peer: address }));
  }

  /** Starts all nodes and waits until each of them serves. */
  static async founded(options: ClusterOptions): Promise<SimulatedCluster> {
    const cluster = new SimulatedCluster(options);
    await cluster.simulation.settle(Promise.all(cluster.machines.map(async (machine) => cluster.start(machine))));
    await cluster.simulation.run(() => cluster.machines.every((machine) => machine.running?.node.ready() === true));
    return cluster;
  }

  /** A machine that is no founder, with nothing running on it yet. */
  add(id: string, seeds: readonly string[], address = `${id}:7201`): Machine {
    const host = new SimulatedHost(this.simulation, id);
    const machine = { id: nodeId(id), address, host, medium: new SimulatedMedium(), seeds, running: undefined };
    this.machines.push(machine);
    return machine;
  }

  machine(id: string): Machine {
    return present(
      this.machines.find((machine) => machine.id === id),
      `machine ${id}`,
    );
  }

  running(id: string): RunningProcess {
    return present(this.machine(id).running, `a process on ${id}`);
  }

  /** Starts a process on the machine. Its promise needs the simulation to run. */
  async start(machine: Machine): Promise<void> {
    this.#options.starting?.(machine);
    const process = machine.host.start();
    const disk = openSimulatedDisk({
      medium: machine.medium,
      tables: NODE_TABLES,
      clock: simulatedClock(process),
      random: process.random.fork('disk'),
    });
    process.onEnd(() => disk.crash());
    const seen = this.#options.disk?.(disk, machine) ?? disk;
    const world = simulatedWorld({
      process,
      network: this.network,
      address: machine.address,
      disk: seen,
      log: this.log,
      ...(this.#options.traces === undefined ? {} : { traces: this.#options.traces }),
    });
    const node = await QuoralNode.create(world, this.#nodeOptions(machine));
    await node.start();
    machine.running = { node, world, disk, api: inProcess(createApp(nodeServices(node, REQUEST_SETTINGS))) };
    this.#options.started?.(machine, machine.running);
  }

  /** Ends the process at once; what its disk had not synced may be lost. */
  crash(machine: Machine): void {
    machine.running = undefined;
    machine.host.kill();
  }

  /** Ends the process cleanly. Its promise needs the simulation to run. */
  async stop(machine: Machine): Promise<void> {
    await machine.running?.node.stop(5000);
    this.crash(machine);
  }

  /** Restarts a machine that has no process, and waits until it serves. */
  async restart(id: string): Promise<void> {
    const machine = this.machine(id);
    await this.simulation.settle(this.start(machine));
    await this.simulation.run(() => machine.running?.node.ready() === true);
  }

  /** One request to one node's HTTP layer, and the time that it takes. */
  async request(
    id: string,
    method: string,
    target: string,
    options: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string | Uint8Array } = {},
  ): Promise<InProcessAnswer> {
    const { body: given } = options;
    const body = typeof given === 'string' ? new TextEncoder().encode(given) : given;
    return this.simulation.settle(this.running(id).api(method, target, options.headers, body));
  }

  #nodeOptions(machine: Machine): NodeOptions {
    return {
      id: machine.id,
      peer: machine.address,
      url: `http://${machine.id}`,
      zone: this.#options.zones?.[this.machines.indexOf(machine)] ?? 'default',
      weight: 1,
      secret: machine.secret ?? SECRET,
      founders: machine.seeds === undefined ? this.#founders : [],
      seeds: machine.seeds ?? [],
      partitionCount: PARTITIONS,
      foundingPatience: 3000,
      adminToken: undefined,
      watch: DEFAULT_WATCH_SETTINGS,
      drop: { bytesPerSecond: 8 * 1024 * 1024 },
      wire: DEFAULT_WIRE_SETTINGS,
      protocolVersions: this.#options.protocolVersions?.(machine.id),
      membership: DEFAULT_MEMBERSHIP_SETTINGS,
      hedging: DEFAULT_HEDGE_SETTINGS,
      replica: {
        siblingsMax: 100,
        entriesMax: 1000,
        stateBytesMax: 8 * 1024 * 1024,
        commitGroupMax: 128,
        commitQueueMax: 8192,
        commitQueueBytesMax: 256 * 1024 * 1024,
        retryWindow: 600_000,
        retriesMax: 1_000_000,
        retryPurgeInterval: 10_000,
      },
      coordinator: DEFAULT_COORDINATOR_SETTINGS,
      hints: DEFAULT_HINT_SETTINGS,
      readRepair: { inFlightMax: 256, timeout: 5000, jitter: 10 },
      repair: DEFAULT_REPAIR_SETTINGS,
      ...this.#options.node,
    };
  }
}
