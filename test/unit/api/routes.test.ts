import { describe, expect, test } from 'vitest';
import { createApp } from '#api/app.ts';
import { inProcess, type InProcessAnswer } from '#api/in-process.ts';
import { DEFAULT_PROPERTIES } from '#buckets/definition.ts';
import { GivenRequest } from '#api/given-request.ts';
import { parseTarget } from '#api/raw-path.ts';
import { EMPTY_BYTES, utf8 } from '#kernel/bytes.ts';
import { agreed, StubNode } from './stub-services.ts';
import { harness, jsonOf, textOf } from './client.ts';

const JSON_TYPE = { 'Content-Type': 'application/json' };

function codeOf(answer: InProcessAnswer): unknown {
  return String(jsonOf(answer)['type']).replace('urn:quoral:problem:', '');
}

test('what is wanted of the whole ring needs no body', async () => {
  const call = inProcess(createApp(new StubNode().services()));
  expect(codeOf(await call('POST', '/v1/ring/plans'))).toBe('conflict');
  expect(codeOf(await call('POST', '/v1/ring/plans', JSON_TYPE))).toBe('conflict');
  for (const path of ['/v1/ring/plans', '/v1/ring/repair']) {
    expect(codeOf(await call('POST', path, {}, utf8('{}')))).toBe('unsupported-media-type');
    expect(codeOf(await call('POST', path, JSON_TYPE, utf8('[]')))).toBe('invalid-request');
  }
});

test.each([
  ['GET', '/v1/kv/b/k'],
  ['HEAD', '/v1/kv64/b/aw'],
  ['GET', '/v1/kv/b'],
  ['GET', '/v1/watch/b'],
  ['PUT', '/v1/buckets/b'],
  ['GET', '/v1/ring'],
])('%s %s takes no Quoral header that is not known: it may be a misspelt one', async (method, path) => {
  const call = inProcess(createApp(new StubNode().services()));
  expect((await call(method, path, { 'quoral-sesion': 'new' })).status).toBe(400);
});

describe('requests for one key', () => {
  const app = createApp(new StubNode().services());
  const asked = (target: string) =>
    app.answerDirectly(
      new GivenRequest({
        method: 'GET',
        target: parseTarget(target),
        remote: '',
        headers: new Map(),
        body: EMPTY_BYTES,
      }),
    );

  test.each(['/v1/kv/b/k', '/v1/kv64/b/aw', '/v1/kv/b/k?r=1', '/v1/kv/b%2Fc/%2F', '/v1/kv64/b/!', '/v1/kv/b/k?x'])(
    '%s is one, and its answer is the one that hono would give',
    async (target) => {
      const direct = await asked(target);
      const routed = await inProcess(app)('GET', target);
      expect(direct?.status).toBe(routed.status);
      expect(direct?.body).toEqual(textOf(routed));
      expect(Object.keys(direct!.headers).toSorted()).toEqual([...routed.headers.keys()].toSorted());
    },
  );

  test.each(['/', '/v1/kv/b', '/v1/kv/b/k/more', '/v2/kv/b/k', '/v1/KV/b/k', '/v1/leases/b/k'])(
    '%s is none',
    (target) => {
      expect(asked(target)).toBeUndefined();
    },
  );

  test.each(['/v1/kv//k', 'v1/kv/b/k', '/v1/cluster/%zz'])(
    '%s is malformed, and told so without hono',
    async (target) => {
      const direct = await asked(target);
      expect(direct?.status).toBe(400);
      expect(direct?.headers['x-request-id']).toMatch(/^n1-/);
    },
  );
});

describe('buckets', () => {
  test('one that nobody has defined has the defaults', async () => {
    const answer = await harness().send('GET', '/v1/buckets/any');
    expect([answer.status, jsonOf(answer)]).toEqual([200, DEFAULT_PROPERTIES]);
  });

  test('what is shown can be sent back', async () => {
    const { send } = harness();
    const defined = await send('PUT', '/v1/buckets/b', JSON_TYPE, utf8('{"n":5,"conflicts":"siblings"}'));
    expect([defined.status, jsonOf(defined)]).toEqual([200, { ...DEFAULT_PROPERTIES, n: 5, conflicts: 'siblings' }]);
    const again = await send('PUT', '/v1/buckets/b', JSON_TYPE, defined.body);
    expect(jsonOf(again)).toEqual(jsonOf(defined));
    expect(jsonOf(await send('GET', '/v1/buckets'))).toEqual({ buckets: [{ name: 'b', properties: jsonOf(defined) }] });
  });

  test.each([
    ['{"m":5}', 400, 'invalid-request', 'm'],
    ['[]', 400, 'invalid-request', 'body'],
    ['{', 400, 'invalid-request', 'body'],
    ['', 400, 'invalid-request', 'body'],
    ['\u00ff', 400, 'invalid-request', 'body'],
    [`{"n":5}${' '.repeat(65_536)}`, 413, 'value-too-large', 'body'],
  ])('a definition %#', async (text, status, code, field) => {
    const answer = await harness().send(
      'PUT',
      '/v1/buckets/b',
      JSON_TYPE,
      Uint8Array.from(Buffer.from(text, 'latin1')),
    );
    expect([answer.status, codeOf(answer), jsonOf(answer)['field']]).toEqual([status, code, field]);
  });

  test.each([undefined, 'text/plain', 'application/jsonx', 'application/x-www-form-urlencoded'])(
    'a definition of type %s is 415',
    async (type) => {
      const headers: Record<string, string> = type === undefined ? {} : { 'Content-Type': type };
      const answer = await harness().send('PUT', '/v1/buckets/b', headers, utf8('{}'));
      expect([answer.status, codeOf(answer)]).toEqual([415, 'unsupported-media-type']);
    },
  );

  test('conflicts, bad names and unknown parameters', async () => {
    const { send } = harness();
    expect((await send('PUT', '/v1/buckets/fixed', JSON_TYPE, utf8('{}'))).status).toBe(409);
    expect((await send('PUT', '/v1/buckets/a%20b', JSON_TYPE, utf8('{}'))).status).toBe(400);
    expect((await send('GET', '/v1/buckets/b?x=1')).status).toBe(400);
    expect((await send('GET', '/v1/buckets?x=1')).status).toBe(400);
    expect((await send('DELETE', '/v1/buckets/fixed')).status).toBe(409);
    expect((await send('DELETE', '/v1/buckets/a%20b')).status).toBe(400);
  });

  test('dropped, whether defined or not', async () => {
    const { send } = harness();
    await send('PUT', '/v1/buckets/b', JSON_TYPE, utf8('{"n":5}'));
    for (let i = 0; i < 2; i++) expect((await send('DELETE', '/v1/buckets/b')).status).toBe(204);
    expect(jsonOf(await send('GET', '/v1/buckets/b'))).toEqual(DEFAULT_PROPERTIES);
  });
});

describe('paths and methods', () => {
  test.each([
    ['PATCH', '/v1/kv/b/k', 'GET, HEAD, PUT, DELETE, POST'],
    ['OPTIONS', '/v1/kv64/b/k', 'GET, HEAD, PUT, DELETE, POST'],
    ['PUT', '/v1/kv/b', 'GET, HEAD'],
    ['POST', '/livez', 'GET, HEAD'],
    ['GET', '/v1/batch', 'POST'],
    ['HEAD', '/v1/batch', 'POST'],
    ['POST', '/v1/buckets/b', 'GET, HEAD, PUT, DELETE'],
    ['DELETE', '/v1/ring', 'GET, HEAD'],
  ])('%s %s is 405', async (method, path, allow) => {
    const answer = await harness().send(method, path);
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, allow]);
  });

  test.each([
    '/',
    '/v1',
    '/v2/kv/b/k',
    '/v1/kv',
    '/V1/kv/b/k',
    '/v1/%6bv/b/k',
    '/ui/x',
    '/v1/kv64/b',
    '/*',
    '/v1/kv/b/k/*',
  ])('%s is 404', async (path) => {
    const answer = await harness().send('GET', path);
    expect([answer.status, codeOf(answer)]).toEqual([404, 'not-found']);
  });

  test('a slash in a key that is not escaped gets a hint', async () => {
    expect(jsonOf(await harness().send('GET', '/v1/kv/b/a/b'))['detail']).toContain('%2F');
  });

  test('a refused target reaches no route', async () => {
    const { send, node } = harness();
    for (const target of ['/v1/kv/b/%2e%2e/%2e%2e/cluster', '/v1/../livez', '*', '/v1/kv/b/..', '/v1/kv/b/..%2f']) {
      const { status } = await send('GET', target);
      expect(status).toBe(target.endsWith('%2f') ? 404 : 400);
    }
    expect(node.reads).toHaveLength(1);
  });
});

describe('the ring and the cluster', () => {
  test('views', async () => {
    const { send } = harness();
    expect(jsonOf(await send('GET', '/v1/cluster'))).toMatchObject({ epoch: 7, self: 'n1', members: [] });
    expect(jsonOf(await send('GET', '/v1/ring'))).toMatchObject({ epoch: 7, partitions: 2 });
    expect(jsonOf(await send('GET', '/v1/ring/locate/b/a%2Fb'))).toMatchObject({ hash: '612f62', primaries: ['n1'] });
    expect((await send('GET', '/v1/ring/locate/b/%ff')).status).toBe(400);
    expect((await send('GET', '/v1/cluster?x=1')).status).toBe(400);
  });

  test('the ring is fetched again only when it has changed', async () => {
    const { send } = harness();
    const { headers } = await send('GET', '/v1/ring');
    const same = await send('GET', '/v1/ring', { 'If-None-Match': headers.get('etag')! });
    expect([same.status, same.body.length]).toEqual([304, 0]);
    expect((await send('GET', '/v1/ring', { 'If-None-Match': '"6"' })).status).toBe(200);
  });
});

describe('health', () => {
  test('a line a check', async () => {
    const { send, node } = harness();
    expect((await send('GET', '/livez')).status).toBe(200);
    const ready = await send('GET', '/readyz');
    expect([ready.status, jsonOf(ready)['status']]).toEqual([200, 'ok']);
    expect(textOf(ready).split('\n')).toContain('  {"name":"disk","ok":true,"detail":"writable"},');
    expect(jsonOf(await send('GET', '/healthz'))).toMatchObject({ status: 'ok', ringWithQuorum: 1 });
    node.healthy = false;
    const failing = await send('GET', '/readyz');
    expect([failing.status, jsonOf(failing)['status']]).toEqual([503, 'failing']);
    const cluster = await send('GET', '/healthz');
    expect([cluster.status, jsonOf(cluster)['ringWithQuorum']]).toEqual([503, 0.5]);
  });

  test('figures: counted by route and never by what a client sent', async () => {
    const { send } = harness();
    await send('PUT', '/v1/kv/b/k', {}, utf8('v'));
    await send('GET', '/v1/kv/b/k?r=9');
    await send('BREW', '/v1/kv/b/k');
    await send('GET', '/secret-path');
    const text = textOf(await send('GET', '/metrics'));
    expect(text).toContain('quoral_http_requests_total{route="/v1/kv/:bucket/:key",method="PUT",status="2xx"} 1');
    expect(text).toContain('quoral_http_requests_total{route="/v1/kv/:bucket/:key",method="GET",status="4xx"} 1');
    expect(text).toContain('quoral_http_requests_total{route="/v1/kv/:bucket/:key",method="other",status="4xx"} 1');
    expect(text).toContain('quoral_http_requests_total{route="none",method="GET",status="4xx"} 1');
    expect(text).toContain('quoral_http_request_seconds_count{route="/v1/kv/:bucket/:key",method="PUT"} 1');
    expect(text).not.toContain('secret-path');
  });
});

describe('bounds', () => {
  test('a node that is not ready serves no data and goes on telling how it is', async () => {
    const { send, node } = harness((stub) => (stub.refusal = 'the epoch is not confirmed yet'));
    for (const [method, path] of [
      ['GET', '/v1/kv/b/k'],
      ['PUT', '/v1/kv/b/k'],
      ['GET', '/v1/buckets'],
      ['GET', '/v1/ring'],
      ['POST', '/v1/batch'],
    ] as const) {
      const answer = await send(method, path);
      expect([answer.status, codeOf(answer), answer.headers.get('retry-after')]).toEqual([503, 'not-ready', '1']);
      // Idempotency keys of operations that were sent before may be in a batch that nobody reads.
      const outcome = { GET: undefined, PUT: 'not-applied', POST: 'unknown' }[method];
      expect(jsonOf(answer)['outcome']).toBe(outcome);
    }
    for (const path of ['/livez', '/readyz', '/metrics', '/v1/cluster'])
      expect((await send('GET', path)).status).toBe(200);
    expect([node.reads, node.writes]).toEqual([[], []]);
  });

  test('a node that starts lets requests wait until it is ready, for so long; all others are refused at once', async () => {
    let now = 0;
    const timers: { readonly at: number; readonly ring: () => void }[] = [];
    const { send, node } = harness((stub) => {
      stub.refusal = 'the epoch is not confirmed yet';
      stub.settings = { ...stub.settings, startPatienceMs: 1000, requestsMax: 2 };
      stub.clock = {
        wall: () => 0,
        monotonic: () => now,
        after: (delay, ring) => {
          timers.push({ at: now + delay, ring });
          return { cancel: () => undefined };
        },
      };
    });
    const goOn = async (until: number): Promise<void> => {
      for (; now < until; now += 10) {
        const due = timers.filter(({ at }) => at <= now);
        for (const timer of due) timers.splice(timers.indexOf(timer), 1);
        for (const { ring } of due) ring();
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const first = [send('PUT', '/v1/kv/b/k', {}, utf8('v')), send('GET', '/v1/kv/b/absent')];
    await goOn(500);
    expect((await send('GET', '/v1/kv/b/k')).status).toBe(429);
    expect([node.reads, node.writes]).toEqual([[], []]);
    node.refusal = undefined;
    await goOn(600);
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([204, 404]);
    node.refusal = 'the disk has failed';
    const late = send('PUT', '/v1/kv/b/k');
    await goOn(1100);
    expect([(await late).status, jsonOf(await late)['outcome']]).toEqual([503, 'not-applied']);
    expect((await send('GET', '/v1/kv/b/k')).status).toBe(503);
  });

  test('requests under way are bounded; health is not', async () => {
    const { send, node } = harness((stub) => (stub.settings = { ...stub.settings, requestsMax: 2 }));
    const held: (() => void)[] = [];
    node.read = (request) =>
      new Promise((resolve) => {
        const outcome = { kind: 'found' as const, agreement: agreed(request.r), versions: [], context: [] };
        held.push(() => resolve({ ...outcome, coordinator: node.services().self }));
      });
    const first = [send('GET', '/v1/kv/b/1'), send('GET', '/v1/kv/b/2')];
    const third = await send('GET', '/v1/kv/b/3');
    expect([third.status, codeOf(third), third.headers.get('retry-after')]).toEqual([429, 'overloaded', '1']);
    expect((await send('GET', '/livez')).status).toBe(200);
    held.forEach((release) => release());
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([404, 404]);
    node.read = undefined;
    expect((await send('GET', '/v1/kv/b/3')).status).toBe(404);
  });

  test('so is the memory of their bodies, and it is given back whatever happens', async () => {
    const node = new StubNode();
    node.settings = { ...node.settings, valueMaxBytes: 60, bodiesMaxBytes: 100 };
    const send = inProcess(createApp(node.services()));
    let release = (): void => undefined;
    node.write = () => new Promise((_resolve, reject) => (release = () => reject(new Error('a bug'))));
    const size = { 'content-length': '60' };
    const first = send('PUT', '/v1/kv/b/1', size, new Uint8Array(60));
    await Promise.resolve();
    const crowded = await send('PUT', '/v1/kv/b/2', size, new Uint8Array(60));
    expect(codeOf(crowded)).toBe('overloaded');
    expect(jsonOf(crowded)).toMatchObject({ outcome: 'not-applied' });
    const keyed = await send('PUT', '/v1/kv/b/2', { ...size, 'idempotency-key': 'k' }, new Uint8Array(60));
    expect(jsonOf(keyed)).toMatchObject({ outcome: 'unknown' });
    while (node.writes.length === 0) await Promise.resolve();
    release();
    expect((await first).status).toBe(500);
    node.write = undefined;
    expect((await send('PUT', '/v1/kv/b/2', size, new Uint8Array(60))).status).toBe(204);
  });
});
