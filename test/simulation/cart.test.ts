/** README's shopping cart, word for word, with the network broken where it says so. */

import { expect, test } from 'vitest';
import { json } from '#client/codec.ts';
import { connectIn, type ConnectOptions, type Quoral } from '#client/quoral.ts';
import type { Runtime } from '#client/runtime.ts';
import { readmeProgram, runProgram } from '../readme-program.ts';
import { SimulatedCluster } from './cluster.ts';

const NODES: Readonly<Record<string, string>> = { '7101': 'n1', '7102': 'n2', '7103': 'n3' };

/** The client gives each attempt more. */
const ATTEMPT_MS = 3000;

/** The client's requests go to the simulated nodes, and the time that they take passes. */
function runtime(cluster: SimulatedCluster): Runtime {
  let requests = 0;
  return {
    fetch: async (url, { method = 'GET', headers, body }) => {
      const { port, pathname, search } = new URL(url);
      const bytes =
        typeof body === 'string' ? new TextEncoder().encode(body) : ((body ?? undefined) as Uint8Array | undefined);
      const { api } = cluster.running(NODES[port]!);
      const sent = { ...(headers as Record<string, string>) };
      const answer = await cluster.simulation.settle(api(method, pathname + search, sent, bytes));
      const empty = answer.status === 204 || answer.status === 304;
      return new Response(empty ? null : (answer.body as Uint8Array<ArrayBuffer>), {
        status: answer.status,
        headers: [...answer.headers.entries()].filter(([name]) => name !== 'content-length'),
      });
    },
    now: () => cluster.simulation.now,
    random: () => 0.5,
    // Only pauses let time pass by themselves; while a request is under way it does so anyhow.
    after: (milliseconds, callback) => {
      if (milliseconds < ATTEMPT_MS) void passing(cluster, milliseconds, callback);
      return () => undefined;
    },
    uniqueId: () => `request-${++requests}`,
  };
}

async function passing({ simulation }: SimulatedCluster, milliseconds: number, callback: () => void): Promise<void> {
  await simulation.run(simulation.now + milliseconds);
  callback();
}

test('two clients, a partition, a merge', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'a cart', nodes: 3 });
  const world = runtime(cluster);
  const printed: unknown[][] = [];
  const asides: boolean[] = [];
  const program = readmeProgram('A shopping cart')
    .replace(/^\/\/ The network breaks here.*$/m, 'network.breaks();')
    .replace(/^\/\/ The network is whole again here.*$/m, 'network.heals();');
  await runProgram(program, {
    json,
    connect: (options: ConnectOptions): Quoral => connectIn(world, options),
    console: { log: (...values: unknown[]) => void printed.push(values) },
    network: {
      breaks: () => {
        for (const other of ['n2', 'n3'])
          cluster.network.partition(cluster.machine('n1').host, cluster.machine(other).host);
        asides.push(true);
      },
      heals: () => {
        cluster.network.clearFaults();
        asides.push(false);
      },
    },
  });
  expect(asides).toEqual([true, false]);
  expect(printed).toEqual([[2, { milk: 1, bread: 2, eggs: 6 }], [1]]);
});
