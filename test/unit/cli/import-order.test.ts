import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { importBucket } from '../../../src/cli/import-command.ts';

/** A node that takes its time for each request, and notes what is asked of it. */
function slowNode(type: string) {
  const keys: { under: Map<string, number>; most: number; values: unknown[] } = {
    under: new Map(),
    most: 0,
    values: [],
  };
  const begin = (name: string, by: number): void => {
    const now = (keys.under.get(name) ?? 0) + by;
    keys.under.set(name, now);
    keys.most = Math.max(keys.most, now);
  };
  const server = createServer((request, response) => {
    void (async () => {
      const { method = '', url = '' } = request;
      const answer = (status: number, body?: object): void => {
        const headers = {
          'content-type': 'application/json',
          'quoral-replicas': 'acked=2; needed=2; of=3; fallbacks=0',
        };
        response.writeHead(status, headers).end(body && JSON.stringify(body));
      };
      if (url.startsWith('/v1/buckets/')) return answer(200, { type, conflicts: 'lww', consistency: 'eventual', n: 3 });
      if (url.startsWith('/v1/ring')) return answer(503, { type: 'urn:quoral:problem:not-ready' });
      if (method === 'GET') return answer(404, { type: 'urn:quoral:problem:not-found' });
      const body = (await json(request)) as { operations?: { key: string; value: unknown }[] };
      const lone = Buffer.from(url.split(/[/?]/)[4] ?? '', 'base64url').toString();
      const asked = body.operations ?? [{ key: lone, value: body }];
      for (const { key } of asked) begin(key, 1);
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => void setImmediate(resolve));
      for (const { key, value } of asked) {
        begin(key, -1);
        if (key === 'k') keys.values.push(value);
      }
      return url.startsWith('/v1/batch') ? answer(200, { results: asked.map(() => ({ status: 204 })) }) : answer(204);
    })();
  });
  return { keys, server };
}

test('lines of one key are stored in their order, one after the other', async () => {
  const { keys, server } = slowNode('value');
  const directory = mkdtempSync(join(tmpdir(), 'quoral-import-'));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  try {
    const file = join(directory, 'data.ndjson');
    const values = [1, 2, 3];
    writeFileSync(
      file,
      values.map((value) => `{"key":"k","value":${value}}\n{"key":"other${value}","value":0}\n`).join(''),
    );
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await importBucket('b', file, { url, json: true });
    expect(keys.values.map(Number)).toEqual(values);
    expect(keys.most).toBe(1);
  } finally {
    server.close();
    server.closeAllConnections();
    rmSync(directory, { recursive: true });
  }
});
