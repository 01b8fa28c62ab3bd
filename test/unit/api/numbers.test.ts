/** The numbers of a request: how many owners, until when, and for how long. */

import { describe, expect, test } from 'vitest';
import { harness, jsonOf } from './client.ts';
import { HI, expectProblem } from './key-requests.ts';

describe('consistency', () => {
  test('numbers, words and defaults reach the coordinator', async () => {
    const { send, node } = harness();
    await send('GET', '/v1/kv/b/k?r=all&pr=1&sloppy=false');
    expect(node.reads[0]).toMatchObject({ r: 3, pr: 1, sloppy: false });
    await send('PUT', '/v1/kv/b/k?w=one');
    expect(node.writes[0]).toMatchObject({ w: 1, pw: 0, dw: 1, sloppy: true });
    await send('PUT', '/v1/kv/b/k?consistency=strict_quorum');
    expect(node.writes[1]).toMatchObject({ w: 2, pw: 2, dw: 2, sloppy: false });
    await send('DELETE', '/v1/kv/b/k?r=1&w=3');
    expect(node.writes[2]).toMatchObject({ content: null, context: null, r: 1, w: 3 });
  });

  test('local_quorum names the zone of the node, whose owners decide the numbers', async () => {
    const { send, node } = harness();
    await send('GET', '/v1/kv/b/k?consistency=local_quorum');
    await send('GET', '/v1/kv/b/k');
    expect(node.reads.map(({ zone }) => zone)).toEqual(['z1', undefined]);
    await send('PUT', '/v1/kv/b/k?consistency=local_quorum', {}, HI);
    expect(node.writes[0]).toMatchObject({ zone: 'z1' });
  });

  test('the deadline is the timeout from now', async () => {
    const { send, node } = harness();
    const now = performance.now();
    await send('GET', '/v1/kv/b/k?timeout=60000');
    expect(node.reads[0]!.deadline).toBeGreaterThanOrEqual(now + 60_000);
    await send('GET', '/v1/kv/b/k');
    expect(node.reads[1]!.deadline).toBeLessThan(now + 60_000);
  });

  test.each([
    ['r=4', 'r'],
    ['r=0', 'r'],
    ['w=abc', 'w'],
    ['w=', 'w'],
    ['w=-1', 'w'],
    ['w=01', 'w'],
    ['w=1.5', 'w'],
    ['w=4', 'w'],
    ['dw=3&w=2', 'dw'],
    ['pw=quorum&w=1', 'pw'],
    ['r=1&r=1', 'r'],
    ['sloppy=yes', 'sloppy'],
    ['consistency=eventual', 'consistency'],
    ['consistency=quorum&r=1', 'consistency'],
    ['consistency=quorum&sloppy=true', 'consistency'],
    ['timeout=0', 'timeout'],
    ['timeout=60001', 'timeout'],
    ['timeout=1e3', 'timeout'],
    ['timeout=', 'timeout'],
    ['return=all', 'return'],
    ['quorum=1', 'quorum'],
    ['sibling=x', 'sibling'],
  ])('PUT with %s is refused', async (query, field) => {
    const { send, node } = harness();
    expectProblem(await send('PUT', `/v1/kv/b/k?${query}`, {}, HI), 400, 'invalid-request', field);
    expect(node.writes).toHaveLength(0);
  });

  test.each([
    ['r=4', 'r'],
    ['pr=2&r=1', 'pr'],
    ['w=abc', 'w'],
    ['w=0', 'w'],
    ['w=4', 'w'],
    ['dw=3&w=2', 'dw'],
    ['pw=quorum&w=1', 'pw'],
    ['ttl=1', 'ttl'],
    ['return=body', 'return'],
  ])('GET with %s is refused', async (query, field) => {
    expectProblem(await harness().send('GET', `/v1/kv/b/k?${query}`), 400, 'invalid-request', field);
  });

  test('a number that the bucket allows and the cluster cannot meet is 503', async () => {
    const { send, node } = harness((stub) => (stub.members = 2));
    const answer = await send('PUT', '/v1/kv/b/k?w=3', {}, HI);
    expectProblem(answer, 503, 'quorum-unavailable');
    expect(jsonOf(answer)).toMatchObject({ needed: 3, got: 2, outcome: 'not-applied' });
    expect(answer.headers.get('retry-after')).toBe('1');
    const read = await send('GET', '/v1/kv/b/k?r=3');
    expectProblem(read, 503, 'quorum-unavailable');
    for (const { headers } of [answer, read, await send('DELETE', '/v1/kv/b/k?w=3')]) {
      expect(headers.get('quoral-replicas')).toBe('acked=0; needed=3; of=2; fallbacks=0');
      expect(headers.get('quoral-coordinator')).toBe('n1');
    }
    expect(node.writes).toHaveLength(0);
  });

  test("a bucket's own r that cannot be met does not stop a write that reads nothing", async () => {
    const { send } = harness((stub) => {
      stub.members = 2;
      stub.properties.set('b', { r: 3 });
    });
    expect((await send('PUT', '/v1/kv/b/k', {}, HI)).status).toBe(204);
    expectProblem(await send('DELETE', '/v1/kv/b/k'), 503, 'quorum-unavailable');
    expectProblem(await send('PUT', '/v1/kv/b/k', { 'if-none-match': '*' }), 503, 'quorum-unavailable');
  });

  test('a write that reads first, and cannot, says what has become of it', async () => {
    const { send } = harness((stub) => (stub.members = 2));
    const deletion = await send('DELETE', '/v1/kv/b/k?r=3');
    expect(jsonOf(deletion)).toMatchObject({ needed: 3, got: 2, outcome: 'not-applied' });
    const again = await send('PUT', '/v1/kv/b/k?r=3', { 'if-none-match': '*', 'idempotency-key': 'once' }, HI);
    expect(jsonOf(again)).toMatchObject({ needed: 3, got: 2, outcome: 'unknown' });
  });
});

describe('ttl', () => {
  test.each([
    ['b', '', 0],
    ['b', '?ttl=5', 5000],
    ['brief', '', 60_000],
    ['brief', '?ttl=1', 1000],
    ['b', '?ttl=3153600000', 3_153_600_000_000],
  ])('in bucket %s with "%s" a value lives for %d milliseconds', async (bucket, query, milliseconds) => {
    const { send, node } = harness((stub) => stub.properties.set('brief', { ttl: 60 }));
    expect((await send('PUT', `/v1/kv/${bucket}/k${query}`, {}, HI)).status).toBe(204);
    expect(node.writes[0]?.ttl).toBe(milliseconds);
  });

  test.each(['0', '-1', '1.5', '', 'x', '1e3', '01', '3153600001', '99999999999999999999'])(
    'ttl=%s is refused',
    async (ttl) => {
      const { send, node } = harness();
      expectProblem(await send('PUT', `/v1/kv/b/k?ttl=${ttl}`, {}, HI), 400, 'invalid-request', 'ttl');
      expect(node.writes).toHaveLength(0);
    },
  );

  test('a deletion does not expire', async () => {
    expectProblem(await harness().send('DELETE', '/v1/kv/b/k?ttl=5'), 400, 'invalid-request', 'ttl');
  });
});

describe('modes that are not built yet are refused, never weakened', () => {
  test('conditions on dates', async () => {
    const { send, node } = harness();
    const answer = await send('PUT', '/v1/kv/b/k', { 'If-Unmodified-Since': 'x' });
    expectProblem(answer, 501, 'not-implemented', 'If-Unmodified-Since');
    expect([node.reads, node.writes]).toEqual([[], []]);
  });

  test('a partial write is no mode at all', async () => {
    const answer = await harness().send('PUT', '/v1/kv/b/k', { 'Content-Range': 'bytes 0-1/2' }, HI);
    expectProblem(answer, 400, 'invalid-request', 'Content-Range');
  });
});
