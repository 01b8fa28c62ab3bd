import { describe, expect, test } from 'vitest';
import { Pieces } from '#kernel/pieces.ts';
import { LATENCY_MS, FakeHub } from './fake-world.ts';
import { makeNode, makePair, note, startCall } from './nodes.ts';
import type { TestNode } from './nodes.ts';

function attemptsOf(hub: FakeHub, path: string): number[] {
  return hub.attempts.filter((attempt) => attempt.path === path).map(({ at }) => at);
}

/** Makes the random numbers of a node the largest there are, so that each wait is as long as it may be. */
function waitsLongest(node: TestNode): void {
  Object.assign(node.world.random, { uint32: () => 2 ** 32 - 1 });
}

describe('reconnecting', () => {
  test('the wait doubles from 100 ms to 5 s while the peer is away', async () => {
    const hub = new FakeHub();
    const n1 = makeNode(hub, 'n1');
    waitsLongest(n1);
    n1.messaging.setPeers([{ id: makeNode(hub, 'n2').id, address: 'n2' }]);
    await n1.messaging.start();
    await hub.clock.advance(30_000);
    const attempts = attemptsOf(hub, 'n1>n2');
    const waits = attempts.slice(1).map((at, index) => Math.round(at - attempts[index]! - LATENCY_MS));
    expect(waits.slice(0, 8)).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    const lines = n1.world.lines.filter(({ event }) => event === 'peer-unreachable');
    expect(lines.map(({ level }) => level).slice(0, 3)).toEqual(['warn', 'debug', 'debug']);
    expect(lines[0]!.fields).toMatchObject({ peer: 'n2', address: 'n2', reason: 'n2 refuses connections' });
    expect(n1.reachability).toEqual([]);
    n1.messaging.setPeers([]);
    await hub.clock.advance(10_000);
    expect(attemptsOf(hub, 'n1>n2')).toHaveLength(attempts.length);
  });

  test('the wait is random, so that nodes do not return all at once', async () => {
    const hub = new FakeHub();
    const nodes = ['a', 'b', 'c', 'd'].map((name) => makeNode(hub, name));
    const gone = { id: makeNode(hub, 'n9').id, address: 'n9' };
    for (const node of nodes) node.messaging.setPeers([gone]);
    await Promise.all(nodes.map((node) => node.messaging.start()));
    await hub.clock.advance(20_000);
    const third = nodes.map((node) => attemptsOf(hub, `${node.id}>n9`)[3]!);
    expect(new Set(third).size).toBe(4);
  });

  test('a connection that stood makes the waits short again, one that broke at once does not', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    waitsLongest(n1);
    waitsLongest(n2);
    const waitAfterCut = async (): Promise<number> => {
      const before = attemptsOf(hub, 'n1>n2').length;
      const cutAt = hub.clock.now;
      hub.cut('n1', 'n2');
      await hub.clock.advance(10_000);
      return Math.round(attemptsOf(hub, 'n1>n2')[before]! - cutAt);
    };
    await hub.clock.advance(6_000);
    const steady = await waitAfterCut();
    expect(steady).toBeLessThanOrEqual(100 + 2 * LATENCY_MS);
    expect(await waitAfterCut()).toBe(steady);
    hub.cut('n1', 'n2');
    await hub.clock.advance(150);
    expect(n1.messaging.reachable(n2.id)).toBe(true);
    hub.cut('n1', 'n2');
    await hub.clock.advance(150);
    expect(n1.messaging.reachable(n2.id)).toBe(false);
    await hub.clock.advance(100);
    expect(n1.messaging.reachable(n2.id)).toBe(true);
  });

  test('a restarted peer is dialed as soon as it dials', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    await n2.messaging.stop();
    waitsLongest(n1);
    await hub.clock.advance(60_000);
    const again = makeNode(hub, 'n2');
    again.messaging.setPeers([{ id: n1.id, address: 'n1' }]);
    await again.messaging.start();
    await hub.clock.advance(10 * LATENCY_MS);
    expect(n1.messaging.reachable(n2.id)).toBe(true);
    const bulk = startCall(n1, again, note(''), 100, 'bulk');
    await hub.clock.advance(10 * LATENCY_MS);
    expect(bulk.result?.kind).toBe('reply');
  });

  test('the bulk link does not wait any longer once the foreground stands again', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    // So that n2 does not show its life by dialing.
    n2.messaging.setPeers([]);
    startCall(n1, n2, note(''), 100, 'bulk');
    await hub.clock.advance(10);
    let waits = 0;
    // The foreground returns at once, the bulk link has drawn a long wait.
    Object.assign(n1.world.random, { uint32: () => (waits++ === 0 ? 0 : 2 ** 32 - 1) });
    hub.cut('n1', 'n2');
    await hub.clock.advance(20);
    expect(waits).toBe(2);
    const call = startCall(n1, n2, note(''), 50, 'bulk');
    await hub.clock.advance(20);
    expect(call.result?.kind).toBe('reply');
  });

  test('nothing is dialed and nothing fires after the stop', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    await Promise.all([n1.messaging.stop(), n2.messaging.stop()]);
    await hub.clock.advance(100);
    const timers = hub.clock.timersSet;
    const attempts = hub.attempts.length;
    await hub.clock.advance(60_000);
    expect(hub.attempts).toHaveLength(attempts);
    expect(hub.clock.timersSet).toBe(timers);
  });
});

describe('heartbeats', () => {
  test('an idle connection stays up, with a ping a second', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    const before = hub.messages.length;
    await hub.clock.advance(60_000);
    expect(n1.messaging.reachable(n2.id) && n2.messaging.reachable(n1.id)).toBe(true);
    // Each node pings the other and is answered.
    expect(hub.messages.length - before).toBeGreaterThanOrEqual(4 * 59);
    expect(hub.messages.length - before).toBeLessThanOrEqual(4 * 61);
    expect(hub.messages.at(-1)!.bytes).toHaveLength(3);
  });

  test.each([
    ['the peer cannot be heard', 'n2', 'n1'],
    ['the peer does not hear', 'n1', 'n2'],
  ])('half open: %s, and calls end at once instead of one by one', async (_, from, to) => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    hub.silence(from, to);
    const call = startCall(n1, n2, note(''), 60_000);
    await hub.clock.advance(2_500);
    expect(n1.messaging.reachable(n2.id)).toBe(true);
    expect(call.result).toBeUndefined();
    await hub.clock.advance(2_000);
    expect(n1.messaging.reachable(n2.id)).toBe(false);
    expect(call.result).toEqual({ kind: 'lost', reason: 'disconnected' });
    expect(n1.logged('peer-disconnected')[0]!['reason']).toMatch(/nothing heard for 3\d{3} ms/);
    hub.unsilence();
    await hub.clock.advance(15_000);
    expect(n1.messaging.reachable(n2.id)).toBe(true);
  });

  test('a connection on which bytes move stands, though no message is whole for long', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    hub.silence('n2', 'n1');
    for (let seconds = 0; seconds < 20; seconds++) {
      for (const connection of hub.connections) connection.events?.moved?.();
      await hub.clock.advance(1000);
    }
    expect(n1.messaging.reachable(n2.id)).toBe(true);
    await hub.clock.advance(5000);
    expect(n1.messaging.reachable(n2.id)).toBe(false);
  });

  test('whoever sends what takes long to arrive hears that it does, though its own pings wait behind it', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    hub.silence('n1', 'n2');
    const endsAtOther = hub.connections.filter(({ remote }) => remote === 'n1');
    for (let seconds = 0; seconds < 20; seconds++) {
      for (const { events } of endsAtOther) events?.moved?.();
      await hub.clock.advance(1000);
    }
    expect(n1.messaging.reachable(n2.id)).toBe(true);
    await hub.clock.advance(5000);
    expect(n1.messaging.reachable(n2.id)).toBe(false);
  });

  test('a process that stood still does not take its own silence for that of others', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    hub.clock.standStill(20_000);
    await hub.clock.advance(2_000);
    expect(n1.reachability).toEqual(['n2 up']);
    expect(n2.reachability).toEqual(['n1 up']);
  });

  test('a newer connection of a peer takes the place of one whose end was not noticed', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    // n2 dies without a word, and a new process takes its name.
    hub.silence('n2', 'n1');
    await n2.messaging.stop();
    hub.unsilence();
    const again = makeNode(hub, 'n2');
    again.messaging.setPeers([{ id: n1.id, address: 'n1' }]);
    await again.messaging.start();
    await hub.clock.advance(10 * LATENCY_MS);
    expect(n1.logged('peer-disconnected')).toMatchObject([
      { direction: 'incoming', reason: 'superseded by a newer connection' },
    ]);
    expect(again.messaging.reachable(n1.id)).toBe(true);
  });
});

test('a node that comes under the name of another one takes no connection away from it', async () => {
  const hub = new FakeHub();
  const [n1, n2] = await makePair(hub);
  const other = makeNode(hub, 'n9', { self: { id: n2.id, clusterId: '' } });
  other.messaging.setPeers([{ id: n1.id, address: 'n1' }]);
  await other.messaging.start();
  await hub.clock.advance(5_000);
  expect(other.reachability).toEqual(['n1 up']);
  expect([n1.reachability, n2.reachability]).toEqual([['n2 up'], ['n1 up']]);
  expect(n1.logged('peer-disconnected')).toEqual([]);
});

test('three nodes find each other in any order of their starts', async () => {
  const hub = new FakeHub();
  const nodes = ['n1', 'n2', 'n3'].map((name) => makeNode(hub, name));
  const peersOf = (node: TestNode) =>
    nodes.filter((other) => other !== node).map((other) => ({ id: other.id, address: other.id }));
  for (const node of nodes) {
    node.messaging.setPeers(peersOf(node));
    await node.messaging.start();
    await hub.clock.advance(3_000);
  }
  for (const node of nodes) {
    for (const peer of peersOf(node)) expect(node.messaging.reachable(peer.id)).toBe(true);
  }
});

test('a large value reaches the connection without a copy, in the request and in the answer', async () => {
  const hub = new FakeHub();
  const given = note('large', 100_000);
  const answer = note('answer', 100_000);
  const [n1, n2] = await makePair(hub, {}, { handler: () => answer });
  const call = startCall(n1, n2, given);
  await hub.clock.advance(5);
  expect(call.result).toEqual({ kind: 'reply', reply: answer });
  const large = hub.messages.flatMap(({ sent }) => (sent instanceof Pieces ? [sent] : []));
  expect(large.map(({ parts }) => parts[1])).toEqual([given.bytes, answer.bytes]);
  expect([large[0]!.parts[1] === given.bytes, large[1]!.parts[1] === answer.bytes]).toEqual([true, true]);
});
