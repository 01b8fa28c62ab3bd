/** Definitions of buckets: every property, what is refused, what is fixed once there are keys, and who knows it when. */

import { describe, expect, test } from 'vitest';
import { valuesOf } from './multipart.ts';
import { CLOSE, raw, rawOne } from './raw.ts';
import {
  call,
  contextOf,
  defineBucket,
  definedBucket,
  del,
  freshBucket,
  get,
  invalid,
  jsonOf,
  NAMES,
  problem,
  put,
} from './site.ts';

const DEFAULTS = {
  n: 3,
  r: 'quorum',
  w: 'quorum',
  pr: 0,
  pw: 0,
  dw: 'quorum',
  sloppy: true,
  conflicts: 'lww',
  consistency: 'eventual',
  type: 'value',
  ttl: null,
};

async function definition(bucket: string, at = NAMES[0]): Promise<unknown> {
  const answer = await get(`/v1/buckets/${bucket}`, { at });
  expect(answer.status, answer.body.toString()).toBe(200);
  return jsonOf(answer);
}

interface Listing {
  readonly buckets: readonly { readonly name: string; readonly properties: object }[];
}

async function listed(at = NAMES[0]): Promise<Listing['buckets']> {
  return (jsonOf(await get('/v1/buckets', { at })) as unknown as Listing).buckets;
}

export function bucketTests(): void {
  describe('a bucket that nobody has defined', () => {
    test('has the defaults, and is not listed', async () => {
      const bucket = freshBucket();
      expect(await definition(bucket)).toEqual(DEFAULTS);
      await put(`/v1/kv/${bucket}/k`, 'x');
      expect(await definition(bucket, 'n2')).toEqual(DEFAULTS);
      expect((await listed()).map(({ name }) => name)).not.toContain(bucket);
    });
  });

  describe('a definition', () => {
    test('is shown with every default filled in, at every node at once, and can be sent back', async () => {
      const bucket = freshBucket();
      const answer = await defineBucket(bucket, { r: 1, conflicts: 'siblings' }, 'n2');
      const whole = { ...DEFAULTS, r: 1, conflicts: 'siblings' };
      expect([answer.status, jsonOf(answer)]).toEqual([200, whole]);
      for (const at of NAMES) expect(await definition(bucket, at)).toEqual(whole);
      expect(jsonOf(await defineBucket(bucket, whole, 'n3'))).toEqual(whole);
      expect((await call('HEAD', `/v1/buckets/${bucket}`)).status).toBe(200);
    });

    test('is the whole definition: what it leaves out has its default again', async () => {
      const bucket = await definedBucket({ r: 1, w: 'all', sloppy: false });
      expect(jsonOf(await defineBucket(bucket, { w: 1 }))).toEqual({ ...DEFAULTS, w: 1 });
      expect(jsonOf(await defineBucket(bucket, {}, 'n3'))).toEqual(DEFAULTS);
    });

    test.each([
      { n: 1 },
      { n: 7, r: 7, w: 7, pr: 7, pw: 7, dw: 7 },
      { r: 'one', w: 'one', dw: 'one' },
      { r: 'all', w: 'all', pr: 'all', pw: 'all', dw: 'all' },
      { r: 'quorum', pr: 'quorum', w: 'quorum', pw: 'quorum' },
      { r: 3, w: 3, pr: 0, pw: 0, dw: 0 },
      { sloppy: false },
      { sloppy: true, conflicts: 'siblings', consistency: 'eventual', type: 'value', ttl: null },
    ])('may be %j', async (properties) => {
      const bucket = freshBucket();
      const answer = await defineBucket(bucket, properties);
      expect([answer.status, jsonOf(answer)]).toEqual([200, { ...DEFAULTS, ...properties }]);
      expect(await definition(bucket, 'n3')).toEqual({ ...DEFAULTS, ...properties });
    });

    test.each([
      ['n', [0, 8, -1, 1.5, '3', null, true, [], {}, 'all']],
      ['r', [0, 8, '2', 'two', null, true, 1.5, 'ALL', []]],
      ['w', [0, 8, '2', 'most', null, false]],
      ['pr', [-1, 8, '0', 'none', null]],
      ['pw', [-1, 8, '0', 'none', null]],
      ['dw', [-1, 8, '0', 'fsync', null]],
      ['sloppy', ['true', 1, null]],
      ['conflicts', ['LWW', 'none', null, true, 'sibling']],
      ['consistency', ['weak', 'quorum', null, 1]],
      ['type', ['string', null, 'values', 1]],
      ['ttl', [0, -1, 1.5, '60', true, 1e20]],
    ])('%s has bounds', async (name, wrong) => {
      const bucket = freshBucket();
      for (const value of wrong) invalid(await defineBucket(bucket, { [name]: value }), name);
      expect(await definition(bucket)).toEqual(DEFAULTS);
    });

    test.each([
      [{ r: 4 }, 'r'],
      [{ w: 4 }, 'w'],
      [{ n: 2, r: 3 }, 'r'],
      [{ n: 1, pw: 2 }, 'pw'],
      [{ r: 1, pr: 2 }, 'pr'],
      [{ w: 'one', pw: 'quorum' }, 'pw'],
      [{ w: 1, dw: 3 }, 'dw'],
    ])('%j asks for what cannot be', async (properties, field) => {
      invalid(await defineBucket(freshBucket(), properties), field);
    });

    test.each(['N', 'replicas', 'quorum', '__proto__', 'constructor', 'name', ''])(
      'has no property %j',
      async (name) => {
        const bucket = freshBucket();
        const answer = await call('PUT', `/v1/buckets/${bucket}`, {
          headers: { 'content-type': 'application/json' },
          body: `{${JSON.stringify(name)}: 1}`,
        });
        const members = problem(answer, 400, 'invalid-request');
        expect(members['detail']).toContain('n, r, w');
        expect(await definition(bucket)).toEqual(DEFAULTS);
      },
    );

    test.each(['', 'null', '[]', '1', '"n"', '{', '{"n":3', "{'n':3}", '{"n":03}', '{"n":3,}', '\u00ff\u00fe'])(
      'is a JSON object: %j is none',
      async (body) => {
        const head = `PUT /v1/buckets/${freshBucket()} HTTP/1.1\r\nContent-Type: application/json\r\n`;
        invalid(await rawOne([head, `Content-Length: ${body.length}\r\n`, CLOSE, body]), 'body');
      },
    );

    test('comes as application/json', async () => {
      const bucket = freshBucket();
      for (const contentType of [undefined, 'text/plain', 'application/jsonp', 'application/x-www-form-urlencoded']) {
        const headers = contentType === undefined ? {} : { 'content-type': contentType };
        problem(await put(`/v1/buckets/${bucket}`, '{}', { headers }), 415, 'unsupported-media-type');
      }
      for (const contentType of ['application/json; charset=utf-8', 'Application/JSON'])
        expect((await put(`/v1/buckets/${bucket}`, '{}', { headers: { 'content-type': contentType } })).status).toBe(
          200,
        );
      const large = JSON.stringify({ n: 3, x: 'x'.repeat(70_000) });
      const headers = { 'content-type': 'application/json' };
      problem(await put(`/v1/buckets/${bucket}`, large, { headers }), 413, 'value-too-large');
    });

    test('takes no parameters but a timeout', async () => {
      const bucket = freshBucket();
      problem(await get(`/v1/buckets/${bucket}?r=1`), 400, 'invalid-request');
      problem(await get('/v1/buckets?prefix=x'), 400, 'invalid-request');
      const headers = { 'content-type': 'application/json' };
      expect((await put(`/v1/buckets/${bucket}?timeout=10000`, '{}', { headers })).status).toBe(200);
      invalid(await put(`/v1/buckets/${bucket}?timeout=0`, '{}', { headers }), 'timeout');
    });

    test('rules every node as soon as it is confirmed', async () => {
      for (let i = 0; i < 6; i++) {
        const bucket = freshBucket();
        const at = NAMES[i % 3];
        expect((await defineBucket(bucket, { conflicts: 'siblings' }, at)).status).toBe(200);
        const others = NAMES.filter((name) => name !== at);
        for (const name of others) expect((await put(`/v1/kv/${bucket}/k`, name, { at: name })).status).toBe(204);
        expect(valuesOf(await get(`/v1/kv/${bucket}/k`, { at }))).toEqual(others.toSorted());
      }
    });

    test('is listed by name with its properties', async () => {
      const name = `list.${freshBucket()}`;
      await defineBucket(name, { n: 2 }, 'n3');
      for (const at of NAMES) {
        const all = await listed(at);
        expect(all.map(({ name }) => name)).toEqual(all.map(({ name }) => name).toSorted());
        expect(all.find((bucket) => bucket.name === name)?.properties).toEqual({ ...DEFAULTS, n: 2 });
      }
    });

    test('two at once, through different nodes, leave one of them, whole', async () => {
      const bucket = freshBucket();
      const wanted = [
        { r: 1, w: 3 },
        { r: 3, w: 1, dw: 0 },
        { r: 2, sloppy: false },
      ];
      const answers = await Promise.all(wanted.map((properties, i) => defineBucket(bucket, properties, NAMES[i])));
      for (const answer of answers) expect(answer.status, answer.body.toString()).toBe(200);
      const now = await definition(bucket);
      expect(wanted.map((properties) => ({ ...DEFAULTS, ...properties }))).toContainEqual(now);
      for (const at of NAMES) expect(await definition(bucket, at)).toEqual(now);
    });
  });

  describe('once a bucket holds keys', () => {
    test.each([
      ['conflicts', {}, { conflicts: 'siblings' }],
      ['conflicts', { conflicts: 'siblings' }, { conflicts: 'lww' }],
      ['n', {}, { n: 2 }],
      ['n', { n: 1 }, { n: 3 }],
    ])('%s of %j is fixed', async (field, before, after) => {
      const bucket = await definedBucket(before);
      await put(`/v1/kv/${bucket}/k`, 'x');
      for (const at of NAMES) {
        const answer = await defineBucket(bucket, after, at);
        expect(problem(answer, 409, 'conflict')).toMatchObject({ field, detail: expect.stringContaining(field) });
      }
      expect(await definition(bucket)).toEqual({ ...DEFAULTS, ...before });
      expect((await get(`/v1/kv/${bucket}/k`, { at: 'n2' })).body.toString()).toBe('x');
    });

    test('in one that nobody has defined too', async () => {
      const bucket = freshBucket();
      await put(`/v1/kv/${bucket}/k`, 'x', { at: 'n2' });
      problem(await defineBucket(bucket, { conflicts: 'siblings' }), 409, 'conflict');
    });

    test('a deleted key still counts, for its deletion is kept', async () => {
      const bucket = freshBucket();
      await put(`/v1/kv/${bucket}/k`, 'x');
      await del(`/v1/kv/${bucket}/k`);
      const answer = await defineBucket(bucket, { conflicts: 'siblings' });
      expect([200, 409]).toContain(answer.status);
    });

    test('everything else may change, and holds for what is there', async () => {
      const bucket = freshBucket();
      const written = await put(`/v1/kv/${bucket}/k`, 'x');
      expect((await defineBucket(bucket, { r: 'all', w: 1, sloppy: false })).status).toBe(200);
      const read = await get(`/v1/kv/${bucket}/k`, { at: 'n3' });
      expect(read.headers['quoral-replicas']).toContain('needed=3');
      expect(contextOf(read)).toBe(contextOf(written));
    });

    test('while it holds none, all may change', async () => {
      const bucket = await definedBucket({ n: 3, conflicts: 'siblings' });
      for (const properties of [{ n: 1 }, { n: 5, conflicts: 'siblings' }, { n: 3 }])
        expect((await defineBucket(bucket, properties, 'n2')).status).toBe(200);
    });
  });

  describe('a bucket that is dropped', () => {
    test('is empty at once, at every node, and has the defaults again', async () => {
      const bucket = await definedBucket({ conflicts: 'siblings', r: 1 });
      const target = `/v1/kv/${bucket}/k`;
      await put(target, 'a');
      await put(target, 'b', { at: 'n2' });
      const dropped = await del(`/v1/buckets/${bucket}`, { at: 'n3' });
      expect([dropped.status, dropped.body.length]).toEqual([204, 0]);
      for (const at of NAMES) {
        const gone = await get(target, { at });
        problem(gone, 404, 'not-found');
        expect(gone.headers['quoral-context']).toBeUndefined();
        expect(await definition(bucket, at)).toEqual(DEFAULTS);
        expect((await listed(at)).map(({ name }) => name)).not.toContain(bucket);
      }
    });

    test('begins a new life, under other rules, in which the old one cannot be met', async () => {
      const bucket = await definedBucket({ n: 1, conflicts: 'siblings' });
      const target = `/v1/kv/${bucket}/k`;
      const sent = { headers: { 'idempotency-key': 'of-the-old-life' } };
      const old = await put(target, 'old', sent);
      expect((await del(`/v1/buckets/${bucket}`)).status).toBe(204);
      expect((await defineBucket(bucket, { n: 3, conflicts: 'siblings' }, 'n2')).status).toBe(200);
      invalid(await put(target, 'x', { headers: { 'quoral-context': contextOf(old) } }), 'Quoral-Context');
      expect((await put(target, 'new', { ...sent, at: 'n3' })).status).toBe(204);
      for (const at of NAMES) expect((await get(target, { at })).body.toString()).toBe('new');
    });

    test('need not have been defined, nor be there', async () => {
      const bucket = freshBucket();
      await put(`/v1/kv/${bucket}/k`, 'x');
      for (const at of NAMES) expect((await del(`/v1/buckets/${bucket}`, { at })).status).toBe(204);
      problem(await get(`/v1/kv/${bucket}/k`), 404, 'not-found');
      expect((await del(`/v1/buckets/${freshBucket()}`)).status).toBe(204);
    });

    test('takes no parameters but a timeout', async () => {
      const bucket = await definedBucket({});
      problem(await del(`/v1/buckets/${bucket}?force=true`), 400, 'invalid-request');
      invalid(await del(`/v1/buckets/${bucket}?timeout=0`), 'timeout');
      invalid(await del('/v1/buckets/a%20b'), 'bucket');
      expect((await listed()).map(({ name }) => name)).toContain(bucket);
      expect((await del(`/v1/buckets/${bucket}?timeout=9000`)).status).toBe(204);
    });
  });

  describe('definitions over a socket', () => {
    test('requests sent ahead see the definitions before them', async () => {
      const bucket = freshBucket();
      const body = '{"conflicts":"siblings"}';
      const define = `PUT /v1/buckets/${bucket} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      const write = (value: string): string =>
        `PUT /v1/kv/${bucket}/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n${value}`;
      const answers = await raw([define + write('a') + write('b'), `GET /v1/kv/${bucket}/k HTTP/1.1\r\n`, CLOSE]);
      expect(answers.map(({ status }) => status)).toEqual([200, 204, 204, 300]);
    });
  });
}
