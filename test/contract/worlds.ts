/**
 * The two worlds as the contract suites see them: machines with a port each, and ways to let time pass. What differs is
 * that simulated time has to be run, and that real time has to be waited for.
 */

import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { realClock } from '#world/real/clock.ts';
import { createNetwork } from '#world/real/network.ts';
import { realRandom } from '#world/real/random.ts';
import { simulatedClock } from '#world/simulated/clock.ts';
import { SimulatedHost } from '#world/simulated/host.ts';
import { SimulatedNetwork } from '#world/simulated/network.ts';
import { Simulation } from '#world/simulated/scheduler.ts';
import type { Clock, Log, Network, PeerAddress, Random } from '#world/world.ts';
import { until } from '../until.ts';

export interface Machine {
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
}

export interface WorldUnderTest {
  machine(): Machine;
  /** Lets time pass until the promise has settled. */
  settle<T>(promise: Promise<T>): Promise<T>;
  /** Lets time pass until the condition holds. */
  until(condition: () => boolean): Promise<void>;
  /** An address that nobody answers at, and one that answers with a refusal. */
  silentAddress(): Promise<PeerAddress>;
  refusingAddress(): Promise<PeerAddress>;
  end(): Promise<void>;
}

export const WORLDS: readonly (readonly [name: string, make: () => WorldUnderTest])[] = [
  ['real', realWorld],
  ['simulated', simulatedWorld],
];

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

function realWorld(): WorldUnderTest {
  const servers: Server[] = [];
  const sockets: Socket[] = [];
  const bareServer = async () => {
    const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    const { port } = server.address() as { port: number };
    return { server, address: `127.0.0.1:${port}` };
  };
  return {
    machine: () => ({
      clock: realClock(),
      random: realRandom(),
      network: createNetwork({ listenHost: '127.0.0.1', listenPort: 0, log: silentLog }),
    }),
    settle: (promise) => promise,
    async until(condition) {
      await until(condition, 1);
    },
    silentAddress: async () => (await bareServer()).address,
    async refusingAddress() {
      const { server, address } = await bareServer();
      server.close();
      await once(server, 'close');
      return address;
    },
    async end() {
      for (const socket of sockets) socket.destroy();
      for (const server of servers) server.close();
      await Promise.all(servers.filter((server) => server.listening).map((server) => once(server, 'close')));
    },
  };
}

function simulatedWorld(): WorldUnderTest {
  const simulation = new Simulation({ seed: 'contract' });
  const network = new SimulatedNetwork(simulation);
  let hosts = 0;
  const start = () => {
    const host = new SimulatedHost(simulation, `n${++hosts}`);
    return { host, process: host.start(), address: `${host.name}:7100` };
  };
  return {
    machine() {
      const { process, address } = start();
      return { clock: simulatedClock(process), random: process.random, network: network.port(process, address) };
    },
    settle: (promise) => simulation.settle(promise),
    until: (condition) => simulation.run(condition),
    async silentAddress() {
      const { host, process, address } = start();
      await network.port(process, address).listen(() => ({ message() {}, closed() {} }));
      host.pause();
      return address;
    },
    refusingAddress() {
      const { process, address } = start();
      network.port(process, address);
      return Promise.resolve(address);
    },
    end: () => Promise.resolve(),
  };
}
