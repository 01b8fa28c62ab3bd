/** HTTP itself: requests sent ahead, bodies that are asked for, and what is hardly HTTP. */

import { describe, expect, test } from 'vitest';
import { bytesBack, parseAnswers } from '../../raw-http.ts';
import { CLOSE, OpenSocket, raw, rawOne, rawTarget } from './raw.ts';
import { freshKey, get, invalid, portOf, problem, put } from './site.ts';

const HOST = 'Host: x\r\n';

export function protocolTests(): void {
  describe('requests sent ahead', () => {
    test('are answered in their order, each seeing what came before it', async () => {
      const target = freshKey();
      const write = (value: string): string => `PUT ${target} HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\n${value}`;
      const read = `GET ${target} HTTP/1.1\r\n${HOST}\r\n`;
      const head = `HEAD ${target} HTTP/1.1\r\n${HOST}\r\n`;
      const gone = `DELETE ${target} HTTP/1.1\r\n${HOST}\r\n`;
      const answers = await raw(
        [read + write('a') + read + head + write('b') + read + gone + read, `GET ${target} HTTP/1.1\r\n`, CLOSE],
        {
          methods: ['GET', 'PUT', 'GET', 'HEAD', 'PUT', 'GET', 'DELETE', 'GET', 'GET'],
        },
      );
      expect(answers.map(({ status }) => status)).toEqual([404, 204, 200, 200, 204, 200, 204, 404, 404]);
      expect([answers[2]!, answers[5]!].map(({ body }) => body.toString())).toEqual(['a', 'b']);
    });

    test('of which one is refused do not fail the others', async () => {
      const target = freshKey();
      const answers = await raw([
        `PUT ${target}?w=9 HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nbad`,
        `PUT ${target} HTTP/1.1\r\n${HOST}Content-Length: 4\r\n\r\ngood`,
        `GET ${target} HTTP/1.1\r\n`,
        CLOSE,
      ]);
      expect(answers.map(({ status }) => status)).toEqual([400, 204, 200]);
      expect(answers[2]!.body.toString()).toBe('good');
    });

    test('that end in nonsense are answered first, and then the nonsense', async () => {
      const target = freshKey();
      const write = `PUT ${target} HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`;
      const answers = await raw([`${write}${write}nonsense\r\n\r\n`]);
      expect(answers.map(({ status }) => status)).toEqual([204, 204, 400]);
      problem(answers[2]!, 400, 'invalid-request');
    });
  });

  describe('Expect: 100-continue', () => {
    test('the body is asked for when all else is in order', async () => {
      const target = freshKey();
      const socket = new OpenSocket('n2');
      socket.send(`PUT ${target} HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n${CLOSE}`);
      expect(await socket.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
      socket.send('value');
      await socket.until(/HTTP\/1\.1 204 /);
      socket.destroy();
      expect((await get(target)).body.toString()).toBe('value');
    });

    test('and not asked for when the answer is clear without it', async () => {
      const target = freshKey();
      await put(target, 'old');
      const expectation = 'Expect: 100-continue\r\nContent-Length: 5\r\n';
      for (const [query, fields, status] of [
        ['?w=4', '', 400],
        ['?consistency=none', '', 400],
        ['', 'Quoral-Context: broken\r\n', 400],
        ['', 'Content-Length: 99999999\r\n', 413],
      ] as const) {
        const length = fields.startsWith('Content-Length') ? expectation.slice(0, 22) : expectation;
        const answer = await rawOne([`PUT ${target}${query} HTTP/1.1\r\n${length}${fields}${CLOSE}`]);
        expect(answer.status).toBe(status);
      }
      const read = await rawOne([`GET ${target} HTTP/1.1\r\nExpect: 100-continue\r\n${CLOSE}`]);
      expect([read.status, read.body.toString()]).toEqual([200, 'old']);
    });

    test('another expectation cannot be met', async () => {
      const answer = await rawOne([`PUT ${freshKey()} HTTP/1.1\r\nExpect: miracles\r\nContent-Length: 1\r\n${CLOSE}x`]);
      problem(answer, 417, 'expectation-failed');
    });
  });

  describe('connections', () => {
    test('are kept for the next request, unless the client says otherwise', async () => {
      const socket = new OpenSocket();
      for (let i = 1; i <= 3; i++) {
        socket.send(`GET /livez HTTP/1.1\r\n${HOST}\r\n`);
        await socket.until(new RegExp(`(HTTP/1\\.1 200 [^]*){${i}}\\}\\n$`));
      }
      socket.destroy();
      expect((await rawTarget('GET', '/livez')).headers['connection']).toBe('close');
    });

    test('HTTP/1.0 is spoken too', async () => {
      const target = freshKey();
      await put(target, 'x');
      const [answer] = await raw([`GET ${target} HTTP/1.0\r\n\r\n`]);
      expect([answer?.status, answer?.body.toString()]).toEqual([200, 'x']);
    });

    test('HTTP/1.1 needs a host, one host', async () => {
      invalid(await rawOne(['GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n']), 'Host');
      problem(await rawOne([`GET /livez HTTP/1.1\r\nHost: a\r\n${CLOSE}`]), 400, 'invalid-request');
    });
  });

  describe('what is not HTTP', () => {
    const LENGTH = `PUT /v1/kv/smuggled/k HTTP/1.1\r\n${HOST}`;
    test.each([
      ['nonsense', 'nonsense\r\n\r\n'],
      ['TLS', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003'],
      ['an unknown method', `BREW /livez HTTP/1.1\r\n${CLOSE}`],
      ['a method in lower case', `get /livez HTTP/1.1\r\n${CLOSE}`],
      ['another version', `GET /livez HTTP/3.0\r\n${CLOSE}`],
      ['HTTP/0.9', 'GET /livez\r\n\r\n'],
      ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
      ['a space in the target', `GET /li vez HTTP/1.1\r\n${CLOSE}`],
      ['NUL in the target', `GET /livez\u0000 HTTP/1.1\r\n${CLOSE}`],
      ['NUL in a field', `GET /livez HTTP/1.1\r\nX: a\u0000b\r\n${CLOSE}`],
      ['a field without a colon', `GET /livez HTTP/1.1\r\nX\r\n${CLOSE}`],
      ['a space before the colon', `GET /livez HTTP/1.1\r\nX : y\r\n${CLOSE}`],
      ['a folded field', `GET /livez HTTP/1.1\r\nX: a\r\n b\r\n${CLOSE}`],
      ['a lone line feed', `GET /livez HTTP/1.1\nHost: x\n\n`],
      ['a lone carriage return', `GET /livez HTTP/1.1\r\nX: a\rY: b\r\n${CLOSE}`],
      ['a length that is no number', `${LENGTH}Content-Length: x\r\n\r\n`],
      ['a negative length', `${LENGTH}Content-Length: -1\r\n\r\n`],
      ['a length with a sign', `${LENGTH}Content-Length: +1\r\n\r\nx`],
      ['a length in hexadecimal', `${LENGTH}Content-Length: 0x1\r\n\r\nx`],
      ['a length beyond counting', `${LENGTH}Content-Length: 99999999999999999999999\r\n\r\nx`],
      ['two lengths', `${LENGTH}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx`],
      ['two lengths in one field', `${LENGTH}Content-Length: 1, 2\r\n\r\nxx`],
      ['a length and chunks', `${LENGTH}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
      ['chunks and a length', `${LENGTH}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n`],
      ['an unknown coding', `${LENGTH}Transfer-Encoding: gzip\r\n\r\nx`],
      ['chunked not last', `${LENGTH}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`],
      ['chunked twice', `${LENGTH}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`],
      ['a disguised coding', `${LENGTH}Transfer-Encoding: \u000bchunked\r\n\r\n0\r\n\r\n`],
      ['a chunk size that is none', `${LENGTH}Transfer-Encoding: chunked\r\n\r\nzz\r\n`],
      ['a chunk size with a sign', `${LENGTH}Transfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n`],
      ['a chunk longer than its size', `${LENGTH}Transfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n`],
      ['a chunk size beyond counting', `${LENGTH}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx`],
    ])('%s gets one answer, and the connection ends', async (_what, bytes) => {
      const answers = parseAnswers(await bytesBack(portOf('n1'), [bytes]));
      expect(answers.map(({ status }) => status)).toEqual([400]);
      problem(answers[0]!, 400, 'invalid-request');
      problem(await get('/v1/kv/smuggled/k'), 404, 'not-found');
    });

    test('a body that is coded before it comes in chunks is not stored as if it were the value', async () => {
      const coded = `${LENGTH}Transfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`;
      const answers = parseAnswers(await bytesBack(portOf('n1'), [coded]));
      expect(answers).toHaveLength(1);
      problem(answers[0]!, 501, 'not-implemented');
      problem(await get('/v1/kv/smuggled/k'), 404, 'not-found');
    });

    test('a request hidden behind one with two lengths is none', async () => {
      const hidden = `DELETE /v1/kv/smuggled/k HTTP/1.1\r\n${HOST}\r\n`;
      for (const fields of [
        `Content-Length: 0\r\nContent-Length: ${hidden.length}\r\n`,
        `Content-Length: ${hidden.length}\r\nTransfer-Encoding: chunked\r\n`,
        `Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n`,
      ]) {
        const answers = await raw([`PUT /v1/kv/smuggled/k HTTP/1.1\r\n${HOST}${fields}\r\n${hidden}`]);
        expect(answers.map(({ status }) => status)).toEqual([400]);
      }
      problem(await get('/v1/kv/smuggled/k'), 404, 'not-found');
    });

    test('a head that is too large is 431', async () => {
      for (const head of [`X: ${'x'.repeat(40_000)}`, 'X: yyyyyyyy\r\n'.repeat(8000).trimEnd()])
        problem(await rawOne([`GET /livez HTTP/1.1\r\n${head}\r\n${CLOSE}`]), 431, 'headers-too-large');
      problem(await rawTarget('GET', `/v1/kv/b/${'x'.repeat(40_000)}`), 431, 'headers-too-large');
    });

    test('a tunnel is not made', async () => {
      problem(await rawOne([`CONNECT example.org:443 HTTP/1.1\r\n${CLOSE}`]), 405, 'method-not-allowed');
    });

    test('an upgrade is not made', async () => {
      const [answer] = await raw([
        `GET /livez HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n${HOST}\r\n`,
      ]);
      expect(answer?.status).toBe(200);
    });

    test('a body that ends too soon is not stored', async () => {
      const target = freshKey();
      const socket = new OpenSocket();
      socket.send(`PUT ${target} HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\nhalf`);
      await rawTarget('GET', '/livez');
      socket.destroy();
      problem(await get(target), 404, 'not-found');
    });

    test('a body that does not come in time is 408', async () => {
      const target = freshKey();
      const answers = await raw([`PUT ${target}?timeout=50 HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\nhalf`]);
      expect(answers).toHaveLength(1);
      problem(answers[0]!, 408, 'request-timeout');
      problem(await get(target), 404, 'not-found');
    });
  });
}
