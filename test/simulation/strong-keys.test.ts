/**
 * Keys of strong buckets over HTTP on three simulated nodes: what a single register on a single machine would answer,
 * whoever is asked, or a refusal that says so.
 */

import { expect, test } from 'vitest';
import type { InProcessAnswer } from '#api/in-process.ts';
import { SimulatedCluster } from './cluster.ts';

const JSON_HEADERS = { 'content-type': 'application/json' };

function text(answer: InProcessAnswer): string {
  return new TextDecoder().decode(answer.body);
}

function problem(answer: InProcessAnswer): Record<string, unknown> {
  return JSON.parse(text(answer)) as Record<string, unknown>;
}

async function strongCluster(seed: string): Promise<SimulatedCluster> {
  const cluster = await SimulatedCluster.founded({ seed, nodes: 3 });
  const answer = await cluster.request('n1', 'PUT', '/v1/buckets/s', {
    headers: JSON_HEADERS,
    body: '{"consistency":"strong"}',
  });
  expect(answer.status, text(answer)).toBe(200);
  return cluster;
}

function isolate(cluster: SimulatedCluster, id: string): void {
  for (const { id: other, host } of cluster.machines) {
    if (other !== id) cluster.network.partition(cluster.machine(id).host, host);
  }
}

test('put, get, delete and conditions at any node', async () => {
  const cluster = await strongCluster('strong basics');
  const at = cluster.request.bind(cluster);
  expect((await at('n1', 'GET', '/v1/kv/s/k')).status).toBe(404);
  const put = await at('n2', 'PUT', '/v1/kv/s/k', {
    body: 'one',
    headers: { 'content-type': 'text/x', 'quoral-meta-a': 'b' },
  });
  expect(put.status).toBe(204);
  expect(put.headers.get('quoral-replicas')).toMatch(/^acked=[23]; needed=2; of=3; fallbacks=0$/);
  expect(put.headers.has('quoral-context')).toBe(false);
  const etag = put.headers.get('etag')!;
  for (const id of ['n1', 'n2', 'n3']) {
    const got = await at(id, 'GET', '/v1/kv/s/k');
    expect([got.status, text(got), got.headers.get('etag')]).toEqual([200, 'one', etag]);
    expect(got.headers.get('content-type')).toBe('text/x');
    expect(got.headers.get('quoral-meta-a')).toBe('b');
  }
  const stale = await at('n3', 'PUT', '/v1/kv/s/k', { body: 'x', headers: { 'if-match': '"0000000000000000"' } });
  expect([stale.status, stale.headers.get('etag')]).toEqual([412, etag]);
  expect((await at('n3', 'PUT', '/v1/kv/s/k', { body: 'x', headers: { 'if-none-match': '*' } })).status).toBe(412);
  expect((await at('n3', 'PUT', '/v1/kv/s/k', { body: 'two', headers: { 'if-match': etag } })).status).toBe(204);
  const body = await at('n1', 'PUT', '/v1/kv/s/k?return=body', { body: 'three' });
  expect([body.status, text(body)]).toEqual([200, 'three']);
  expect((await at('n2', 'DELETE', '/v1/kv/s/k')).status).toBe(204);
  expect((await at('n1', 'GET', '/v1/kv/s/k')).status).toBe(404);
  expect((await at('n1', 'PUT', '/v1/kv/s/k', { body: 'again', headers: { 'if-none-match': '*' } })).status).toBe(204);
});

test('explain shows what each owner has accepted', async () => {
  const cluster = await strongCluster('strong explain');
  await cluster.request('n1', 'PUT', '/v1/kv/s/k', { body: 'value' });
  await cluster.simulation.run(cluster.simulation.now + 1000);
  const { replicas, agree } = problem(await cluster.request('n2', 'GET', '/v1/explain/s/k'));
  expect(agree).toBe(true);
  expect((replicas as { versions: unknown[] }[]).map(({ versions }) => versions)).toMatchObject([
    [{ bytes: 5 }],
    [{ bytes: 5 }],
    [{ bytes: 5 }],
  ]);
});

test('a write names the owner that minted it, wherever it came in', async () => {
  const cluster = await strongCluster('strong coordinator');
  const { primaries } = problem(await cluster.request('n1', 'GET', '/v1/ring/locate/s/k'));
  for (const at of ['n1', 'n2', 'n3']) {
    const put = await cluster.request(at, 'PUT', '/v1/kv/s/k', { body: at });
    expect(put.headers.get('quoral-coordinator')).toBe((primaries as string[])[0]);
  }
});

test('what has no meaning in a strong bucket is refused with a reason', async () => {
  const cluster = await strongCluster('strong refusals');
  for (const parameter of ['r=1', 'w=2', 'pr=0', 'pw=0', 'dw=1', 'sloppy=false', 'consistency=all']) {
    for (const method of ['GET', 'PUT']) {
      const answer = await cluster.request('n1', method, `/v1/kv/s/k?${parameter}`, { body: 'v' });
      expect(answer.status).toBe(400);
      expect(problem(answer)['field']).toBe(parameter.split('=')[0]);
      expect(problem(answer)['detail']).toContain('strong');
    }
  }
  const context = await cluster.request('n1', 'PUT', '/v1/kv/s/k', { body: 'v', headers: { 'quoral-context': 'AA' } });
  expect([context.status, problem(context)['field']]).toEqual([400, 'Quoral-Context']);
});

test('the minority side refuses, the majority side goes on, and both agree afterwards', async () => {
  const cluster = await strongCluster('strong partition');
  await cluster.request('n1', 'PUT', '/v1/kv/s/k', { body: 'before' });
  isolate(cluster, 'n3');
  const read = await cluster.request('n3', 'GET', '/v1/kv/s/k?timeout=4000');
  expect([503, 504]).toContain(read.status);
  const write = await cluster.request('n3', 'PUT', '/v1/kv/s/k?timeout=4000', { body: 'minority' });
  expect([503, 504]).toContain(write.status);
  expect((await cluster.request('n1', 'PUT', '/v1/kv/s/k?timeout=10000', { body: 'majority' })).status).toBe(204);
  expect(text(await cluster.request('n2', 'GET', '/v1/kv/s/k?timeout=10000'))).toBe('majority');
  cluster.network.clearFaults();
  await cluster.simulation.run(() =>
    ['n1', 'n2'].every((id) => cluster.running('n3').node.peers.usable(cluster.machine(id).id)),
  );
  const after = text(await cluster.request('n3', 'GET', '/v1/kv/s/k'));
  // What was refused as "unknown" may win later; "not applied" may not.
  expect(problem(write)['outcome'] === 'unknown' ? ['majority', 'minority'] : ['majority']).toContain(after);
});

test('increments by compare-and-set from all nodes at once lose nothing', async () => {
  const cluster = await strongCluster('strong counter');
  await cluster.request('n1', 'PUT', '/v1/kv/s/n', { body: '0' });
  let done = 0;
  const worker = async (id: string): Promise<void> => {
    const { api } = cluster.running(id);
    for (let i = 0; i < 8;) {
      const read = await api('GET', '/v1/kv/s/n');
      const headers = { 'if-match': read.headers.get('etag')! };
      const written = await api('PUT', '/v1/kv/s/n', headers, new TextEncoder().encode(String(Number(text(read)) + 1)));
      expect([204, 412]).toContain(written.status);
      if (written.status === 412) continue;
      done += 1;
      i += 1;
    }
  };
  await cluster.simulation.settle(Promise.all(['n1', 'n2', 'n3', 'n1', 'n2'].map(worker)));
  expect(done).toBe(40);
  expect(text(await cluster.request('n3', 'GET', '/v1/kv/s/n'))).toBe('40');
});

test('an idempotency key makes one change of however many attempts, at whichever node', async () => {
  const cluster = await strongCluster('strong retries');
  const headers = { 'idempotency-key': 'a' };
  const first = await cluster.request('n1', 'PUT', '/v1/kv/s/k', { body: 'one', headers });
  await cluster.request('n2', 'PUT', '/v1/kv/s/k', { body: 'two' });
  const again = await cluster.request('n3', 'PUT', '/v1/kv/s/k', { body: 'one', headers });
  expect([again.status, again.headers.get('etag')]).toEqual([204, first.headers.get('etag')]);
  expect(text(await cluster.request('n1', 'GET', '/v1/kv/s/k'))).toBe('two');
  expect((await cluster.request('n1', 'PUT', '/v1/kv/s/k', { body: 'other', headers })).status).toBe(422);
});

test('a lease has one holder, ends by itself, and its tokens only grow, also over deletes', async () => {
  const cluster = await strongCluster('leases');
  const ask = async (
    id: string,
    method: string,
    query = '',
    body?: object,
  ): Promise<[number, Record<string, unknown>]> => {
    const answer = await cluster.request(id, method, `/v1/leases/s/lock${query}`, {
      headers: JSON_HEADERS,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return [answer.status, answer.body.length === 0 ? {} : problem(answer)];
  };
  expect((await ask('n1', 'GET'))[0]).toBe(404);
  const [status, lease] = await ask('n1', 'POST', '', { holder: 'a', ttl: 10 });
  expect([status, lease['holder']]).toEqual([200, 'a']);
  const [held, refusal] = await ask('n2', 'POST', '', { holder: 'b', ttl: 10 });
  expect([held, refusal['holder'], refusal['expiresAt']]).toEqual([409, 'a', lease['expiresAt']]);
  const [, renewed] = await ask('n3', 'POST', '', { holder: 'a', ttl: 20 });
  expect(renewed['token']).toBe(lease['token']);
  expect(String(renewed['expiresAt']) > String(lease['expiresAt'])).toBe(true);
  expect((await ask('n2', 'GET'))[1]).toEqual(renewed);

  const tokens = [Number(lease['token'])];
  expect((await ask('n2', 'DELETE', '?token=1'))[0]).toBe(409);
  expect((await ask('n2', 'DELETE', `?token=${String(lease['token'])}`))[0]).toBe(204);
  expect((await ask('n1', 'GET'))[0]).toBe(404);
  tokens.push(Number((await ask('n2', 'POST', '', { holder: 'b', ttl: 1 }))[1]['token']));
  await cluster.request('n1', 'PUT', '/v1/kv/s/lock', { body: 'v' });
  await cluster.request('n1', 'DELETE', '/v1/kv/s/lock');
  expect((await ask('n1', 'GET'))[1]['holder']).toBe('b');
  const end = cluster.simulation.now + 1500;
  await cluster.simulation.run(() => cluster.simulation.now > end);
  tokens.push(Number((await ask('n3', 'POST', '', { holder: 'a', ttl: 10 }))[1]['token']));
  expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
  expect(new Set(tokens).size).toBe(3);

  expect((await ask('n1', 'POST', '', { holder: '', ttl: 10 }))[1]['field']).toBe('holder');
  expect((await ask('n1', 'POST', '', { holder: 'a', ttl: 0 }))[1]['field']).toBe('ttl');
  expect((await ask('n1', 'DELETE'))[1]['field']).toBe('token');
  const weak = await cluster.request('n1', 'GET', '/v1/leases/other/k');
  expect([weak.status, problem(weak)['field']]).toEqual([400, 'bucket']);
});

test('what was acknowledged outlives the crash of any node, and of all at once', async () => {
  const cluster = await strongCluster('strong crashes');
  for (let i = 0; i < 9; i++) {
    const path = `/v1/kv/s/k${i % 3}`;
    const written = await cluster.request(`n${(i % 3) + 1}`, 'PUT', path, { body: `value ${i}` });
    expect(written.status, text(written)).toBe(204);
    const victim = `n${((i * 2) % 3) + 1}`;
    cluster.crash(cluster.machine(victim));
    await cluster.restart(victim);
    for (const id of ['n1', 'n2', 'n3'])
      expect(text(await cluster.request(id, 'GET', `${path}?timeout=20000`))).toBe(`value ${i}`);
  }
  for (const machine of cluster.machines) cluster.crash(machine);
  await cluster.simulation.settle(Promise.all(cluster.machines.map(async (machine) => cluster.start(machine))));
  await cluster.simulation.run(() => cluster.machines.every(({ running }) => running?.node.ready() === true));
  for (let i = 0; i < 3; i++) {
    expect(text(await cluster.request('n2', 'GET', `/v1/kv/s/k${i}?timeout=20000`))).toBe(`value ${6 + i}`);
  }
});

test('a value expires once for all: whoever has been told that it is gone is not shown it again', async () => {
  const cluster = await strongCluster('strong expiry');
  const { simulation } = cluster;
  cluster.machine('n1').host.clock.jump(800);
  cluster.machine('n3').host.clock.jump(-800);
  const seen: string[] = [];
  for (let i = 0; i < 6; i++) {
    const path = `/v1/kv/s/k${i}`;
    expect((await cluster.request('n2', 'PUT', `${path}?ttl=2`, { body: 'v' })).status).toBe(204);
    expect((await cluster.request('n2', 'PUT', path, { body: 'w', headers: { 'if-none-match': '*' } })).status).toBe(
      412,
    );
    const statuses: number[] = [];
    for (const end = simulation.now + 4000; simulation.now < end;) {
      for (const id of ['n1', 'n2', 'n3']) statuses.push((await cluster.request(id, 'GET', path)).status);
      await simulation.run(simulation.now + 40);
    }
    expect(statuses.toSorted((a, b) => a - b)).toEqual(statuses);
    expect(new Set(statuses)).toEqual(new Set([200, 404]));
    seen.push(String(statuses.indexOf(404)));
    const anew = await cluster.request('n3', 'PUT', path, { body: 'w', headers: { 'if-none-match': '*' } });
    expect(anew.status).toBe(204);
    expect(text(await cluster.request('n1', 'GET', path))).toBe('w');
  }
  // By different clocks, since keys have different first owners.
  expect(new Set(seen).size).toBeGreaterThan(1);
});

test('a value of a bucket whose values expire is gone although nobody reads it', async () => {
  const cluster = await strongCluster('strong expiry of a bucket');
  const body = '{"consistency":"strong","ttl":1}';
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/brief', { headers: JSON_HEADERS, body })).status).toBe(200);
  expect((await cluster.request('n2', 'PUT', '/v1/kv/brief/k', { body: 'v' })).status).toBe(204);
  expect((await cluster.request('n2', 'GET', '/v1/kv/brief/k')).status).toBe(200);
  await cluster.simulation.run(cluster.simulation.now + 1500);
  const created = await cluster.request('n3', 'PUT', '/v1/kv/brief/k', {
    headers: { 'if-none-match': '*' },
    body: 'w',
  });
  expect(created.status).toBe(204);
});
