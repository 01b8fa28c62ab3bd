/** Two imports at once into a strong bucket of counters: each operation is made on what was seen, or not at all. */

import { createServer, type Server } from 'node:http';
import { json } from 'node:stream/consumers';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { importBucket } from '../../../src/cli/import-command.ts';

/** A node with one counter, which answers the first two who look only when both have. */
function counterNode(counter: { value: number | undefined; refused: number }): Server {
  const looking: (() => void)[] = [];
  let looks = 0;
  return createServer((request, response) => {
    void (async () => {
      const { method = '', url = '', headers } = request;
      const etag = (): object => (counter.value === undefined ? {} : { etag: `"${counter.value}"` });
      const answer = (status: number, body?: object): void => {
        const happened = { 'quoral-replicas': 'acked=2; needed=2; of=3; fallbacks=0' };
        const fields = { 'content-type': 'application/json', ...happened, ...etag() };
        response.writeHead(status, fields).end(body && JSON.stringify(body));
      };
      if (url.startsWith('/v1/buckets/'))
        return answer(200, { type: 'counter', conflicts: 'lww', consistency: 'strong', n: 3 });
      if (url.startsWith('/v1/ring')) return answer(503, { type: 'urn:quoral:problem:not-ready' });
      if (method === 'GET') {
        looks += 1;
        if (looks <= 2) {
          const both = new Promise<void>((resolve) => void looking.push(resolve));
          if (looks === 2) for (const go of looking) go();
          await both;
        }
        if (counter.value === undefined) return answer(404, { type: 'urn:quoral:problem:not-found' });
        return answer(200, { type: 'counter', value: counter.value, context: null });
      }
      const { by } = (await json(request)) as { by: number };
      const unmet =
        headers['if-match'] === undefined
          ? headers['if-none-match'] === '*' && counter.value !== undefined
          : headers['if-match'] !== `"${counter.value}"`;
      if (unmet) {
        counter.refused += 1;
        return answer(412, { type: 'urn:quoral:problem:precondition-failed', outcome: 'not-applied' });
      }
      counter.value = (counter.value ?? 0) + by;
      return answer(204);
    })();
  });
}

test.each([undefined, 2])('a counter that was %s is what the file says, and not more', async (before) => {
  const counter = { value: before, refused: 0 };
  const server = counterNode(counter);
  const directory = mkdtempSync(join(tmpdir(), 'quoral-import-'));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const imports = ['one', 'another'].map(async (name) => {
      const file = join(directory, `${name}.ndjson`);
      writeFileSync(file, '{"key":"k","type":"counter","value":5}\n');
      await importBucket('b', file, { url, json: true });
    });
    await Promise.all(imports);
    expect(counter).toEqual({ value: 5, refused: 1 });
  } finally {
    server.close();
    server.closeAllConnections();
    rmSync(directory, { recursive: true });
  }
});
