/**
 * What a peer door must bear: whoever connects may send anything, and a peer that knows the secret may have gone mad.
 */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { nodeId } from '#kernel/identity.ts';
import { encode } from '#wire/codec.ts';
import { decodeEnvelope, encodeEnvelope } from '#wire/envelope.ts';
import type { Envelope, HandshakeEnvelope } from '#wire/envelope.ts';
import { dialerHandshake } from '#wire/handshake.ts';
import type { Connection } from '#world/world.ts';
import { digest } from '#world/digest.ts';
import { FakeHub } from './fake-world.ts';
import { makeNode, makePair, note, startCall } from './nodes.ts';
import type { TestNode } from './nodes.ts';

interface Visitor {
  readonly connection: Connection;
  readonly received: Uint8Array[];
  closed: string | undefined;
}

async function visit(hub: FakeHub, address: string): Promise<Visitor> {
  return new Promise((resolve) => {
    void hub.network('visitor').connect(address, 'foreground', 1_000, (connection) => {
      const visitor: Visitor = { connection, received: [], closed: undefined };
      resolve(visitor);
      return {
        message: (bytes) => void visitor.received.push(bytes),
        closed: (reason) => void (visitor.closed = reason),
      };
    });
    void hub.clock.advance(5);
  });
}

/** A visitor that knows the secret and has got through the handshake as n7. */
async function visitVerified(hub: FakeHub, node: TestNode): Promise<Visitor> {
  const visitor = await visit(hub, node.id);
  const handshake = dialerHandshake(
    {
      self: { id: nodeId('n7'), storageId: 'disk', clusterId: 'c1' },
      epoch: 1,
      founders: '',
      secret: utf8('secret'),
      nonce: new Uint8Array(32).fill(9),
      digest,
      versions: { lowest: 1, highest: 1 },
    },
    node.id,
  );
  visitor.connection.send(encodeEnvelope(handshake.first()!));
  await hub.clock.advance(5);
  const step = handshake.receive(decodeEnvelope(visitor.received.shift()!) as HandshakeEnvelope);
  visitor.connection.send(encodeEnvelope(step.send!));
  await hub.clock.advance(5);
  expect(handshake.receive(decodeEnvelope(visitor.received.shift()!) as HandshakeEnvelope).kind).toBe('verified');
  return visitor;
}

async function startedNode(hub: FakeHub): Promise<TestNode> {
  const node = makeNode(hub, 'n1');
  await node.messaging.start();
  return node;
}

const junk = fc.oneof(
  fc.uint8Array({ maxLength: 100 }),
  fc.array(fc.oneof(fc.integer(), fc.string(), fc.constant(null)), { maxLength: 8 }).map((parts) => encode(parts)),
  fc.integer({ min: 40, max: 3_000 }).map((depth) => new Uint8Array(depth).fill(0x91)),
  fc
    .tuple(fc.constantFrom(2, 3, 4, 10, 11, 12, 13, 14), fc.array(fc.oneof(fc.nat(), fc.string()), { maxLength: 6 }))
    .map(([tag, parts]) => encode([tag, ...parts])),
);

describe('before the handshake', () => {
  test('whatever comes closes the connection with a reason and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(junk, async (bytes) => {
        const hub = new FakeHub();
        const node = await startedNode(hub);
        const visitor = await visit(hub, 'n1');
        visitor.connection.send(bytes);
        await hub.clock.advance(10);
        expect(visitor.closed).toMatch(/^(malformed message|refused|the peer said goodbye)/);
        expect(node.handled).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  test('calls and pings before the proof are malformed', async () => {
    const early: Envelope[] = [
      { kind: 'request', callId: 1, name: 'test.echo', remaining: 100, body: ['', new Uint8Array(0)] },
      { kind: 'reply', callId: 1, body: null },
      { kind: 'ping', epoch: 1 },
    ];
    for (const envelope of early) {
      const hub = new FakeHub();
      const node = await startedNode(hub);
      const visitor = await visit(hub, 'n1');
      visitor.connection.send(encodeEnvelope(envelope));
      await hub.clock.advance(10);
      expect(visitor.closed).toBe(`malformed message: ${envelope.kind} before the end of the handshake`);
      expect(node.handled).toEqual([]);
      expect(node.logged('peer-malformed-message')).toHaveLength(1);
    }
  });

  test('what strangers say that makes no sense is told of loudly once in a while', async () => {
    const hub = new FakeHub();
    const node = await startedNode(hub);
    for (let i = 0; i < 3; i++) {
      const visitor = await visit(hub, 'n1');
      visitor.connection.send(encode(['nonsense']));
      await hub.clock.advance(10);
      expect(visitor.closed).toMatch(/^malformed message/);
    }
    const lines = node.world.lines.filter(({ level }) => level === 'warn').map(({ event }) => event);
    expect(lines).toEqual(['peer-malformed-message', 'peer-left-unverified']);
    expect(node.world.counts.get('quoral_peer_malformed_messages_total')).toBe(3);
  });

  test('who says nothing, or stops half way, is closed after 2 s', async () => {
    const hub = new FakeHub();
    await startedNode(hub);
    const visitor = await visit(hub, 'n1');
    await hub.clock.advance(1_900);
    expect(visitor.closed).toBeUndefined();
    await hub.clock.advance(200);
    expect(visitor.closed).toBe('no handshake within 2000 ms');
  });
});

describe('after the handshake', () => {
  test('whatever comes is answered or closes the connection, and the node lives on', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(junk, { maxLength: 5 }), async (messages) => {
        const hub = new FakeHub();
        const node = await startedNode(hub);
        const visitor = await visitVerified(hub, node);
        for (const message of messages) visitor.connection.send(message);
        await hub.clock.advance(10);
        if (visitor.closed === undefined) {
          visitor.connection.send(encodeEnvelope({ kind: 'ping', epoch: 1 }));
          await hub.clock.advance(10);
          expect(decodeEnvelope(visitor.received.at(-1)!).kind).toBe('pong');
        }
        expect(node.world.lines.filter(({ level }) => level === 'error')).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  test.each([
    ['a second hello', [5, 'x', 'y'], 'refused after the handshake'],
    ['an answer from a caller', [11, 1, null], 'reply from the wrong end of a connection'],
    ['a pong to nobody', [14, 1], 'pong from the wrong end of a connection'],
    ['a bad body', [10, 1, 'test.echo', 100, ['x']], 'test.echo: note: expected 2 elements or more, got 1'],
    ['no body', [10, 1, 'test.echo', 100], 'the message has no body'],
  ])('%s closes the connection', async (_, parts, reason) => {
    const hub = new FakeHub();
    const node = await startedNode(hub);
    const visitor = await visitVerified(hub, node);
    visitor.connection.send(encode(parts));
    await hub.clock.advance(10);
    expect(visitor.closed).toBe(`malformed message: ${reason}`);
    expect(node.logged('peer-malformed-message')).toMatchObject([{ peer: 'n7', remote: 'visitor', reason }]);
    expect(node.world.counts.get('quoral_peer_malformed_messages_total')).toBe(1);
  });

  test('work that came too late is refused before it starts', async () => {
    const hub = new FakeHub();
    const node = await startedNode(hub);
    const visitor = await visitVerified(hub, node);
    visitor.connection.send(encode([10, 1, 'test.echo', 0, ['x', new Uint8Array(0)]]));
    await hub.clock.advance(10);
    expect(decodeEnvelope(visitor.received[0]!)).toMatchObject({ kind: 'refusal', callId: 1, code: 'deadline' });
    expect(node.handled).toEqual([]);
  });

  test('an answer to a call that was never made closes the connection', async () => {
    const hub = new FakeHub();
    const [n1, n2] = await makePair(hub, {}, { handler: () => new Promise(() => undefined) });
    const call = startCall(n1, n2, note(''));
    for (const connection of hub.connections) if (connection.remote === 'n1') connection.send(encode([11, 99, null]));
    await hub.clock.advance(10);
    expect(call.result).toEqual({ kind: 'lost', reason: 'disconnected' });
    expect(n1.logged('peer-malformed-message')).toMatchObject([
      { direction: 'outgoing', reason: 'no call has the id 99' },
      { direction: 'incoming', reason: 'reply from the wrong end of a connection' },
    ]);
  });
});
