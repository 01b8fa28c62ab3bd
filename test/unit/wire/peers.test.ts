import { describe, expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { nodeId } from '#kernel/identity.ts';
import { Refusal } from '#wire/message.ts';
import type { Handler } from '#wire/messaging.ts';
import { createMessaging } from '#wire/peers.ts';
import { FakeHub } from './fake-world.ts';
import { echo, makeNode, makePair, note, startCall, startNodes } from './nodes.ts';
import type { Note } from './nodes.ts';

const LOST_TIMEOUT = { kind: 'lost', reason: 'timeout' };
const LOST_DISCONNECTED = { kind: 'lost', reason: 'disconnected' };
const VERSION_1 = { lowest: 1, highest: 1 };
const UNREACHABLE = { kind: 'not-sent', reason: 'unreachable' };
const OVERLOADED = { kind: 'not-sent', reason: 'overloaded' };

/** A handler that answers when it is told to. */
function gate(): { handler: Handler<Note, Note>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { handler: (request) => opened.then(() => request), open: () => open() };
}

describe('two nodes', () => {
  test('call each other, on both channels', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    const calls = [
      startCall(n1, n2, note('one', 100)),
      startCall(n2, n1, note('two', 100_000)),
      startCall(n1, n2, note('three'), 500, 'bulk'),
    ];
    await hub.clock.advance(20);
    expect(calls.map(({ result }) => result)).toEqual([
      { kind: 'reply', reply: note('one', 100) },
      { kind: 'reply', reply: note('two', 100_000) },
      { kind: 'reply', reply: note('three') },
    ]);
    expect(n2.handled).toEqual(['one', 'three']);
    expect(n1.logged('peer-connected')).toMatchObject([
      { peer: 'n2', direction: 'incoming', channel: 'foreground' },
      { peer: 'n2', direction: 'outgoing', channel: 'foreground' },
      { peer: 'n2', direction: 'outgoing', channel: 'bulk' },
    ]);
  });

  test('open the bulk connection only when it is used', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    await hub.clock.advance(10_000);
    expect(hub.connections).toHaveLength(4);
    const calls = [startCall(n1, n2, note('a'), 500, 'bulk'), startCall(n1, n2, note('b'), 500, 'bulk')];
    await hub.clock.advance(20);
    expect(calls.map(({ result }) => result?.kind)).toEqual(['reply', 'reply']);
    expect(hub.connections).toHaveLength(6);
    expect(hub.connections[4]!.channel).toBe('bulk');
  });

  test('tell their epochs, disks and reachability', async () => {
    const hub = new FakeHub();
    let epoch = 5;
    const [n1, n2] = await makePair(hub, {}, { options: { epoch: () => epoch } });
    expect(n1.epochs).toEqual(['n2 5', 'n2 5']);
    expect(n1.reachability).toEqual(['n2 up']);
    expect(n1.messaging.reachable(n2.id)).toBe(true);
    expect(n1.messaging.storageIdOf(n2.id)).toBe('disk-of-n2');
    epoch = 6;
    await hub.clock.advance(1_500);
    expect(n1.epochs.filter((line) => line === 'n2 6')).toHaveLength(2);
    await n2.messaging.stop();
    await hub.clock.advance(10);
    expect(n1.messaging.reachable(n2.id)).toBe(false);
    expect(n1.reachability).toEqual(['n2 up', 'n2 down']);
    expect(n1.logged('peer-disconnected')).toMatchObject([
      { peer: 'n2', direction: 'incoming', reason: 'the peer said goodbye: stopping' },
      { peer: 'n2', direction: 'outgoing', reason: 'the peer said goodbye: stopping' },
    ]);
  });

  test('messages of a turn go to the network in that turn, and flush reaches it', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    const before = hub.messages.length;
    for (let i = 0; i < 10; i++) startCall(n1, n2, note(`${i}`));
    expect(hub.messages.length - before).toBe(10);
    hub.flushes = 0;
    n1.messaging.flush();
    expect(hub.flushes).toBe(2);
  });

  test('a call to oneself is a programming error', async () => {
    const hub = new FakeHub();
    const [n1] = await makePair(hub);
    expect(() => n1.messaging.call(n1.id, echo, note(''), { deadline: 2_000 })).toThrow('goes to the calling node');
    expect(() => n1.messaging.setPeers([{ id: n1.id, address: 'n1' }])).toThrow('no peer of its own');
  });

  test('settings out of bounds are refused by name', () => {
    const hub = new FakeHub();
    const node = (settings: object) => () => makeNode(hub, 'n1', { options: { settings } });
    expect(node({ maxQueuedBytes: 0 })).toThrow('maxQueuedBytes 0: a whole number from 1');
    expect(node({ silenceLimit: 1_000 })).toThrow('silenceLimit 1000: more than heartbeatInterval');
    expect(node({ maxMessageBytes: 2 ** 30 })).toThrow('maxMessageBytes');
  });
});

describe('answers', () => {
  test('a refusal carries code, detail and value; the connection lives on', async () => {
    const hub = new FakeHub();
    const handler = (): never => {
      throw new Refusal('stale-epoch', 'epoch 7 is known here', 7);
    };
    const [n1, n2] = await makePair(hub, {}, { handler });
    const call = startCall(n1, n2, note(''));
    await hub.clock.advance(5);
    expect(call.result).toEqual({ kind: 'refused', code: 'stale-epoch', detail: 'epoch 7 is known here', value: 7 });
    expect(n1.messaging.reachable(n2.id)).toBe(true);
  });

  test('a handler that rejects or fails, and a reply that cannot be encoded, are internal errors', async () => {
    const hub = new FakeHub();
    const handler = async ({ text }: { text: string }) => {
      await Promise.resolve();
      if (text === 'refuse') throw new Refusal('busy', 'later');
      if (text === 'huge') return note('', 2_000);
      throw new Error('disk on fire');
    };
    const [n1, n2] = await makePair(hub, {}, { handler, options: { settings: { maxMessageBytes: 1_000 } } });
    const calls = ['refuse', 'fail', 'huge'].map((text) => startCall(n1, n2, note(text)));
    await hub.clock.advance(5);
    expect(calls.map(({ result }) => result)).toMatchObject([
      { kind: 'refused', code: 'busy' },
      { kind: 'refused', code: 'internal', detail: 'the handler of test.echo failed' },
      { kind: 'refused', code: 'internal' },
    ]);
    expect(n2.logged('handler-failed')).toHaveLength(2);
  });

  test('an unknown message is refused', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    const unknown = { ...echo, name: 'test.unknown' };
    const call = n1.messaging.call(n2.id, unknown, note(''), { deadline: 2_000 });
    await hub.clock.advance(5);
    expect(await call).toMatchObject({ kind: 'refused', code: 'unknown-message' });
  });

  test('a body that does not fit closes the connection with a logged reason, on the side that found it', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    const deadline = hub.clock.now + 500;
    const badRequest = n1.messaging.call(n2.id, { ...echo, encodeRequest: () => [1] }, note(''), { deadline });
    await hub.clock.advance(5);
    expect(await badRequest).toEqual(LOST_DISCONNECTED);
    expect(n2.logged('peer-malformed-message')).toMatchObject([
      { peer: 'n1', reason: 'test.echo: note: expected 2 elements or more, got 1' },
    ]);
    await hub.clock.advance(6_000);
    const picky = {
      ...echo,
      decodeReply: (): never => {
        throw new TypeError('not mine');
      },
    };
    const badReply = n1.messaging.call(n2.id, picky, note(''), { deadline: hub.clock.now + 500 });
    await hub.clock.advance(5);
    expect(await badReply).toEqual(LOST_DISCONNECTED);
    expect(n1.logged('peer-malformed-message')).toMatchObject([{ peer: 'n2', reason: 'reply to test.echo: not mine' }]);
    await hub.clock.advance(6_000);
    expect(n1.messaging.reachable(n2.id)).toBe(true);
  });
});

describe('deadlines', () => {
  test('a call without an answer ends at its deadline; a late reply is dropped and counted', async () => {
    const hub = new FakeHub();
    const { handler, open } = gate();
    const [n1, n2] = await makePair(hub, {}, { handler });
    const startedAt = hub.clock.now;
    const call = startCall(n1, n2, note(''), 300);
    await hub.clock.advance(400);
    expect(call.result).toEqual(LOST_TIMEOUT);
    // A millisecond later, so that whoever waits for several calls until then learns first that time is up.
    expect(call.at).toBe(startedAt + 301);
    open();
    await hub.clock.advance(10);
    expect(n1.world.counts.get('quoral_peer_late_replies_total')).toBe(1);
    expect(n1.messaging.reachable(n2.id)).toBe(true);
  });

  test('the callee learns the time that remains, by its own clock', async () => {
    const hub = new FakeHub();
    const deadlines: number[] = [];
    const [n1, n2] = await makePair(
      hub,
      {},
      {
        handler: (request, caller) => {
          deadlines.push(caller.deadline - hub.clock.now);
          expect(caller.from).toBe('n1');
          return request;
        },
      },
    );
    startCall(n1, n2, note(''), 250);
    await hub.clock.advance(5);
    expect(deadlines).toEqual([250]);
  });

  test('with less than a millisecond left nothing is sent', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    const calls = [startCall(n1, n2, note(''), 0.9), startCall(n1, n2, note(''), -5)];
    await hub.clock.advance(5);
    expect(calls.map(({ result }) => result)).toEqual(Array(2).fill({ kind: 'not-sent', reason: 'expired' }));
    expect(n2.handled).toEqual([]);
  });

  test('a call on a bulk connection that does not open ends by its deadline, not sent', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    hub.silence('n1', 'n2');
    const call = startCall(n1, n2, note(''), 300, 'bulk');
    await hub.clock.advance(320);
    expect(call.result).toEqual(UNREACHABLE);
    expect(call.at).toBe(hub.clock.now - 20);
  });
});

describe('lost or not sent', () => {
  test('what is known of a call when the connection breaks, or when there was none', async () => {
    const hub = new FakeHub();
    const { handler } = gate();
    const [n1, n2] = await makePair(hub, {}, { handler });
    const sent = startCall(n1, n2, note('sent'));
    await hub.clock.advance(5);
    await n2.messaging.stop();
    await hub.clock.advance(5);
    expect(sent.result).toEqual(LOST_DISCONNECTED);
    const unsent = startCall(n1, n2, note('unsent'));
    const stranger = n1.messaging.call(nodeId('n9'), echo, note(''), { deadline: hub.clock.now + 100 });
    await hub.clock.advance(1);
    expect(unsent.result).toEqual(UNREACHABLE);
    expect(await stranger).toEqual(UNREACHABLE);
    expect(n1.world.counts.get('quoral_peer_calls_total unreachable')).toBe(2);
    expect(n1.world.counts.get('quoral_peer_calls_total disconnected')).toBe(1);
  });

  test('a peer that is removed, and one that is moved to another address', async () => {
    const hub = new FakeHub();
    const { handler } = gate();
    const [n1, n2] = await makePair(hub, {}, { handler });
    const call = startCall(n1, n2, note(''));
    await hub.clock.advance(5);
    n1.messaging.setPeers([]);
    await hub.clock.advance(1);
    expect(call.result).toEqual(LOST_DISCONNECTED);
    expect(n1.reachability).toEqual(['n2 up', 'n2 down']);
    n1.messaging.setPeers([{ id: n2.id, address: 'elsewhere' }]);
    await hub.clock.advance(5);
    expect(hub.attempts.at(-1)!.path).toBe('n1>elsewhere');
    n1.messaging.setPeers([{ id: n2.id, address: 'n2' }]);
    await hub.clock.advance(20);
    expect(n1.messaging.reachable(n2.id)).toBe(true);
  });
});

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
    const calls = [1, 2, 3].map((i) => startCall(n1, n2, note(`${i}`, 6_000)));
    await hub.clock.advance(5);
    expect(calls.map(({ result }) => result)).toEqual(Array(3).fill(LOST_DISCONNECTED));
    expect(n2.logged('peer-disconnected')).toMatchObject([{ reason: 'the peer does not read its answers' }]);
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
    expect(n2.logged('peer-turned-away')).toHaveLength(2);
    expect(n2.logged('peer-left-unverified')).toHaveLength(3);
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

describe('two versions side by side', () => {
  test.each([
    ['the dialer is older', { options: { versions: VERSION_1 } }, {}],
    ['the acceptor is older', {}, { options: { versions: VERSION_1 } }],
  ])('%s: calls go both ways in version 1, and a stop ends with a goodbye', async (_name, change1, change2) => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub, change1, change2);
    const calls = [startCall(n1, n2, note('there')), startCall(n2, n1, note('back'))];
    await hub.clock.advance(5);
    expect(calls.map(({ result }) => result?.kind)).toEqual(['reply', 'reply']);
    for (const node of [n1, n2]) {
      expect(node.logged('peer-connected').filter(({ version }) => version !== undefined)).toMatchObject([
        { version: 1 },
      ]);
    }
    n2.messaging.announceStop();
    await hub.clock.advance(5);
    expect(n1.messaging.reachable(n2.id), 'version 1 has no word for it').toBe(true);
    await n2.messaging.drain(1_000);
    await n2.messaging.stop();
    await hub.clock.advance(5);
    expect(n1.messaging.reachable(n2.id)).toBe(false);
    expect(n1.logged('peer-disconnected').at(-1)).toMatchObject({ reason: 'the peer said goodbye: stopping' });
  });
});

describe('nodes that do not belong together', () => {
  test.each([
    ['wrong-secret', { options: { secret: utf8('guess') } }],
    ['wrong-cluster', { self: { clusterId: 'c2', foundersText: 'n9=n9' } }],
    ['wrong-version', { options: { versions: { lowest: 9, highest: 9 } } }],
  ])('%s: logged on both sides, never reachable, tried again ever more slowly', async (reason, change) => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub, change);
    expect(n1.logged('refused-by-peer')).toMatchObject([{ reason, remote: 'n2' }]);
    expect(n2.logged('peer-refused')).toMatchObject([{ reason, claimedId: 'n1' }]);
    if (reason === 'wrong-cluster') {
      for (const line of [n1.logged('refused-by-peer')[0]!, n2.logged('peer-refused')[0]!]) {
        expect(line['detail']).toMatch(/n9=n9/);
        expect(line['detail']).toMatch(/n1=n1,n2=n2,n3=n3/);
      }
    }
    await hub.clock.advance(60_000);
    expect(n1.messaging.reachable(n2.id)).toBe(false);
    const call = startCall(n1, n2, note(''));
    await hub.clock.advance(1);
    expect(call.result).toEqual(UNREACHABLE);
    expect(n1.logged('refused-by-peer').length).toBeLessThan(60);
  });

  test('the wrong node at an address, and the node itself', async () => {
    const hub = new FakeHub();
    const n1 = makeNode(hub, 'n1');
    const n2 = makeNode(hub, 'n2');
    n1.messaging.setPeers([
      { id: nodeId('n3'), address: 'n2' },
      { id: nodeId('n4'), address: 'n1' },
    ]);
    await Promise.all([n1.messaging.start(), n2.messaging.start()]);
    await hub.clock.advance(20);
    expect(n2.logged('peer-refused')).toMatchObject([{ reason: 'wrong-node', detail: 'n1 dialed n3, but this is n2' }]);
    expect(n1.logged('refused-by-peer')).toMatchObject([{ reason: 'wrong-node' }, { reason: 'self-connection' }]);
  });

  test('a node that returns with another disk is noticed', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub);
    await n2.messaging.stop();
    await hub.clock.advance(10);
    const again = makeNode(hub, 'n2', { self: { storageId: 'new-disk' } });
    await startNodes(again);
    await hub.clock.advance(10_000);
    expect(n1.messaging.storageIdOf(n2.id)).toBe('new-disk');
    expect(n1.logged('peer-storage-changed')).toEqual([{ peer: 'n2', before: 'disk-of-n2', now: 'new-disk' }]);
  });
});

test('start fails when the door cannot be opened', async () => {
  const world = new FakeHub().world('n1');
  const network = { ...world.network, listen: () => Promise.reject(new Error('port in use')) };
  const self = { id: nodeId('n1'), storageId: 's', clusterId: 'c', foundersText: '' };
  const messaging = createMessaging({ world: { ...world, network }, self, secret: utf8('x'), epoch: () => 0 });
  await expect(messaging.start()).rejects.toThrow('port in use');
});
