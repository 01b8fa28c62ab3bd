/** Writes that are sent again because nobody knows what became of them: one version, whichever node gets the retry. */

import { connect, createServer, type Server } from 'node:net';
import { describe, expect, test } from 'vitest';
import { valuesOf } from './multipart.ts';
import { CLOSE, rawOne } from './raw.ts';
import {
  call,
  contextOf,
  del,
  etagOf,
  freshKey,
  get,
  invalid,
  NAMES,
  portOf,
  problem,
  put,
  siblingsKey,
  type Name,
} from './site.ts';

let keys = 0;

function idempotent(more: Readonly<Record<string, string>> = {}): { readonly headers: Record<string, string> } {
  keys += 1;
  return { headers: { 'idempotency-key': `retry-${keys}`, ...more } };
}

/** A way to a node on which requests arrive and answers get lost. */
async function losingAnswers(
  at: Name,
): Promise<{ readonly server: Server; readonly port: number; readonly answered: () => Promise<void> }> {
  let lost: () => void = () => undefined;
  const answered = new Promise<void>((resolve) => (lost = resolve));
  const server = createServer((client) => {
    const node = connect({ port: portOf(at), host: '127.0.0.1' });
    client.on('data', (chunk) => node.write(chunk));
    for (const socket of [client, node]) socket.on('error', () => undefined);
    node.on('data', () => {
      client.destroy();
      node.destroy();
      lost();
    });
    client.on('close', () => node.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { server, port: address.port, answered: () => answered };
}

/** Sends a request whose answer is lost on its way back, when everything has happened. */
async function sentInVain(at: Name, bytes: string): Promise<void> {
  const { server, port, answered } = await losingAnswers(at);
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => undefined);
  socket.write(bytes);
  await answered();
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
}

function rawPut(target: string, key: string, body: string): string {
  return `PUT ${target} HTTP/1.1\r\nHost: x\r\nIdempotency-Key: ${key}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

export function retryTests(): void {
  describe('a retry', () => {
    test('at another node, after the answer was lost, makes no second version', async () => {
      for (const [first, second] of [
        ['n1', 'n2'],
        ['n2', 'n3'],
        ['n3', 'n3'],
        ['n2', 'n1'],
      ] as const) {
        const target = await siblingsKey();
        const sent = idempotent();
        await sentInVain(first, rawPut(target, sent.headers['idempotency-key']!, 'once'));
        const before = await get(target);
        const again = await put(target, 'once', { ...sent, at: second });
        expect([again.status, etagOf(again)]).toEqual([204, etagOf(before)]);
        contextOf(again);
        for (const at of NAMES) {
          const read = await get(target, { at });
          expect([read.status, read.body.toString(), etagOf(read)]).toEqual([200, 'once', etagOf(before)]);
        }
      }
    });

    test('at every node, and many times, answers with the first version', async () => {
      const target = await siblingsKey();
      const sent = idempotent({ 'content-type': 'a/b', 'quoral-meta-x': 'y' });
      const first = await put(target, 'value', sent);
      for (let i = 0; i < 9; i++) {
        const again = await put(target, 'value', { ...sent, at: NAMES[i % 3] });
        expect([again.status, etagOf(again)]).toEqual([204, etagOf(first)]);
      }
      const read = await get(target);
      expect([read.status, etagOf(read)]).toEqual([200, etagOf(first)]);
    });

    test('all at once, at all nodes, are one version', async () => {
      for (let round = 0; round < 5; round++) {
        const target = await siblingsKey();
        const sent = idempotent();
        const answers = await Promise.all(
          Array.from({ length: 9 }, (_, i) => put(target, 'v', { ...sent, at: NAMES[i % 3] })),
        );
        // Whoever is told that it worked is told of the same version.
        const done = answers.filter(({ status }) => status === 204);
        for (const answer of answers) expect([204, 429, 503, 504], answer.body.toString()).toContain(answer.status);
        expect(done.length).toBeGreaterThan(0);
        const settled = await put(target, 'v', sent);
        expect(settled.status).toBe(204);
        const read = await get(`${target}?r=all`);
        expect([read.status, read.body.toString(), etagOf(read)]).toEqual([200, 'v', etagOf(settled)]);
      }
    });

    test('counts acknowledgements anew, with numbers of its own', async () => {
      const target = freshKey();
      const sent = idempotent();
      const one = await put(`${target}?w=1`, 'v', sent);
      const all = await put(`${target}?w=all&dw=all&timeout=9000`, 'v', { ...sent, at: 'n2' });
      expect([one.status, all.status, etagOf(all)]).toEqual([204, 204, etagOf(one)]);
      expect(all.headers['quoral-replicas']).toMatch(/^acked=3; needed=3; /);
    });

    test('comes before any precondition: it is not judged by what it has changed itself', async () => {
      const target = freshKey();
      const made = idempotent({ 'if-none-match': '*' });
      const first = await put(target, 'made', made);
      const again = await put(target, 'made', { ...made, at: 'n3' });
      expect([first.status, again.status, etagOf(again)]).toEqual([204, 204, etagOf(first)]);
      const changed = idempotent({ 'if-match': etagOf(first) });
      expect((await put(target, 'changed', changed)).status).toBe(204);
      expect((await put(target, 'changed', { ...changed, at: 'n2' })).status).toBe(204);
      expect((await get(target)).body.toString()).toBe('changed');
    });

    test('of a write that was refused is judged again', async () => {
      const target = freshKey();
      const sent = idempotent({ 'if-none-match': '*' });
      await put(target, 'there');
      problem(await put(target, 'x', sent), 412, 'precondition-failed');
      await del(target);
      expect((await put(target, 'x', { ...sent, at: 'n2' })).status).toBe(204);
      expect((await get(target)).body.toString()).toBe('x');
    });

    test('does not bring back what was replaced or deleted since', async () => {
      const target = await siblingsKey();
      const sent = idempotent();
      const first = await put(target, 'first', sent);
      const second = await put(target, 'second', { headers: { 'quoral-context': contextOf(first) } });
      expect((await put(target, 'first', { ...sent, at: 'n2' })).status).toBe(204);
      expect((await get(target)).body.toString()).toBe('second');
      await del(target, { headers: { 'quoral-context': contextOf(second) } });
      expect((await put(target, 'first', { ...sent, at: 'n3' })).status).toBe(204);
      problem(await get(target), 404, 'not-found');
    });

    test('of a delete deletes nothing that came after it', async () => {
      const target = await siblingsKey();
      await put(target, 'old');
      const sent = idempotent();
      expect((await del(target, sent)).status).toBe(204);
      await put(target, 'new');
      expect((await del(target, { ...sent, at: 'n2' })).status).toBe(204);
      expect((await get(target)).body.toString()).toBe('new');
    });

    test('beside a write of somebody else leaves both', async () => {
      const target = await siblingsKey();
      const sent = idempotent();
      await put(target, 'mine', sent);
      await put(target, 'theirs', { at: 'n2' });
      const again = await put(target, 'mine', { ...sent, at: 'n3' });
      expect([again.status, again.headers['quoral-context']]).toEqual([204, undefined]);
      expect(valuesOf(await get(target))).toEqual(['mine', 'theirs']);
    });

    test('with the whole object in the answer shows it as it is now', async () => {
      const target = await siblingsKey();
      const sent = idempotent();
      await put(`${target}?return=body`, 'mine', sent);
      await put(target, 'theirs', { at: 'n2' });
      const again = await put(`${target}?return=body`, 'mine', { ...sent, at: 'n3' });
      expect(again.status).toBe(300);
      expect(valuesOf(again)).toEqual(['mine', 'theirs']);
    });

    test('through the other form of the path is the same request', async () => {
      const target = await siblingsKey();
      const sent = idempotent();
      const first = await put(target, 'v', sent);
      const [, , , bucket, key] = target.split('/');
      const again = await put(`/v1/kv64/${bucket}/${Buffer.from(key!).toString('base64url')}`, 'v', {
        ...sent,
        at: 'n2',
      });
      expect([again.status, etagOf(again)]).toEqual([204, etagOf(first)]);
    });
  });

  describe('a key for retries', () => {
    test('with another request is refused: value, media type, metadata, context, condition, method', async () => {
      const target = freshKey();
      const sent = idempotent();
      const first = await put(target, 'v', sent);
      const others: readonly (readonly [string, string, Record<string, string>])[] = [
        ['PUT', 'w', {}],
        ['PUT', '', {}],
        ['PUT', 'v', { 'content-type': 'text/plain' }],
        ['PUT', 'v', { 'content-encoding': 'gzip' }],
        ['PUT', 'v', { 'quoral-meta-a': 'b' }],
        ['PUT', 'v', { 'quoral-context': contextOf(first) }],
        ['PUT', 'v', { 'if-match': etagOf(first) }],
        ['DELETE', '', {}],
      ];
      for (const [index, [method, body, more]] of others.entries()) {
        const headers = { ...sent.headers, ...more };
        const answer = await call(method, target, {
          headers,
          body: body === '' ? undefined : body,
          at: NAMES[index % 3],
        });
        problem(answer, 422, 'idempotency-mismatch');
      }
      const read = await get(target);
      expect([read.body.toString(), etagOf(read)]).toEqual(['v', etagOf(first)]);
    });

    test('is good for one key of one bucket: elsewhere it is another one', async () => {
      const sent = idempotent();
      const [one, other, elsewhere] = [freshKey(), freshKey(), await siblingsKey()];
      for (const [index, target] of [one, other, elsewhere].entries())
        expect((await put(target, `v${index}`, sent)).status).toBe(204);
      expect((await get(elsewhere)).body.toString()).toBe('v2');
    });

    test('two writes with two keys, or with none, are two', async () => {
      const target = await siblingsKey();
      await put(target, 'v', idempotent());
      await put(target, 'v', idempotent());
      await put(target, 'v');
      expect(valuesOf(await get(target))).toEqual(['v', 'v', 'v']);
    });

    test.each(['', ' ', 'x'.repeat(256), 'a\tb', '\u00fc'])('%j is none', async (text) => {
      const target = freshKey();
      const head = `PUT ${target} HTTP/1.1\r\nIdempotency-Key: ${text}\r\nContent-Length: 1\r\n`;
      invalid(await rawOne([head, CLOSE, 'x']), 'Idempotency-Key');
      problem(await get(target), 404, 'not-found');
    });

    test('says nothing to a reading', async () => {
      const target = freshKey();
      const sent = idempotent();
      await put(target, 'v');
      expect((await get(target, sent)).status).toBe(200);
      expect((await put(target, 'w', sent)).status).toBe(204);
      expect((await get(target, sent)).body.toString()).toBe('w');
    });
  });
}

/** A retry after the node that got the request was killed; comes with the tests that do harm. */
export async function retryAfterDeath(kill: (name: Name) => Promise<void>): Promise<void> {
  const target = await siblingsKey();
  const sent = idempotent();
  await sentInVain('n3', rawPut(target, sent.headers['idempotency-key']!, 'once'));
  await kill('n3');
  for (const at of ['n1', 'n2', 'n1'] as const) expect((await put(target, 'once', { ...sent, at })).status).toBe(204);
  const read = await get(target, { at: 'n2' });
  expect([read.status, read.body.toString()]).toEqual([200, 'once']);
}
