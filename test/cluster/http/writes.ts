/** Putting, reading and deleting one value, and what a context covers. */

import { describe, expect, test } from 'vitest';
import { valuesOf } from './multipart.ts';
import { CLOSE, rawOne } from './raw.ts';
import {
  call,
  contextOf,
  definedBucket,
  del,
  etagOf,
  freshBucket,
  freshKey,
  get,
  invalid,
  jsonOf,
  makeSiblings,
  NAMES,
  problem,
  put,
  siblingsKey,
} from './site.ts';

const JSON_WANTED = { accept: 'application/json' };

export function writeTests(): void {
  describe('PUT', () => {
    test('answers 204 with the tag and the context of what was written, at any node', async () => {
      for (const at of NAMES) {
        const target = freshKey();
        const answer = await put(target, at, { at });
        expect([answer.status, answer.body.length]).toEqual([204, 0]);
        contextOf(answer);
        for (const other of NAMES) {
          const read = await get(target, { at: other });
          expect([read.status, read.body.toString(), etagOf(read)]).toEqual([200, at, etagOf(answer)]);
        }
      }
    });

    test('each write has a tag of its own, also of the same value', async () => {
      const target = freshKey();
      const tags = new Set<string>();
      for (let i = 0; i < 5; i++) tags.add(etagOf(await put(target, 'same')));
      expect(tags.size).toBe(5);
    });

    test('answers with the object when it is asked for', async () => {
      const target = freshKey();
      const headers = { 'content-type': 'text/x', 'quoral-meta-a': 'b' };
      const answer = await put(`${target}?return=body`, 'value', { headers, at: 'n2' });
      expect([answer.status, answer.body.toString()]).toEqual([200, 'value']);
      expect(answer.headers).toMatchObject({ 'content-type': 'text/x', 'quoral-meta-a': 'b' });
      const read = await get(target);
      expect([etagOf(read), contextOf(read)]).toEqual([etagOf(answer), contextOf(answer)]);
      for (const word of ['', 'head', 'BODY', 'true']) invalid(await put(`${target}?return=${word}`, 'x'), 'return');
      expect((await get(target)).body.toString()).toBe('value');
    });

    test('answers with all siblings and their context when it is asked for', async () => {
      const target = await siblingsKey();
      await makeSiblings(target, 'one');
      const answer = await put(`${target}?return=body`, 'two', { at: 'n3' });
      expect(answer.status).toBe(300);
      expect(valuesOf(answer)).toEqual(['one', 'two']);
      const merged = await put(target, 'both', { headers: { 'quoral-context': contextOf(answer) } });
      expect(merged.status).toBe(204);
      expect((await get(target)).body.toString()).toBe('both');
    });
  });

  describe('GET and HEAD', () => {
    test('of a key that never was answer 404 without a context', async () => {
      const target = freshKey();
      const answer = await get(target);
      problem(answer, 404, 'not-found');
      expect(answer.headers['quoral-context']).toBeUndefined();
      expect(answer.headers['etag']).toBeUndefined();
      expect((await call('HEAD', target)).status).toBe(404);
    });

    test('of a deleted key answer 404 with a context', async () => {
      const target = freshKey();
      await put(target, 'x');
      await del(target);
      for (const method of ['GET', 'HEAD']) {
        const answer = await call(method, target, { at: 'n2' });
        expect(answer.status).toBe(404);
        expect(answer.headers['etag']).toBeUndefined();
        contextOf(answer);
      }
    });

    test('HEAD has the header of GET and no body', async () => {
      const plain = freshKey();
      await put(plain, 'twelve bytes', { headers: { 'content-type': 'text/plain' } });
      const siblings = await siblingsKey();
      await makeSiblings(siblings, 'a', 'b');
      const volatile = /^(connection|date|x-request-id|server-timing|quoral-coordinator|content-type|keep-alive)$/;
      for (const target of [plain, siblings, `${siblings}?r=1`, freshKey()]) {
        const [full, head] = [await get(target), await call('HEAD', target)];
        expect(head.status).toBe(full.status);
        expect(head.body.length).toBe(0);
        const stable = (headers: Readonly<Record<string, string>>): object =>
          Object.fromEntries(Object.entries(headers).filter(([name]) => !volatile.test(name)));
        expect(stable(head.headers)).toEqual(stable(full.headers));
        expect(head.headers['content-length']).toBe(String(full.body.length));
      }
    });

    test('shows when a value was written', async () => {
      const target = freshKey();
      await put(target, 'x');
      const { headers } = await get(target);
      expect(headers['last-modified']).toMatch(/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
      expect(Math.abs(Date.parse(headers['last-modified']!) - Date.now())).toBeLessThan(60_000);
    });
  });

  describe('DELETE', () => {
    test('answers 204, also for a key that is not there', async () => {
      const target = freshKey();
      const absent = await del(target);
      expect([absent.status, absent.body.length]).toEqual([204, 0]);
      await put(target, 'x');
      expect((await del(target, { at: 'n2' })).status).toBe(204);
      expect((await del(target, { at: 'n3' })).status).toBe(204);
      problem(await get(target), 404, 'not-found');
      const back = await put(target, 'again');
      expect(back.status).toBe(204);
      expect((await get(target)).body.toString()).toBe('again');
    });

    test('without a context takes away all siblings that it finds', async () => {
      const target = await siblingsKey();
      await makeSiblings(target, 'a', 'b', 'c');
      expect((await del(target)).status).toBe(204);
      const gone = await get(target, { at: 'n2' });
      problem(gone, 404, 'not-found');
      contextOf(gone);
    });

    test('with a context takes away what that covers, and a write that it does not cover survives', async () => {
      const target = await siblingsKey();
      const [first] = await makeSiblings(target, 'seen');
      await makeSiblings(target, 'not seen');
      expect((await del(target, { headers: { 'quoral-context': contextOf(first!) } })).status).toBe(204);
      const left = await get(target, { at: 'n3' });
      expect([left.status, left.body.toString()]).toEqual([200, 'not seen']);
    });

    test('where the later write wins, a delete is later than what was there, and a PUT later than the delete', async () => {
      const target = freshKey();
      const first = await put(target, 'one');
      await put(target, 'two');
      expect((await del(target, { headers: { 'quoral-context': contextOf(first) } })).status).toBe(204);
      problem(await get(target), 404, 'not-found');
      await put(target, 'three', { headers: { 'quoral-context': contextOf(first) } });
      expect((await get(target)).body.toString()).toBe('three');
    });

    test('a context of the deletion makes the next write follow it', async () => {
      const target = await siblingsKey();
      await put(target, 'old');
      await del(target);
      const gone = await get(target);
      const answer = await put(target, 'new', { headers: { 'quoral-context': contextOf(gone) } });
      contextOf(answer);
      const read = await get(target);
      expect([read.status, read.body.toString()]).toEqual([200, 'new']);
    });

    test('at the same time as PUTs never brings back what was there before', async () => {
      for (let round = 0; round < 10; round++) {
        const target = await siblingsKey();
        await put(target, 'before', { at: 'n1' });
        const [put1, gone] = await Promise.all([put(target, 'during', { at: 'n2' }), del(target, { at: 'n3' })]);
        expect([put1.status, gone.status]).toEqual([204, 204]);
        const [one, other] = [await get(`${target}?r=all`, { at: 'n1' }), await get(target, { at: 'n3' })];
        expect(one.body.toString()).not.toContain('before');
        expect(other.status).toBe(one.status);
      }
    });
  });

  describe('contexts', () => {
    test('a write without one is concurrent with what is there', async () => {
      const target = await siblingsKey();
      await makeSiblings(target, 'a', 'b');
      expect(valuesOf(await get(target, { headers: JSON_WANTED }))).toEqual(['a', 'b']);
    });

    test('a write with the one that was read replaces what was read', async () => {
      const target = await siblingsKey();
      await makeSiblings(target, 'a', 'b', 'c');
      const read = await get(target, { at: 'n2' });
      const answer = await put(target, 'abc', { headers: { 'quoral-context': contextOf(read) }, at: 'n3' });
      expect(answer.status).toBe(204);
      const after = await get(target);
      expect([after.status, after.body.toString()]).toEqual([200, 'abc']);
    });

    test('a write with an old one leaves what it does not cover', async () => {
      const target = await siblingsKey();
      const [first] = await makeSiblings(target, 'one');
      await makeSiblings(target, 'two');
      const headers = { 'quoral-context': contextOf(first!) };
      const answer = await put(target, 'three', { headers });
      expect(answer.headers['quoral-context']).toBeUndefined();
      expect(valuesOf(await get(target))).toEqual(['three', 'two']);
      // The same once more: what was written with it does not follow from it.
      await put(target, 'four', { headers });
      expect(valuesOf(await get(target))).toEqual(['four', 'three', 'two']);
    });

    test('the answer to a write has one only when nothing else is live beside it', async () => {
      const target = await siblingsKey();
      const first = await put(target, 'one');
      contextOf(first);
      const second = await put(target, 'two');
      expect([second.status, second.headers['quoral-context']]).toEqual([204, undefined]);
      const partly = await del(target, { headers: { 'quoral-context': contextOf(first) } });
      expect([partly.status, partly.headers['quoral-context']]).toEqual([204, undefined]);
      const next = await put(target, 'three', { headers: { 'quoral-context': contextOf(await get(target)) } });
      contextOf(next);
      contextOf(await del(target, { headers: { 'quoral-context': contextOf(next) } }));
    });

    test('the one of a write is as good as that of a read', async () => {
      const target = await siblingsKey();
      let context: string | undefined;
      for (const [index, value] of ['a', 'b', 'c'].entries()) {
        const headers = context === undefined ? {} : { 'quoral-context': context };
        context = contextOf(await put(target, value, { at: NAMES[index], headers }));
      }
      expect((await get(target)).body.toString()).toBe('c');
    });

    test('a single sibling comes without one', async () => {
      const target = await siblingsKey();
      const answers = await makeSiblings(target, 'a', 'b');
      const all = jsonOf(await get(target, { headers: JSON_WANTED }));
      const [{ etag }] = all['siblings'] as [{ etag: string }];
      const one = await get(`${target}?sibling=${encodeURIComponent(etag)}`);
      expect([one.status, one.headers['quoral-context']]).toEqual([200, undefined]);
      expect(answers).toHaveLength(2);
    });

    test('a broken one is refused, whatever the request, and nothing happens', async () => {
      const target = await siblingsKey();
      const context = contextOf(await put(target, 'kept'));
      const flipped = (context.startsWith('A') ? 'B' : 'A') + context.slice(1);
      const last = context.slice(0, -1) + (context.endsWith('A') ? 'Q' : 'A');
      const broken = [
        '',
        'A',
        'AA',
        '*',
        '0'.repeat(40),
        `${context}=`,
        `${context}A`,
        context.slice(1),
        flipped,
        last,
      ];
      broken.push(context.slice(0, -4), `${context}, ${context}`, context.toUpperCase(), `"${context}"`);
      for (const text of broken) {
        const headers = { 'quoral-context': text };
        invalid(await put(target, 'x', { headers }), 'Quoral-Context');
        invalid(await del(target, { headers, at: 'n2' }), 'Quoral-Context');
      }
      expect((await get(target)).body.toString()).toBe('kept');
    });

    test('a foreign one is refused: of another key, another bucket', async () => {
      const target = await siblingsKey();
      const foreign = [contextOf(await put(await siblingsKey(), 'x')), contextOf(await put(freshKey(), 'x'))];
      for (const context of foreign) {
        invalid(await put(target, 'x', { headers: { 'quoral-context': context } }), 'Quoral-Context');
        invalid(await del(target, { headers: { 'quoral-context': context } }), 'Quoral-Context');
      }
      problem(await get(target), 404, 'not-found');
    });

    test('is good at every node', async () => {
      const target = await siblingsKey();
      let answer = await put(target, '0');
      for (let i = 1; i < 6; i++) {
        answer = await put(target, String(i), { at: NAMES[i % 3], headers: { 'quoral-context': contextOf(answer) } });
        expect(answer.status).toBe(204);
      }
      expect((await get(target)).body.toString()).toBe('5');
    });
  });

  describe('later', () => {
    test('a write that has seen another wins over it, through whichever node it goes', async () => {
      const target = freshKey();
      for (let i = 0; i < 30; i++) {
        await put(target, String(i), { at: NAMES[i % 3] });
        expect((await get(target, { at: NAMES[(i + 1) % 3] })).body.toString()).toBe(String(i));
      }
    });

    test('writes at the same time leave one of them, the same everywhere', async () => {
      const target = freshKey();
      const values = Array.from({ length: 12 }, (_, i) => `v${i}`);
      await Promise.all(values.map((value, i) => put(target, value, { at: NAMES[i % 3] })));
      const reads = await Promise.all(NAMES.map((at) => get(`${target}?r=all`, { at })));
      expect(new Set(reads.map(({ body }) => body.toString())).size).toBe(1);
      expect(values).toContain(reads[0]!.body.toString());
      expect(reads.map(({ status }) => status)).toEqual([200, 200, 200]);
    });

    test('no write that was confirmed is lost among concurrent ones where siblings are kept', async () => {
      const target = await siblingsKey();
      const values = Array.from({ length: 20 }, (_, i) => `v${i}`);
      const answers = await Promise.all(values.map((value, i) => put(target, value, { at: NAMES[i % 3] })));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]));
      expect(valuesOf(await get(target))).toEqual(values.toSorted());
    });
  });

  describe('methods', () => {
    test.each([
      ['PATCH', 'DELETE, GET, HEAD, POST, PUT'],
      ['OPTIONS', 'DELETE, GET, HEAD, POST, PUT'],
      ['PROPFIND', 'DELETE, GET, HEAD, POST, PUT'],
      ['TRACE', 'DELETE, GET, HEAD, POST, PUT'],
    ])('%s does not apply to a key, and the answer says what does', async (method, allowed) => {
      for (const target of [freshKey(), '/v1/kv64/b/aw']) {
        const answer = await rawOne([`${method} ${target} HTTP/1.1\r\n`, CLOSE]);
        problem(answer, 405, 'method-not-allowed');
        expect(answer.headers['allow']?.split(', ').toSorted().join(', ')).toBe(allowed);
      }
    });

    test.each([
      ['POST', '/v1/buckets/b', ['DELETE', 'GET', 'HEAD', 'PUT']],
      ['PUT', '/v1/buckets', ['GET', 'HEAD']],
      ['DELETE', '/v1/kv/b', ['GET', 'HEAD']],
      ['PUT', '/livez', ['GET', 'HEAD']],
      ['POST', '/metrics', ['GET', 'HEAD']],
      ['GET', '/v1/batch', ['POST']],
      ['DELETE', '/v1/ring', ['GET', 'HEAD']],
    ])('%s %s names what applies there', async (method, target, allowed) => {
      const answer = await call(method, target);
      problem(answer, 405, 'method-not-allowed');
      expect(answer.headers['allow']?.split(', ').toSorted()).toEqual(allowed);
    });

    test('a key of a bucket of values takes no operation on data types', async () => {
      const target = freshKey();
      const headers = { 'content-type': 'application/json' };
      invalid(await call('POST', target, { headers, body: '{"op":"increment","by":5}' }), 'bucket');
      problem(await get(target), 404, 'not-found');
    });

    test('what is not built yet says so, instead of doing something weaker', async () => {
      const headers = { 'if-unmodified-since': 'Thu, 01 Jan 2026 00:00:00 GMT' };
      problem(await put(freshKey(), 'x', { headers }), 501, 'not-implemented');
    });

    test('a path that leads nowhere is 404 with every method', async () => {
      for (const method of ['GET', 'PUT', 'DELETE', 'POST', 'PATCH'])
        for (const target of ['/', '/v1', '/v1/nothing', '/v2/kv/b/k', '/v1/kv', '/metrics/x', '/favicon.ico'])
          problem(await call(method, target), 404, 'not-found');
    });
  });

  describe('what is kept apart', () => {
    test('two buckets with other rules hold the same keys on their own terms', async () => {
      const [lww, siblings] = [freshBucket(), await definedBucket({ conflicts: 'siblings' })];
      for (const bucket of [lww, siblings]) for (const value of ['a', 'b']) await put(`/v1/kv/${bucket}/k`, value);
      expect((await get(`/v1/kv/${lww}/k`)).body.toString()).toBe('b');
      expect(valuesOf(await get(`/v1/kv/${siblings}/k`))).toEqual(['a', 'b']);
    });
  });
}
