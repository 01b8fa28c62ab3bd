/** Values that live for a time: as long as they live they are like any other, and then they are gone everywhere. */

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { valuesOf } from './multipart.ts';
import {
  call,
  contextOf,
  defineBucket,
  definedBucket,
  del,
  etagOf,
  freshKey,
  get,
  invalid,
  jsonOf,
  NAMES,
  problem,
  put,
  siblingsKey,
  type Answer,
  type Sent,
} from './site.ts';

/** Long enough for a value with one second to live, on a busy machine too. */
const SOON_MS = 1600;

function touch(target: string, { headers, ...sent }: Sent = {}): Promise<Answer> {
  const json = { 'content-type': 'application/json' };
  return call('POST', target, { ...sent, headers: { ...json, ...headers }, body: '{"op":"touch"}' });
}

export function expiryTests(): void {
  describe('time to live', () => {
    test('a value is there until its time is over, and then at no node', async () => {
      const bucket = await definedBucket({ ttl: 1 });
      const [own, byBucket, longer, siblings] = [freshKey(), freshKey(bucket), freshKey(bucket), await siblingsKey()];
      const sent = { headers: { 'idempotency-key': 'short-lived' } };
      const tag = etagOf(await put(`${own}?ttl=1&w=all`, 'x', sent));
      await put(`${byBucket}?w=all`, 'x', { at: 'n2' });
      await put(`${longer}?ttl=3600&w=all`, 'stays', { at: 'n3' });
      await put(`${siblings}?ttl=1&w=all`, 'goes');
      await put(`${siblings}?w=all`, 'stays', { at: 'n2' });
      // The same again is the same version, with the end that it had.
      expect(etagOf(await put(`${own}?ttl=1`, 'x', { ...sent, at: 'n2' }))).toBe(tag);
      problem(await put(`${own}?ttl=2`, 'x', sent), 422, 'idempotency-mismatch');
      await sleep(SOON_MS);
      for (const at of NAMES) {
        for (const target of [own, byBucket]) {
          for (const query of ['', '?r=1', '?r=all']) problem(await get(target + query, { at }), 404, 'not-found');
          expect((await call('HEAD', target, { at })).status).toBe(404);
        }
        expect((await get(longer, { at })).body.toString()).toBe('stays');
        const left = await get(siblings, { at });
        expect([left.status, left.body.toString()]).toEqual([200, 'stays']);
      }
      problem(await put(own, 'y', { headers: { 'if-match': tag } }), 412, 'precondition-failed');
      problem(await put(own, 'y', { headers: { 'if-match': '*' } }), 412, 'precondition-failed');
      expect((await put(own, 'again', { headers: { 'if-none-match': '*' } })).status).toBe(204);
      expect((await get(own)).body.toString()).toBe('again');
    });

    test('so it is in a strong bucket, once for all', async () => {
      const bucket = await definedBucket({ consistency: 'strong' });
      const [brief, longer] = [freshKey(bucket), freshKey(bucket)];
      await put(`${brief}?ttl=1`, 'x', { at: 'n2' });
      await put(`${longer}?ttl=3600`, 'stays', { at: 'n3' });
      const there = await get(longer);
      expect(Date.parse(there.headers['quoral-expires']!)).toBeGreaterThan(Date.parse(there.headers['last-modified']!));
      await sleep(SOON_MS);
      for (const at of NAMES) problem(await get(brief, { at }), 404, 'not-found');
      expect((await put(brief, 'again', { headers: { 'if-none-match': '*' } })).status).toBe(204);
      expect((await get(longer, { at: 'n2' })).body.toString()).toBe('stays');
      expect(jsonOf(await defineBucket(bucket, { consistency: 'strong', ttl: 60 }))['ttl']).toBe(60);
    });

    test('a value that lives is like any other, and a write without a time ends the time', async () => {
      const target = freshKey();
      const end = Date.now() + 2000;
      await put(`${target}?ttl=2`, 'short');
      const short = await get(target, { at: 'n2' });
      // Later it may have ended by now.
      if (Date.now() < end) {
        expect(short.body.toString()).toBe('short');
        expect(Date.parse(short.headers['quoral-expires']!)).toBeGreaterThan(
          Date.parse(short.headers['last-modified']!),
        );
      }
      expect((await put(target, 'for good', { at: 'n3' })).status).toBe(204);
      const siblings = await siblingsKey();
      await put(`${siblings}?ttl=3600`, 'a');
      await put(siblings, 'b');
      const both = await get(siblings, { headers: { accept: 'application/json' } });
      const ends = (jsonOf(both)['siblings'] as { expires?: string }[]).filter(({ expires }) => expires !== undefined);
      expect(ends).toHaveLength(1);
      expect(valuesOf(await get(siblings))).toEqual(['a', 'b']);
      await sleep(SOON_MS + 1000);
      const forGood = await get(target);
      expect([forGood.body.toString(), forGood.headers['quoral-expires']]).toEqual(['for good', undefined]);
    });

    test.concurrent.each(['eventual', 'strong'] as const)(
      'a touch lets a value of an %s bucket live longer',
      async (consistency) => {
        const bucket = await definedBucket({ consistency, ttl: 4 });
        const [own, byBucket, left] = [freshKey(bucket), freshKey(bucket), freshKey(bucket)];
        const tag = etagOf(await put(own, 'x', { headers: { 'content-type': 'a/b', 'quoral-meta-a': '1' } }));
        await put(left, 'z');
        const sent = { headers: { 'idempotency-key': 'longer' } };
        expect(etagOf(await touch(`${own}?ttl=3600`, { at: 'n2', ...sent }))).toBe(tag);
        expect((await touch(`${own}?ttl=3600`, { at: 'n3', ...sent })).status).toBe(204);
        problem(await touch(`${own}?ttl=7200`, sent), 422, 'idempotency-mismatch');
        problem(await touch(own, { headers: { 'if-match': '"other"' } }), 412, 'precondition-failed');
        // Last of all: it must not end before it is touched, however slow all that was.
        await put(byBucket, 'y');
        await sleep(1200);
        const touched = await touch(`${byBucket}?return=body`, { headers: { 'if-match': '*' } });
        expect([touched.status, touched.body.toString()]).toEqual([200, 'y']);
        const end = Date.parse(touched.headers['quoral-expires']!);
        expect(end).toBeGreaterThan(Date.now());
        await sleep(3200);
        problem(await get(left), 404, 'not-found');
        for (const at of NAMES) {
          const read = await get(own, { at });
          expect([read.status, read.body.toString(), etagOf(read)]).toEqual([200, 'x', tag]);
          expect([read.headers['content-type'], read.headers['quoral-meta-a']]).toEqual(['a/b', '1']);
          if (Date.now() < end) expect((await get(byBucket, { at })).status).toBe(200);
        }
        // It never shortens, and what lives for ever goes on to do so.
        await touch(`${own}?ttl=1`);
        await put(`${left}?ttl=3600`, 'back', { headers: { 'if-none-match': '*' } });
        await sleep(Math.max(0, end - Date.now()) + 100);
        expect((await get(own)).body.toString()).toBe('x');
        problem(await get(byBucket), 404, 'not-found');
        for (const sent of [{}, { headers: { 'if-none-match': '*' } }])
          problem(await touch(byBucket, sent), 404, 'not-found');
        problem(await touch(byBucket, { headers: { 'if-match': '*' } }), 412, 'precondition-failed');
      },
    );

    test('a touch is no write: it brings back nothing that was deleted and replaces nothing that it has not seen', async () => {
      const [target, siblings] = [freshKey(), await siblingsKey()];
      problem(await touch(`${target}?ttl=60`), 404, 'not-found');
      invalid(await touch(target), 'ttl');
      const first = contextOf(await put(target, 'x'));
      await touch(`${target}?ttl=60`, { at: 'n2' });
      expect((await get(target)).headers['quoral-expires']).toBeUndefined();
      // Whoever has seen the value may replace it, whatever touched it since.
      expect((await put(target, 'y', { headers: { 'quoral-context': first } })).status).toBe(204);
      await del(target);
      problem(await touch(`${target}?ttl=60`, { at: 'n3' }), 404, 'not-found');
      const one = contextOf(await put(`${siblings}?ttl=100`, 'a'));
      await put(`${siblings}?ttl=100`, 'b', { at: 'n2' });
      const json = { headers: { accept: 'application/json' } };
      const both = await touch(`${siblings}?ttl=3600&return=body`, json);
      expect(both.status).toBe(300);
      for (const { expires } of jsonOf(both)['siblings'] as { expires: string }[])
        expect(Date.parse(expires)).toBeGreaterThan(Date.now() + 3_000_000);
      await del(siblings, { headers: { 'quoral-context': one } });
      expect((await get(siblings)).body.toString()).toBe('b');
    });

    test.each(['0', '-1', '1.5', '', 'x', '1s', '01', '1e3', '99999999999999999999'])('%j is none', async (text) => {
      const target = freshKey();
      invalid(await put(`${target}?ttl=${text}`, 'x'), 'ttl');
      problem(await get(target), 404, 'not-found');
    });

    test('is nothing that a reading could have', async () => {
      problem(await get(`${freshKey()}?ttl=5`), 400, 'invalid-request');
    });

    test('of a bucket may change while it holds keys', async () => {
      const bucket = await definedBucket({});
      const target = freshKey(bucket);
      await put(target, 'x');
      const answer = await defineBucket(bucket, { ttl: 60 });
      expect([answer.status, jsonOf(answer)['ttl']]).toEqual([200, 60]);
      expect((await get(target)).status).toBe(200);
    });
  });
}
