/** Sessions: what a client has written and read is what it reads at least from then on, at whatever node and level. */

import { describe, expect, test } from 'vitest';
import { CLOSE, rawOne } from './raw.ts';
import {
  call,
  definedBucket,
  del,
  freshKey,
  get,
  invalid,
  NAMES,
  problem,
  put,
  siblingsKey,
  type Answer,
} from './site.ts';

export function sessionOf(answer: Answer): string {
  const token = answer.headers['quoral-session'];
  expect(token, `no session in ${answer.status} ${answer.body.toString()}`).toMatch(/^[A-Za-z0-9_.~-]+$/);
  return token!;
}

const inSession = (token: string): { headers: Record<string, string> } => ({ headers: { 'quoral-session': token } });

export function sessionTests(): void {
  describe('sessions', () => {
    test('begin with the word new, and every answer of one has a token', async () => {
      const target = freshKey();
      const answers = [
        await get(`${target}?session=new`),
        await put(`${target}?session=new`, 'x', { at: 'n2' }),
        await get(`${target}?session=new`, { at: 'n3' }),
        await call('HEAD', `${target}?session=new`),
        await put(`${target}?session=new`, 'y', { headers: { 'if-none-match': '*' } }),
        await get(`${target}?session=new`, { headers: { 'if-none-match': '*' } }),
        await del(`${target}?session=new`),
      ];
      expect(answers.map(({ status }) => status)).toEqual([404, 204, 200, 200, 412, 304, 204]);
      for (const answer of answers) sessionOf(answer);
      const begun = await get(target, inSession('new'));
      expect(begun.status).toBe(404);
      sessionOf(begun);
    });

    test('are not begun by themselves', async () => {
      const target = freshKey();
      for (const answer of [await put(target, 'x'), await get(target), await del(target)])
        expect(answer.headers['quoral-session']).toBeUndefined();
    });

    test('read what they wrote, from any one replica', async () => {
      for (let round = 0; round < 15; round++) {
        const target = freshKey();
        const written = await put(`${target}?w=1&dw=0&session=new`, `value ${round}`, { at: NAMES[round % 3] });
        const token = sessionOf(written);
        for (const at of NAMES) {
          const read = await get(`${target}?r=1`, { at, ...inSession(token) });
          expect([read.status, read.body.toString()]).toEqual([200, `value ${round}`]);
        }
      }
    });

    test('see what they deleted as deleted', async () => {
      for (let round = 0; round < 8; round++) {
        const target = freshKey();
        await put(`${target}?w=all`, 'x');
        const gone = await del(`${target}?w=1&dw=0&session=new`, { at: NAMES[round % 3] });
        for (const at of NAMES)
          problem(await get(`${target}?r=1`, { at, ...inSession(sessionOf(gone)) }), 404, 'not-found');
      }
    });

    test('never read less than they have read', async () => {
      const target = freshKey();
      const writing = (async () => {
        for (let i = 1; i <= 40; i++) await put(`${target}?w=1&dw=0`, String(i), { at: 'n1' });
      })();
      let token = sessionOf(await get(`${target}?session=new`));
      let seen = 0;
      for (let i = 0; i < 60; i++) {
        const read = await get(`${target}?r=1`, { at: NAMES[i % 3], ...inSession(token) });
        expect([200, 404]).toContain(read.status);
        const value = read.status === 404 ? 0 : Number(read.body.toString());
        expect(value).toBeGreaterThanOrEqual(seen);
        seen = value;
        token = sessionOf(read);
      }
      await writing;
    });

    test('grow with each answer, also over many keys', async () => {
      const targets = Array.from({ length: 8 }, () => freshKey());
      let token = 'new';
      for (const [index, target] of targets.entries()) {
        const written = await put(`${target}?w=1&dw=0&session=${token}`, String(index), { at: NAMES[index % 3] });
        expect(written.status).toBe(204);
        expect(sessionOf(written)).not.toBe(token);
        token = sessionOf(written);
      }
      for (const [index, target] of targets.entries()) {
        const read = await get(`${target}?r=1&session=${token}`, { at: NAMES[(index + 1) % 3] });
        expect(read.body.toString()).toBe(String(index));
      }
    });

    test('of two clients can be joined', async () => {
      const [one, other] = [freshKey(), freshKey()];
      const first = sessionOf(await put(`${one}?w=1&dw=0&session=new`, 'one', { at: 'n1' }));
      const second = sessionOf(await put(`${other}?w=1&dw=0&session=new`, 'other', { at: 'n2' }));
      for (const both of [`${first},${second}`, `${second}, ${first}`]) {
        const read = await get(`${one}?r=1`, { at: 'n3', ...inSession(both) });
        expect(read.body.toString()).toBe('one');
        const joined = await get(`${other}?r=1`, { at: 'n3', ...inSession(sessionOf(read)) });
        expect(joined.body.toString()).toBe('other');
      }
      expect((await get(`${one}?r=1&session=${first},${second}`, { at: 'n3' })).body.toString()).toBe('one');
    });

    test('keep siblings apart all the same: a token is no context', async () => {
      const target = await siblingsKey();
      const token = sessionOf(await put(`${target}?session=new`, 'a'));
      expect((await put(target, 'b', inSession(token))).status).toBe(204);
      expect((await get(target)).status).toBe(300);
    });

    test('with a broken token, or none in its place, are refused', async () => {
      const target = freshKey();
      const token = sessionOf(await put(`${target}?session=new`, 'kept'));
      const broken = ['', 'old', 'AAAA', token.slice(1), token.slice(0, -2), `${token}A`, `${token},`, `,${token}`];
      broken.push(`${token},new`, token.toLowerCase() === token ? token.toUpperCase() : token.toLowerCase());
      for (const text of broken) {
        for (const method of ['GET', 'PUT', 'DELETE'])
          invalid(await call(method, `${target}?session=${encodeURIComponent(text)}`), 'session');
        if (text === '') continue;
        invalid(await get(target, inSession(text)), 'Quoral-Session');
      }
      problem(await get(`${target}?session=new`, inSession(token)), 400, 'invalid-request');
      expect((await get(target)).body.toString()).toBe('kept');
    });

    test('may send their tokens in two fields', async () => {
      const target = freshKey();
      const first = sessionOf(await put(`${target}?w=1&dw=0&session=new`, 'x'));
      const second = sessionOf(await get(`${freshKey()}?session=new`));
      const fields = `Quoral-Session: ${first}\r\nQuoral-Session: ${second}\r\n`;
      const read = await rawOne([`GET ${target}?r=1 HTTP/1.1\r\n${fields}`, CLOSE], 'n2');
      expect([read.status, read.body.toString()]).toEqual([200, 'x']);
    });

    test('go on when the bucket is dropped: its next life owes nothing to the last', async () => {
      const bucket = await definedBucket({});
      const target = `/v1/kv/${bucket}/k`;
      const token = sessionOf(await put(`${target}?session=new`, 'old'));
      expect((await del(`/v1/buckets/${bucket}`)).status).toBe(204);
      problem(await get(`${target}?timeout=2000`, inSession(token)), 404, 'not-found');
    });
  });
}
