import { expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { nodeIndex, type NodeIndex } from '#kernel/identity.ts';
import { present } from '#kernel/assert.ts';
import { decodePlaces, type Place } from '#watch/places.ts';
import type { Watcher } from '#watch/watcher.ts';
import type { WatchStart } from '#watch/watches.ts';
import { harness, textOf } from './client.ts';

function begun(start: WatchStart): Extract<WatchStart, { kind: 'begun' }> {
  if (start.kind !== 'begun') throw new Error(`the watch did not begin: ${start.kind}`);
  return start;
}

/** A watch to which two changes were told before its client is answered, with what it was asked to go on from. */
function watching() {
  const asked: (ReadonlyMap<NodeIndex, Place> | undefined)[] = [];
  const { send } = harness((node) => {
    const open = node.watch.bind(node);
    node.watch = (prefix, place) => {
      asked.push(place === undefined ? undefined : present(decodePlaces(place), 'a cursor').places);
      const start = open(prefix, place);
      const { watcher } = begun(start);
      for (const key of ['a', 'b']) watcher.add({ key: utf8(key), etag: key });
      watcher.places.set(nodeIndex(1), { storage: '0'.repeat(32), group: 7 });
      return start;
    };
  });
  return { asked, send };
}

test('each event has a cursor, and whoever comes back with one misses nothing that came behind it', async () => {
  const { asked, send } = watching();
  const blocks = textOf(await send('GET', '/v1/watch/b?timeout=20')).split('\n\n');
  const ids = blocks.slice(0, 3).map((block) => /^id: (\S+)$/m.exec(block)?.[1]);
  expect(blocks.map((block) => /"key":"(.)"/.exec(block)?.[1])).toEqual([undefined, 'a', 'b', undefined, undefined]);
  for (const id of ids) await send('GET', '/v1/watch/b?timeout=1', { 'last-event-id': String(id) });
  // Of the events only the last may be thought to be told, when all of them are.
  expect(asked.slice(1).map((places) => places?.get(nodeIndex(1))?.group)).toEqual([undefined, undefined, 7]);
});

test.each(['revoked', 'expired'])('nothing is told under a token that was %s since the watch began', async (what) => {
  let opened: (watcher: Watcher) => void = () => undefined;
  const open = new Promise<Watcher>((resolve) => (opened = resolve));
  const { node, send } = harness((stub) => {
    stub.guarded = true;
    const watch = stub.watch.bind(stub);
    stub.watch = (prefix, place) => {
      const start = watch(prefix, place);
      opened(begun(start).watcher);
      return start;
    };
  });
  const made = await node.tokens.create({ name: 'brief', scopes: [{ right: 'read', buckets: 'b' }], ttl: 1 }, 0);
  const watched = send('GET', '/v1/watch/b', { authorization: `Bearer ${made.kind === 'created' ? made.text : ''}` });
  const watcher = await open;
  if (what === 'expired') node.now += 1000;
  else await node.tokens.revoke('brief', 0);
  watcher.add({ key: utf8('secret'), etag: 'x' });
  const text = textOf(await watched);
  expect(text).toContain('event: end\ndata: {"reason":"unauthorized"}');
  expect(text).not.toContain('secret');
});

test('watches are bounded, and one more is told by what; whoever ends makes room', async () => {
  const { send } = harness((node) => (node.settings = { ...node.settings, streamsMax: 1 }));
  const first = send('GET', '/v1/watch/b?timeout=20');
  const second = await send('GET', '/v1/watch/b?timeout=20');
  expect([second.status, textOf(second)]).toEqual([429, expect.stringContaining('streams-max') as string]);
  expect((await first).status).toBe(200);
  expect((await send('GET', '/v1/watch/b?timeout=1')).status).toBe(200);
});
