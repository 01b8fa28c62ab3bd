import { expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import type { InProcessAnswer } from '#api/in-process.ts';
import { agreed } from './stub-services.ts';
import { harness, jsonOf } from './client.ts';

const HI = utf8('hi');

function tokenOf(answer: InProcessAnswer): string {
  const token = answer.headers.get('quoral-session');
  expect(token).toBeDefined();
  return token!;
}

test('every answer of a session has a token; without a session there is none', async () => {
  const { send, node } = harness();
  expect((await send('GET', '/v1/kv/b/k')).headers.has('quoral-session')).toBe(false);
  const { settings } = node;
  const answers = [
    await send('GET', '/v1/kv/b/k?session=new'),
    await send('PUT', '/v1/kv/b/k?session=new', {}, HI),
    await send('HEAD', '/v1/kv/b/k?session=new'),
    await send('GET', '/v1/kv/b/k?session=new', { 'if-none-match': '*' }),
    await send('PUT', '/v1/kv/b/k?session=new', { 'if-match': '"x"' }, HI),
    await send('PUT', '/v1/kv/b/k?session=new', {}, new Uint8Array(settings.valueMaxBytes + 1)),
    await send('DELETE', '/v1/kv/b/k?session=new'),
  ];
  expect(answers.map(({ status }) => status)).toEqual([404, 204, 200, 304, 412, 413, 204]);
  for (const answer of answers) tokenOf(answer);
});

test('a read asks for what the session has written and read, of this key only', async () => {
  const { send, node } = harness();
  const written = await send('PUT', '/v1/kv/b/k?session=new', {}, HI);
  const session = tokenOf(written);
  await send('GET', `/v1/kv/b/k?session=${session}`);
  await send('GET', '/v1/kv/b/k', { 'quoral-session': session });
  await send('GET', `/v1/kv/b/other?session=${session}`);
  const { vector } = [...node.states.values()][0]!;
  expect(node.reads.map(({ least }) => least)).toEqual([vector, vector, undefined]);
  await send('PUT', `/v1/kv/b/k?session=${session}`, {}, HI);
  expect(node.writes.map(({ least }) => least)).toEqual([undefined, vector]);
});

test('several tokens together, in the parameter or in the header', async () => {
  const { send, node } = harness();
  const tokens = [];
  for (const key of ['a', 'b']) tokens.push(tokenOf(await send('PUT', `/v1/kv/b/${key}?session=new`, {}, HI)));
  for (const [query, headers] of [
    [`?session=${tokens.join(',')}`, {}],
    ['', { 'quoral-session': tokens.join(', ') }],
  ] as const) {
    node.reads.length = 0;
    for (const key of ['a', 'b']) await send('GET', `/v1/kv/b/${key}${query}`, headers);
    expect(node.reads.every(({ least }) => least !== undefined)).toBe(true);
  }
});

test('what is no token, or said twice, is refused', async () => {
  const { send, node } = harness();
  const token = tokenOf(await send('PUT', '/v1/kv/b/k?session=new', {}, HI));
  for (const [query, headers, field] of [
    ['?session=', {}, 'session'],
    ['?session=old', {}, 'session'],
    [`?session=new,${token}`, {}, 'session'],
    [`?session=${token}A`, {}, 'session'],
    ['', { 'quoral-session': 'newest' }, 'Quoral-Session'],
    [`?session=${token}`, { 'quoral-session': token }, 'session'],
  ] as const) {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const answer = await send(method, `/v1/kv/b/k${query}`, headers);
      expect([answer.status, jsonOf(answer)['field']], `${method} ${query}`).toEqual([400, field]);
    }
  }
  expect(node.reads).toEqual([]);
});

test('a session that cannot be met is 504, and goes on', async () => {
  const { send, node } = harness();
  const token = tokenOf(await send('PUT', '/v1/kv/b/k?session=new', {}, HI));
  node.read = async () => ({ kind: 'failed', trouble: 'session-not-met', detail: 'late', agreement: agreed(2) });
  const answer = await send('GET', `/v1/kv/b/k?session=${token}`);
  expect([answer.status, jsonOf(answer)['type']]).toEqual([504, 'urn:quoral:problem:session-not-met']);
  expect(tokenOf(answer)).toBe(token);
});

test('a write that may have been lost is nothing that reads wait for', async () => {
  const { send, node } = harness();
  const before = tokenOf(await send('GET', '/v1/kv/b/k?session=new'));
  const dot = { node: 1, tenure: 1, counter: 1 } as never;
  const detail = 'late';
  node.write = async () => ({ kind: 'unknown', trouble: 'quorum-timeout', detail, agreement: agreed(2), written: dot });
  expect(tokenOf(await send('PUT', `/v1/kv/b/k?session=${before}`, {}, HI))).toBe(before);
});

test('a key that had no room in the token is read at a strict quorum', async () => {
  const { send, node } = harness();
  let token = 'new';
  for (let i = 0; i < 200; i++) token = tokenOf(await send('PUT', `/v1/kv/b/k${i}?session=${token}`, {}, HI));
  expect(token.length).toBeLessThanOrEqual(4096);
  await send('GET', `/v1/kv/b/k0?r=1&session=${token}`);
  await send('GET', `/v1/kv/b/k0?consistency=local_quorum&session=${token}`);
  await send('GET', `/v1/kv/b/k0?r=all&session=${token}`);
  await send('GET', `/v1/kv/b/k199?r=1&session=${token}`);
  expect(node.reads.map(({ r, pr, zone }) => [r, pr, zone])).toEqual([
    [2, 2, undefined],
    [2, 2, undefined],
    [3, 2, undefined],
    [1, 0, undefined],
  ]);
  expect(node.reads[3]!.least).toBeDefined();
});

test('what takes no part in a session says so, instead of showing less than the session has seen', async () => {
  const { send } = harness();
  const token = tokenOf(await send('PUT', '/v1/kv/b/k?session=new', {}, HI));
  for (const path of ['/v1/kv/b', '/v1/watch/b?timeout=1']) {
    const answer = await send('GET', path, { 'quoral-session': token });
    expect([answer.status, jsonOf(answer)['field']], path).toEqual([400, 'Quoral-Session']);
  }
});
