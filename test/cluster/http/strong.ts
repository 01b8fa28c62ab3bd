/** Buckets in which every read and write has its place in one order, whichever node it goes through. */

import { beforeAll, describe, expect, test } from 'vitest';
import { call, defineBucket, definedBucket, del, etagOf, freshKey, get, jsonOf, NAMES, problem, put } from './site.ts';

export function strongTests(): void {
  let bucket: string;
  beforeAll(async () => {
    bucket = await definedBucket({ consistency: 'strong' });
  });
  const key = (): string => freshKey(bucket);

  describe('a strong bucket', () => {
    test('shows itself as one, and keeps no siblings', async () => {
      for (const at of NAMES)
        expect(jsonOf(await get(`/v1/buckets/${bucket}`, { at }))).toMatchObject({
          consistency: 'strong',
          conflicts: 'lww',
        });
      const answer = await defineBucket('never', { consistency: 'strong', conflicts: 'siblings' });
      expect(problem(answer, 400, 'invalid-request')['field']).toBe('conflicts');
    });

    test('reads what was written last, at any node', async () => {
      const target = key();
      problem(await get(target), 404, 'not-found');
      for (let i = 0; i < 12; i++) {
        const written = await put(target, String(i), { at: NAMES[i % 3], headers: { 'content-type': 'a/b' } });
        expect(written.status, written.body.toString()).toBe(204);
        const read = await get(target, { at: NAMES[(i + 1) % 3] });
        expect([read.status, read.body.toString(), etagOf(read)]).toEqual([200, String(i), etagOf(written)]);
        expect(read.headers['content-type']).toBe('a/b');
      }
      expect((await del(target, { at: 'n3' })).status).toBe(204);
      for (const at of NAMES) problem(await get(target, { at }), 404, 'not-found');
    });

    test('compares and sets: of many that begin with the same, one wins', async () => {
      const target = key();
      const made = await Promise.all(
        Array.from({ length: 9 }, (_, i) =>
          put(target, `made by ${i}`, { at: NAMES[i % 3], headers: { 'if-none-match': '*' } }),
        ),
      );
      const winners = made.flatMap((answer, i) => (answer.status === 204 ? [i] : []));
      for (const answer of made) if (answer.status !== 204) expect([412, 429, 503, 504]).toContain(answer.status);
      expect(winners.length).toBeLessThanOrEqual(1);
      const read = await get(target);
      if (winners.length === 1) expect(read.body.toString()).toBe(`made by ${winners[0]}`);
    });

    test('counts right when every client compares and sets', async () => {
      const target = key();
      await put(target, '0');
      const increment = async (at: (typeof NAMES)[number]): Promise<void> => {
        for (;;) {
          const read = await get(target, { at });
          if (read.status !== 200) continue;
          const next = String(Number(read.body.toString()) + 1);
          const answer = await put(target, next, { at, headers: { 'if-match': etagOf(read) } });
          if (answer.status === 204) return;
          expect([412, 429, 503], answer.body.toString()).toContain(answer.status);
        }
      };
      await Promise.all(Array.from({ length: 6 }, (_, i) => increment(NAMES[i % 3]!)));
      expect((await get(target)).body.toString()).toBe('6');
    });

    test('judges conditions like any other', async () => {
      const target = key();
      problem(await put(target, 'x', { headers: { 'if-match': '*' } }), 412, 'precondition-failed');
      const tag = etagOf(await put(target, 'x'));
      problem(await put(target, 'y', { headers: { 'if-match': '"other"' } }), 412, 'precondition-failed');
      expect((await get(target, { headers: { 'if-none-match': tag } })).status).toBe(304);
      expect((await del(target, { headers: { 'if-match': tag } })).status).toBe(204);
      problem(await del(target, { headers: { 'if-match': tag } }), 412, 'precondition-failed');
      expect((await put(target, 'again', { headers: { 'if-none-match': '*' } })).status).toBe(204);
    });

    test.each([
      'r=1',
      'w=2',
      'pr=0',
      'pw=0',
      'dw=1',
      'sloppy=true',
      'sloppy=false',
      'consistency=quorum',
      'consistency=all',
    ])('has one way to read and write, so %s is refused with the reason', async (query) => {
      const target = key();
      for (const method of ['GET', 'PUT', 'DELETE']) {
        const members = problem(await call(method, `${target}?${query}`), 400, 'invalid-request');
        expect(members['detail']).toMatch(/strong/);
        expect(members['field']).toBe(query.split('=')[0]);
      }
      problem(await get(target), 404, 'not-found');
    });

    test('takes a timeout, the wish to see the object, and a key for retries', async () => {
      const target = key();
      const sent = { headers: { 'idempotency-key': 'strong-1', 'if-none-match': '*' } };
      const first = await put(`${target}?timeout=9000&return=body`, 'once', sent);
      expect([first.status, first.body.toString()]).toEqual([200, 'once']);
      const again = await put(`${target}?return=body`, 'once', { ...sent, at: 'n2' });
      expect([again.status, etagOf(again)]).toEqual([200, etagOf(first)]);
      problem(await put(target, 'other', { ...sent, at: 'n3' }), 422, 'idempotency-mismatch');
    });

    test('forgets numbered requests that are over, and makes no late copy of one', async () => {
      const target = key();
      const send = (number: number, below: number, value: string): ReturnType<typeof put> => {
        const headers = { 'idempotency-key': `series:${number}`, 'quoral-answered-below': String(below) };
        return put(target, value, { at: NAMES[number % 3], headers });
      };
      const first = await send(1, 1, 'first');
      expect([first.status, (await send(2, 1, 'second')).status, (await send(1, 1, 'first')).status]).toEqual([
        204, 204, 204,
      ]);
      expect((await send(3, 3, 'third')).status).toBe(204);
      const late = problem(await send(1, 1, 'first'), 422, 'idempotency-mismatch');
      expect(late['detail']).toMatch(/Quoral-Answered-Below/);
      expect((await get(target)).body.toString()).toBe('third');
      const wrong = [
        [{ 'quoral-answered-below': '1' }, 'Quoral-Answered-Below'],
        [{ 'quoral-answered-below': '0', 'idempotency-key': 'series:1' }, 'Quoral-Answered-Below'],
        [{ 'quoral-answered-below': '5', 'idempotency-key': 'series:4' }, 'Idempotency-Key'],
        [{ 'quoral-answered-below': '5', 'idempotency-key': 'series' }, 'Idempotency-Key'],
      ] as const;
      for (const [headers, field] of wrong)
        expect(problem(await put(target, 'x', { headers }), 400, 'invalid-request')['field']).toBe(field);
    });

    test('says what happened', async () => {
      const target = key();
      const written = await put(target, 'x');
      for (const answer of [written, await get(target, { at: 'n2' }), await call('HEAD', target), await del(target)]) {
        expect(answer.headers['quoral-replicas']).toMatch(/^acked=[123]; needed=[123]; of=3; fallbacks=0$/);
        expect(answer.headers['quoral-coordinator']).toMatch(/^n[123]$/);
      }
    });

    test('is fixed as one once it holds keys', async () => {
      const own = await definedBucket({ consistency: 'strong' });
      await put(`/v1/kv/${own}/k`, 'x');
      problem(await defineBucket(own, {}), 409, 'conflict');
      const other = await definedBucket({});
      await put(`/v1/kv/${other}/k`, 'x');
      problem(await defineBucket(other, { consistency: 'strong' }), 409, 'conflict');
    });
  });
}
