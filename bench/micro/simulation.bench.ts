/**
 * How many events a second the simulator runs: two nodes that send 200 bytes to and fro, with a timer for each message
 * that is cancelled when the answer comes. `node bench/micro/simulation.bench.ts [events]`
 */

import { simulatedClock } from '#world/simulated/clock.ts';
import { SimulatedHost } from '#world/simulated/host.ts';
import { SimulatedNetwork } from '#world/simulated/network.ts';
import { Simulation } from '#world/simulated/scheduler.ts';
import type { Clock, Connection, ConnectionEvents, Timer } from '#world/world.ts';

const PAIRS_IN_FLIGHT = 16;
const DEADLINE_MS = 1000;

function playing(clock: Clock, connection: Connection): ConnectionEvents {
  const timers: Timer[] = [];
  return {
    message(message) {
      timers.shift()?.cancel();
      timers.push(clock.after(DEADLINE_MS, () => {}));
      connection.send(message);
    },
    closed() {},
  };
}

async function measure(events: number): Promise<void> {
  const simulation = new Simulation({ seed: 1 });
  const network = new SimulatedNetwork(simulation);
  const server = new SimulatedHost(simulation, 'n1').start();
  const client = new SimulatedHost(simulation, 'n2').start();
  await network.port(server, 'n1:1').listen((connection) => playing(simulatedClock(server), connection));
  const connected = network.port(client, 'n2:1').connect('n1:1', 'foreground', 1000, (connection) => {
    for (let i = 0; i < PAIRS_IN_FLIGHT; i++) connection.send(new Uint8Array(200));
    return playing(simulatedClock(client), connection);
  });
  await simulation.settle(connected);
  for (let round = 0; round < 3; round++) {
    const before = simulation.events;
    const start = performance.now();
    await simulation.run(() => simulation.events - before >= events);
    const seconds = (performance.now() - start) / 1000;
    console.log(`${Math.round((simulation.events - before) / seconds)} events/s, hash ${simulation.hash()}`);
  }
}

await measure(Number(process.argv[2] ?? 200_000));
