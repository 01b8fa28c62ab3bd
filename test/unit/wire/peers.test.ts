import { describe, expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { nodeId } from '#kernel/identity.ts';
import { Refusal } from '#wire/message.ts';
import { createMessaging } from '#wire/peers.ts';
import { FakeHub } from './fake-world.ts';
import { echo, makeNode, makePair, note, startCall } from './nodes.ts';
import { LOST_TIMEOUT, LOST_DISCONNECTED, UNREACHABLE, gate } from './outcomes.ts';

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

  test('what a node learns of others while it stops concerns the next process', async () => {
    const hub = new FakeHub();
    const [n1] = await makePair(hub);
    await n1.messaging.stop();
    expect(() => n1.messaging.setPeers([{ id: nodeId('n3'), address: 'n3' }])).not.toThrow();
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

test('start fails when the door cannot be opened', async () => {
  const world = new FakeHub().world('n1');
  const network = { ...world.network, listen: () => Promise.reject(new Error('port in use')) };
  const self = { id: nodeId('n1'), storageId: 's', clusterId: 'c', foundersText: '' };
  const messaging = createMessaging({ world: { ...world, network }, self, secret: utf8('x'), epoch: () => 0 });
  await expect(messaging.start()).rejects.toThrow('port in use');
});
