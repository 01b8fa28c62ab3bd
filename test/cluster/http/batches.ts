/** Many operations in one request. */

import { pack, unpack } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import {
  call,
  definedBucket,
  freshBucket,
  get,
  invalid,
  jsonOf,
  NAMES,
  problem,
  put,
  type Answer,
  type Name,
} from './site.ts';

interface Result extends Record<string, unknown> {
  readonly status: number;
}

function send(operations: unknown, query = '', at: Name = 'n1'): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  return call('POST', `/v1/batch${query}`, { headers, body: JSON.stringify({ operations }), at });
}

async function resultsOf(operations: readonly object[], query = '', at: Name = 'n1'): Promise<readonly Result[]> {
  const answer = await send(operations, query, at);
  expect(answer.status, answer.body.toString()).toBe(200);
  return jsonOf(answer)['results'] as Result[];
}

export function batchTests(): void {
  describe('batches', () => {
    test('show data types as a read of each by itself does', async () => {
      const bucket = await definedBucket({ type: 'set' });
      const headers = { 'content-type': 'application/json' };
      await call('POST', `/v1/kv/${bucket}/k`, { headers, body: '{"op":"add","values":["a"]}' });
      const [read] = await resultsOf([{ op: 'get', bucket, key: 'k' }]);
      expect(read).toMatchObject({ status: 200, contentType: 'application/json' });
      expect(read!['value']).toBe((await get(`/v1/kv/${bucket}/k`)).body.toString());
      const packed = pack({ operations: [{ op: 'get', bucket, key: 'k' }] });
      const answer = await call('POST', '/v1/batch', {
        headers: { 'content-type': 'application/msgpack' },
        body: packed,
      });
      const { results } = unpack(answer.body) as { results: Result[] };
      expect(JSON.parse(Buffer.from(results[0]!['value'] as Uint8Array).toString())).toMatchObject({ value: ['a'] });
    });

    test('carry everything that a value has beside it', async () => {
      const bucket = freshBucket();
      const value = { value64: 'AP8=', contentType: 'image/png', contentEncoding: 'gzip', meta: { Shop: 'north' } };
      expect(await resultsOf([{ op: 'put', bucket, key: 'k', ttl: 3600, ...value }])).toMatchObject([{ status: 204 }]);
      const [read] = await resultsOf([{ op: 'get', bucket, key: 'k' }]);
      expect(read).toMatchObject({ status: 200, ...value, meta: { shop: 'north' } });
      expect(Date.parse(String(read!['expires']))).toBeGreaterThan(Date.now() + 3_500_000);
      for (const meta of [{ 'a b': 'x' }, { '': 'x' }, { ü: 'x' }, { a: 'x\n' }]) {
        const answer = await send([{ op: 'put', bucket, key: 'wrong', value: 'x', meta }]);
        const body = jsonOf(answer) as { results?: Result[] };
        expect(body.results?.[0]?.status ?? answer.status, JSON.stringify(meta)).toBe(400);
      }
      expect(await resultsOf([{ op: 'get', bucket, key: 'wrong' }])).toMatchObject([{ status: 404 }]);
    });

    test('write, read and delete many keys, each with its own result, at every node', async () => {
      const bucket = freshBucket();
      const puts = Array.from({ length: 300 }, (_, i) => ({ op: 'put', bucket, key: `k ${i}`, value: `v${i}` }));
      expect((await resultsOf(puts)).every(({ status, etag }) => status === 204 && etag !== undefined)).toBe(true);
      for (const at of NAMES) {
        const results = await resultsOf(
          puts.map(({ key }) => ({ op: 'get', bucket, key })),
          '',
          at,
        );
        expect(results.map(({ status, value }) => [status, value])).toEqual(puts.map(({ value }) => [200, value]));
      }
      await resultsOf(puts.slice(0, 100).map(({ key }) => ({ op: 'delete', bucket, key })));
      const gone = await resultsOf(puts.map(({ key }) => ({ op: 'get', bucket, key })));
      expect(gone.map(({ status }) => status)).toEqual(puts.map((_, i) => (i < 100 ? 404 : 200)));
    });

    test('show and take what single requests show and take', async () => {
      const bucket = freshBucket();
      const headers = { 'content-type': 'text/plain', 'quoral-meta-shop': 'north' };
      const single = await put(`/v1/kv/${bucket}/a`, 'hé', { headers });
      const [a, bytes] = await resultsOf([
        { op: 'get', bucket, key: 'a' },
        { op: 'put', bucket, key64: Buffer.from('b').toString('base64url'), value64: '/wD+', contentType: 'image/x' },
      ]);
      expect(a).toMatchObject({ status: 200, value: 'hé', contentType: 'text/plain', meta: { shop: 'north' } });
      const { etag = '', lastModified = '' } = a as Record<string, string>;
      expect([`"${etag}"`, new Date(lastModified).toISOString()]).toEqual([single.headers['etag'], lastModified]);
      expect(
        await resultsOf([
          ...[etag, `"${etag}"`].map((ifNoneMatch) => ({ op: 'get', bucket, key: 'a', ifNoneMatch })),
          { op: 'put', bucket, key: 'a', value: 'x', ifNoneMatch: etag },
        ]),
      ).toMatchObject([304, 304, 412].map((status) => ({ status, etag })));
      expect(bytes).toMatchObject({ status: 204 });
      const read = await get(`/v1/kv/${bucket}/b`);
      expect([read.headers['content-type'], [...read.body]]).toEqual(['image/x', [255, 0, 254]]);
      expect(await resultsOf([{ op: 'get', bucket, key: 'b' }])).toMatchObject([{ status: 200, value64: '/wD+' }]);
      const context = a!['context'] as string;
      const [replaced] = await resultsOf([{ op: 'put', bucket, key: 'a', value: 'next', context, ttl: 60 }]);
      expect(replaced).toMatchObject({ status: 204 });
      expect(await resultsOf([{ op: 'put', bucket, key: 'a', value: 'x', ifNoneMatch: '*' }])).toMatchObject([
        { status: 412, problem: { status: 412 } },
      ]);
    });

    test('what is asked of one key, by its name in either form, is done in its order', async () => {
      const bucket = freshBucket();
      const key64 = Buffer.from('ü').toString('base64url');
      const steps = [
        { op: 'get', bucket, key: 'ü' },
        { op: 'put', bucket, key: 'ü', value: '1' },
        { op: 'get', bucket, key64 },
        { op: 'put', bucket, key64, value: '2' },
        { op: 'get', bucket, key: 'ü' },
        { op: 'delete', bucket, key: 'ü' },
        { op: 'get', bucket, key: 'ü' },
        { op: 'get', bucket, key: 'other' },
      ];
      const results = await resultsOf(steps);
      expect(results.map(({ status, value }) => value ?? status)).toEqual([404, 204, '1', 204, '2', 204, 404, 404]);
    });

    test('base64 from which something is missing is not stored', async () => {
      const bucket = freshBucket();
      const wrong = ['A', 'AAAAA', 'A===', 'AP8=x', 'A P8'];
      const puts = wrong.map((value64, i) => ({ op: 'put', bucket, key: `k${i}`, value64 }));
      for (const { status, problem: why } of await resultsOf(puts))
        expect([status, why]).toMatchObject([400, { field: 'value64' }]);
      expect(jsonOf(await get(`/v1/kv/${bucket}`))['keys']).toEqual([]);
    });

    test('siblings come with the context that replaces them', async () => {
      const bucket = await definedBucket({ conflicts: 'siblings' });
      for (const value of ['x', 'y']) await put(`/v1/kv/${bucket}/k`, value);
      const [both] = await resultsOf([{ op: 'get', bucket, key: 'k' }]);
      expect(both).toMatchObject({ status: 300, siblings: [{}, {}] });
      await resultsOf([{ op: 'put', bucket, key: 'k', value: 'z', context: both!['context'] }]);
      expect((await get(`/v1/kv/${bucket}/k`)).body.toString()).toBe('z');
    });

    test('are MessagePack for those who send that, with bytes as bytes', async () => {
      const bucket = freshBucket();
      const headers = { 'content-type': 'application/msgpack' };
      const body = (operations: readonly object[]): Buffer => pack({ operations });
      const value = Uint8Array.of(0, 255, 1);
      const wrote = await call('POST', '/v1/batch', { headers, body: body([{ op: 'put', bucket, key: 'k', value }]) });
      expect(wrote.headers['content-type']).toBe('application/msgpack');
      const read = await call('POST', '/v1/batch', { headers, body: body([{ op: 'get', bucket, key: 'k' }]) });
      const { results } = unpack(read.body) as { results: { status: number; value: Uint8Array }[] };
      expect([results[0]!.status, [...results[0]!.value]]).toEqual([200, [0, 255, 1]]);
      invalid(await call('POST', '/v1/batch', { headers, body: Buffer.from([0x81]) }), 'body');
      const never = Buffer.from([0xc1]);
      for (const [wrong, field] of [
        [never, 'body'],
        [Buffer.concat([pack({ operations: [0] }).subarray(0, -1), never]), 'operations[0]'],
      ] as const) {
        const members = invalid(await call('POST', '/v1/batch', { headers, body: wrong }), field);
        expect(members['detail']).toContain('0xc1 is no MessagePack');
      }
    });

    test('one bad operation is its own trouble; a malformed batch does nothing at all', async () => {
      const bucket = freshBucket();
      const good = { op: 'put', bucket, key: 'good', value: 'x' };
      const results = await resultsOf([
        good,
        { op: 'put', bucket, key: 'none' },
        { op: 'get', bucket, key: 'k', value: 'x' },
        { op: 'put', bucket, key: 'k'.repeat(1025), value: 'x' },
        ...['a/b', '..', '%41', ''].map((other) => ({ op: 'get', bucket: other, key: 'k' })),
        { op: 'put', bucket, key: 'big', value: 'x'.repeat(4 * 1024 * 1024 + 1) },
      ]);
      expect(results.map(({ status }) => status)).toEqual([204, 400, 400, 400, 400, 400, 400, 400, 413]);
      const second = { ...good, key: 'second' };
      invalid(await send([second, { ...second, extra: 1 }]), 'operations[1].extra');
      invalid(await send([second, { ...second, op: 'steal' }]), 'operations[1].op');
      invalid(await send([second, { ...second, bucket: 7 }]), 'operations[1].bucket');
      const lines = invalid(await send([{ ...second, contentType: 'a/b\r\nx: y' }]), 'operations[0].contentType');
      expect(lines['detail']).toContain('that a header field can hold');
      invalid(await send([]), 'operations');
      invalid(await send(Array.from({ length: 1001 }, () => second)), 'operations');
      invalid(await send([second], '?session=new'), 'session');
      const key = { 'content-type': 'application/json', 'idempotency-key': 'x' };
      const body = JSON.stringify({ operations: [second] });
      invalid(await call('POST', '/v1/batch', { headers: key, body }), 'idempotency-key');
      const session = { 'content-type': 'application/json', 'quoral-session': 'new' };
      invalid(await call('POST', '/v1/batch', { headers: session, body }), 'Quoral-Session');
      problem(await call('POST', '/v1/batch', { body }), 415, 'unsupported-media-type');
      problem(await get(`/v1/kv/${bucket}/second`), 404, 'not-found');
    });

    test('say of each operation which of its client are over', async () => {
      const bucket = await definedBucket({ consistency: 'strong' });
      const put = (number: number, answeredBelow: number): object => {
        return { op: 'put', bucket, key: 'k', value: `v${number}`, idempotencyKey: `s:${number}`, answeredBelow };
      };
      const statuses = async (operations: readonly object[]): Promise<readonly number[]> =>
        (await resultsOf(operations)).map(({ status }) => status);
      expect(await statuses([put(1, 1)])).toEqual([204]);
      expect(await statuses([put(2, 2)])).toEqual([204]);
      expect(await statuses([put(1, 1), put(2, 2), put(1, 2)])).toEqual([422, 204, 400]);
      const [wrong] = await resultsOf([{ op: 'get', bucket, key: 'k', answeredBelow: 1 }]);
      expect(wrong).toMatchObject({ status: 400, problem: { field: 'answeredBelow' } });
      for (const answeredBelow of [0, 1.5, '1', 2 ** 53])
        invalid(await send([{ ...put(3, 3), answeredBelow }]), 'operations[0].answeredBelow');
      const headers = { 'content-type': 'application/json', 'quoral-answered-below': '1' };
      const body = JSON.stringify({ operations: [put(3, 3)] });
      invalid(await call('POST', '/v1/batch', { headers, body }), 'quoral-answered-below');
      expect((await get(`/v1/kv/${bucket}/k`)).body.toString()).toBe('v2');
    });

    test('parameters hold for every operation', async () => {
      const bucket = freshBucket();
      const results = await resultsOf([{ op: 'put', bucket, key: 'k', value: 'x' }], '?w=all&dw=1');
      expect(results).toMatchObject([{ status: 204, replicas: 'acked=3; needed=3; of=3; fallbacks=0' }]);
      invalid(await send([{ op: 'get', bucket, key: 'k' }], '?r=x'), 'r');
      const [refused] = await resultsOf([{ op: 'get', bucket, key: 'k' }], '?r=4');
      expect(refused).toMatchObject({ status: 400, problem: { field: 'r' } });
    });

    test('values that are too much for one answer have to be read by themselves', async () => {
      const bucket = freshBucket();
      const keys = ['a', 'b', 'c', 'd'];
      for (const key of keys) await put(`/v1/kv/${bucket}/${key}`, Buffer.alloc(3 * 1024 * 1024, key));
      const results = await resultsOf(keys.map((key) => ({ op: 'get', bucket, key })));
      expect(results.map(({ status }) => status)).toEqual([200, 200, 413, 413]);
    });
  });
}
