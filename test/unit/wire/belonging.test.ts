/** Nodes of two versions work together; nodes that do not belong together do not. */

import { describe, expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { nodeId } from '#kernel/identity.ts';
import { FakeHub } from './fake-world.ts';
import { makeNode, makePair, note, startCall, startNodes, VERSION_1 } from './nodes.ts';
import { UNREACHABLE } from './outcomes.ts';

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
    // Told loudly once a minute, however often it is tried.
    const warnings = [n1, n2].map(({ world }) => world.lines.filter(({ level }) => level === 'warn').length);
    expect(warnings.every((count) => count <= 4)).toBe(true);
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
