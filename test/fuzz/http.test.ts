/** The client door under generated requests and garbage, with fixed seeds; `npm run fuzz` goes on with others. */

import { expect, test } from 'vitest';
import { parseAnswers, bytesBack } from '../raw-http.ts';
import { createApp } from '#api/app.ts';
import { startServer } from '#api/server.ts';
import { StubNode } from '../unit/api/stub-services.ts';
import { HTTP_TARGETS } from './http-targets.ts';
import { campaign } from './target.ts';

const BATCHES: Readonly<Record<string, number>> = { 'http-in-process': 10 };

test.each(HTTP_TARGETS)('$name: $about', { timeout: 60_000 }, async (target) => {
  const batches = BATCHES[target.name] ?? 2;
  const report = await campaign(target, { seed: 1, batch: 100, more: (done) => done < batches });
  expect(report.failure?.text).toBeUndefined();
  expect(report.cases).toBe(batches * 100);
});

test('a request that ends anywhere before its end changes nothing', { timeout: 60_000 }, async () => {
  const node = new StubNode();
  const services = node.services();
  const server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0 });
  const fields = 'Host: x\r\nContent-Type: a/b\r\nQuoral-Meta-A: b\r\n';
  for (const request of [
    `PUT /v1/kv/b/k?w=2 HTTP/1.1\r\n${fields}Content-Length: 5\r\n\r\nvalue`,
    `PUT /v1/kv/b/k HTTP/1.1\r\n${fields}Transfer-Encoding: chunked\r\n\r\n3\r\nval\r\n2;x=y\r\nue\r\n0\r\nT: u\r\n\r\n`,
    `DELETE /v1/kv/b/k HTTP/1.1\r\n${fields}\r\n`,
  ]) {
    const cuts = Array.from({ length: request.length }, (_, end) => end);
    const texts = await Promise.all(
      cuts.map((end) => bytesBack(server.port, [request.slice(0, end)], { end: true, limitMs: 8000 })),
    );
    for (const [end, text] of texts.entries()) {
      const answers = parseAnswers(text);
      expect(
        answers.every(({ status }) => status === 400),
        `${end}: ${text.toString()}`,
      ).toBe(true);
    }
    expect(node.writes).toEqual([]);
    expect(parseAnswers(await bytesBack(server.port, [request], { end: true })).map(({ status }) => status)).toEqual([
      204,
    ]);
    expect(node.writes.splice(0)).toHaveLength(1);
  }
  await server.close(0);
});
