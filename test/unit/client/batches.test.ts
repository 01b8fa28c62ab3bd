import { expect, test } from 'vitest';
import { bytes, text } from '#client/codec.ts';
import type { QuoralError } from '#client/errors.ts';
import { FakeWorld, problem, stored, type Asked } from './fake.ts';

interface Operation {
  readonly op: string;
  readonly key: string;
  readonly [member: string]: unknown;
}

function operationsOf({ body }: Asked): readonly Operation[] {
  return (JSON.parse(body as string) as { operations: Operation[] }).operations;
}

/** A cluster that answers batches with what `result` says of each operation. */
function world(result: (operation: Operation) => object, alone: () => Response = () => stored()): FakeWorld {
  return new FakeWorld((asked) => {
    if (!asked.path.startsWith('/v1/batch')) return alone();
    return Response.json({ results: operationsOf(asked).map(result) });
  });
}

const ok = (): object => ({ status: 204, etag: '"e"', context: 'c', replicas: 'acked=2; needed=2; of=3; fallbacks=0' });

test('what is asked for in one turn travels together; a lone operation goes by itself', async () => {
  const cluster = world(({ op, key }) =>
    op === 'get' ? { status: 200, value: `of ${key}`, contentType: 't/x' } : ok(),
  );
  const notes = cluster.connect({ coalesce: true }).bucket('b', text);
  const [written, read] = await Promise.all([
    notes.put('a', 'x', { ttl: 5, meta: { m: '1' } }),
    notes.get('b'),
    notes.delete('c'),
  ]);
  expect(written).toMatchObject({ etag: 'e', context: 'c', replicas: { acked: 2 } });
  expect([read.value, read.siblings[0]!.contentType]).toEqual(['of b', 't/x']);
  // A time to live is the operation's own, not a wish of the batch.
  expect(cluster.asked.map(({ path }) => path)).toEqual(['/v1/batch']);
  expect(operationsOf(cluster.asked[0]!).toSorted((a, b) => (a.key < b.key ? -1 : 1))).toMatchObject([
    { op: 'put', key: 'a', value: 'x', ttl: 5, meta: { m: '1' }, idempotencyKey: 'id-1:1', answeredBelow: 1 },
    { op: 'get', key: 'b' },
    { op: 'delete', key: 'c', idempotencyKey: 'id-1:2', answeredBelow: 2 },
  ]);
  await notes.put('d', 'x');
  expect(cluster.asked[1]!.path).toBe('/v1/kv64/b/ZA');
});

test('batches grow while others are under way, within their bounds', async () => {
  const cluster = world(ok);
  const notes = cluster.connect({ coalesce: true }).bucket('b', bytes);
  const value = new Uint8Array(20_000).fill(255);
  await Promise.all(
    Array.from({ length: 300 }, async (_, i) => notes.put(`k${i}`, i < 100 ? value : new Uint8Array(1))),
  );
  const sizes = cluster.asked.map((asked) => operationsOf(asked).length);
  expect(sizes.reduce((a, b) => a + b)).toBe(300);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(128);
  expect(sizes[0]).toBe(52);
  await notes.put('large', new Uint8Array(200_000));
  expect(cluster.asked.at(-1)!.method).toBe('PUT');
});

test('operations that want different things are in different batches', async () => {
  const cluster = world(ok);
  const notes = cluster.connect({ coalesce: true }).bucket('b', text);
  await Promise.all([1, 2, 3].flatMap((i) => [notes.put(`a${i}`, 'x', { w: 'all' }), notes.put(`b${i}`, 'x')]));
  expect(cluster.asked.map(({ path }) => path).sort()).toEqual(['/v1/batch', '/v1/batch?w=all']);
});

test('a mistake in one operation, for which the node refuses all of them, is that of this one alone', async () => {
  const cluster = new FakeWorld(({ path }) => {
    if (path.startsWith('/v1/batch') || path.includes('ttl=0')) return problem(400, 'invalid-request');
    return path.startsWith('/v1/kv64/b/Yw') ? new Response('v') : stored();
  });
  const notes = cluster.connect({ coalesce: true }).bucket('b', text);
  const [good, wrong, read] = await Promise.allSettled([
    notes.put('a', 'x'),
    notes.put('b', 'x', { ttl: 0 }),
    notes.get('c'),
  ]);
  expect([good.status, read.status]).toEqual(['fulfilled', 'fulfilled']);
  expect(wrong).toMatchObject({ reason: { code: 'invalid-request', outcome: 'not-applied' } });
  expect(cluster.asked).toHaveLength(4);
});

test('each operation fails by itself, and is tried again by itself where that may help', async () => {
  const failing = (code: string, status: number, outcome?: string): object => ({
    status,
    problem: { type: `urn:quoral:problem:${code}`, title: code, status, detail: 'x', outcome },
  });
  const results: Record<string, object> = {
    good: ok(),
    late: failing('quorum-timeout', 504, 'unknown'),
    taken: failing('precondition-failed', 412),
    lost: failing('quorum-timeout', 504, 'unknown'),
  };
  let count = 0;
  const cluster = world(
    ({ key }) => results[key]!,
    () => (++count === 1 ? stored() : problem(400, 'invalid-request')),
  );
  const notes = cluster.connect({ coalesce: true }).bucket('b', text);
  const settled = await Promise.allSettled(['good', 'late', 'taken', 'lost'].map(async (key) => notes.put(key, 'x')));
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected']);
  const errors = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason as QuoralError] : []));
  expect(errors.map(({ code, outcome }) => [code, outcome])).toEqual([
    ['precondition-failed', 'not-applied'],
    ['invalid-request', 'unknown'],
  ]);
  const keys = cluster.asked.slice(1).map(({ headers }) => headers['idempotency-key']);
  expect(keys).toEqual(['id-1:2', 'id-1:4']);
});

test('when the batch itself fails, its writes are unknown and its reads have no outcome', async () => {
  const cluster = new FakeWorld(() => problem(500, 'internal-error'));
  const notes = cluster.connect({ coalesce: true, retry: { attempts: 2 } }).bucket('b', text);
  const settled = await Promise.allSettled([notes.put('k', 'v'), notes.get('k')]);
  const outcomes = settled.map((one) => (one.status === 'rejected' ? (one.reason as QuoralError).outcome : 'no error'));
  expect(outcomes).toEqual(['unknown', undefined]);
});
