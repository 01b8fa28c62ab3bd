/**
 * Wrong settings, ports, directories and secrets: each stops the start with one line that names the thing, where it came
 * from and what is allowed, and harms nobody else.
 */

import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { APPLICATION_ID } from '#world/real/disk-schema.ts';
import { freePorts } from './ports.ts';
import { http, PATIENCE_MS, runQuoral, temporaryDirectory, TestCluster } from './support.ts';

let directory: string;
let ports: readonly number[];

beforeAll(async () => {
  directory = temporaryDirectory();
  ports = await freePorts(2);
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

function doors(): readonly string[] {
  return [
    '--listen',
    `127.0.0.1:${ports[0]}`,
    '--peer-listen',
    `127.0.0.1:${ports[1]}`,
    '--data-dir',
    join(directory, 'n1'),
  ];
}

/** Starts a node that must refuse to start, and gives the line that it says. */
async function refusal(flags: readonly string[], environment: Record<string, string> = {}): Promise<string> {
  const { status, stderr } = await runQuoral(['node', ...flags], { environment });
  expect(status, stderr).toBe(1);
  expect(stderr.trim().split('\n'), stderr).toHaveLength(1);
  return stderr;
}

test('a bad value names the setting, where it came from and what is allowed', async () => {
  expect(await refusal([...doors(), '--weight', 'heavy'])).toMatch(
    /setting weight \(flag --weight\): "heavy".*whole number from 1/,
  );
  const file = join(directory, 'bad.yaml');
  writeFileSync(file, 'request-timeout: eternity\n');
  expect(await refusal(['--config', file])).toContain(`setting request-timeout (file ${file}): "eternity"`);
});

test('an unknown setting is refused, with what it may have meant', async () => {
  expect(await refusal(doors(), { QUORAL_WEIGTH: '2' })).toMatch(
    /unknown setting QUORAL_WEIGTH \(environment\) \(did you mean QUORAL_WEIGHT\?\)/,
  );
  expect(await refusal(['--wieght', '2'])).toMatch(/^quoral: unknown setting --wieght \(flag\).*--weight/);
});

test('where nothing is meant that is known, the line says where all settings stand; a flag without its value is named', async () => {
  expect(await refusal(['--nonsense'])).toMatch(/lists all settings$/m);
  expect(await refusal(['--zone'])).toMatch(/^quoral: setting zone \(flag --zone\): the value is missing/);
  expect(await refusal(['extra'])).toMatch(/got 1: extra; quoral node --help lists all settings$/m);
});

test('a file that is not there', async () => {
  expect(await refusal(['--config', join(directory, 'absent.yaml')])).toContain('absent.yaml');
});

test('a port in use, for clients and for peers', async () => {
  for (const which of [0, 1]) {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(ports[which], '127.0.0.1', resolve));
    expect(await refusal(doors())).toContain(`127.0.0.1:${ports[which]}`);
    await new Promise((resolve) => holder.close(resolve));
  }
});

test('a data directory that cannot be written', async () => {
  const file = join(directory, 'a-file');
  writeFileSync(file, 'not a directory');
  expect(await refusal([...doors().slice(0, 4), '--data-dir', join(file, 'n1')])).toMatch(
    /data-dir \(flag --data-dir\): .*a-file/,
  );
  // Nothing can be made there, which mkdir's own `recursive` takes for something to be tried for ever.
  expect(await refusal([...doors().slice(0, 4), '--data-dir', '/proc/quoral/n1'])).toMatch(
    /data-dir \(flag --data-dir\): .*\/proc\/quoral/,
  );
  const locked = join(directory, 'locked');
  mkdirSync(locked);
  chmodSync(locked, 0o500);
  // Root may write anywhere: only others can see this refusal.
  if (process.getuid?.() !== 0)
    expect(await refusal([...doors().slice(0, 4), '--data-dir', locked])).toContain('locked');
});

test('a database that is none', async () => {
  const damaged = join(directory, 'damaged');
  mkdirSync(damaged);
  writeFileSync(join(damaged, 'quoral.db'), 'this is no database, whatever its name says. '.repeat(200));
  expect(await refusal([...doors().slice(0, 4), '--data-dir', damaged])).toContain('quoral.db');
});

test('a data directory of a newer program', async () => {
  const newer = join(directory, 'newer');
  mkdirSync(newer);
  const path = join(newer, 'quoral.db');
  const database = new Database(path);
  database.pragma(`application_id = ${APPLICATION_ID}`);
  database.pragma('user_version = 99');
  database.close();
  const before = readFileSync(path);
  expect(await refusal([...doors().slice(0, 4), '--data-dir', newer])).toMatch(
    /newer\/quoral\.db has format 99 and this program knows formats up to \d+; start a newer program/,
  );
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(readdirSync(newer)).toEqual(['quoral.db']);
});

test('doors beyond loopback need TLS and a secret, or --insecure', async () => {
  expect(await refusal([...doors(), '--listen', '0.0.0.0:7101'])).toMatch(
    /setting listen \(flag --listen\).*--insecure/,
  );
});

test('certificate files that cannot be used', async () => {
  const pair = ['--tls-cert', join(directory, 'absent.crt'), '--tls-key', join(directory, 'absent.key')];
  expect(await refusal([...doors(), ...pair])).toMatch(
    /setting tls-cert \(flag --tls-cert\): .*absent\.crt cannot be read \(ENOENT\)/,
  );
  expect(await refusal([...doors(), ...pair.slice(0, 2)])).toMatch(/setting tls-cert .* without tls-key/);
});

test('a list of founders that leaves this node out, or names it elsewhere', async () => {
  expect(await refusal([...doors(), '--initial-cluster', 'n2=127.0.0.1:7202'])).toContain('does not name n1');
  expect(await refusal([...doors(), '--initial-cluster', 'n1=127.0.0.1:1,n2=127.0.0.1:7202'])).toContain(
    'n1 at 127.0.0.1:1',
  );
});

test('the directory of another node, and a directory that another process has open', async () => {
  const cluster = await TestCluster.start(1);
  try {
    const inUse = await runQuoral(['node', ...doors().slice(0, 4), '--data-dir', join(cluster.directory, 'n1')]);
    expect(inUse.status).toBe(1);
    expect(inUse.stderr).toMatch(/n1\/quoral\.db.*(in use|locked)/);
    expect((await http('GET', `${cluster.url('n1')}/readyz`)).status).toBe(200);
    await cluster.signal('n1', 'SIGTERM');
    const line = await refusal(['--id', 'n9', ...doors().slice(0, 4), '--data-dir', join(cluster.directory, 'n1')]);
    expect(line).toMatch(/setting data-dir \(flag --data-dir\): .*\/n1: .*belongs to node "n1", not to "n9"/);
    const moved = await refusal([...doors().slice(0, 4), '--data-dir', join(cluster.directory, 'n1')]);
    expect(moved).toMatch(
      /\(flag --data-dir\): .*\/n1: the ring on this disk names n1 at .*, but .* says .*: start it with/,
    );
  } finally {
    await cluster.stop();
  }
});

test('a node with the wrong secret is kept out, and told in both logs; the others go on', async () => {
  const cluster = await TestCluster.start(3);
  try {
    await cluster.signal('n3', 'SIGTERM');
    const impostor = cluster.startNode('n3', ['--cluster-secret', 'another secret altogether']);
    const told = (): boolean => [impostor, cluster.nodes.get('n1')!].every((node) => node.stdout().includes('secret'));
    while (!told()) await sleep(25);
    expect(await cluster.isReady('n3')).toBe(false);
    const refused = await http('GET', `${cluster.url('n3')}/v1/kv/b/k`);
    expect(refused.status).toBe(503);
    expect(JSON.parse(refused.body.toString())).toMatchObject({
      status: 503,
      type: expect.stringContaining('not-ready') as string,
    });
    const reason = async (): Promise<string> =>
      (await http('GET', `${cluster.url('n3')}/readyz`).catch(() => undefined))?.body.toString() ?? '';
    await expect.poll(reason, { timeout: PATIENCE_MS }).toMatch(/n[12] \([^)]*wrong-secret\) cannot be reached/);
    expect((await http('PUT', `${cluster.url('n1')}/v1/kv/b/k`, { body: 'x' })).status).toBe(204);
  } finally {
    await cluster.stop();
  }
});

test('a founder says which others it has not met, and why', async () => {
  const cluster = await TestCluster.prepare(2);
  try {
    cluster.startNode('n1');
    const reason = async (): Promise<string> =>
      (await http('GET', `${cluster.url('n1')}/readyz`).catch(() => undefined))?.body.toString() ?? '';
    await expect
      .poll(reason, { timeout: PATIENCE_MS })
      .toMatch(/a majority of the founders must meet.*n2 \(.*ECONNREFUSED/);
  } finally {
    await cluster.stop();
  }
});
