/** What was seen, and what may be replaced: contexts, siblings and conditions. */

import { describe, expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { harness, jsonOf, textOf } from './client.ts';
import { HI, keepsSiblings, expectProblem } from './key-requests.ts';

describe('contexts', () => {
  test('a read-modify-write replaces what was read', async () => {
    const { send } = harness(keepsSiblings);
    await send('PUT', '/v1/kv/sib/k', {}, utf8('a'));
    await send('PUT', '/v1/kv/sib/k', {}, utf8('b'));
    const both = await send('GET', '/v1/kv/sib/k');
    expect(both.status).toBe(300);
    const put = await send('PUT', '/v1/kv/sib/k', { 'Quoral-Context': both.headers.get('quoral-context')! }, utf8('c'));
    expect(put.headers.has('quoral-context')).toBe(true);
    const got = await send('GET', '/v1/kv/sib/k');
    expect([got.status, textOf(got)]).toEqual([200, 'c']);
  });

  test('a write that left another version beside it gives none: nobody has seen that one', async () => {
    const { send } = harness(keepsSiblings);
    expect((await send('PUT', '/v1/kv/sib/k', {}, utf8('a'))).headers.has('quoral-context')).toBe(true);
    const second = await send('PUT', '/v1/kv/sib/k', {}, utf8('b'));
    expect([second.status, second.headers.has('quoral-context'), second.headers.has('etag')]).toEqual([
      204,
      false,
      true,
    ]);
    const shown = await send('PUT', '/v1/kv/sib/k?return=body', {}, utf8('c'));
    expect([shown.status, shown.headers.has('quoral-context')]).toEqual([300, true]);
  });

  test('a delete with a context that does not cover all leaves the rest, and gives no context', async () => {
    const { send } = harness(keepsSiblings);
    const first = await send('PUT', '/v1/kv/sib/k', {}, utf8('a'));
    await send('PUT', '/v1/kv/sib/k', {}, utf8('b'));
    const headers = { 'quoral-context': first.headers.get('quoral-context')! };
    const deleted = await send('DELETE', '/v1/kv/sib/k', headers);
    expect([deleted.status, deleted.headers.has('quoral-context')]).toEqual([204, false]);
    expect(textOf(await send('GET', '/v1/kv/sib/k'))).toBe('b');
    const rest = await send('DELETE', '/v1/kv/sib/k?return=body', headers);
    expect([rest.status, textOf(rest)]).toEqual([200, 'b']);
  });

  test('a tombstone shows its context, an absent key has none', async () => {
    const { send } = harness();
    await send('PUT', '/v1/kv/b/k', {}, HI);
    const deleted = await send('DELETE', '/v1/kv/b/k');
    expect([deleted.status, deleted.headers.has('quoral-context'), deleted.headers.has('etag')]).toEqual([
      204,
      true,
      false,
    ]);
    const gone = await send('GET', '/v1/kv/b/k');
    expectProblem(gone, 404, 'not-found');
    expect(gone.headers.has('quoral-context')).toBe(true);
    const absent = await send('GET', '/v1/kv/b/absent');
    expectProblem(absent, 404, 'not-found');
    expect(absent.headers.has('quoral-context')).toBe(false);
    expect((await send('DELETE', '/v1/kv/b/absent')).status).toBe(204);
  });

  test('a context of another key, bucket or cluster, a broken or an empty one is refused', async () => {
    const { send, node } = harness();
    const { headers } = await send('PUT', '/v1/kv/b/k', {}, HI);
    const context = headers.get('quoral-context')!;
    const wrong = [
      ['/v1/kv/b/other', context],
      ['/v1/kv/c/k', context],
      ['/v1/kv/b/k', `${context.slice(0, -1)}${context.endsWith('A') ? 'E' : 'A'}`],
      ['/v1/kv/b/k', `${context}, ${context}`],
      ['/v1/kv/b/k', 'AAAA'],
      ['/v1/kv/b/k', ''],
      ['/v1/kv/b/k', '!'],
    ] as const;
    for (const [path, given] of wrong) {
      expect((await send('HEAD', path, { 'quoral-context': given })).status).toBe(400);
      for (const method of ['PUT', 'DELETE', 'GET']) {
        expectProblem(await send(method, path, { 'quoral-context': given }), 400, 'invalid-request', 'Quoral-Context');
      }
    }
    expect([node.writes.length, node.reads.length]).toEqual([1, 0]);
  });

  test('a good one means nothing to a read', async () => {
    const { send } = harness();
    const { headers } = await send('PUT', '/v1/kv/b/k', {}, HI);
    const got = await send('GET', '/v1/kv/b/k', { 'quoral-context': headers.get('quoral-context')! });
    expect([got.status, got.body]).toEqual([200, HI]);
  });

  test('a misspelt Quoral header is refused, as it may have been the context', async () => {
    const { send } = harness();
    expectProblem(await send('PUT', '/v1/kv/b/k', { 'Quoral-Contxt': 'x' }), 400, 'invalid-request');
    expectProblem(await send('DELETE', '/v1/kv/b/k', { 'Quoral-Meta-': 'x' }), 400, 'invalid-request');
  });
});

describe('siblings', () => {
  async function two(): Promise<ReturnType<typeof harness>> {
    const given = harness(keepsSiblings);
    await given.send('PUT', '/v1/kv/sib/k', { 'content-type': 'text/plain', 'quoral-meta-m': '1' }, utf8('one'));
    await given.send('PUT', '/v1/kv/sib/k', { 'content-type': 'image/x' }, Uint8Array.from([0xff, 0x0d, 0x0a]));
    return given;
  }

  test('as parts', async () => {
    const { send } = await two();
    const answer = await send('GET', '/v1/kv/sib/k');
    const boundary = /^multipart\/mixed; boundary="(.+)"$/.exec(answer.headers.get('content-type')!)![1]!;
    const [start, first, second, end] = Buffer.from(answer.body).toString('latin1').split(`--${boundary}`);
    expect([start, end]).toEqual(['', '--\r\n']);
    expect(first).toMatch(
      /^\r\nContent-Type: text\/plain\r\nETag: "[0-9a-f]{16}"\r\nLast-Modified: Sun, 15 Jun 2025 .* GMT\r\nquoral-meta-m: 1\r\n\r\none\r\n$/,
    );
    expect(second!.endsWith('\r\n\r\n\u00ff\r\n\r\n')).toBe(true);
  });

  test('as JSON', async () => {
    const { send } = await two();
    const answer = await send('GET', '/v1/kv/sib/k', { Accept: 'application/json' });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([300, 'application/json']);
    expect(jsonOf(answer)).toEqual({
      context: answer.headers.get('quoral-context'),
      siblings: [
        {
          etag: expect.stringMatching(/^[0-9a-f]{16}$/),
          contentType: 'text/plain',
          lastModified: '2025-06-15T15:06:40.001Z',
          meta: { m: '1' },
          value: 'b25l',
        },
        {
          etag: expect.stringMatching(/^[0-9a-f]{16}$/),
          contentType: 'image/x',
          lastModified: '2025-06-15T15:06:40.002Z',
          meta: {},
          value: '/w0K',
        },
      ],
    });
  });

  test('one of them, by its tag, without a context that would cover the others', async () => {
    const { send } = await two();
    const all = jsonOf(await send('GET', '/v1/kv/sib/k', { accept: 'application/json' }));
    const [first] = all['siblings'] as { etag: string }[];
    for (const tag of [first!.etag, `%22${first!.etag}%22`]) {
      const one = await send('GET', `/v1/kv/sib/k?sibling=${tag}`);
      expect([one.status, textOf(one), one.headers.get('etag')]).toEqual([200, 'one', `"${first!.etag}"`]);
      expect(one.headers.has('quoral-context')).toBe(false);
    }
    expectProblem(await send('GET', '/v1/kv/sib/k?sibling=0123456789abcdef'), 404, 'not-found', 'sibling');
    expectProblem(await send('GET', '/v1/kv/sib/absent?sibling=0123456789abcdef'), 404, 'not-found', 'sibling');
  });

  test('a tag of one does not match the set', async () => {
    const { send } = await two();
    const all = await send('GET', '/v1/kv/sib/k', { accept: 'application/json' });
    const [first] = jsonOf(all)['siblings'] as { etag: string }[];
    const set = all.headers.get('etag')!;
    expect(set).not.toBe(`"${first!.etag}"`);
    expect((await send('GET', '/v1/kv/sib/k', { 'if-none-match': `"${first!.etag}"` })).status).toBe(300);
    expect((await send('GET', '/v1/kv/sib/k', { 'if-none-match': set })).status).toBe(304);
  });
});

describe('conditional requests', () => {
  test('a cached copy', async () => {
    const { send } = harness();
    const { headers } = await send('PUT', '/v1/kv/b/k', {}, HI);
    const same = await send('GET', '/v1/kv/b/k', { 'if-none-match': headers.get('etag')! });
    expect([same.status, same.body.length, same.headers.get('etag')]).toEqual([304, 0, headers.get('etag')]);
    const failed = await send('GET', '/v1/kv/b/k', { 'if-match': '"0"' });
    expectProblem(failed, 412, 'precondition-failed', 'If-Match');
    expect(jsonOf(failed)).toMatchObject({
      detail: `If-Match: what is under the key has the ETag ${headers.get('etag')}`,
    });
    expect([failed.headers.get('etag'), failed.headers.has('quoral-context')]).toEqual([headers.get('etag'), false]);
    expectProblem(await send('GET', '/v1/kv/b/absent', { 'if-match': '*' }), 412, 'precondition-failed');
    expect((await send('GET', '/v1/kv/b/absent', { 'if-none-match': '*' })).status).toBe(404);
  });

  test('create only: on an absent key and on a tombstone, not on a value', async () => {
    const { send, node } = harness();
    const create = { 'if-none-match': '*' };
    expect((await send('PUT', '/v1/kv/b/k', create, HI)).status).toBe(204);
    const taken = await send('PUT', '/v1/kv/b/k', { 'if-match': '*', ...create }, HI);
    expectProblem(taken, 412, 'precondition-failed', 'If-None-Match');
    const absent = await send('PUT', '/v1/kv/b/absent', { 'if-match': '*', ...create }, HI);
    expectProblem(absent, 412, 'precondition-failed', 'If-Match');
    expect(jsonOf(absent)).toMatchObject({ detail: 'If-Match: there is nothing under the key' });
    await send('DELETE', '/v1/kv/b/k');
    expect((await send('PUT', '/v1/kv/b/k', create, HI)).status).toBe(204);
    expect(node.writes).toHaveLength(5);
  });

  test('replace only: the tag stands for the context of what it names', async () => {
    const { send } = harness(keepsSiblings);
    const first = await send('PUT', '/v1/kv/sib/k', {}, utf8('a'));
    const replaced = await send('PUT', '/v1/kv/sib/k', { 'if-match': first.headers.get('etag')! }, utf8('b'));
    expect(replaced.status).toBe(204);
    expect(textOf(await send('GET', '/v1/kv/sib/k'))).toBe('b');
    const late = await send('DELETE', '/v1/kv/sib/k', { 'if-match': first.headers.get('etag')! });
    expectProblem(late, 412, 'precondition-failed');
    expect(late.headers.get('etag')).toBe(replaced.headers.get('etag'));
    expectProblem(await send('PUT', '/v1/kv/sib/absent', { 'if-match': '*' }), 412, 'precondition-failed');
    expect(late.headers.has('quoral-context')).toBe(false);
  });

  test('a conditional write takes its conditions and its r to where it is judged', async () => {
    const { send, node } = harness();
    await send('PUT', '/v1/kv/b/k?r=3', { 'if-none-match': 'W/"a", "b"' }, HI);
    const ifNoneMatch = [
      { weak: true, opaque: 'a' },
      { weak: false, opaque: 'b' },
    ];
    expect(node.writes[0]).toMatchObject({ r: 3, conditions: { ifMatch: undefined, ifNoneMatch } });
    await send('PUT', '/v1/kv/b/k', {}, HI);
    expect(node.writes[1]!.conditions).toBeNull();
  });
});
