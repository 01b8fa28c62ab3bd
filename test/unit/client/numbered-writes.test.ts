/** What a client says of its writes that are over. */

import { describe, expect, test } from 'vitest';
import { text } from '#client/codec.ts';
import { QuoralError } from '#client/errors.ts';
import { NumberedWrites, type NumberedWrite } from '#client/numbered-writes.ts';
import { FakeWorld, problem, stored, type Asked } from './fake.ts';

/** Number and word of each request that has one. */
function said(asked: readonly Asked[]): readonly string[] {
  return asked.map(({ headers }) => `${headers['idempotency-key']} ${headers['quoral-answered-below'] ?? 'silent'}`);
}

describe('the numbers of a client', () => {
  let names = 0;
  const runtime = { now: () => 0, uniqueId: () => `series-${++names}` };

  test('are over below the first that is under way to the key', () => {
    const writes = new NumberedWrites(runtime);
    const facts = ({ idempotencyKey, answeredBelow }: NumberedWrite): string =>
      `${idempotencyKey.split(':')[1]} ${answeredBelow}`;
    const [first, second, elsewhere] = [writes.begin('b', 'k'), writes.begin('b', 'k'), writes.begin('c', 'k')];
    expect([first, second, elsewhere].map(facts)).toEqual(['1 1', '2 1', '3 3']);
    first.end();
    const third = writes.begin('b', 'k');
    expect(facts(third)).toBe('4 2');
    second.end();
    expect(facts(writes.begin('b', 'k'))).toBe('5 4');
    expect(facts(writes.begin('b', 'other'))).toBe('6 6');
  });
});

describe('a write says which are over', () => {
  test('with all its attempts, as it was when it began; others wait for nothing', async () => {
    const world = new FakeWorld(({ headers }, count) =>
      headers['idempotency-key'] === 'id-1:1' && count < 4 ? problem(503, 'not-ready') : stored(),
    );
    const notes = world.connect().bucket('b', text);
    await Promise.all([notes.put('k', 'a'), notes.delete('k'), notes.put('other', 'c')]);
    await notes.put('k', 'd');
    const all = said(world.asked);
    expect(all.filter((one) => one.startsWith('id-1:1 '))).toHaveLength(2);
    expect([...new Set(all)].sort()).toEqual(['id-1:1 1', 'id-1:2 1', 'id-1:3 3', 'id-1:4 4']);
  });

  test('also when one has failed, or has never been sent', async () => {
    const world = new FakeWorld((_, count) => (count === 1 ? problem(412, 'precondition-failed') : stored()));
    const notes = world.connect().bucket('b', text);
    await expect(notes.put('k', 'a', { ifMatch: 'x' })).rejects.toThrow(QuoralError);
    await expect(notes.put('k', 'a', { signal: AbortSignal.abort() })).rejects.toThrow(QuoralError);
    await notes.put('k', 'b');
    expect(said(world.asked).at(-1)).toBe('id-1:3 3');
  });

  test('in sessions by the numbers of the same client; operations and touches too', async () => {
    const world = new FakeWorld(() => stored());
    const quoral = world.connect();
    await quoral.session().bucket('b', text).put('k', 'a');
    await quoral.counters('b').increment('k');
    await quoral.bucket('b', text).touch('k', { ttl: 5 });
    expect(said(world.asked)).toEqual(['id-1:1 1', 'id-1:2 2', 'id-1:3 3']);
  });

  test('but not with a key of the caller, without one, or to a bucket that is known to be eventual', async () => {
    const world = new FakeWorld(({ path }) =>
      path === '/v1/buckets/b' ? Response.json({ consistency: 'eventual', w: 'quorum' }) : stored(),
    );
    const notes = world.connect().bucket('b', text);
    await notes.put('k', 'a', { idempotencyKey: 'mine' });
    await notes.put('k', 'a', { idempotencyKey: false });
    await notes.put('k', 'a', { w: 1 });
    await notes.definition();
    await notes.put('k', 'a');
    const puts = world.asked.filter(({ method }) => method === 'PUT');
    expect(said(puts)).toEqual(['mine silent', 'undefined silent', 'undefined silent', 'id-1:1 silent']);
  });
});

describe('nodes of an earlier release', () => {
  const unknown = (): Response => problem(400, 'invalid-request', { field: 'quoral-answered-below' });

  test('get the same write without a word, and others of another series, for a while', async () => {
    const world = new FakeWorld(({ headers }) => ('quoral-answered-below' in headers ? unknown() : stored()));
    const notes = world.connect().bucket('b', text);
    await notes.put('k', 'a');
    await notes.put('k', 'b');
    expect(said(world.asked)).toEqual(['id-1:1 1', 'id-1:1 silent', 'id-2:2 silent']);
    world.now += 30_000;
    await notes.put('k', 'c');
    // What was sent without a word is of no series of which anything is said.
    expect(said(world.asked).slice(3)).toEqual(['id-3:3 3', 'id-3:3 silent']);
  });

  test('in batches too: each goes by itself once, and then they go together', async () => {
    const world = new FakeWorld(({ path, body, headers }) => {
      if (!path.startsWith('/v1/batch')) return 'quoral-answered-below' in headers ? unknown() : stored();
      const { operations } = JSON.parse(body as string) as { operations: object[] };
      if (operations.some((operation) => 'answeredBelow' in operation)) return problem(400, 'invalid-request');
      return Response.json({ results: operations.map(() => ({ status: 204 })) });
    });
    const notes = world.connect({ coalesce: true }).bucket('b', text);
    await Promise.all([notes.put('k', 'a'), notes.put('l', 'b')]);
    const before = world.asked.length;
    await Promise.all([notes.put('k', 'c'), notes.put('l', 'd')]);
    expect(world.asked.slice(before).map(({ path }) => path)).toEqual(['/v1/batch']);
  });

  test('what another node may have made before is of unknown outcome', async () => {
    const world = new FakeWorld((_, count) => {
      if (count === 1) return problem(504, 'quorum-timeout', { outcome: 'unknown' });
      return count === 2 ? unknown() : problem(412, 'precondition-failed', { outcome: 'not-applied' });
    });
    const write = world.connect().bucket('b', text).put('k', 'a', { ifMatch: 'x' });
    await expect(write).rejects.toMatchObject({ code: 'precondition-failed', outcome: 'unknown' });
    expect(said(world.asked)).toEqual(['id-1:1 1', 'id-1:1 1', 'id-1:1 silent']);
  });
});
