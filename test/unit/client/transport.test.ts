import { expect, test } from 'vitest';
import { text } from '#client/codec.ts';
import { QuoralError } from '#client/errors.ts';
import { cut, FakeWorld, problem, refused, STRANGER, stored } from './fake.ts';

async function failure(work: Promise<unknown>): Promise<QuoralError> {
  return work.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: unknown) => {
      expect(error).toBeInstanceOf(QuoralError);
      return error as QuoralError;
    },
  );
}

test('a node that refuses connections is replaced at once, and left alone for a while', async () => {
  const world = new FakeWorld(({ at }) => (at === 'http://b' ? refused() : stored()));
  const notes = world.connect().bucket('notes', text);
  for (let i = 0; i < 9; i++) await notes.put('k', 'v');
  expect(world.now).toBe(0);
  expect(world.asked.filter(({ at }) => at === 'http://b')).toHaveLength(1);
});

test('every attempt of a write shows the same idempotency key; another write has another one', async () => {
  const world = new FakeWorld((_, count) => (count < 3 ? cut() : stored()));
  const notes = world.connect().bucket('notes', text);
  await notes.put('k', 'v');
  await notes.put('k', 'v');
  expect(world.asked.map(({ headers }) => headers['idempotency-key'])).toEqual([
    'id-1:1',
    'id-1:1',
    'id-1:1',
    'id-1:2',
  ]);
  expect(new Set(world.asked.slice(0, 3).map(({ at }) => at)).size).toBe(3);
});

test('once an attempt may have been applied, the outcome is unknown', async () => {
  const answers = [cut(), ...Array.from({ length: 9 }, refused)];
  const unknown = new FakeWorld((_, count) => answers[count - 1]);
  expect((await failure(unknown.connect().bucket('b', text).put('k', 'v'))).outcome).toBe('unknown');
  const conflict = new FakeWorld((_, count) => (count === 1 ? cut() : problem(412, 'precondition-failed')));
  const error = await failure(conflict.connect().bucket('b', text).put('k', 'v', { ifAbsent: true }));
  expect([error.code, error.outcome, error.facts.attempts]).toEqual(['precondition-failed', 'unknown', 2]);
});

test('a write that no node got is not applied, and says so', async () => {
  const world = new FakeWorld(refused);
  const error = await failure(world.connect().bucket('b', text).put('k', 'v'));
  expect([error.code, error.outcome, error.facts.attempts]).toEqual(['unreachable', 'not-applied', 6]);
  expect(error.message).toContain('refused');
});

test('the ETag of what is there instead can be given to the next attempt', async () => {
  const world = new FakeWorld((_, count) =>
    count === 1 ? problem(412, 'precondition-failed', {}, { etag: '"e7"' }) : stored(),
  );
  const notes = world.connect().bucket('b', text);
  const { facts } = await failure(notes.put('k', 'v', { ifMatch: 'e1' }));
  await notes.put('k', 'v', { ifMatch: facts.etag! });
  expect(world.asked.map(({ headers }) => headers['if-match'])).toEqual(['"e1"', '"e7"']);
});

test('of a read there is no outcome', async () => {
  const world = new FakeWorld(() => problem(503, 'quorum-unavailable', { needed: 2, got: 1 }));
  const error = await failure(world.connect().bucket('b', text).get('k'));
  expect(error.outcome).toBeUndefined();
  expect(error.facts).toMatchObject({ status: 503, needed: 2, got: 1 });
});

test('what no node has said is no answer: neither that nothing is there, nor that something is stored', async () => {
  const strangers = [
    new Response('not found', { status: 404, headers: STRANGER }),
    new Response('please log in', { status: 200, headers: STRANGER }),
    new Response(null, { status: 204, headers: STRANGER }),
  ];
  for (const stranger of strangers) {
    const world = new FakeWorld(({ at }) => (at === 'http://b' ? new Response('v') : stranger.clone()));
    for (let i = 0; i < 3; i++) expect((await world.connect().bucket('b', text).get('k')).value).toBe('v');
  }
  const nobody = new FakeWorld(() => strangers[2]!.clone());
  const error = await failure(nobody.connect().bucket('b', text).put('k', 'v'));
  expect([error.code, error.outcome]).toEqual(['bad-answer', 'unknown']);
});

test('what changes something goes nowhere else: redirected, a POST would come as a GET', async () => {
  const world = new FakeWorld(() => new Response(null, { status: 301, headers: { location: 'https://d/' } }));
  const quoral = world.connect();
  const works = [
    quoral.counters('b').increment('k', 1),
    quoral.bucket('b', text).lease('k', { holder: 'me', ttl: 30 }),
    quoral.define('b', {}),
  ];
  for (const error of await Promise.all(works.map(failure))) {
    expect([error.code, error.outcome]).toEqual(['bad-answer', 'unknown']);
    expect(error.message).toContain('redirected to https://d/');
  }
  expect(new Set(world.asked.map(({ redirect }) => redirect))).toEqual(new Set(['manual']));
});

test('what cannot stand in a header is refused, and takes no node for dead', async () => {
  const world = new FakeWorld(() => stored());
  const notes = world.connect().bucket('b', text);
  for (const options of [
    { meta: { 'a b': 'x' } },
    { meta: { a: '日本' } },
    { contentType: 'a\nb' },
    { follows: 'é\0' },
    { meta: { a: '\u0001' } },
  ]) {
    const error = await failure(notes.put('k', 'v', options));
    expect([error.code, error.outcome]).toEqual(['invalid-request', 'not-applied']);
  }
  const closed = await failure(world.connect({ token: 'of two\nlines' }).bucket('b', text).get('k'));
  expect([closed.code, closed.facts.field, closed.message.includes('lines')]).toEqual([
    'invalid-request',
    'authorization',
    false,
  ]);
  expect(world.asked).toEqual([]);
});

test('a key that has no UTF-8 is refused, since it would be taken for another one', async () => {
  const world = new FakeWorld(() => stored());
  const notes = world.connect().bucket('b', text);
  const errors = await Promise.all(
    [notes.put('\ud800', 'v'), notes.lease('\ud800', { holder: 'me', ttl: 1 })].map(failure),
  );
  expect(errors.map(({ code, outcome }) => [code, outcome])).toEqual([
    ['invalid-request', 'not-applied'],
    ['invalid-request', 'not-applied'],
  ]);
  expect((await failure(notes.get('\udc00'))).outcome).toBeUndefined();
  expect(world.asked).toEqual([]);
});

test('without an idempotency key only what was not applied is sent again', async () => {
  const once = { idempotencyKey: false } as const;
  const world = new FakeWorld((_, count) => (count === 1 ? problem(429, 'overloaded') : cut()));
  const error = await failure(world.connect().bucket('b', text).put('k', 'v', once));
  expect([world.asked.length, error.outcome]).toEqual([2, 'unknown']);
  expect(world.asked[0]!.headers).not.toHaveProperty('idempotency-key');
});

test('a write that one replica is enough for shows no key, since then all would have to be asked for it', async () => {
  const world = new FakeWorld(() => stored());
  const notes = world.connect().bucket('b', text);
  await notes.put('k', 'v', { w: 1 });
  await notes.put('k', 'v', { consistency: 'one' });
  await notes.put('k', 'v', { w: 'one', idempotencyKey: 'mine' });
  expect(world.asked.map(({ headers }) => headers['idempotency-key'])).toEqual([undefined, undefined, 'mine']);
});

test('what may be made twice is tried again without a key', async () => {
  const world = new FakeWorld((_, count) => (count === 1 ? cut() : stored()));
  await world.connect().bucket('b', text).put('k', 'v', { atLeastOnce: true });
  expect(world.asked.map(({ headers }) => headers['idempotency-key'])).toEqual([undefined, undefined]);
});

test.each([
  [400, 'invalid-request'],
  [401, 'unauthorized'],
  [403, 'forbidden'],
  [409, 'conflict'],
  [413, 'value-too-large'],
  [422, 'idempotency-mismatch'],
  [501, 'not-implemented'],
])('%i %s is not tried again', async (status, code) => {
  const world = new FakeWorld(() => problem(status, code));
  const error = await failure(world.connect().bucket('b', text).put('k', 'v'));
  expect([error.code, world.asked.length]).toEqual([code, 1]);
  expect(error.outcome).toBe(code === 'idempotency-mismatch' ? undefined : 'not-applied');
});

test('a node that hangs costs an attempt, not the operation', async () => {
  const world = new FakeWorld(({ at }, count) => (count === 1 ? undefined : new Response(at)));
  const entry = await world.connect({ attemptTimeout: 1000 }).bucket('b', text).get('k');
  expect(entry.value).not.toBe(world.asked[0]!.at);
  expect(world.now).toBeGreaterThan(1000);
  expect(world.now).toBeLessThan(2000);
});

test('the time of an operation holds for all its attempts', async () => {
  const world = new FakeWorld(() => undefined);
  const error = await failure(world.connect({ timeout: 2500, attemptTimeout: 1000 }).bucket('b', text).put('k', 'v'));
  expect([error.code, error.outcome]).toEqual(['timed-out', 'unknown']);
  expect(world.now).toBeLessThan(4000);
});

test('a timeout of the caller is told to the node', async () => {
  const world = new FakeWorld(() => new Response('v'));
  await world.connect().bucket('b', text).get('k', { timeout: 700, r: 'all' });
  expect(world.asked[0]!.path).toBe('/v1/kv64/b/aw?r=all&timeout=700');
});

test('whoever gives up hears so at once, and nothing is sent for who had', async () => {
  const world = new FakeWorld(() => undefined);
  const controller = new AbortController();
  const notes = world.connect().bucket('b', text);
  const underWay = failure(notes.put('k', 'v', { signal: controller.signal }));
  await Promise.resolve();
  controller.abort();
  expect([(await underWay).code, (await underWay).outcome]).toEqual(['aborted', 'unknown']);
  const late = await failure(notes.put('k', 'v', { signal: controller.signal }));
  expect([late.code, late.outcome, world.asked.length]).toEqual(['aborted', 'not-applied', 1]);
});

test('when everything fails the budget keeps retries to a share of the requests', async () => {
  const world = new FakeWorld(() => problem(504, 'quorum-timeout', { outcome: 'unknown' }));
  const notes = world.connect({ retry: { budgetMax: 10, budgetShare: 0.1 } }).bucket('b', text);
  for (let i = 0; i < 200; i++) await failure(notes.put('k', 'v'));
  expect(world.asked.length).toBeLessThanOrEqual(200 + 10 + 20);
  expect(world.asked.length).toBeGreaterThan(220);
});

test('what does not speak as a node does is named so, and its write is unknown', async () => {
  const world = new FakeWorld(() => new Response('<html>', { status: 502 }));
  const error = await failure(world.connect({ urls: 'http://a' }).bucket('b', text).put('k', 'v'));
  expect([error.code, error.outcome]).toEqual(['bad-answer', 'unknown']);
});

test('a token is shown', async () => {
  const world = new FakeWorld(() => stored());
  await world.connect({ token: 'quoral_x' }).bucket('b', text).delete('k');
  expect(world.asked[0]!.headers['authorization']).toBe('Bearer quoral_x');
});

test('addresses that are none are refused at once', () => {
  const world = new FakeWorld(() => stored());
  for (const urls of [
    [],
    'localhost:7101',
    'ftp://a',
    ['http://a', ''],
    'http://a?b',
    'http://a/#b',
    'https://me:secret@a',
  ])
    expect(() => world.connect({ urls })).toThrow('urls: at least one node');
  expect(() => world.connect({ urls: 'http://:secret@a' })).not.toThrow('secret');
});
