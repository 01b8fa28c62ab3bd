import { expect, test } from 'vitest';
import { markOf } from '#api/idempotency-key.ts';
import type { Incoming } from '#api/exchange.ts';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { digest } from '#world/digest.ts';
import { harness, jsonOf, textOf } from './client.ts';

const KEY = { 'idempotency-key': 'order 17' };

function incoming(headers: Record<string, string>): Incoming {
  return { header: (name: string) => headers[name] } as unknown as Incoming;
}

function mark(changes: { key?: string; headers?: Record<string, string>; ttl?: string; content?: object | null } = {}) {
  const plain = { value: utf8('v'), contentType: 'text/plain', contentEncoding: '', meta: [['a', 'b'] as const] };
  const content = changes.content === null ? null : { ...plain, ...changes.content };
  const query = new Map(changes.ttl === undefined ? [] : [['ttl', changes.ttl] as const]);
  const marked = { incoming: incoming(changes.headers ?? {}), query, content };
  const { id, fingerprint } = markOf(changes.key ?? 'order 17', marked, digest.sha256);
  return { id: toHex(id), fingerprint: toHex(fingerprint) };
}

test('equal requests are known by the same, and whatever a request says makes it another one', () => {
  expect(mark()).toEqual(mark());
  const others = [
    {},
    { content: null },
    { content: { value: utf8('w') } },
    { content: { value: utf8('') } },
    { content: { contentType: 'text/html' } },
    { content: { contentEncoding: 'gzip' } },
    { content: { meta: [['a', 'c']] } },
    { content: { meta: [] } },
    { headers: { 'quoral-context': 'x' } },
    { headers: { 'if-match': '"x"' } },
    { headers: { 'if-none-match': '"x"' } },
    { headers: { 'if-none-match': '' } },
    { ttl: '5' },
    { ttl: '50' },
    { key: 'order 18' },
  ].map(mark);
  expect(new Set(others.map(({ fingerprint }) => fingerprint)).size).toBe(others.length);
  expect(new Set(others.map(({ id }) => id)).size).toBe(2);
});

test('golden: what a request is known by is stored', () => {
  expect(mark()).toEqual({
    id: '0bcc920e3938c1b86e3483fc9888c6d6',
    fingerprint: '9cc6466788e35a797e33452d7fca9e4e',
  });
});

test('a key is 1 to 255 characters of printable ASCII', async () => {
  const { send, node } = harness();
  for (const bad of ['', 'a\tb', 'é', 'x'.repeat(256)]) {
    for (const method of ['PUT', 'DELETE']) {
      const answer = await send(method, '/v1/kv/b/k', { 'idempotency-key': bad });
      expect([answer.status, jsonOf(answer)['field']], JSON.stringify(bad)).toEqual([400, 'Idempotency-Key']);
    }
  }
  expect(node.writes).toEqual([]);
  for (const good of ['x', '~ !"', 'x'.repeat(255)])
    expect((await send('PUT', '/v1/kv/b/k', { 'idempotency-key': good })).status).toBe(204);
});

test('sent again it makes no second version, whatever the condition says now', async () => {
  const { send, node } = harness(({ properties }) => properties.set('b', { conflicts: 'siblings' }));
  const create = { ...KEY, 'if-none-match': '*' };
  const first = await send('PUT', '/v1/kv/b/k', create, utf8('v'));
  const again = await send('PUT', '/v1/kv/b/k?w=all&timeout=9', create, utf8('v'));
  expect([first.status, again.status]).toEqual([204, 204]);
  for (const name of ['etag', 'quoral-context']) expect(again.headers.get(name)).toBe(first.headers.get(name));
  expect([...node.states.values()].map(({ versions }) => versions.length)).toEqual([1]);
});

test('superseded since, it is answered with the tag of what it wrote and no context', async () => {
  const { send } = harness();
  const first = await send('PUT', '/v1/kv/b/k', KEY, utf8('v'));
  await send('PUT', '/v1/kv/b/k', {}, utf8('w'));
  const again = await send('PUT', '/v1/kv/b/k', KEY, utf8('v'));
  expect([again.status, again.headers.get('etag')]).toEqual([204, first.headers.get('etag')]);
  expect(again.headers.has('quoral-context')).toBe(false);
  expect(textOf(await send('GET', '/v1/kv/b/k'))).toBe('w');
  const shown = await send('PUT', '/v1/kv/b/k?return=body', KEY, utf8('v'));
  expect([shown.status, textOf(shown), shown.headers.has('quoral-context')]).toEqual([200, 'w', true]);
});

test('a delete sent again deletes nothing more', async () => {
  const { send } = harness();
  await send('PUT', '/v1/kv/b/k', {}, utf8('v'));
  expect((await send('DELETE', '/v1/kv/b/k', KEY)).status).toBe(204);
  await send('PUT', '/v1/kv/b/k', {}, utf8('w'));
  expect((await send('DELETE', '/v1/kv/b/k', KEY)).status).toBe(204);
  expect(textOf(await send('GET', '/v1/kv/b/k'))).toBe('w');
});

test('with another request it is refused, and tells of no outcome', async () => {
  const { send } = harness();
  await send('PUT', '/v1/kv/b/k', KEY, utf8('v'));
  const others = [
    await send('PUT', '/v1/kv/b/k', KEY, utf8('w')),
    await send('PUT', '/v1/kv/b/k', { ...KEY, 'content-type': 'text/html' }, utf8('v')),
    await send('PUT', '/v1/kv/b/k', { ...KEY, 'if-none-match': '*' }, utf8('v')),
    await send('DELETE', '/v1/kv/b/k', KEY),
  ];
  for (const other of others) {
    expect([other.status, jsonOf(other)['type']]).toEqual([422, 'urn:quoral:problem:idempotency-mismatch']);
    expect(jsonOf(other)).not.toHaveProperty('outcome');
  }
  expect((await send('PUT', '/v1/kv/b/another', KEY, utf8('w'))).status).toBe(204);
});

test('that this attempt was not applied is not told as the outcome of the request', async () => {
  const { send, node } = harness();
  node.members = 2;
  const small = await send('PUT', '/v1/kv/b/k?w=3', KEY);
  expect([small.status, jsonOf(small)['outcome']]).toEqual([503, 'unknown']);
  expect(jsonOf(await send('PUT', '/v1/kv/b/k?w=3'))['outcome']).toBe('not-applied');
  node.refusal = 'not yet';
  expect(jsonOf(await send('PUT', '/v1/kv/b/k', KEY))['outcome']).toBe('unknown');
  expect(jsonOf(await send('PUT', '/v1/kv/b/k'))['outcome']).toBe('not-applied');
});

test('what a client says of its numbered requests goes to strong keys, and is checked everywhere', async () => {
  const { send, node } = harness(({ properties }) => properties.set('strong', { consistency: 'strong' }));
  const numbered = { 'idempotency-key': 'from: here:17', 'quoral-answered-below': '12' };
  for (const method of ['PUT', 'DELETE']) {
    expect((await send(method, `/v1/kv/b/${method}`, numbered)).status).toBe(204);
    expect(node.writes.at(-1)!.mark).not.toHaveProperty('numbered');
    expect((await send(method, `/v1/kv/strong/${method}`, numbered)).status).toBe(204);
    const series = digest.sha256(utf8('from: here')).subarray(0, 16);
    expect(node.writes.at(-1)!.mark!.numbered).toEqual({ series, number: 17, answeredBelow: 12 });
  }
  const made = node.writes.length;
  const refused = async (key: string | undefined, below: string): Promise<unknown> => {
    const headers = { ...(key === undefined ? {} : { 'idempotency-key': key }), 'quoral-answered-below': below };
    const answer = await send('PUT', '/v1/kv/b/k', headers);
    expect([answer.status, jsonOf(answer)['outcome']]).toEqual([400, undefined]);
    return jsonOf(answer)['field'];
  };
  for (const below of ['', '0', '-1', '1.5', '01', 'x', '9007199254740993', '99999999999999999'])
    expect(await refused('s:17', below), below).toBe('Quoral-Answered-Below');
  expect(await refused(undefined, '1')).toBe('Quoral-Answered-Below');
  for (const key of ['s', 's:', ':17', '17', 's:x', 's:017', 's:11', 's:-17', 's:17 ', 's:9007199254740993'])
    expect(await refused(key, '12'), key).toBe('Idempotency-Key');
  const answer = await send('PUT', '/v1/kv/b/k', { 'idempotency-key': 's:11', 'quoral-answered-below': '12' });
  expect(jsonOf(answer)['detail']).toBe(
    'Idempotency-Key: "s:11" is not SERIES:NUMBER with a number of at least 12, as Quoral-Answered-Below says',
  );
  expect(node.writes.length).toBe(made);
});
