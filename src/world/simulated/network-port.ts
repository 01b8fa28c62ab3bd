/**
 * The simulated network as one process sees it: opening its door and connecting to others. Requests to connect travel as
 * messages do, so they can be late, lost, or meet a host that is paused or dead.
 */

import {
  NetworkError,
  type Channel,
  type Connection,
  type ConnectionEvents,
  type Listener,
  type PeerAddress,
} from '#world/world.ts';
import { SimulatedConnection } from './connection.ts';
import type { SimulatedHost, SimulatedProcess } from './host.ts';
import { linkName } from './links.ts';
import type { SimulatedDoor, SimulatedNetwork } from './network.ts';

type Open = (connection: Connection) => ConnectionEvents;

export function listen(
  network: SimulatedNetwork,
  process: SimulatedProcess,
  address: PeerAddress,
  accept: Open,
): Promise<Listener> {
  if (network.door(address) !== undefined) {
    const why = 'the port is in use by another process (EADDRINUSE)';
    return Promise.reject(new NetworkError(`the peer door cannot listen on ${address}: ${why}`));
  }
  const door: SimulatedDoor = { process, accept, connections: new Set() };
  network.openDoor(address, door);
  process.onEnd(() => network.closeDoor(address, door));
  return Promise.resolve({
    address,
    close() {
      network.closeDoor(address, door);
      for (const connection of door.connections) connection.close('the peer door is closing');
      return Promise.resolve();
    },
  });
}

interface Request {
  readonly to: PeerAddress;
  readonly channel: Channel;
  readonly timeout: number;
  readonly open: Open;
}

export function connect(network: SimulatedNetwork, process: SimulatedProcess, request: Request): Promise<void> {
  return new Promise((resolve, reject) => {
    const dialing = new Dialing(network, process, request, resolve, reject);
    dialing.begin();
  });
}

class Dialing {
  readonly #network: SimulatedNetwork;
  readonly #process: SimulatedProcess;
  readonly #request: Request;
  readonly #resolve: () => void;
  readonly #reject: (error: NetworkError) => void;
  #settled = false;

  constructor(
    network: SimulatedNetwork,
    process: SimulatedProcess,
    request: Request,
    resolve: () => void,
    reject: (error: NetworkError) => void,
  ) {
    this.#network = network;
    this.#process = process;
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  begin(): void {
    const { to, timeout } = this.#request;
    const timer = this.#process.schedule(timeout, 'connect-timeout', () =>
      this.#fail(`no answer within ${timeout} ms`),
    );
    const target = this.#network.hostAt(to);
    if (target === undefined) {
      this.#process.schedule(this.#network.latency(this.#process.host, this.#process.host, 0), 'no-such-host', () => {
        timer.cancel();
        this.#fail('no such host (ENOTFOUND)');
      });
    } else this.#travel(this.#process.host, target, 'connect', () => this.#knock(target, () => timer.cancel()));
  }

  /** The request has reached the other machine, whose operating system answers when no process does. */
  #knock(target: SimulatedHost, cancelTimer: () => void): void {
    const door = this.#network.door(this.#request.to);
    if (door !== undefined) {
      target.deliver(() => this.#accept(door, cancelTimer));
      return;
    }
    this.#travel(target, this.#process.host, 'refuse', () =>
      this.#process.host.deliver(() => {
        cancelTimer();
        this.#fail('the connection was refused: nothing listens there (ECONNREFUSED)');
      }),
    );
  }

  #accept(door: SimulatedDoor, cancelTimer: () => void): void {
    if (!door.process.alive || !this.#process.alive) return;
    const { to, channel, open } = this.#request;
    const accepted = new SimulatedConnection(this.#network, door.process, channel, this.#process.host.name);
    const dialed = new SimulatedConnection(this.#network, this.#process, channel, to, () => {
      if (this.#settled) {
        dialed.close('the dialer has given up');
        return;
      }
      cancelTimer();
      this.#settled = true;
      dialed.start(open(dialed));
      this.#resolve();
    });
    accepted.pair(dialed);
    dialed.pair(accepted);
    accepted.answer();
    door.connections.add(accepted);
    const events = door.accept(accepted);
    accepted.start({
      message: (message) => events.message(message),
      closed: (reason) => {
        door.connections.delete(accepted);
        events.closed(reason);
      },
    });
  }

  #travel(from: SimulatedHost, to: SimulatedHost, what: string, arrive: () => void): void {
    const network = this.#network;
    if (network.blocked(from, to)) return;
    network.simulation.schedule(network.latency(from, to, 0), `${what} ${linkName(from, to)}`, () => {
      if (!network.blocked(from, to)) arrive();
    });
  }

  #fail(why: string): void {
    if (this.#settled) return;
    this.#settled = true;
    if (this.#process.alive) this.#reject(new NetworkError(`cannot connect to ${this.#request.to}: ${why}`));
  }
}
