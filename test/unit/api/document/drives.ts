/**
 * Requests that make nodes give every answer that the API's description has: three simulated nodes for what works, a node
 * without a cluster behind it for what goes wrong.
 */

import { pack } from 'msgpackr';
import { createApp } from '#api/app.ts';
import type { Incoming } from '#api/exchange.ts';
import { inProcess, type InProcessAnswer } from '#api/in-process.ts';
import { parseTarget } from '#api/raw-path.ts';
import { ROUTES, type Route } from '#api/routes.ts';
import type { ApiServices } from '#api/services.ts';
import type { Trouble } from '#coordinator/requests.ts';
import { parseScope } from '#access/scope.ts';
import { nodeId } from '#kernel/identity.ts';
import { toBase64url } from '#kernel/base64.ts';
import { utf8 } from '#kernel/bytes.ts';
import { SimulatedCluster } from '../../../simulation/cluster.ts';
import { agreed, BOOTSTRAP_TOKEN, KEY_FORCE_ID, StubNode } from '../stub-services.ts';
import type { Judge } from './judge.ts';

export type Send = (
  method: string,
  target: string,
  headers?: Readonly<Record<string, string>>,
  body?: string,
) => Promise<InProcessAnswer>;

const JSON_TYPE = { 'content-type': 'application/json' };
const KEY = 'user-017';

export interface Sample {
  readonly method: string;
  readonly template: string;
  readonly target: string;
  readonly kind: Route['kind'];
  readonly need: string;
  readonly body: string | undefined;
  readonly json: boolean;
}

const BODIES: Readonly<Record<string, unknown>> = {
  'POST /v1/kv/:bucket/:key': { op: 'increment', by: 5 },
  'POST /v1/kv64/:bucket/:key': { op: 'increment', by: 5 },
  'POST /v1/batch': { operations: [{ op: 'get', bucket: 'carts', key: 'user-17' }] },
  'PUT /v1/buckets/:bucket': { conflicts: 'siblings' },
  'POST /v1/leases/:bucket/:key': { holder: 'worker-7', ttl: 30 },
  'POST /v1/leases64/:bucket/:key': { holder: 'worker-7', ttl: 30 },
  'POST /v1/tokens': { name: 'shop', scopes: ['read:carts'] },
  'POST /v1/ring/repair': {},
  'POST /v1/ring/force': { lost: ['n2'] },
  'POST /v1/ring/force/:bucket/:key': { id: KEY_FORCE_ID },
  'POST /v1/ring/force64/:bucket/:key': { id: KEY_FORCE_ID },
  'POST /v1/ring/plans': { weights: { n1: 2 } },
  'POST /v1/ring/plans/:id/apply': { throttle: 20_000_000 },
  'POST /v1/ring/transfers/pause': { id: '9237eb92d465263f' },
  'POST /v1/ring/transfers/resume': { acceptLossOf: ['n3'] },
  'POST /v1/ring/transfers/abort': { acceptLossOf: ['n3'] },
};

function templateOf(path: string): string {
  return path.replaceAll(/:(\w+)/g, '{$1}');
}

function fill(path: string, method: string): string {
  const counts = method === 'POST' && path.startsWith('/v1/kv');
  const bucket = /^\/v1\/(leases(64)?|ring\/force(64)?)\//.test(path) ? 'stock' : counts ? 'counters' : 'carts';
  const key = path.includes('64/:bucket') ? toBase64url(utf8(KEY)) : KEY;
  return path.replace(':bucket', bucket).replace(':key', key).replace(':name', 'shop').replace(':id', 'some-id');
}

function queryOf(method: string, path: string): string {
  if (path.startsWith('/v1/watch')) return '?timeout=1';
  return method === 'DELETE' && path.startsWith('/v1/leases') ? '?token=1' : '';
}

/** One good request for each operation; HEAD beside GET. */
export const SAMPLES: readonly Sample[] = ROUTES.flatMap(({ path, methods, kind }) =>
  Object.entries(methods).flatMap(([method, [need]]) => {
    const given = BODIES[`${method} ${path}`];
    const target = fill(path, method) + queryOf(method, path);
    const isValue = method === 'PUT' && path.startsWith('/v1/kv');
    const body = given === undefined ? (isValue ? 'a value' : undefined) : JSON.stringify(given);
    const sample = { template: templateOf(path), target, kind, need, body, json: given !== undefined };
    return (method === 'GET' ? ['GET', 'HEAD'] : [method]).map((one) => ({ method: one, ...sample }));
  }),
);

function headersOf({ json }: Sample): Readonly<Record<string, string>> {
  return json ? JSON_TYPE : {};
}

// --- What goes wrong -----------------------------------------------------------------------------------------------

interface Stub {
  readonly send: Send;
  readonly node: StubNode;
}

/** A node with a strong bucket for leases, whose services may be replaced one by one. */
function stub(
  prepare: (node: StubNode) => void,
  replace: (services: ApiServices) => Partial<ApiServices> = () => ({}),
): Stub {
  const node = new StubNode();
  node.properties.set('stock', { consistency: 'strong' });
  node.properties.set('counters', { type: 'counter' });
  prepare(node);
  const services = node.services();
  const call = inProcess(createApp({ ...services, ...LEASES, ...replace(services) }));
  return { node, send: (method, target, headers, body) => call(method, target, headers, utf8(body ?? '')) };
}

const LEASES: Pick<ApiServices, 'changeLease'> = {
  changeLease: async (_request, { kind }) =>
    kind === 'acquire'
      ? { kind: 'leased', lease: { holder: 'worker-7', token: 1, expiresAt: 1_750_000_030_000 }, agreement: agreed(2) }
      : { kind: 'released', agreement: agreed(2) },
};

const NOTHING = (): void => undefined;

export async function driveWhatGoesWrong(judge: Judge): Promise<void> {
  const all = async ({ send }: Stub, which: (sample: Sample) => boolean, extra = {}, change: Partial<Sample> = {}) => {
    for (const sample of SAMPLES.filter(which)) {
      const { method, template, target, body } = { ...sample, ...change };
      judge.see(method, template, await send(method, target, { ...headersOf(sample), ...extra }, body));
    }
  };
  const any = (): boolean => true;
  await all(stub(NOTHING), any);
  await all(stub(NOTHING), any, { 'x-request-id': 'not one word' });
  await all(stub(NOTHING), any, { 'if-unmodified-since': 'today' });
  await driveRights(judge, all);
  const busy = stub((node) => (node.settings = { ...node.settings, requestsMax: 0 }));
  await all(busy, ({ kind }) => kind !== 'watch');
  await all(
    stub((node) => (node.refusal = 'epoch 7 is not confirmed yet')),
    ({ kind }) => kind === 'data',
  );
  await all(stub(NOTHING, broken), any);
  await all(stub(NOTHING), ({ json }) => json, { 'content-type': 'text/plain' });
  const large = stub((node) => (node.settings = { ...node.settings, valueMaxBytes: 100, batchBytesMax: 100 }));
  for (const session of SESSIONS) {
    await all(large, ({ body }) => body !== undefined, session, { body: ' '.repeat(70_000) });
    await driveLateBodies(judge, session);
  }
  await all(
    stub(
      (node) => (node.healthy = false),
      (services) => ({ live: () => services.ready() }),
    ),
    ({ kind }) => kind === 'watch',
  );
  for (const path of ['/openapi.json', '/docs', '/v1/ring']) {
    const conditions = { 'if-match': '"other"' };
    for (const method of ['GET', 'HEAD'])
      judge.see(method, path, await busy.send(method, path, path === '/v1/ring' ? {} : conditions));
  }
  await driveKeyTroubles(judge);
  await driveOtherTroubles(judge);
}

type All = (on: Stub, which: (sample: Sample) => boolean, extra?: object) => Promise<void>;

async function driveRights(judge: Judge, all: All): Promise<void> {
  const closed = stub((node) => (node.guarded = true));
  await all(closed, ({ need }) => need !== 'open');
  const made = await closed.node.tokens.create({ name: 'figures', scopes: [parseScope('read:other')!], ttl: null }, 0);
  const poor = { authorization: `Bearer ${made.kind === 'created' ? made.text : ''}` };
  await all(closed, ({ need }) => need !== 'open', poor);
  const rich = await closed.node.tokens.create({ name: 'admin', scopes: [parseScope('admin')!], ttl: null }, 0);
  closed.node.refusal = 'epoch 7 is not confirmed yet';
  const admin = { authorization: `Bearer ${rich.kind === 'created' ? rich.text : ''}` };
  await all(closed, ({ need, kind }) => need === 'admin' && kind === 'work', admin);
  closed.node.refusal = undefined;
  const bootstrap = { authorization: `Bearer ${BOOTSTRAP_TOKEN}` };
  judge.see('GET', '/v1/tokens', await closed.send('GET', '/v1/tokens', bootstrap));
}

/** Whatever a handler asks for first breaks. */
function broken({ metrics, plans }: ApiServices): Partial<ApiServices> {
  const fail = (): never => {
    throw new Error('broken on purpose');
  };
  const silent: ApiServices['metrics'] = {
    counter: (...given) => metrics.counter(...given),
    gauge: (...given) => metrics.gauge(...given),
    histogram: (...given) => metrics.histogram(...given),
    render: fail,
  };
  return {
    refusal: fail,
    cluster: fail,
    live: fail,
    ready: fail,
    healthy: fail,
    metrics: silent,
    plans: { ...plans, transfers: fail },
    force: { force: fail },
    keyForce: { show: fail, force: fail },
  };
}

async function driveLateBodies(judge: Judge, session: Readonly<Record<string, string>>): Promise<void> {
  const node = new StubNode();
  node.properties.set('stock', { consistency: 'strong' });
  node.properties.set('counters', { type: 'counter' });
  const app = createApp(node.services());
  for (const sample of SAMPLES.filter(({ body }) => body !== undefined)) {
    const headers: Readonly<Record<string, string>> = { ...headersOf(sample), ...session };
    const incoming: Incoming = {
      method: sample.method,
      target: parseTarget(sample.target),
      remote: 'test',
      header: (name) => headers[name],
      fields: (name) => (headers[name] === undefined ? [] : [headers[name]]),
      headerNames: () => Object.keys(headers),
      readBody: async () => ({ kind: 'late' }),
    };
    const response = await app.fetch(new Request('http://in.process/'), { incoming });
    const body = new Uint8Array(await response.arrayBuffer());
    judge.see(sample.method, sample.template, { status: response.status, headers: new Map(response.headers), body });
  }
}

const SESSIONS: readonly Readonly<Record<string, string>>[] = [{}, { 'quoral-session': 'new' }];

const READ_TROUBLES: readonly Trouble[] = [
  'quorum-unavailable',
  'quorum-timeout',
  'not-ready',
  'overloaded',
  'session-not-met',
];
const WRITE_TROUBLES: readonly Trouble[] = [...READ_TROUBLES, 'disk-full', 'value-too-large', 'idempotency-mismatch'];

async function driveKeyTroubles(judge: Judge): Promise<void> {
  let trouble: Trouble = 'quorum-unavailable';
  const agreement = { ...agreed(2), acked: 1 };
  const failing = stub((node) => {
    node.read = async () => ({ kind: 'failed', trouble, detail: 'on purpose', agreement });
    node.write = async () => ({
      ...{ kind: 'unknown', trouble, detail: 'on purpose', agreement },
      ...(trouble === 'too-many-siblings' ? { context: [{ node: 0, tenure: 1, counter: 1 }] as never } : {}),
    });
  });
  const drive = async (methods: readonly string[], troubles: readonly Trouble[]): Promise<void> => {
    for (const sample of SAMPLES.filter((one) => /^\/v1\/kv(64)?\/\{bucket\}\/\{key\}$/.test(one.template))) {
      if (!methods.includes(sample.method)) continue;
      for (trouble of troubles) {
        for (const session of SESSIONS) {
          judge.see(
            sample.method,
            sample.template,
            await failing.send(sample.method, sample.target, { ...headersOf(sample), ...session }, sample.body),
          );
        }
      }
      if (sample.method === 'GET' || sample.method === 'HEAD') continue;
      const heavy = { 'quoral-meta-a': 'x'.repeat(9000) };
      const headers = { ...headersOf(sample), ...heavy };
      judge.see(sample.method, sample.template, await failing.send(sample.method, sample.target, headers, sample.body));
      if (sample.method !== 'POST') continue;
      for (const session of SESSIONS) {
        const bad = { ...headersOf(sample), ...session };
        judge.see(sample.method, sample.template, await failing.send(sample.method, sample.target, bad, 'no JSON'));
        judge.see(sample.method, sample.template, await failing.send(sample.method, sample.target, session, '{}'));
      }
    }
  };
  await drive(['GET', 'HEAD'], READ_TROUBLES);
  await drive(['PUT'], [...WRITE_TROUBLES, 'too-many-siblings']);
  await drive(['DELETE'], WRITE_TROUBLES);
  await drive(['POST'], [...WRITE_TROUBLES, 'conflict']);
}

async function driveOtherTroubles(judge: Judge): Promise<void> {
  const agreement = { ...agreed(2), acked: 1 };
  for (const trouble of ['quorum-unavailable', 'quorum-timeout', 'overloaded'] as const) {
    const failure = { kind: 'unknown', trouble, detail: 'on purpose', agreement } as const;
    const votes = { needed: 2, got: 1 };
    const bucketFailure = { kind: 'failed', trouble, detail: 'on purpose', applied: 'unknown', votes } as const;
    const unknown = { kind: 'failed', outcome: 'unknown', detail: 'on purpose', votes } as const;
    const { send } = stub(NOTHING, (services) => ({
      list: async () => ({ kind: 'failed', trouble, detail: 'on purpose', needed: 2, got: 1 }),
      changeLease: async () => failure,
      showLease: async () => failure,
      buckets: { ...services.buckets, define: async () => bucketFailure, drop: async () => bucketFailure },
      tokens: {
        list: () => [],
        create: async () => unknown,
        revoke: async () => unknown,
      },
      force: { force: async () => ({ ...unknown, outcome: 'not-applied' }) },
      keyForce: {
        ...services.keyForce,
        force: async () => unknown,
      },
      plans: {
        ...services.plans,
        apply: async () => unknown,
        steer: async () => unknown,
      },
    }));
    const concerned = /^\/v1\/(leases(64)?|buckets\/|tokens|kv\/\{bucket\}$|ring\/(plans\/|transfers\/|force))/;
    for (const sample of SAMPLES.filter(({ template }) => concerned.test(template))) {
      const { method, template, target, body } = sample;
      judge.see(method, template, await send(method, target, headersOf(sample), body));
    }
  }
  const refusing = stub(NOTHING, (services) => ({
    buckets: {
      ...services.buckets,
      define: async () => ({ kind: 'conflict', detail: 'on purpose' }),
      drop: async () => ({ kind: 'conflict', detail: 'on purpose' }),
    },
    force: { force: async () => ({ kind: 'refused', detail: 'on purpose' }) },
    keyForce: { ...services.keyForce, force: async () => ({ kind: 'refused', detail: 'on purpose' }) },
    plans: {
      ...services.plans,
      plan: async () => ({ kind: 'refused', detail: 'on purpose' }),
      apply: async () => ({ kind: 'refused', detail: 'on purpose' }),
    },
  }));
  const forgetful = stub((node) => (node.watchGone = true));
  const logless = stub((node) => (node.logless = nodeId('n2')));
  for (const method of ['GET', 'HEAD'])
    for (const { send } of [forgetful, logless])
      judge.see(method, '/v1/watch/{bucket}', await send(method, '/v1/watch/carts'));
  const see = async (method: string, template: string, target: string, body?: string) =>
    judge.see(method, template, await refusing.send(method, target, body === undefined ? {} : JSON_TYPE, body));
  await see('PUT', '/v1/buckets/{bucket}', '/v1/buckets/b', '{}');
  await see('DELETE', '/v1/buckets/{bucket}', '/v1/buckets/b');
  await see('POST', '/v1/ring/force', '/v1/ring/force', '{"lost":["n2"]}');
  for (const [family, key] of [
    ['force', 'k'],
    ['force64', 'aw'],
  ])
    await see(
      'POST',
      `/v1/ring/${family}/{bucket}/{key}`,
      `/v1/ring/${family}/stock/${key}`,
      `{"id":"${KEY_FORCE_ID}"}`,
    );
  await see('POST', '/v1/ring/plans', '/v1/ring/plans', '{}');
  await see('POST', '/v1/ring/plans/{id}/apply', '/v1/ring/plans/1/apply');
}

// --- What works ----------------------------------------------------------------------------------------------------

export async function driveWhatWorks(judge: Judge): Promise<void> {
  const cluster = await SimulatedCluster.founded({ seed: 'what the API answers', nodes: 3 });
  const call = (
    method: string,
    target: string,
    headers: Readonly<Record<string, string>> = {},
    body?: string | Uint8Array,
  ) => cluster.request('n1', method, target, body === undefined ? { headers } : { headers, body });
  const see = async (
    method: string,
    template: string,
    values: readonly string[],
    headers = {},
    body?: string | Uint8Array,
  ) => {
    let target = template;
    for (const value of values) target = target.replace(/\{\w+\}/, value);
    const [path = ''] = template.split('?');
    const answer = await call(method, target, headers, body);
    judge.see(method, path, answer);
    if (method === 'GET') judge.see('HEAD', path, await call('HEAD', target, headers));
    return answer;
  };
  await see('PUT', '/v1/buckets/{bucket}', ['carts'], JSON_TYPE, '{"conflicts":"siblings"}');
  await see('PUT', '/v1/buckets/{bucket}', ['stock'], JSON_TYPE, '{"consistency":"strong"}');
  await see('GET', '/v1/buckets/{bucket}', ['carts']);
  await see('GET', '/v1/buckets', []);
  await driveKeys(see, '/v1/kv/{bucket}/{key}', (key) => key);
  await driveKeys(see, '/v1/kv64/{bucket}/{key}', (key) => toBase64url(utf8(`64-${key}`)));
  await driveListing(see);
  await driveBatch(see);
  await driveWatch(see);
  await driveLeases(see, '/v1/leases/{bucket}/{key}', 'nightly');
  await driveLeases(see, '/v1/leases64/{bucket}/{key}', toBase64url(utf8('64')));
  await driveTokens(see);
  await driveCluster(see);
  await see('PUT', '/v1/buckets/{bucket}', ['visits'], JSON_TYPE, '{"type":"counter"}');
  await driveOperations(see, '/v1/kv/{bucket}/{key}', 'home');
  await driveOperations(see, '/v1/kv64/{bucket}/{key}', toBase64url(utf8('64')));
  await see('PUT', '/v1/buckets/{bucket}', ['carts'], JSON_TYPE, '{"conflicts":"lww"}');
  await see('DELETE', '/v1/buckets/{bucket}', ['carts']);
}

type See = (
  method: string,
  template: string,
  values: readonly string[],
  headers?: object,
  body?: string | Uint8Array,
) => Promise<InProcessAnswer>;

const TOUCH = '{"op":"touch"}';

async function driveKeys(see: See, path: string, name: (key: string) => string): Promise<void> {
  for (const session of SESSIONS) {
    const round = session['quoral-session'] ?? 'none';
    const key = ['carts', name(`user-17-${round}`)];
    const about = { 'content-type': 'text/plain', 'content-encoding': 'identity', 'quoral-meta-shop': 'north' };
    const first = await see('PUT', `${path}?ttl=7200`, key, { ...session, ...about }, '2 apples');
    await see('GET', path, key, session);
    const etag = first.headers.get('etag')!;
    await see('GET', path, key, { ...session, 'if-none-match': etag });
    await see('GET', path, key, { ...session, 'if-match': '"other"' });
    await see('PUT', path, key, { ...session, 'if-match': '"other"' }, 'x');
    await see('DELETE', path, key, { ...session, 'if-match': '"other"' });
    const seen = { 'quoral-context': first.headers.get('quoral-context')! };
    const whole = `${path}?return=body`;
    await see('PUT', `${whole}&ttl=3600`, key, { ...session, ...about, ...seen }, '3 apples');
    const touch = (headers: object = {}) =>
      see('POST', `${whole}&ttl=7200`, key, { ...session, ...JSON_TYPE, ...headers }, TOUCH);
    await touch();
    await see('PUT', path, key, session, '1 pear');
    await see('PUT', whole, key, session, '1 plum');
    await see('PUT', whole, key, { ...session, accept: 'application/json' }, '1 fig');
    await see('GET', path, key, session);
    const json = await see('GET', path, key, { ...session, accept: 'application/json' });
    await see('GET', path, key, { ...session, 'if-none-match': json.headers.get('etag')! });
    await touch();
    await touch({ accept: 'application/json' });
    await see('DELETE', whole, key, { ...session, ...seen });
    await see('DELETE', whole, key, { ...session, ...seen, accept: 'application/json' });
    await see('DELETE', path, key, session);
    await touch();
    await see('GET', path, key, session);
    await driveDeletions(see, path, ['carts', name(`user-18-${round}`)], { ...session }, about);
  }
}

async function driveOperations(see: See, path: string, name: string): Promise<void> {
  const key = ['visits', name];
  for (const session of SESSIONS) {
    const headers = { ...JSON_TYPE, ...session };
    const increment = '{"op":"increment","by":5}';
    await see('POST', path, key, headers, increment);
    await see('POST', `${path}?return=body`, key, headers, increment);
    await see('POST', path, key, { ...headers, 'if-none-match': '*' }, increment);
    await see('POST', path, key, headers, `{"op":"increment","by":${Number.MAX_SAFE_INTEGER}}`);
    await see('GET', path, key, session);
  }
}

/** Of one of two versions, so that the other is there all the same. */
async function driveDeletions(see: See, path: string, key: readonly string[], session: object, about: object) {
  const first = await see('PUT', path, key, session, 'mine');
  await see('PUT', `${path}?ttl=7200`, key, { ...session, ...about }, 'of somebody else');
  const seen = { ...session, 'quoral-context': first.headers.get('quoral-context')! };
  await see('DELETE', path, key, seen);
  await see('DELETE', `${path}?return=body`, key, seen);
  await see('GET', path, key, { ...session, 'if-none-match': '"other"' });
}

async function driveWatch(see: See): Promise<void> {
  await see('GET', '/v1/watch/{bucket}?timeout=50', ['carts']);
}

async function driveBatch(see: See): Promise<void> {
  const bucket = 'carts';
  const body = JSON.stringify({
    operations: [
      { op: 'put', bucket, key: 'user-21', value: '2 apples', contentType: 'text/plain' },
      { op: 'get', bucket, key: 'user-22' },
    ],
  });
  await see('POST', '/v1/batch', [], JSON_TYPE, body);
  const packed: Uint8Array = pack(JSON.parse(body));
  await see('POST', '/v1/batch', [], { 'content-type': 'application/msgpack' }, packed);
}

async function driveListing(see: See): Promise<void> {
  const path = '/v1/kv/{bucket}';
  for (const key of ['user-17', 'user-18', 'user-19']) await see('PUT', `${path}/{key}`, ['users', key], {}, 'x');
  await see('GET', `${path}?prefix=user-&limit=2`, ['users']);
  await see('GET', path, ['users'], { accept: 'application/x-ndjson' });
}

async function driveLeases(see: See, path: string, name: string): Promise<void> {
  const of = ['stock', name];
  await see('GET', path, of);
  const lease = await see('POST', path, of, JSON_TYPE, '{"holder":"worker-7","ttl":30}');
  const { token } = JSON.parse(new TextDecoder().decode(lease.body)) as { token: number };
  await see('GET', path, of);
  await see('POST', path, of, JSON_TYPE, '{"holder":"worker-8","ttl":30}');
  await see('DELETE', `${path}?token=1`, of);
  await see('DELETE', `${path}?token=${token}`, of);
}

async function driveTokens(see: See): Promise<void> {
  const shop = '{"name":"shop","scopes":["read:carts","write:carts"]}';
  await see('POST', '/v1/tokens', [], JSON_TYPE, shop);
  await see('POST', '/v1/tokens', [], JSON_TYPE, shop);
  await see('GET', '/v1/tokens', []);
  await see('DELETE', '/v1/tokens/{name}', ['shop']);
  await see('DELETE', '/v1/tokens/{name}', ['shop']);
}

async function driveCluster(see: See): Promise<void> {
  await see('GET', '/v1/cluster', []);
  for (const path of ['/v1/ring', '/openapi.json', '/docs']) {
    const { headers } = await see('GET', path, []);
    await see('GET', path, [], { 'if-none-match': headers.get('etag')! });
    await see('GET', path, [], { 'if-match': '"other"' });
  }
  await see('GET', '/v1/ring/locate/{bucket}/{key}', ['carts', KEY]);
  await see('GET', '/v1/ring/locate64/{bucket}/{key}', ['carts', toBase64url(utf8('..'))]);
  await see('GET', '/v1/explain/{bucket}/{key}', ['carts', 'user-18-none']);
  await see('GET', '/v1/explain64/{bucket}/{key}', ['carts', toBase64url(utf8('\0'))]);
  await see('GET', '/v1/ring/repair', []);
  await see('POST', '/v1/ring/repair', [], JSON_TYPE, '{"bucket":"carts"}');
  await see('POST', '/v1/ring/repair', []);
  await see('GET', '/v1/ring/repair', []);
  const planned = await see('POST', '/v1/ring/plans', [], JSON_TYPE, '{"weights":{"n1":2}}');
  const { id } = JSON.parse(new TextDecoder().decode(planned.body)) as { id: string };
  await see('POST', '/v1/ring/plans', []);
  await see('POST', '/v1/ring/plans/{id}/apply', [id]);
  await see('POST', '/v1/ring/plans/{id}/apply', ['some-id']);
  await see('GET', '/v1/ring/transfers', []);
  for (const verb of ['pause', 'resume', 'abort']) await see('POST', `/v1/ring/transfers/${verb}`, []);
  for (const path of ['/livez', '/readyz', '/healthz', '/metrics', '/ui/']) await see('GET', path, []);
}
