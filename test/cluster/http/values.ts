/** What is put comes back as it was: bytes, media type, encoding, metadata; and how large it may be. */

import { describe, expect, test } from 'vitest';
import { CLOSE, rawOne } from './raw.ts';
import { call, freshKey, get, invalid, problem, put } from './site.ts';

const MIB = 1024 * 1024;

function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

async function comesBack(value: Uint8Array): Promise<void> {
  const target = freshKey();
  expect((await put(target, value)).status).toBe(204);
  const answer = await get(target, { at: 'n3' });
  expect(answer.status).toBe(200);
  expect(answer.body.equals(value)).toBe(true);
  expect(answer.headers['content-length']).toBe(String(value.length));
}

export function valueTests(): void {
  describe('values', () => {
    test('are any bytes', async () => {
      await comesBack(Buffer.alloc(0));
      await comesBack(Buffer.from([0]));
      await comesBack(Buffer.from(Array.from({ length: 256 }, (_, i) => i)));
      await comesBack(Buffer.from('\r\n\r\n--boundary\r\n'));
      await comesBack(noise(100_000));
    });

    test('have up to 4 MiB', async () => {
      await comesBack(noise(4 * MIB));
      const target = freshKey();
      const over = noise(4 * MIB + 1);
      const refused = problem(await put(target, over), 413, 'value-too-large');
      expect(refused['detail']).toContain(String(4 * MIB));
      const chunk = `100000\r\n${'x'.repeat(MIB)}\r\n`;
      const chunked = await rawOne([
        `PUT ${target} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n`,
        ...[CLOSE, chunk, chunk, chunk, chunk, '1\r\nx\r\n0\r\n\r\n'],
      ]);
      problem(chunked, 413, 'value-too-large');
      problem(await get(target), 404, 'not-found');
    });

    test('may come in chunks', async () => {
      const target = freshKey();
      const head = `PUT ${target} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n`;
      const answer = await rawOne([head, CLOSE, '2\r\nhi\r\n', '4;x="y"\r\n th', 'e\r\n0\r\nTrailer: t\r\n\r\n']);
      expect(answer.status).toBe(204);
      expect((await get(target)).body.toString()).toBe('hi the');
    });

    test('no body at all is the empty value', async () => {
      const target = freshKey();
      expect((await rawOne([`PUT ${target} HTTP/1.1\r\n`, CLOSE])).status).toBe(204);
      const answer = await get(target);
      expect([answer.status, answer.body.length]).toEqual([200, 0]);
    });

    test('a part of a value cannot be written', async () => {
      const target = freshKey();
      invalid(await put(target, 'x', { headers: { 'content-range': 'bytes 0-0/2' } }), 'Content-Range');
      problem(await get(target), 404, 'not-found');
    });
  });

  describe('what travels beside a value', () => {
    test.each([
      'text/plain',
      'TEXT/Html;  charset="utf-8"',
      'application/json',
      'x/y; a=b; c=d',
      'nonsense',
      'multipart/mixed; boundary=b',
    ])('the media type %s comes back as it was', async (contentType) => {
      const target = freshKey();
      await put(target, '{}', { headers: { 'content-type': contentType } });
      expect((await get(target, { at: 'n2' })).headers['content-type']).toBe(contentType);
    });

    test('without one it is application/octet-stream', async () => {
      const target = freshKey();
      await put(target, 'x');
      expect((await get(target)).headers['content-type']).toBe('application/octet-stream');
    });

    test('an encoding is kept and never undone', async () => {
      const target = freshKey();
      for (const contentEncoding of ['gzip', 'br, gzip', 'GZIP']) {
        await put(target, 'not really', { headers: { 'content-encoding': contentEncoding } });
        const answer = await get(target, { headers: { 'accept-encoding': 'identity' } });
        expect(answer.headers['content-encoding']).toBe(contentEncoding);
        expect(answer.body.toString()).toBe('not really');
      }
      await put(target, 'x');
      expect((await get(target)).headers['content-encoding']).toBeUndefined();
    });

    test('metadata comes back, and goes with the value that it came with', async () => {
      const target = freshKey();
      const headers = { 'Quoral-Meta-Author': 'Ann  B.', 'quoral-meta-x': '', 'QUORAL-META-Y-1': 'a, b; c="d"' };
      await put(target, 'x', { headers });
      for (const method of ['GET', 'HEAD']) {
        const answer = await call(method, target, { at: 'n3' });
        expect(answer.headers).toMatchObject({
          'quoral-meta-author': 'Ann  B.',
          'quoral-meta-x': '',
          'quoral-meta-y-1': 'a, b; c="d"',
        });
      }
      await put(target, 'y', { headers: { 'quoral-meta-z': '1' } });
      const answer = await get(target);
      expect(answer.headers['quoral-meta-z']).toBe('1');
      expect(answer.headers['quoral-meta-author']).toBeUndefined();
    });

    test('bytes beyond ASCII in it stay the bytes that they were', async () => {
      const target = freshKey();
      const utf8 = Buffer.from('Grüße €').toString('latin1');
      const fields = `Quoral-Meta-Greeting: ${utf8}\r\nContent-Type: text/plain; title=${utf8}\r\nContent-Length: 1\r\n`;
      expect((await rawOne([`PUT ${target} HTTP/1.1\r\n${fields}`, CLOSE, 'x'])).status).toBe(204);
      const answer = await rawOne([`GET ${target} HTTP/1.1\r\n`, CLOSE]);
      expect(answer.headers['quoral-meta-greeting']).toBe(utf8);
      expect(answer.headers['content-type']).toBe(`text/plain; title=${utf8}`);
    });

    test('has 8 KiB together', async () => {
      const target = freshKey();
      const room = 8 * 1024 - 'gzip'.length - 2 * 'a'.length;
      const headers = (length: number): Record<string, string> => ({
        'content-type': 'text/plain',
        'content-encoding': 'gzip',
        'quoral-meta-a': 'x'.repeat(4000),
        'quoral-meta-b': 'x'.repeat(length - 4000),
      });
      expect((await put(target, 'x', { headers: headers(room) })).status).toBe(204);
      expect((await get(target)).headers['quoral-meta-b']).toHaveLength(room - 4000);
      const refused = problem(await put(target, 'y', { headers: headers(room + 1) }), 431, 'headers-too-large');
      expect(refused['detail']).toContain('8192');
      expect((await get(target)).body.toString()).toBe('x');
    });

    test('a Quoral header that is not known is refused, for it may be a misspelt one', async () => {
      const target = freshKey();
      for (const name of ['quoral-contxt', 'quoral-meta', 'quoral-meta-', 'quoral-ttl'])
        problem(await put(target, 'x', { headers: { [name]: 'x' } }), 400, 'invalid-request');
      problem(await get(target, { headers: { 'quoral-sesion': 'new' } }), 400, 'invalid-request');
      problem(await get(target), 404, 'not-found');
    });

    test('a field that can only be given once is not given twice', async () => {
      const target = freshKey();
      for (const field of ['Content-Type: a/b', 'Quoral-Context: x', 'Content-Range: x']) {
        const head = `PUT ${target} HTTP/1.1\r\n${field}\r\n${field}\r\nContent-Length: 1\r\n`;
        problem(await rawOne([head, CLOSE, 'x']), 400, 'invalid-request');
      }
    });
  });
}
