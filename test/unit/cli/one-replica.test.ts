import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test, vi } from 'vitest';
import { putKey } from '#cli/key-command.ts';

test('a write that one replica is enough for bears no name: to know of its attempts all would have to be asked', async () => {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer(({ headers }, response) => {
    seen.push(headers);
    response.writeHead(204, { 'quoral-replicas': 'acked=2; needed=2; of=3; fallbacks=0' }).end();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const told = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    for (const w of ['1', 'one', '2']) await putKey('b', 'k', 'v', { url, w, json: true });
    expect(seen.map((headers) => 'idempotency-key' in headers)).toEqual([false, false, true]);
  } finally {
    told.mockRestore();
    server.close();
    server.closeAllConnections();
  }
});
