/** What is bounded between two nodes, and what happens at the bounds. */

import { describe, expect, test } from 'vitest';
import { FakeHub } from './fake-world.ts';
import { echo, makePair, note, startCall, VERSION_1 } from './nodes.ts';
import { gate, LOST_DISCONNECTED, LOST_TIMEOUT, OVERLOADED, UNREACHABLE } from './outcomes.ts';

describe('overload', () => {
  test('calls in flight to a peer are bounded', async () => {
    const hub = new FakeHub();
    const { handler, open } = gate();
    const change = { options: { settings: { maxInFlightPerPeer: 3 } } };
    const [n1, n2] = await makePair(hub, change, { handler });
    const calls = [1, 2, 3, 4].map((i) => startCall(n1, n2, note(`${i}`)));
    await hub.clock.advance(5);
    expect(calls.map(({ result }) => result)).toEqual([undefined, undefined, undefined, OVERLOADED]);
    open();
    await hub.clock.advance(5);
    const next = startCall(n1, n2, note('5'));
    await hub.clock.advance(5);
    expect(next.result?.kind).toBe('reply');
    expect(n1.world.counts.get('quoral_peer_calls_total overloaded')).toBe(1);
  });

  test('probes that were given up say nothing of how much work the peer can take', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub, {}, { handler: gate().handler });
    for (let i = 0; i < 20; i++) {
      const deadline = n1.world.clock.monotonic() + 200;
      void n1.messaging.call(n2.id, echo, note('probe'), { deadline, priority: 'vital' });
      await hub.clock.advance(600);
    }
    const calls = Array.from({ length: 257 }, (_, i) => startCall(n1, n2, note(`${i}`)));
    await hub.clock.advance(5);
    expect(calls.findIndex(({ result }) => result !== undefined)).toBe(256);
  });

  test('a probe passes what waits for a peer, whose queue and calls are full of large messages', async () => {
    const hub = new FakeHub();
    const settings = { maxQueuedBytes: 10_000, maxInFlightBytes: 10_000 };
    const [n1, n2] = await makePair(hub, { options: { settings } });
    hub.clogged.add('n1');
    for (const i of [1, 2]) startCall(n1, n2, note(`${i}`, 6_000));
    const deadline = n1.world.clock.monotonic() + 200;
    let probe: unknown;
    const options = { deadline, priority: 'vital' } as const;
    void n1.messaging.call(n2.id, echo, note('probe'), options).then((result) => (probe = result));
    const work = startCall(n1, n2, note('3'));
    await hub.clock.advance(5);
    expect([work.result, probe]).toEqual([OVERLOADED, undefined]);
    await hub.clock.advance(200);
    expect(probe).toEqual(LOST_TIMEOUT);
  });

  test('bytes that wait to leave are bounded', async () => {
    const hub = new FakeHub();
    const change = { options: { settings: { maxQueuedBytes: 10_000 } } };
    const [n1, n2] = await makePair(hub, change);
    hub.clogged.add('n1');
    const calls = [1, 2, 3].map((i) => startCall(n1, n2, note(`${i}`, 6_000), 100));
    await hub.clock.advance(5);
    expect(calls.map(({ result }) => result)).toEqual([undefined, undefined, OVERLOADED]);
  });

  test('bytes of calls that wait for an answer are bounded, and free again with the answers', async () => {
    const hub = new FakeHub();
    const { handler, open } = gate();
    const change = { options: { settings: { maxInFlightBytes: 10_000 } } };
    const [n1, n2] = await makePair(hub, change, { handler });
    const calls = [1, 2, 3].map((i) => startCall(n1, n2, note(`${i}`, 6_000)));
    await hub.clock.advance(5);
    expect(calls.map(({ result }) => result)).toEqual([undefined, undefined, OVERLOADED]);
    open();
    await hub.clock.advance(5);
    const next = [4, 5].map((i) => startCall(n1, n2, note(`${i}`, 6_000)));
    await hub.clock.advance(5);
    expect(next.map(({ result }) => result?.kind)).toEqual(['reply', 'reply']);
  });

  test('a node that drains refuses what an earlier version sends, which cannot be told, and answers what it began', async () => {
    const hub = new FakeHub();
    const { handler, open } = gate();
    const [n1, n2] = await makePair(hub, { options: { versions: VERSION_1 } }, { handler });
    const begun = startCall(n1, n2, note('begun'));
    await hub.clock.advance(5);
    let drained = false;
    void n2.messaging.drain(1_000).then(() => (drained = true));
    const late = startCall(n1, n2, note('late'));
    await hub.clock.advance(5);
    expect(late.result).toMatchObject({ kind: 'refused', code: 'stopping' });
    expect([begun.result, drained]).toEqual([undefined, false]);
    open();
    await hub.clock.advance(5);
    expect([begun.result?.kind, drained]).toEqual(['reply', true]);
  });

  test('a node that announces its stop is called no more; what is under way or on the way to it is answered', async () => {
    const hub = new FakeHub();
    const { handler, open } = gate();
    const [n1, n2] = await makePair(hub, {}, { handler });
    const begun = startCall(n1, n2, note('begun'));
    await hub.clock.advance(5);
    n2.messaging.announceStop();
    const crossing = startCall(n1, n2, note('crossing'));
    await hub.clock.advance(5);
    expect(n1.messaging.reachable(n2.id)).toBe(false);
    expect(n1.reachability.at(-1)).toBe('n2 down');
    const late = startCall(n1, n2, note('late'));
    const back = startCall(n2, n1, note('back'));
    let drained = false;
    void n2.messaging.drain(1_000).then(() => (drained = true));
    await hub.clock.advance(5);
    expect(late.result).toEqual(UNREACHABLE);
    expect(back.result?.kind, 'its own calls go on').toBe('reply');
    expect([begun.result, crossing.result, drained]).toEqual([undefined, undefined, false]);
    open();
    await hub.clock.advance(5);
    expect([begun.result?.kind, crossing.result?.kind, drained]).toEqual(['reply', 'reply', true]);
    expect(n2.handled).toEqual(['begun', 'crossing']);
    await hub.clock.advance(10_000);
    expect(n1.messaging.reachable(n2.id), 'it takes no new connection').toBe(false);
    expect(n1.reachability.filter((line) => line === 'n2 down')).toHaveLength(1);
  });

  test('a stop is announced to those, too, whose connection stands only afterwards, and hung up when they time out', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub, {}, { handler: gate().handler });
    const call = startCall(n1, n2, note('never answered'), 400);
    await hub.clock.advance(5);
    let drained = false;
    void n2.messaging.drain(10_000).then(() => (drained = true));
    await hub.clock.advance(1_000);
    expect(call.result).toEqual({ kind: 'lost', reason: 'timeout' });
    expect(n1.logged('peer-disconnected').at(-1)).toMatchObject({ reason: 'the peer is stopping' });
    expect(drained, 'the handler still runs').toBe(false);
  });

  test('draining ends when its patience does', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub, {}, { handler: gate().handler });
    startCall(n1, n2, note('for ever'), 100_000);
    await hub.clock.advance(5);
    let drained = false;
    void n2.messaging.drain(1_000).then(() => (drained = true));
    await hub.clock.advance(990);
    expect(drained).toBe(false);
    await hub.clock.advance(20);
    expect(drained).toBe(true);
  });

  test('a message beyond the bound is not sent', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub, { options: { settings: { maxMessageBytes: 1_000 } } });
    const call = startCall(n1, n2, note('', 1_000));
    await hub.clock.advance(5);
    expect(call.result).toEqual({ kind: 'not-sent', reason: 'too-large' });
  });

  test('requests beyond what is worked on at once are refused', async () => {
    const hub = new FakeHub();
    const { handler, open } = gate();
    const change = { handler, options: { settings: { maxConcurrentHandlers: 2 } } };
    const [n1, n2] = await makePair(hub, {}, change);
    const calls = [1, 2, 3].map((i) => startCall(n1, n2, note(`${i}`)));
    await hub.clock.advance(5);
    expect(calls[2]!.result).toMatchObject({ kind: 'refused', code: 'overloaded' });
    expect(n2.handled).toEqual(['1', '2']);
    open();
    await hub.clock.advance(5);
    const next = startCall(n1, n2, note('4'));
    await hub.clock.advance(5);
    expect(next.result?.kind).toBe('reply');
  });

  test('a caller that does not read its answers is disconnected', async () => {
    const hub = new FakeHub();
    const change = { options: { settings: { maxQueuedBytes: 10_000 } } };
    const [n1, n2] = await makePair(hub, {}, change);
    hub.clogged.add('n2');
    const calls = [1, 2, 3, 4, 5, 6].map((i) => startCall(n1, n2, note(`${i}`, 6_000)));
    await hub.clock.advance(5);
    expect(calls.map(({ result }) => result)).toEqual(Array(6).fill(LOST_DISCONNECTED));
    expect(n2.logged('peer-disconnected')).toMatchObject([{ reason: 'the peer does not read its answers' }]);
  });

  test('large answers are left out when too many wait for the peer, which is told so, and the connection stands', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub, {}, { options: { settings: { maxQueuedBytes: 100_000 } } });
    hub.clogged.add('n2');
    for (const i of [1, 2, 3, 4]) startCall(n1, n2, note(`${i}`, 90_000));
    startCall(n1, n2, note('small', 1_000));
    await hub.clock.advance(5);
    expect(n2.handled).toEqual(['1', '2', '3', '4', 'small']);
    expect(n2.world.counts.get('quoral_peer_requests_handled_total')).toBe(4);
    // It is done: a write is not to be called one that was not applied.
    expect(n2.world.counts.get('quoral_peer_requests_refused_total internal')).toBe(1);
    expect(n2.logged('peer-disconnected')).toEqual([]);
  });

  test('connections that others open are bounded, above all unverified ones', async () => {
    const hub = new FakeHub();
    const [, n2] = await makePair(hub, {}, { options: { settings: { maxUnverifiedConnections: 3 } } });
    const closed: string[] = [];
    for (let i = 0; i < 5; i++) {
      void hub.network('stranger').connect('n2', 'foreground', 1_000, () => ({
        message: () => undefined,
        closed: (reason) => void closed.push(reason),
      }));
    }
    await hub.clock.advance(10);
    expect(closed).toEqual(['too many connections', 'too many connections']);
    await hub.clock.advance(2_100);
    expect(closed.slice(2)).toEqual(Array(3).fill('no handshake within 2000 ms'));
    const late: string[] = [];
    void hub.network('stranger').connect('n2', 'foreground', 1_000, () => ({
      message: () => undefined,
      closed: (reason) => void late.push(reason),
    }));
    await hub.clock.advance(10);
    expect(late).toEqual([]);
    // Strangers can make as many lines as they like, but not loud ones.
    for (const [event, count] of [
      ['peer-turned-away', 2],
      ['peer-left-unverified', 3],
    ] as const) {
      const levels = n2.world.lines.filter((line) => line.event === event).map(({ level }) => level);
      expect(levels).toEqual(['warn', ...Array<string>(count - 1).fill('debug')]);
    }
  });

  test('whoever opens a connection and goes away again is no reason to warn', async () => {
    const hub = new FakeHub();
    const [, n2] = await makePair(hub);
    void hub.network('stranger').connect('n2', 'foreground', 1_000, (connection) => {
      hub.clock.after(5, () => connection.close('only looking'));
      return { message: () => undefined, closed: () => undefined };
    });
    await hub.clock.advance(2_100);
    expect(n2.logged('peer-left-unverified')).toEqual([]);
    expect(n2.logged('peer-went-unverified')).toHaveLength(1);
  });
});
