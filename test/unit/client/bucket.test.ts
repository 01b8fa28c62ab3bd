import { describe, expect, test } from 'vitest';
import { json, text } from '#client/codec.ts';
import type { Sibling } from '#client/entry.ts';
import type { QuoralError } from '#client/errors.ts';
import { parseQuery } from '../../../src/api/query.ts';
import { FakeWorld, problem, stored } from './fake.ts';

const siblings = (...values: readonly string[]): Response =>
  Response.json(
    {
      context: 'both',
      siblings: values.map((value, i) => ({
        etag: `e${i}`,
        contentType: 'text/plain',
        lastModified: '2026-01-01T00:00:00.000Z',
        meta: { n: String(i) },
        value: btoa(value),
      })),
    },
    { status: 300, headers: { 'quoral-context': 'both', etag: '"set"' } },
  );

const eventual = (): Response => Response.json({ n: 3, consistency: 'eventual' });
const strong = (): Response => Response.json({ n: 3, consistency: 'strong' });
const isDefinition = (path: string): boolean => path.startsWith('/v1/buckets/');

describe('reading', () => {
  test('a value comes with everything that is known of it', async () => {
    const headers = {
      'content-type': 'application/json',
      etag: '"e1"',
      'quoral-context': 'c1',
      'quoral-meta-shop': 'north',
      'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT',
      'quoral-replicas': 'acked=2; needed=2; of=3; fallbacks=1',
      'quoral-coordinator': 'n2',
    };
    const world = new FakeWorld(() => new Response('{"a":1}', { headers }));
    const entry = await world.connect().bucket('b', json<{ a: number }>()).get('kéy/1');
    expect(world.asked[0]).toMatchObject({ method: 'GET', path: '/v1/kv64/b/a8OpeS8x' });
    expect(entry).toMatchObject({
      exists: true,
      context: 'c1',
      etag: 'e1',
      replicas: { acked: 2, needed: 2, of: 3, fallbacks: 1 },
      coordinator: 'n2',
    });
    expect(entry.value).toEqual({ a: 1 });
    expect(entry.siblings[0]).toMatchObject({ meta: { shop: 'north' }, lastModified: new Date('2026-01-01') });
  });

  test('a key that is not there has no value, and may have a context', async () => {
    const world = new FakeWorld(() => problem(404, 'not-found', {}, { 'quoral-context': 'tomb' }));
    const entry = await world.connect().bucket('b', text).get('k');
    expect([entry.exists, entry.value, entry.context]).toEqual([false, undefined, 'tomb']);
  });

  test('siblings are resolved by the function of the bucket, and never picked from without one', async () => {
    const world = new FakeWorld(() => siblings('milk', 'bread'));
    const resolve = (all: readonly Sibling<string>[]): string => all.map(({ value }) => value).join('+');
    expect((await world.connect().bucket('b', text, { resolve }).get('k')).value).toBe('milk+bread');
    const entry = await world.connect().bucket('b', text).get('k');
    expect(entry.siblings.map(({ value }) => value)).toEqual(['milk', 'bread']);
    expect(() => entry.value).toThrow('2 concurrent values');
  });
});

describe('writing', () => {
  test('what follows a read sends its context', async () => {
    const world = new FakeWorld(({ method }) => (method === 'GET' ? siblings('a', 'b') : stored()));
    const notes = world.connect().bucket('b', text);
    await notes.put('k', 'c', { follows: await notes.get('k'), ttl: 9, w: 'all', meta: { by: 'me' } });
    expect(world.asked[1]).toMatchObject({
      path: '/v1/kv64/b/aw?w=all&ttl=9',
      headers: { 'quoral-context': 'both', 'quoral-meta-by': 'me', 'content-type': 'text/plain; charset=utf-8' },
    });
    await notes.put('k', 'c', { follows: 'given' });
    expect(world.asked[2]!.headers['quoral-context']).toBe('given');
  });

  test('in a strong bucket it says what must still be there', async () => {
    const world = new FakeWorld(({ method, path }, count) => {
      if (isDefinition(path)) return strong();
      if (method === 'PUT') return stored();
      return count === 1 ? problem(404, 'not-found') : new Response('v', { headers: { etag: '"e1"' } });
    });
    const stock = world.connect().bucket('b', text);
    await stock.put('k', 'x', { follows: await stock.get('k') });
    await stock.put('k', 'x', { follows: await stock.get('k') });
    const puts = world.asked.filter(({ method }) => method === 'PUT').map(({ headers }) => headers);
    expect(puts.map((headers) => [headers['if-none-match'], headers['if-match']])).toEqual([
      ['*', undefined],
      [undefined, '"e1"'],
    ]);
    expect(world.asked.filter(({ path }) => isDefinition(path))).toHaveLength(1);
  });

  test('what is there and has no context must still be there, whatever the bucket was when it was looked at last', async () => {
    const world = new FakeWorld(({ method, path }) => {
      if (isDefinition(path)) return eventual();
      return method === 'PUT' ? stored() : new Response('v', { headers: { etag: '"e1"' } });
    });
    const stock = world.connect().bucket('b', text);
    expect((await stock.definition()).consistency).toBe('eventual');
    await stock.put('k', 'x', { follows: await stock.get('k') });
    expect(world.asked.at(-1)!.headers['if-match']).toBe('"e1"');
  });

  test('a definition is asked for anew after a while, also by a client that does not look at the ring', async () => {
    const world = new FakeWorld(({ method, path }, count) => {
      if (isDefinition(path)) return count === 1 ? eventual() : strong();
      return method === 'PUT' ? stored() : problem(404, 'not-found');
    });
    const stock = world.connect().bucket('b', text);
    await stock.definition();
    world.now += 30_000;
    await stock.put('k', 'x', { follows: await stock.get('k') });
    expect(world.asked.at(-1)!.headers['if-none-match']).toBe('*');
  });

  test('a key that never was has nothing to follow in an eventual bucket', async () => {
    const world = new FakeWorld(({ method, path }) => {
      if (isDefinition(path)) return eventual();
      return method === 'PUT' ? stored() : problem(404, 'not-found');
    });
    const notes = world.connect().bucket('b', text);
    await notes.put('k', 'x', { follows: await notes.get('k') });
    expect(Object.keys(world.asked.at(-1)!.headers).sort()).toEqual(['content-type', 'idempotency-key']);
  });
});

describe('update', () => {
  test('resolves siblings and replaces just them', async () => {
    const world = new FakeWorld(({ method }) => (method === 'GET' ? siblings('a', 'b') : stored()));
    const resolve = (all: readonly Sibling<string>[]): string => all.map(({ value }) => value).join('');
    const value = await world
      .connect()
      .bucket('b', text, { resolve })
      .update('k', (now) => `${now}c`);
    expect(value).toBe('abc');
    expect(world.asked[1]).toMatchObject({ method: 'PUT', headers: { 'quoral-context': 'both' } });
    expect(new TextDecoder().decode(world.asked[1]!.body as Uint8Array)).toBe('abc');
  });

  test('begins anew when others were faster, and only then', async () => {
    let now = 0;
    const world = new FakeWorld(({ method, path, headers }) => {
      if (isDefinition(path)) return strong();
      if (method === 'GET') return new Response(String(now), { headers: { etag: `"${now}"` } });
      if (now < 3) now += 1;
      return headers['if-match'] === `"${now}"` ? stored() : problem(412, 'precondition-failed');
    });
    const counter = world.connect().bucket('b', text);
    const seen: (string | undefined)[] = [];
    await counter.update('k', (value) => {
      seen.push(value);
      return 'x';
    });
    expect(seen).toEqual(['0', '1', '2', '3']);
  });

  test('writes nothing when there is nothing to change', async () => {
    const world = new FakeWorld(() => new Response('v'));
    expect(
      await world
        .connect()
        .bucket('b', text)
        .update('k', () => undefined),
    ).toBe('v');
    expect(world.asked).toHaveLength(1);
  });
});

test('a session brings its tokens, and its writes follow its reads', async () => {
  const world = new FakeWorld(({ method }, count) => {
    const headers = { 'quoral-session': `t${count}`, 'quoral-context': `c${count}` };
    return method === 'GET' ? new Response('v', { headers }) : stored(headers);
  });
  const outside = world.connect().bucket('b', text);
  const mine = world.connect().session().bucket('b', text);
  await mine.get('k');
  await mine.put('k', 'x');
  await mine.put('k', 'y');
  await mine.put('other', 'z');
  await outside.put('k', 'w');
  const sent = world.asked.map(({ headers }) => [headers['quoral-session'], headers['quoral-context']]);
  expect(sent).toEqual([
    ['new', undefined],
    ['t1', 'c1'],
    ['t2', 'c2'],
    ['t3', undefined],
    [undefined, undefined],
  ]);
});

test('who waits for a place in a session has a time and a signal, too', async () => {
  const world = new FakeWorld(({ path }) => (path.startsWith('/v1/kv64/b/aw?') ? undefined : stored()));
  const mine = world.connect({ attemptTimeout: 3000 }).session().bucket('b', text);
  const hang = Array.from({ length: 4 }, async () =>
    mine.get('k', { timeout: 3000 }).catch((error: QuoralError) => error),
  );
  const controller = new AbortController();
  const late = mine.put('late', 'v', { timeout: 1000 }).catch((error: QuoralError) => error);
  const given = mine.put('given', 'v', { signal: controller.signal }).catch((error: QuoralError) => error);
  const last = mine.put('last', 'v');
  controller.abort();
  expect(await given).toMatchObject({ code: 'aborted', outcome: 'not-applied' });
  expect(world.now).toBe(0);
  expect(await late).toMatchObject({ code: 'timed-out', outcome: 'not-applied' });
  expect(world.now).toBe(1000);
  expect(await last).toMatchObject({ etag: 'e1' });
  expect(await Promise.all(hang)).toMatchObject(hang.map(() => ({ code: 'timed-out' })));
  expect(world.asked.filter(({ method }) => method === 'PUT')).toHaveLength(1);
});

test('what JSON cannot say is not stored', async () => {
  const world = new FakeWorld(() => stored());
  const any = world.connect().bucket('b', json<unknown>());
  for (const value of [undefined, () => 1, Symbol('s')]) await expect(any.put('k', value)).rejects.toThrow('JSON');
  expect(world.asked).toEqual([]);
});

describe('routing', () => {
  const ring = {
    epoch: 1,
    partitions: 1,
    hashSeed: '000102030405060708090a0b0c0d0e0f',
    members: ['n1', 'n2', 'n3'].map((id) => ({ id, url: `http://${id}`, zone: 'z' })),
    placements: { '3': [['n2', 'n3', 'n1']] },
  };

  test('requests go to the first owner that works, and the ring is looked at again when somebody else answers', async () => {
    let coordinator = 'n2';
    let epoch = 1;
    const world = new FakeWorld(({ path }) => {
      if (path === '/v1/ring') return Response.json({ ...ring, epoch }, { headers: { etag: `"${epoch}"` } });
      if (isDefinition(path)) return eventual();
      return stored({ 'quoral-coordinator': coordinator });
    });
    const quoral = world.connect({ urls: 'http://a', routing: true });
    const notes = quoral.bucket('b', text);
    await quoral.ready();
    expect(quoral.ownersOf('b', 'k')).toEqual(['n2', 'n3', 'n1']);
    await notes.put('k', 'v');
    expect(world.asked.filter(({ method }) => method === 'PUT').map(({ at }) => at)).toEqual(['http://n2']);
    const looks = (): number => world.asked.filter(({ path }) => path === '/v1/ring').length;
    expect(looks()).toBe(1);
    [coordinator, epoch] = ['n4', 2];
    world.now += 1500;
    await notes.put('k', 'v');
    expect(looks()).toBe(2);
    expect(world.asked.findLast(({ path }) => path === '/v1/ring')!.headers['if-none-match']).toBe('"1"');
  });

  test('when all nodes have been asked, the owner is asked first again', async () => {
    const world = new FakeWorld(({ path, method }) => {
      if (path === '/v1/ring') return Response.json(ring);
      if (isDefinition(path)) return eventual();
      const tries = world.asked.filter((asked) => asked.method === 'PUT').length;
      return method === 'PUT' && tries > 3 ? stored() : problem(504, 'quorum-timeout');
    });
    const quoral = world.connect({ urls: 'http://n1', routing: true });
    await quoral.ready();
    await quoral.bucket('b', text).put('k', 'v');
    const at = world.asked.filter(({ method }) => method === 'PUT').map((asked) => asked.at);
    expect([at[0], new Set(at.slice(0, 3)).size, at[3], at.length]).toEqual(['http://n2', 3, 'http://n2', 4]);
  });

  test('while the ring is not known any node is asked', async () => {
    const world = new FakeWorld(({ path }) => (path === '/v1/ring' ? problem(503, 'not-ready') : stored()));
    const quoral = world.connect({ urls: 'http://a', routing: true });
    await quoral.bucket('b', text).put('k', 'v');
    expect(world.asked.some(({ at, method }) => at === 'http://a' && method === 'PUT')).toBe(true);
    await expect(quoral.ready()).rejects.toThrow('not-ready');
  });
});

describe('watching', () => {
  test('goes on behind the first sign of life when a connection ends before anything has happened', async () => {
    const world = new FakeWorld((_, count) => {
      if (count === 1) return new Response(`: watching\nid: begin\n\n`);
      if (count === 2) return new Response(`: watching\nid: begin\n\n: alive\nid: later\n\n`);
      return problem(410, 'gone');
    });
    const watching = (async () => {
      for await (const { key } of world.connect().bucket('b', text).watch()) throw new Error(`an event for ${key}`);
    })();
    await expect(watching).rejects.toMatchObject({ code: 'gone' });
    expect(world.asked.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, 'begin', 'later']);
  });

  const change = (key: string): string =>
    `id: at-${key}\ndata: ${JSON.stringify({ bucket: 'b', key, etag: null, deleted: true })}\n\n`;

  test('goes on behind the last event when a connection ends, and ends when the cursor is too old', async () => {
    const world = new FakeWorld((_, count) => {
      if (count === 1) return new Response(`: here\n\n${change('x')}${change('y')}id: half`);
      return count === 2 ? new Response(change('z')) : problem(410, 'gone');
    });
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { key, cursor } of world.connect().bucket('b', text).watch({ prefix: 'p' }))
        seen.push(`${key} ${cursor}`);
    })();
    await expect(watching).rejects.toMatchObject({ code: 'gone' });
    expect(seen).toEqual(['x at-x', 'y at-y', 'z at-z']);
    expect(world.asked.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, 'at-y', 'at-z']);
    expect(world.asked[0]!.path).toBe('/v1/watch/b?prefix=p');
  });
});

test('keys come page by page', async () => {
  const world = new FakeWorld((_, count) =>
    Response.json({ keys: [`k${count}`], next: count < 3 ? `c${count}` : null }),
  );
  const keys: string[] = [];
  for await (const key of world.connect().bucket('b', text).keys({ prefix: 'k', limit: 1 })) keys.push(key);
  expect(keys).toEqual(['k1', 'k2', 'k3']);
  expect(world.asked.map(({ path }) => path.slice('/v1/kv/b'.length))).toEqual([
    '?prefix=k&limit=1',
    '?prefix=k&after=c1&limit=1',
    '?prefix=k&after=c2&limit=1',
  ]);
});

test('a prefix reaches the node as it is, whatever it holds', async () => {
  const prefix = 'a b+c%20&d=é/?#';
  const world = new FakeWorld(() => Response.json({ keys: [], next: null }));
  await world.connect().bucket('b', text).page({ prefix });
  const [, query] = world.asked[0]!.path.split('?');
  expect(query).not.toContain('+');
  expect(parseQuery(query!, ['prefix'])).toEqual(new Map([['prefix', prefix]]));
});

test('data types and leases', async () => {
  const world = new FakeWorld(({ method, path }) => {
    if (path.startsWith('/v1/leases')) {
      return method === 'DELETE'
        ? stored()
        : Response.json({ token: 7, holder: 'me', expiresAt: '2026-01-01T00:00:00Z' });
    }
    return method === 'GET' ? Response.json({ type: 'counter', value: 12, context: 'c' }) : stored();
  });
  const quoral = world.connect();
  await quoral.counters('visits').increment('home', 5);
  expect(await quoral.counters('visits').get('home')).toBe(12);
  await quoral.maps('m').update('k', 'f', 'set', { op: 'add', values: ['x'] });
  await expect(quoral.flags('visits').get('home')).rejects.toThrow('holds a counter and no flag');
  const lease = await quoral.bucket('stock', text).lease('..', { holder: 'me', ttl: 30 });
  await lease.renew();
  await lease.release();
  expect([lease.token, lease.expiresAt.getUTCFullYear()]).toEqual([7, 2026]);
  const bodies = world.asked.map(({ body }) => (body instanceof Uint8Array ? new TextDecoder().decode(body) : body));
  expect(bodies).toEqual([
    '{"op":"increment","by":5}',
    undefined,
    '{"op":"update","field":"f","type":"set","with":{"op":"add","values":["x"]}}',
    undefined,
    '{"holder":"me","ttl":30}',
    '{"holder":"me","ttl":30}',
    undefined,
  ]);
  expect(world.asked.at(-1)!.path).toBe('/v1/leases64/stock/Li4?token=7');
});

test('a touch is sent again under one key, and says when nothing is there', async () => {
  let attempts = 0;
  const world = new FakeWorld(() => {
    attempts += 1;
    return attempts === 1 ? problem(503, 'not-ready', { outcome: 'not-applied' }) : stored();
  });
  await world.connect().bucket('b', text).touch('k', { ttl: 60, ifMatch: 'e1' });
  const asked = world.asked.filter(({ method }) => method === 'POST');
  expect(asked).toHaveLength(2);
  expect(asked[0]).toMatchObject({ path: expect.stringMatching(/^\/v1\/kv64\/b\/.*\?ttl=60$/) as string });
  expect(asked[1]!.headers['idempotency-key']).toBe(asked[0]!.headers['idempotency-key']);
  expect(asked[0]!.headers['if-match']).toBe('"e1"');
  const nothing = new FakeWorld(() => problem(404, 'not-found'));
  await expect(nothing.connect().bucket('b', text).touch('k', { ttl: 60 })).rejects.toMatchObject({
    code: 'not-found',
  });
});
