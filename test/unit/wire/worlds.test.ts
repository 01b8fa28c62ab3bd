/**
 * Two nodes on the networks that they really use.
 */

import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { nodeId } from '#kernel/identity.ts';
import type { CallResult, Messaging } from '#wire/messaging.ts';
import { createMessaging } from '#wire/peers.ts';
import { digest } from '#world/digest.ts';
import { NO_TRACE } from '#world/no-trace.ts';
import { realClock } from '#world/real/clock.ts';
import { createMetrics } from '#world/real/metrics.ts';
import { createNetwork } from '#world/real/network.ts';
import { realRandom } from '#world/real/random.ts';
import { simulatedClock } from '#world/simulated/clock.ts';
import { SimulatedHost } from '#world/simulated/host.ts';
import { SimulatedNetwork } from '#world/simulated/network.ts';
import { Simulation } from '#world/simulated/scheduler.ts';
import type { Listener, Log, Network, World } from '#world/world.ts';
import { FakeHub } from './fake-world.ts';
import { echo, note } from './nodes.ts';
import type { Note } from './nodes.ts';

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

function start(world: World, name: string): Messaging {
  const self = { id: nodeId(name), storageId: `disk-of-${name}`, clusterId: 'c1', foundersText: 'n1,n2' };
  const messaging = createMessaging({ world, self, secret: utf8('secret'), epoch: () => 1 });
  messaging.handle(echo, (request) => request);
  return messaging;
}

describe('on sockets', () => {
  interface LoopbackNode {
    readonly messaging: Messaging;
    readonly address: () => string;
  }

  /** Learns the port that was allotted to the door. */
  function loopbackNode(name: string): LoopbackNode {
    const network = createNetwork({ listenHost: '127.0.0.1', listenPort: 0, log: silent });
    let door: Listener | undefined;
    const watched: Network = {
      ...network,
      listen: async (accept) => (door = await network.listen(accept)),
    };
    const world: World = {
      clock: realClock(),
      random: realRandom(),
      network: watched,
      disk: undefined as never,
      log: silent,
      metrics: createMetrics(),
      trace: NO_TRACE,
      digest,
    };
    return { messaging: start(world, name), address: () => door!.address };
  }

  function whenReachable(messaging: Messaging, peer: string): Promise<void> {
    return new Promise((resolve) => {
      messaging.onReachability((id, reachable) => {
        if (id === peer && reachable) resolve();
      });
    });
  }

  test('calls small and large in both directions and on both channels; a stop is noticed at once', async () => {
    const [n1, n2] = [loopbackNode('n1'), loopbackNode('n2')];
    await Promise.all([n1.messaging.start(), n2.messaging.start()]);
    const found = [whenReachable(n1.messaging, 'n2'), whenReachable(n2.messaging, 'n1')];
    n1.messaging.setPeers([{ id: nodeId('n2'), address: n2.address() }]);
    n2.messaging.setPeers([{ id: nodeId('n1'), address: n1.address() }]);
    await Promise.all(found);

    const deadline = realClock().monotonic() + 10_000;
    const requests = Array.from({ length: 300 }, (_, i) => note(`${i}`, i % 50 === 0 ? 300_000 : i * 5));
    const calls = requests.map((request, i) => {
      const [from, to] = i % 2 === 0 ? [n1, 'n2'] : [n2, 'n1'];
      const channel = i % 3 === 0 ? 'bulk' : 'foreground';
      return from.messaging.call(nodeId(to), echo, request, { deadline, channel });
    });
    expect(await Promise.all(calls)).toEqual(requests.map((reply) => ({ kind: 'reply', reply })));

    const gone = new Promise<void>((resolve) => n1.messaging.onReachability(() => resolve()));
    await n2.messaging.stop();
    await gone;
    expect(n1.messaging.reachable(nodeId('n2'))).toBe(false);
    expect(await n1.messaging.call(nodeId('n2'), echo, note(''), { deadline })).toEqual({
      kind: 'not-sent',
      reason: 'unreachable',
    });
    await n1.messaging.stop();
  });

  test('a stranger has no memory set aside for what it says it will send', async () => {
    const { messaging, address } = loopbackNode('n1');
    await messaging.start();
    const socket = connect(Number(address().split(':')[1]), '127.0.0.1');
    let told = '';
    socket.on('data', (chunk) => (told += chunk.toString('latin1')));
    socket.write(
      'GET /peer HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: quoral/1\r\nquoral-channel: bulk\r\n\r\n',
    );
    // The begin of a message of 64 MiB.
    socket.write(Buffer.from('0201000004000000', 'hex'));
    await once(socket, 'close');
    expect(told).toContain('a large message before the other end is known');
    await messaging.stop();
  });
});

describe('in the simulation', () => {
  async function run(seed: number): Promise<{ hash: string; answers: number }> {
    const simulation = new Simulation({ seed });
    const network = new SimulatedNetwork(simulation);
    const hosts = ['n1', 'n2'].map((name) => new SimulatedHost(simulation, name));
    const nodes = hosts.map((host) => {
      const process = host.start();
      const fake = new FakeHub().world(host.name);
      const world: World = {
        ...fake,
        clock: simulatedClock(process),
        random: process.random,
        network: network.port(process, `${host.name}:1`),
      };
      return { clock: world.clock, messaging: start(world, host.name) };
    });
    const [first, second] = [nodes[0]!, nodes[1]!];
    first.messaging.setPeers([{ id: nodeId('n2'), address: 'n2:1' }]);
    second.messaging.setPeers([{ id: nodeId('n1'), address: 'n1:1' }]);
    await simulation.settle(Promise.all(nodes.map(({ messaging }) => messaging.start())));
    const up = () => first.messaging.reachable(nodeId('n2')) && second.messaging.reachable(nodeId('n1'));
    await simulation.run(up, 10_000);

    const results: Promise<CallResult<Note>>[] = [];
    network.setFault(hosts[0]!, hosts[1]!, { drop: 0.02, duplicate: 0.05, reset: 0.002, delay: 5 });
    for (let i = 0; i < 200; i++) {
      const deadline = first.clock.monotonic() + 200;
      results.push(first.messaging.call(nodeId('n2'), echo, note(`${i}`), { deadline }));
      await simulation.run(simulation.now + 10);
    }
    const ends = await simulation.settle(Promise.all(results));
    network.clearFaults();
    network.partition(hosts[0]!, hosts[1]!);
    await simulation.run(() => !first.messaging.reachable(nodeId('n2')), 10_000);
    network.heal(hosts[0]!, hosts[1]!);
    await simulation.run(up, 15_000);
    return { hash: simulation.hash(), answers: ends.filter(({ kind }) => kind === 'reply').length };
  }

  test('calls get through a bad network, a partition heals, and equal seeds give equal runs', async () => {
    const runs = [await run(1), await run(1), await run(2)];
    expect(runs[0]).toEqual(runs[1]);
    expect(runs[0]!.hash).not.toBe(runs[2]!.hash);
    for (const { answers } of runs) expect(answers).toBeGreaterThan(100);
  });
});
