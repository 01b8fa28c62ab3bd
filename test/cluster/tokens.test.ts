/**
 * Tokens between real processes: made at one node and used at another, revoked, expired, kept over a restart; and no secret
 * in any log, audit line or answer of the whole run but the one that creates it.
 */

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { http, runQuoral, temporaryDirectory, TestCluster, type Response } from './support.ts';

const ADMIN = `admin-${'x7'.repeat(20)}`;
const directory = temporaryDirectory();
const adminFile = join(directory, 'admin-token');
const auditFile = join(directory, 'audit.log');
/** Everything that any node has answered, without the answers that create tokens. */
const answers: string[] = [];
const secrets: string[] = [ADMIN];
let cluster: TestCluster;

beforeAll(async () => {
  writeFileSync(adminFile, `${ADMIN}\n`);
  cluster = await TestCluster.start(3, [
    ...['--auth', 'tokens', '--admin-token-file', adminFile, '--audit-file', auditFile],
    ...['--audit-refusals-max', '5', '--log-level', 'debug'],
  ]);
});

afterAll(async () => cluster.stop());

async function as(
  token: string,
  method: 'GET' | 'PUT' | 'DELETE' | 'POST',
  id: string,
  path: string,
): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const response = await http(method, cluster.url(id) + path, { headers, ...(method === 'PUT' ? { body: '{}' } : {}) });
  answers.push(`${JSON.stringify(response.headers)} ${response.body.toString('utf8')}`);
  return response;
}

async function quoral(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await runQuoral([...args, '--url', cluster.url('n1'), '--token-file', adminFile]);
  expect(status, stderr).toBe(0);
  return stdout.trim();
}

async function create(name: string, ...scopes: readonly string[]): Promise<string> {
  const token = await quoral('token', 'create', name, '--scope', ...scopes);
  expect(token).toMatch(new RegExp(`^quoral_${name}_[A-Za-z0-9_-]{43}$`));
  secrets.push(token.slice(-43));
  return token;
}

function audited(file = auditFile): Record<string, unknown>[] {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('the first token is made with the one from the file, and works at every node', async () => {
  const shop = await create('shop', 'read:orders', 'write:orders');
  expect((await as(shop, 'PUT', 'n2', '/v1/kv/orders/1')).status).toBe(204);
  expect((await as(shop, 'GET', 'n3', '/v1/kv/orders/1')).status).toBe(200);
  const refused = await as(shop, 'GET', 'n3', '/v1/kv/bills/1');
  expect([refused.status, refused.headers['www-authenticate']]).toEqual([
    403,
    'Bearer realm="quoral", error="insufficient_scope"',
  ]);
  const bare = await http('GET', `${cluster.url('n2')}/v1/kv/orders/1`);
  expect([bare.status, bare.headers['www-authenticate']]).toEqual([401, 'Bearer realm="quoral"']);
  expect((await http('GET', `${cluster.url('n2')}/livez`)).status).toBe(200);
  expect((await as(shop, 'POST', 'n1', '/v1/tokens')).status).toBe(403);
});

test('two Authorization fields are refused, whichever is right', async () => {
  const { connect } = await import('node:net');
  const ask = async (lines: readonly string[]): Promise<string> => {
    const { port } = new URL(cluster.url('n1'));
    const socket = connect({ host: '127.0.0.1', port: Number(port) });
    socket.end(`GET /v1/cluster HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${lines.join('')}\r\n`);
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    return text.slice(0, 'HTTP/1.1 400'.length);
  };
  const right = `Authorization: Bearer ${ADMIN}\r\n`;
  expect(await ask([right])).toBe('HTTP/1.1 200');
  expect(await ask([right, 'authorization: Bearer wrong\r\n'])).toBe('HTTP/1.1 400');
  expect(await ask([right, right])).toBe('HTTP/1.1 400');
});

test('a revoked token is refused at once everywhere, and an expired one too', async () => {
  const temporary = await create('temporary', 'read');
  for (const id of cluster.ids) expect((await as(temporary, 'GET', id, '/v1/kv/orders/1')).status).toBe(200);
  await quoral('token', 'revoke', 'temporary');
  const codes = await Promise.all(
    cluster.ids.map(async (id) => (await as(temporary, 'GET', id, '/v1/kv/orders/1')).status),
  );
  expect(codes).toEqual([401, 401, 401]);

  const made = JSON.parse(await quoral('token', 'create', 'brief', '--scope', 'read', '--ttl', '2s', '--json')) as {
    token: string;
    expiresAt: string;
  };
  secrets.push(made.token.slice(-43));
  const end = Date.parse(made.expiresAt);
  const early = await as(made.token, 'GET', 'n3', '/v1/kv/orders/1');
  // Later it may have ended by now.
  if (Date.now() < end) expect(early.status).toBe(200);
  await sleep(Math.max(0, end - Date.now()) + 50);
  const expired = await as(made.token, 'GET', 'n3', '/v1/kv/orders/1');
  expect([expired.status, expired.headers['www-authenticate']]).toEqual([
    401,
    'Bearer realm="quoral", error="invalid_token"',
  ]);
  expect(expired.body.toString()).toContain('expired');
  expect(await quoral('token', 'list')).toMatch(/shop .* never .*read:orders write:orders/);
});

test('tokens are still there after all nodes were killed and started again', async () => {
  const lasting = await create('lasting', 'read:ord*');
  await Promise.all(cluster.ids.map(async (id) => cluster.signal(id, 'SIGKILL')));
  const logs = cluster.ids.map((id) => cluster.nodes.get(id)!.stdout() + cluster.nodes.get(id)!.stderr());
  cluster.startAll();
  await cluster.ready();
  answers.push(...logs);
  expect((await as(lasting, 'GET', 'n2', '/v1/kv/orders/1')).status).toBe(200);
  expect((await as(lasting, 'DELETE', 'n2', '/v1/kv/orders/1')).status).toBe(403);
});

test('acts and refusals stand in the audit log, and a flood of refusals does not fill it', async () => {
  const created = audited().find(({ act, target }) => act === 'POST /v1/tokens' && target === '/v1/tokens/shop');
  expect(created).toMatchObject({
    event: 'audit',
    node: 'n1',
    token: 'bootstrap',
    outcome: 'applied',
    remote: '127.0.0.1',
  });
  expect(audited()).toContainEqual(
    expect.objectContaining({ act: 'DELETE /v1/tokens/:name', target: '/v1/tokens/temporary', outcome: 'applied' }),
  );
  expect(audited()).toContainEqual(expect.objectContaining({ token: 'shop', outcome: 'refused', reason: 'forbidden' }));
  const moved = `${auditFile}.1`;
  renameSync(auditFile, moved);
  await Promise.all(Array.from({ length: 200 }, async () => as('wrong', 'GET', 'n1', '/v1/kv/orders/1')));
  // What was left out is told when the ten seconds are over.
  expect(audited().length).toBeLessThanOrEqual(5 + 1);
  const metrics = (await as(ADMIN, 'GET', 'n1', '/metrics')).body.toString();
  expect(metrics).toContain('quoral_http_refusals_total{reason="unknown-token"} 200');
});

test('no secret is in any log or answer', () => {
  const logs = cluster.ids.map((id) => cluster.nodes.get(id)!.stdout() + cluster.nodes.get(id)!.stderr());
  const everything = [
    ...answers,
    ...logs,
    readFileSync(auditFile, 'utf8'),
    readFileSync(`${auditFile}.1`, 'utf8'),
  ].join('\n');
  expect(everything).toContain('"event":"node-started"');
  expect(secrets).toHaveLength(5);
  for (const secret of secrets) expect(everything.includes(secret)).toBe(false);
});

test('a wrong admin token file stops the start with a line that does not show it', async () => {
  const short = join(directory, 'short');
  writeFileSync(short, 'hush-hush');
  for (const [file, why] of [
    [short, 'at least 32 characters'],
    [join(directory, 'absent'), 'no such file'],
  ] as const) {
    const { status, stderr } = await runQuoral([
      'node',
      '--admin-token-file',
      file,
      '--data-dir',
      join(directory, 'd'),
    ]);
    expect([status, stderr]).toEqual([
      1,
      expect.stringContaining('setting admin-token-file (flag --admin-token-file)'),
    ]);
    expect(stderr).toContain(why);
    expect(stderr).not.toContain('hush-hush');
  }
});
