/**
 * The network of the simulation: who listens where, what is wrong with which way, and how much went over it. The hosts
 * reach it through ports of their own (network-port.ts).
 */

import { assert } from '#kernel/assert.ts';
import type { Channel, Connection, ConnectionEvents, Network, PeerAddress } from '#world/world.ts';
import type { SimulatedHost, SimulatedProcess } from './host.ts';
import { linkName, type Latency, type LinkCount, type LinkFault } from './links.ts';
import { connect, listen } from './network-port.ts';
import type { SeededRandom } from './random.ts';
import type { Simulation } from './scheduler.ts';
import type { SimulatedConnection } from './connection.ts';

const DEFAULT_LATENCY: Latency = { minimum: 0.1, mean: 0.2 };
/** 1 Gbit/s. */
const BYTES_PER_MILLISECOND = 125_000;
/** A repeated message comes this much later on average. */
const DUPLICATE_DELAY_MS = 100;
/** A replayed message comes this much later. */
const REPLAY_DELAY_MS = { min: 10_000, max: 150_000 };
/** After a way was freed, a connection that has lost something finds out within about this time. */
const RESET_DELAY_MS = 200;
const NO_FAULT: LinkFault = {};

/** The door of one process. */
export interface SimulatedDoor {
  readonly process: SimulatedProcess;
  readonly accept: (connection: Connection) => ConnectionEvents;
  readonly connections: Set<SimulatedConnection>;
}

export class SimulatedNetwork {
  readonly simulation: Simulation;
  readonly random: SeededRandom;
  readonly #latency: Latency;
  readonly #hosts = new Map<PeerAddress, SimulatedHost>();
  readonly #doors = new Map<PeerAddress, SimulatedDoor>();
  readonly #faults = new Map<string, LinkFault>();
  readonly #counts = new Map<string, { messages: number; bytes: number }>();
  readonly #connections = new Set<SimulatedConnection>();

  constructor(simulation: Simulation, latency: Latency = DEFAULT_LATENCY) {
    this.simulation = simulation;
    this.random = simulation.random.fork('network');
    this.#latency = latency;
  }

  /** The network as a process sees it. Its peer door will be at `address`, which belongs to the host for good. */
  port(process: SimulatedProcess, address: PeerAddress): Network {
    const owner = this.#hosts.get(address);
    assert(owner === undefined || owner === process.host, `address ${address} belongs to another host`);
    this.#hosts.set(address, process.host);
    return {
      listen: (accept) => listen(this, process, address, accept),
      connect: (to, channel, timeout, open) => connect(this, process, { to, channel, timeout, open }),
    };
  }

  // --- Faults ------------------------------------------------------------------------------------------------------

  /** Replaces what is wrong with the way from one host to another; `{}` for nothing. */
  setFault(from: SimulatedHost, to: SimulatedHost, fault: LinkFault): void {
    const wasBlocked = this.fault(from, to).blocked === true;
    this.#faults.set(linkName(from, to), fault);
    if (wasBlocked && fault.blocked !== true) this.#resetLossy(from, to);
  }

  fault(from: SimulatedHost, to: SimulatedHost): LinkFault {
    return this.#faults.get(linkName(from, to)) ?? NO_FAULT;
  }

  /** Nothing passes from `a` to `b`, nor back unless `oneWay`. Nobody is told: connections stand and connects time out. */
  partition(a: SimulatedHost, b: SimulatedHost, oneWay = false): void {
    this.setFault(a, b, { ...this.fault(a, b), blocked: true });
    if (!oneWay) this.setFault(b, a, { ...this.fault(b, a), blocked: true });
  }

  /** Ends a partition in both directions. Connections that have lost something meanwhile break soon. */
  heal(a: SimulatedHost, b: SimulatedHost): void {
    this.setFault(a, b, { ...this.fault(a, b), blocked: false });
    this.setFault(b, a, { ...this.fault(b, a), blocked: false });
  }

  /** Ends all faults. */
  clearFaults(): void {
    const blocked = [...this.#faults].filter(([, fault]) => fault.blocked === true).map(([name]) => name);
    this.#faults.clear();
    for (const connection of this.#connections) {
      if (blocked.includes(linkName(connection.host, connection.peer.host))) this.#resetSoonIfLossy(connection);
    }
  }

  /** Resets the connections between two hosts; both ends are told. */
  breakConnections(a: SimulatedHost, b: SimulatedHost): void {
    for (const connection of this.#between(a, b)) connection.reset();
  }

  // --- What went over it -------------------------------------------------------------------------------------------

  /** Messages sent so far, whether or not they arrived; in both channels unless one is named. */
  sent(from: SimulatedHost, to: SimulatedHost, channel?: Channel): LinkCount {
    const channels: readonly Channel[] = channel === undefined ? ['foreground', 'bulk'] : [channel];
    const total = { messages: 0, bytes: 0 };
    for (const name of channels) {
      const count = this.#counts.get(`${linkName(from, to)} ${name}`);
      total.messages += count?.messages ?? 0;
      total.bytes += count?.bytes ?? 0;
    }
    return total;
  }

  /** Messages sent between any two hosts so far. */
  sentInAll(): LinkCount {
    const total = { messages: 0, bytes: 0 };
    for (const { messages, bytes } of this.#counts.values()) {
      total.messages += messages;
      total.bytes += bytes;
    }
    return total;
  }

  // --- For the ports and connections -------------------------------------------------------------------------------

  /** `link` is the name of the way, and of the channel behind it. */
  count(link: string, bytes: number): void {
    const count = this.#counts.get(link);
    if (count === undefined) this.#counts.set(link, { messages: 1, bytes });
    else {
      count.messages += 1;
      count.bytes += bytes;
    }
  }

  /** How long so many bytes take now. */
  latency(from: SimulatedHost, to: SimulatedHost, bytes: number): number {
    const { minimum, mean } = this.#latency;
    const extra = this.random.exponential(this.fault(from, to).delay ?? 0);
    return minimum + this.random.exponential(mean) + extra + bytes / BYTES_PER_MILLISECOND;
  }

  duplicateLatency(): number {
    return this.random.exponential(DUPLICATE_DELAY_MS);
  }

  replayLatency(): number {
    const { min, max } = REPLAY_DELAY_MS;
    return min + (max - min) * this.random.fraction();
  }

  blocked(from: SimulatedHost, to: SimulatedHost): boolean {
    return this.fault(from, to).blocked === true;
  }

  hostAt(address: PeerAddress): SimulatedHost | undefined {
    return this.#hosts.get(address);
  }

  door(address: PeerAddress): SimulatedDoor | undefined {
    return this.#doors.get(address);
  }

  openDoor(address: PeerAddress, door: SimulatedDoor): void {
    this.#doors.set(address, door);
  }

  closeDoor(address: PeerAddress, door: SimulatedDoor): void {
    if (this.#doors.get(address) === door) this.#doors.delete(address);
  }

  opened(connection: SimulatedConnection): void {
    this.#connections.add(connection);
  }

  ended(connection: SimulatedConnection): void {
    this.#connections.delete(connection);
  }

  *#between(from: SimulatedHost, to: SimulatedHost): Iterable<SimulatedConnection> {
    for (const connection of [...this.#connections]) {
      if (connection.host === from && connection.peer.host === to) yield connection;
    }
  }

  #resetLossy(from: SimulatedHost, to: SimulatedHost): void {
    for (const connection of this.#between(from, to)) this.#resetSoonIfLossy(connection);
  }

  #resetSoonIfLossy(connection: SimulatedConnection): void {
    if (!connection.lossy) return;
    const delay = this.random.exponential(RESET_DELAY_MS);
    const name = linkName(connection.host, connection.peer.host);
    this.simulation.schedule(delay, `reset ${name}`, () => connection.reset());
  }
}
