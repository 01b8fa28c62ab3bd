import { describe, expect, test } from 'vitest';
import { MAX_CONTENT_HEADERS, MAX_CONTENT_TYPE } from '#api/content-headers.ts';
import type { InProcessAnswer } from '#api/in-process.ts';
import type { Trouble } from '#coordinator/requests.ts';
import { toBase64url, utf8 } from '#kernel/bytes.ts';
import { agreed, type StubNode } from './stub-services.ts';
import { harness, jsonOf, textOf } from './client.ts';

const HI = utf8('hi');

function siblings(node: StubNode): void {
  node.properties.set('sib', { conflicts: 'siblings' });
}

function expectProblem(answer: InProcessAnswer, status: number, code: string, field?: string): void {
  expect(jsonOf(answer)).toMatchObject({
    type: `urn:quoral:problem:${code}`,
    status,
    title: expect.any(String),
    detail: expect.any(String),
    ...(field === undefined ? {} : { field }),
  });
  expect(answer.status).toBe(status);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
}

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

describe('contexts', () => {
  test('a read-modify-write replaces what was read', async () => {
    const { send } = harness(siblings);
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
    const { send } = harness(siblings);
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
    const { send } = harness(siblings);
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
      for (const method of ['PUT', 'DELETE']) {
        expectProblem(await send(method, path, { 'quoral-context': given }), 400, 'invalid-request', 'Quoral-Context');
      }
    }
    expect(node.writes).toHaveLength(1);
  });

  test('a misspelt Quoral header is refused, as it may have been the context', async () => {
    const { send } = harness();
    expectProblem(await send('PUT', '/v1/kv/b/k', { 'Quoral-Contxt': 'x' }), 400, 'invalid-request');
    expectProblem(await send('DELETE', '/v1/kv/b/k', { 'Quoral-Meta-': 'x' }), 400, 'invalid-request');
  });
});

describe('siblings', () => {
  async function two(): Promise<ReturnType<typeof harness>> {
    const given = harness(siblings);
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
    expectProblem(failed, 412, 'precondition-failed');
    expect([failed.headers.get('etag'), failed.headers.has('quoral-context')]).toEqual([headers.get('etag'), false]);
    expectProblem(await send('GET', '/v1/kv/b/absent', { 'if-match': '*' }), 412, 'precondition-failed');
    expect((await send('GET', '/v1/kv/b/absent', { 'if-none-match': '*' })).status).toBe(404);
  });

  test('create only: on an absent key and on a tombstone, not on a value', async () => {
    const { send, node } = harness();
    const create = { 'if-none-match': '*' };
    expect((await send('PUT', '/v1/kv/b/k', create, HI)).status).toBe(204);
    expectProblem(await send('PUT', '/v1/kv/b/k', create, HI), 412, 'precondition-failed');
    await send('DELETE', '/v1/kv/b/k');
    expect((await send('PUT', '/v1/kv/b/k', create, HI)).status).toBe(204);
    expect(node.writes).toHaveLength(4);
  });

  test('replace only: the tag stands for the context of what it names', async () => {
    const { send } = harness(siblings);
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

describe('consistency', () => {
  test('numbers, words and defaults reach the coordinator', async () => {
    const { send, node } = harness();
    await send('GET', '/v1/kv/b/k?r=all&pr=1&sloppy=false');
    expect(node.reads[0]).toMatchObject({ r: 3, pr: 1, sloppy: false });
    await send('PUT', '/v1/kv/b/k?w=one');
    expect(node.writes[0]).toMatchObject({ w: 1, pw: 0, dw: 1, sloppy: true });
    await send('PUT', '/v1/kv/b/k?consistency=strict_quorum');
    expect(node.writes[1]).toMatchObject({ w: 2, pw: 2, dw: 2, sloppy: false });
    await send('DELETE', '/v1/kv/b/k?r=1&w=3');
    expect(node.writes[2]).toMatchObject({ content: null, context: null, r: 1, w: 3 });
  });

  test('local_quorum names the zone of the node, whose owners decide the numbers', async () => {
    const { send, node } = harness();
    await send('GET', '/v1/kv/b/k?consistency=local_quorum');
    await send('GET', '/v1/kv/b/k');
    expect(node.reads.map(({ zone }) => zone)).toEqual(['z1', undefined]);
    await send('PUT', '/v1/kv/b/k?consistency=local_quorum', {}, HI);
    expect(node.writes[0]).toMatchObject({ zone: 'z1' });
  });

  test('the deadline is the timeout from now', async () => {
    const { send, node } = harness();
    const now = performance.now();
    await send('GET', '/v1/kv/b/k?timeout=60000');
    expect(node.reads[0]!.deadline).toBeGreaterThanOrEqual(now + 60_000);
    await send('GET', '/v1/kv/b/k');
    expect(node.reads[1]!.deadline).toBeLessThan(now + 60_000);
  });

  test.each([
    ['r=4', 'r'],
    ['r=0', 'r'],
    ['w=abc', 'w'],
    ['w=', 'w'],
    ['w=-1', 'w'],
    ['w=01', 'w'],
    ['w=1.5', 'w'],
    ['w=4', 'w'],
    ['dw=3&w=2', 'dw'],
    ['pw=quorum&w=1', 'pw'],
    ['r=1&r=1', 'r'],
    ['sloppy=yes', 'sloppy'],
    ['consistency=eventual', 'consistency'],
    ['consistency=quorum&r=1', 'consistency'],
    ['consistency=quorum&sloppy=true', 'consistency'],
    ['timeout=0', 'timeout'],
    ['timeout=60001', 'timeout'],
    ['timeout=1e3', 'timeout'],
    ['timeout=', 'timeout'],
    ['return=all', 'return'],
    ['quorum=1', 'quorum'],
    ['sibling=x', 'sibling'],
  ])('PUT with %s is refused', async (query, field) => {
    const { send, node } = harness();
    expectProblem(await send('PUT', `/v1/kv/b/k?${query}`, {}, HI), 400, 'invalid-request', field);
    expect(node.writes).toHaveLength(0);
  });

  test.each([
    ['r=4', 'r'],
    ['pr=2&r=1', 'pr'],
    ['w=abc', 'w'],
    ['w=0', 'w'],
    ['w=4', 'w'],
    ['dw=3&w=2', 'dw'],
    ['pw=quorum&w=1', 'pw'],
    ['ttl=1', 'ttl'],
    ['return=body', 'return'],
  ])('GET with %s is refused', async (query, field) => {
    expectProblem(await harness().send('GET', `/v1/kv/b/k?${query}`), 400, 'invalid-request', field);
  });

  test('a number that the bucket allows and the cluster cannot meet is 503', async () => {
    const { send, node } = harness((stub) => (stub.members = 2));
    const answer = await send('PUT', '/v1/kv/b/k?w=3', {}, HI);
    expectProblem(answer, 503, 'quorum-unavailable');
    expect(jsonOf(answer)).toMatchObject({ needed: 3, got: 2, outcome: 'not-applied' });
    expect(answer.headers.get('retry-after')).toBe('1');
    expectProblem(await send('GET', '/v1/kv/b/k?r=3'), 503, 'quorum-unavailable');
    expect(node.writes).toHaveLength(0);
  });

  test("a bucket's own r that cannot be met does not stop a write that reads nothing", async () => {
    const { send } = harness((stub) => {
      stub.members = 2;
      stub.properties.set('b', { r: 3 });
    });
    expect((await send('PUT', '/v1/kv/b/k', {}, HI)).status).toBe(204);
    expectProblem(await send('DELETE', '/v1/kv/b/k'), 503, 'quorum-unavailable');
    expectProblem(await send('PUT', '/v1/kv/b/k', { 'if-none-match': '*' }), 503, 'quorum-unavailable');
  });
});

describe('ttl', () => {
  test.each([
    ['b', '', 0],
    ['b', '?ttl=5', 5000],
    ['brief', '', 60_000],
    ['brief', '?ttl=1', 1000],
    ['b', '?ttl=3153600000', 3_153_600_000_000],
  ])('in bucket %s with "%s" a value lives for %d milliseconds', async (bucket, query, milliseconds) => {
    const { send, node } = harness((stub) => stub.properties.set('brief', { ttl: 60 }));
    expect((await send('PUT', `/v1/kv/${bucket}/k${query}`, {}, HI)).status).toBe(204);
    expect(node.writes[0]?.ttl).toBe(milliseconds);
  });

  test.each(['0', '-1', '1.5', '', 'x', '1e3', '01', '3153600001', '99999999999999999999'])(
    'ttl=%s is refused',
    async (ttl) => {
      const { send, node } = harness();
      expectProblem(await send('PUT', `/v1/kv/b/k?ttl=${ttl}`, {}, HI), 400, 'invalid-request', 'ttl');
      expect(node.writes).toHaveLength(0);
    },
  );

  test('a deletion does not expire', async () => {
    expectProblem(await harness().send('DELETE', '/v1/kv/b/k?ttl=5'), 400, 'invalid-request', 'ttl');
  });
});

describe('modes that are not built yet are refused, never weakened', () => {
  test('conditions on dates', async () => {
    const { send, node } = harness();
    const answer = await send('PUT', '/v1/kv/b/k', { 'If-Unmodified-Since': 'x' });
    expectProblem(answer, 501, 'not-implemented', 'If-Unmodified-Since');
    expect([node.reads, node.writes]).toEqual([[], []]);
  });

  test('a partial write is no mode at all', async () => {
    const answer = await harness().send('PUT', '/v1/kv/b/k', { 'Content-Range': 'bytes 0-1/2' }, HI);
    expectProblem(answer, 400, 'invalid-request', 'Content-Range');
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
    const { send, node } = harness(siblings);
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
