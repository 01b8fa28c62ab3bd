import { describe, expect, test } from 'vitest';
import { MAX_CONTENT_HEADERS, MAX_CONTENT_TYPE } from '#api/content-headers.ts';
import type { Trouble } from '#coordinator/requests.ts';
import { toBase64url } from '#kernel/base64.ts';
import { utf8 } from '#kernel/bytes.ts';
import { agreed } from './stub-services.ts';
import { harness, jsonOf, textOf } from './client.ts';
import { HI, keepsSiblings, expectProblem } from './key-requests.ts';

describe('a value', () => {
  test('with an empty Content-Type is as one without', async () => {
    for (const type of ['', '  ']) {
      const { node, send } = harness();
      await send('PUT', '/v1/kv/b/k', { 'Content-Type': type }, HI);
      expect(node.writes[0]!.content!.contentType).toBe('application/octet-stream');
    }
  });

  test('comes back as it went in, with everything beside it', async () => {
    const { send } = harness();
    const value = Uint8Array.from([0, 255, 13, 10, 128]);
    const headers = {
      'Content-Type': 'text/x; a="é"',
      'Content-Encoding': 'gzip',
      'Quoral-Meta-B': '2',
      'Quoral-Meta-a': 'ü',
    };
    expect((await send('PUT', '/v1/kv/b/k', headers, value)).status).toBe(204);
    const got = await send('GET', '/v1/kv/b/k');
    expect(got.status).toBe(200);
    expect(got.body).toEqual(value);
    expect(Object.fromEntries(got.headers)).toMatchObject({
      'content-type': 'text/x; a="é"',
      'content-encoding': 'gzip',
      'quoral-meta-a': 'ü',
      'quoral-meta-b': '2',
      'last-modified': 'Sun, 15 Jun 2025 15:06:40 GMT',
      'cache-control': 'no-store',
    });
  });

  test('may be empty, and has a type when none was given', async () => {
    const { send } = harness();
    await send('PUT', '/v1/kv/b/k');
    const got = await send('GET', '/v1/kv/b/k');
    expect([got.status, got.body.length, got.headers.get('content-type')]).toEqual([
      200,
      0,
      'application/octet-stream',
    ]);
  });

  test('has the same key in both forms of the path', async () => {
    const { send, node } = harness();
    await send('PUT', `/v1/kv64/b/${toBase64url(utf8('a/b'))}`, {}, HI);
    expect(textOf(await send('GET', '/v1/kv/b/a%2Fb'))).toBe('hi');
    await send('PUT', `/v1/kv64/b/${toBase64url(utf8('..'))}`, {}, HI);
    expect(node.writes.at(-1)!.key).toEqual(utf8('..'));
  });

  test('HEAD says what GET would, without the body', async () => {
    const { send } = harness();
    await send('PUT', '/v1/kv/b/k', { 'content-type': 'text/plain' }, HI);
    const head = await send('HEAD', '/v1/kv/b/k');
    const got = await send('GET', '/v1/kv/b/k');
    expect([head.status, head.body.length, head.headers.get('content-length')]).toEqual([200, 0, '2']);
    for (const name of ['etag', 'content-type', 'quoral-context', 'last-modified']) {
      expect(head.headers.get(name)).toBe(got.headers.get(name));
    }
    expect((await send('HEAD', '/v1/kv/b/absent')).status).toBe(404);
  });

  test('above the limit is refused, at the limit it is not', async () => {
    const { send, node } = harness((stub) => (stub.settings = { ...stub.settings, valueMaxBytes: 10 }));
    expect((await send('PUT', '/v1/kv/b/k', {}, new Uint8Array(10))).status).toBe(204);
    expectProblem(await send('PUT', '/v1/kv/b/k', {}, new Uint8Array(11)), 413, 'value-too-large', 'body');
    expectProblem(await send('PUT', '/v1/kv/b/k', { 'content-length': '11' }, HI), 413, 'value-too-large', 'body');
    expect(node.writes).toHaveLength(1);
  });

  test('has at most 8 KiB beside it', async () => {
    const { send } = harness();
    const most = MAX_CONTENT_HEADERS - 1;
    expect((await send('PUT', '/v1/kv/b/k', { 'quoral-meta-x': 'v'.repeat(most) })).status).toBe(204);
    expectProblem(await send('PUT', '/v1/kv/b/k', { 'quoral-meta-x': 'v'.repeat(most + 1) }), 431, 'headers-too-large');
    const coded = { 'content-encoding': 'gzip', 'quoral-meta-x': 'v'.repeat(most - 3) };
    expectProblem(await send('PUT', '/v1/kv/b/k', coded), 431, 'headers-too-large', 'Quoral-Meta-*');
    const type = { 'content-type': 't'.repeat(MAX_CONTENT_TYPE), 'quoral-meta-x': 'v'.repeat(most) };
    expect((await send('PUT', '/v1/kv/b/k', type)).status).toBe(204);
    const longer = { 'content-type': 't'.repeat(MAX_CONTENT_TYPE + 1) };
    expectProblem(await send('PUT', '/v1/kv/b/k', longer), 431, 'headers-too-large', 'Content-Type');
  });
});

describe('what every answer says', () => {
  test('who agreed, who coordinated, how long it took, and under which id', async () => {
    const { send } = harness();
    const put = await send('PUT', '/v1/kv/b/k?w=3', { 'X-Request-Id': 'mine' }, HI);
    expect(Object.fromEntries(put.headers)).toMatchObject({
      'quoral-replicas': 'acked=3; needed=3; of=3; fallbacks=0',
      'quoral-coordinator': 'n2',
      'x-request-id': 'mine',
    });
    expect(put.headers.get('server-timing')).toMatch(/^total;dur=\d+\.\d\d$/);
  });

  test('each request has an id of its own, in the answer and on its way', async () => {
    const { send, node } = harness();
    const ids = [await send('GET', '/v1/kv/b/k'), await send('GET', '/v1/kv/b/k'), await send('GET', '/nowhere')];
    const given = ids.map((answer) => answer.headers.get('x-request-id'));
    expect(new Set(given).size).toBe(3);
    expect(node.reads.map(({ requestId }) => requestId)).toEqual(given.slice(0, 2));
  });

  test.each(['', 'a b', 'x'.repeat(129), 'é'])('a request id %j is refused', async (id) => {
    const answer = await harness().send('GET', '/v1/kv/b/k', { 'x-request-id': id });
    expectProblem(answer, 400, 'invalid-request', 'X-Request-Id');
    expect(answer.headers.get('x-request-id')).toMatch(/^n1-/);
  });
});

describe('when the coordinator fails', () => {
  const statuses: readonly (readonly [Trouble, number])[] = [
    ['quorum-unavailable', 503],
    ['quorum-timeout', 504],
    ['not-ready', 503],
    ['overloaded', 429],
    ['disk-full', 507],
    ['too-many-siblings', 409],
    ['value-too-large', 413],
  ];

  test.each(statuses)('%s is %i, with the truth about the write', async (trouble, status) => {
    const { send, node } = harness();
    for (const kind of ['not-applied', 'unknown'] as const) {
      node.write = async () => ({
        kind,
        trouble,
        detail: 'why',
        agreement: { acked: 1, needed: 2, of: 3, fallbacks: 0 },
      });
      const answer = await send('PUT', '/v1/kv/b/k', {}, HI);
      expectProblem(answer, status, trouble);
      expect(jsonOf(answer)).toMatchObject({ detail: 'why', needed: 2, got: 1, outcome: kind });
      expect(answer.headers.get('quoral-replicas')).toBe('acked=1; needed=2; of=3; fallbacks=0');
      const retries = ['quorum-unavailable', 'not-ready', 'overloaded'].includes(trouble);
      expect(answer.headers.has('retry-after')).toBe(retries);
    }
    node.read = async () => ({ kind: 'failed', trouble, detail: 'why', agreement: agreed(2) });
    const read = await send('GET', '/v1/kv/b/k');
    expectProblem(read, status, trouble);
    expect(jsonOf(read)).not.toHaveProperty('outcome');
  });

  test('too many siblings come with the context that resolves them', async () => {
    const { send, node } = harness(keepsSiblings);
    await send('PUT', '/v1/kv/sib/k', {}, HI);
    const { context } = await node
      .services()
      .read(node.writes[0]!)
      .then((outcome) => {
        if (outcome.kind !== 'found') throw new Error('not found');
        return outcome;
      });
    node.write = async () => ({
      kind: 'not-applied',
      trouble: 'too-many-siblings',
      detail: '100',
      agreement: agreed(2),
      context,
    });
    const answer = await send('PUT', '/v1/kv/sib/k', {}, HI);
    expectProblem(answer, 409, 'too-many-siblings');
    expect(answer.headers.get('quoral-context')).toBe(
      (await send('GET', '/v1/kv/sib/k')).headers.get('quoral-context'),
    );
  });

  test('a bug is a 500 that tells the log everything and the client nothing, and leaves the write open', async () => {
    const { send, node } = harness();
    node.write = () => Promise.reject(new Error('secret detail'));
    const answer = await send('PUT', '/v1/kv/b/k', { 'x-request-id': 'r-1' }, HI);
    expectProblem(answer, 500, 'internal-error');
    expect(jsonOf(answer)['outcome']).toBe('unknown');
    expect(textOf(answer)).not.toContain('secret');
    expect(node.logged).toMatchObject([
      { event: 'request-crashed', fields: { requestId: 'r-1', route: '/v1/kv/:bucket/:key' } },
      { event: 'request-failed', fields: { requestId: 'r-1', status: 500 } },
    ]);
    expect(JSON.stringify(node.logged)).toContain('secret detail');
  });
});
