/** Disks that decay or are lost, with real processes and real files. */

import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { recordKey } from '#replica/tables.ts';
import { http, runQuoral, TestCluster, until } from './support.ts';

/** Requests have the time that a busy machine needs: many are made at once, and each must succeed. */
const FLAGS = ['--partitions', '16', '--repair-settle-time', '200ms', '--request-timeout', '30s'];
const KEYS = 200;
let cluster: TestCluster;

function url(id: string, key: string, query: string): string {
  return `${cluster.url(id)}/v1/kv/b/${key}?${query}`;
}

async function put(id: string, key: string, value: string, query = 'w=3'): Promise<number> {
  return (await http('PUT', url(id, key, query), { body: value })).status;
}

async function get(id: string, key: string, query: string): Promise<string> {
  const { status, body } = await http('GET', url(id, key, query));
  return status === 200 ? body.toString() : String(status);
}

/** On a busy machine a node may be taken to be away for a moment, and then not all can be reached. */
async function fill(): Promise<void> {
  const keys = Array.from({ length: KEYS }, (_, i) => i);
  await Promise.all(
    keys.map(async (i) =>
      until(`k${i} is written`, async () => (await put(`n${(i % 3) + 1}`, `k${i}`, `v${i}`)) === 204),
    ),
  );
}

async function stateOf(id: string, asked: string): Promise<string | undefined> {
  const { body } = await http('GET', `${cluster.url(asked)}/v1/cluster`);
  const { members } = JSON.parse(body.toString()) as { members: { id: string; state: string }[] };
  return members.find((member) => member.id === id)?.state;
}

async function figure(id: string, name: string): Promise<number> {
  const { body } = await http('GET', `${cluster.url(id)}/metrics`);
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(body.toString())?.[1]);
}

/** What a node has committed stands in its database, not in the journal: so it is when nothing was committed for a second. */
async function isInDatabase(id: string): Promise<void> {
  await until('it is in the database', async () => (await figure(id, 'quoral_disk_journal_rows')) === 0);
}

/** Opens the database file of a node behind its back. */
function behind(id: string, act: (database: Database.Database) => void): void {
  const database = new Database(join(cluster.directory, id, 'quoral.db'), { timeout: 5000 });
  act(database);
  database.close();
}

function row(key: string): Uint8Array {
  return recordKey('b', 0, utf8(key));
}

function flipLastByte(database: Database.Database, key: string): void {
  const value = database.prepare('SELECT v FROM records WHERE k = ?').pluck().get(row(key)) as Buffer;
  value[value.length - 6]! ^= 1;
  expect(database.prepare('UPDATE records SET v = ? WHERE k = ?').run(value, row(key)).changes).toBe(1);
}

interface Run {
  readonly keys: number;
  readonly nodes: readonly { readonly node: string; readonly damaged: number; readonly received: number }[];
  readonly failures: readonly string[];
}

async function repair(): Promise<Run> {
  const { status, stdout, stderr } = await runQuoral(['ring', 'repair', '--json', '--url', cluster.url('n1')]);
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout) as Run;
}

/** While only n2 can answer; afterwards all see each other again. */
async function withoutOthers(act: () => Promise<void>): Promise<void> {
  const others = ['n1', 'n3'];
  for (const id of others) await cluster.signal(id, 'SIGSTOP');
  try {
    await act();
  } finally {
    for (const id of others) await cluster.signal(id, 'SIGCONT');
  }
  await until('all see each other', async () => {
    const seen = await Promise.all(cluster.ids.map(async (id) => cluster.reach(cluster.ids, id)));
    return seen.every((reached) => reached === 'all');
  });
}

describe('rows of a cluster', () => {
  beforeAll(async () => {
    cluster = await TestCluster.start(3, FLAGS);
  });

  afterAll(async () => cluster.stop());

  test('a strong key that two of its owners have lost is gone on with when an operator says so', async () => {
    const headers = { 'content-type': 'application/json' };
    await http('PUT', `${cluster.url('n1')}/v1/buckets/s`, { headers, body: '{"consistency":"strong"}' });
    const at = (id: string): string => `${cluster.url(id)}/v1/kv/s/k`;
    expect((await http('PUT', at('n1'), { body: 'v' })).status).toBe(204);
    // With the third owner's confirmation, which the answer has not waited for.
    await until('all have it', async () => {
      const { stdout } = await runQuoral(['key', 'explain', 's', 'k', '--json', '--url', cluster.url('n1')]);
      return (JSON.parse(stdout) as { readonly agree: boolean }).agree;
    });
    for (const id of ['n1', 'n3']) {
      await isInDatabase(id);
      behind(id, (database) => {
        const key = recordKey('s', 0, utf8('k'));
        const value = database.prepare('SELECT v FROM registers WHERE k = ?').pluck().get(key) as Buffer;
        value[9]! ^= 1;
        expect(database.prepare('UPDATE registers SET v = ? WHERE k = ?').run(value, key).changes).toBe(1);
      });
    }
    // Until something is written to the database, reads see the same.
    expect(await put('n1', 'other', 'v')).toBe(204);
    for (const id of ['n1', 'n3']) await isInDatabase(id);
    const refused = await http('GET', at('n2'));
    expect([refused.status, refused.body.toString()]).toEqual([503, expect.stringContaining('quoral key force')]);

    const force = ['key', 'force', 's', 'k', '--url', cluster.url('n2')];
    const unsure = await runQuoral(force);
    expect([unsure.status, unsure.stderr]).toEqual([1, expect.stringContaining('nothing was done')]);
    expect(unsure.stdout).toMatch(/n1 +damaged[^]*n2 +whole[^]*n3 +damaged|n3 +damaged|n2 +whole/);
    expect(unsure.stdout).toMatch(/the key would hold version [0-9a-f]{16}, 1 bytes[^]*may lose acknowledged changes/);
    expect((await http('GET', at('n1'))).status).toBe(503);
    const sure = await runQuoral([...force, '--yes']);
    expect([sure.status, sure.stdout]).toEqual([0, expect.stringContaining('done')]);
    for (const id of ['n1', 'n2', 'n3']) expect((await http('GET', at(id))).body.toString()).toBe('v');
    expect(cluster.nodes.get('n2')!.stdout()).toMatch(
      /"act":"POST \/v1\/ring\/force64\/:bucket\/:key".*"outcome":"applied"/,
    );
    const needless = await runQuoral([...force, '--yes']);
    expect([needless.status, needless.stdout]).toEqual([2, expect.stringContaining('nothing to force')]);
  });

  test('a row that is damaged under a running node is answered from memory until the scrub finds it, and mended', async () => {
    await fill();
    await isInDatabase('n2');
    expect(await get('n2', 'k1', 'r=1&sloppy=false')).toBe('v1');
    behind('n2', (database) => flipLastByte(database, 'k1'));
    // Until something is written to the database, reads see the same.
    expect(await put('n2', 'other', 'v')).toBe(204);
    await isInDatabase('n2');
    expect(await get('n2', 'k1', 'r=1&sloppy=false')).toBe('v1');
    const run = await repair();
    expect(run.failures).toEqual([]);
    expect(run.nodes.find(({ node }) => node === 'n2')?.damaged).toBe(1);
    await until('nothing is left to mend', async () => {
      const { body } = await http('GET', `${cluster.url('n2')}/metrics`);
      return body.toString().includes('quoral_damaged_rows 0');
    });
    expect((await repair()).nodes.every(({ damaged }) => damaged === 0)).toBe(true);
    await withoutOthers(async () => expect(await get('n2', 'k1', 'r=1&sloppy=false')).toBe('v1'));
  });

  test('rows that were damaged or taken away by hand are found and mended, whoever meets them first', async () => {
    await fill();
    await cluster.signal('n2', 'SIGTERM');
    behind('n2', (database) => {
      for (const key of ['k1', 'k2', 'k3']) flipLastByte(database, key);
      for (const key of ['k4', 'k5']) database.prepare('DELETE FROM records WHERE k = ?').run(row(key));
    });
    cluster.startNode('n2');
    await cluster.ready();
    expect(await get('n2', 'k1', 'r=1')).toBe('v1');
    expect([204, 503]).toContain(await put('n2', 'k2', 'second'));
    await until('a read is answered by n2 alone', async () => (await get('n2', 'k1', 'r=1&sloppy=false')) === 'v1');
    await until('the write goes through', async () => (await put('n2', 'k2', 'third')) === 204);

    const first = await repair();
    expect(first.failures).toEqual([]);
    expect(first.nodes.find(({ node }) => node === 'n2')?.damaged).toBe(1);
    await until('nothing is left to mend', async () => {
      const { body } = await http('GET', `${cluster.url('n2')}/metrics`);
      return body.toString().includes('quoral_damaged_rows 0');
    });
    expect(
      cluster.nodes
        .get('n2')!
        .stdout()
        .match(/"tree-drifted"/g)?.length,
    ).toBe(2);
    const second = await repair();
    expect(second.keys).toBe(0);
    expect(second.nodes.every(({ damaged, received }) => damaged === 0 && received === 0)).toBe(true);
    await withoutOthers(async () => {
      for (const key of ['k1', 'k3', 'k4', 'k5'])
        expect(await get('n2', key, 'r=1&sloppy=false')).toBe(`v${key.slice(1)}`);
      expect(await get('n2', 'k2', 'r=1&sloppy=false')).toBe('third');
    });
  });
});

describe('disks of a cluster', () => {
  afterEach(async () => cluster.stop());

  test('a member whose database file was deleted is filled again, and its absences never counted', async () => {
    cluster = await TestCluster.start(3, FLAGS);
    await fill();
    // Known to n1 and n2 only, as far as quorums go.
    await cluster.signal('n3', 'SIGTERM');
    expect(await put('n1', 'both', 'kept', 'w=2&pw=2')).toBe(204);
    await cluster.signal('n2', 'SIGTERM');
    rmSync(join(cluster.directory, 'n2'), { recursive: true });
    cluster.startNode('n2');
    cluster.startNode('n3');
    const seen = new Set<string>();
    await until('n2 is active again', async () => {
      seen.add(await get('n3', 'both', 'consistency=strict_quorum&timeout=1000').catch(() => 'no answer'));
      return (await stateOf('n2', 'n1')) === 'active';
    });
    expect([...seen].filter((answer) => answer === '404')).toEqual([]);
    await cluster.ready();
    for (let i = 0; i < KEYS; i++) expect(await get('n2', `k${i}`, 'r=1&sloppy=false')).toBe(`v${i}`);
    expect(await get('n2', 'both', 'consistency=strict_quorum')).toBe('kept');
    expect(await put('n2', 'k0', 'as another actor')).toBe(204);
    expect(await get('n1', 'k0', 'r=3')).toBe('as another actor');
  });

  test('a directory that was put back to a copy from after the last start is found out, and filled when it is empty', async () => {
    cluster = await TestCluster.start(3, [...FLAGS, '--disk-mark-interval', '200ms']);
    await fill();
    const directory = join(cluster.directory, 'n1');
    const copy = join(cluster.directory, 'copy');
    await cluster.signal('n1', 'SIGSTOP');
    cpSync(directory, copy, { recursive: true });
    await cluster.signal('n1', 'SIGCONT');
    expect(await put('n1', 'late', 'yes')).toBe(204);
    const before = await figure('n1', 'quoral_disk_commits_total');
    await until(
      'it has made several marks',
      async () => (await figure('n1', 'quoral_disk_commits_total')) > before + 6,
    );
    await cluster.signal('n1', 'SIGKILL');
    rmSync(directory, { recursive: true });
    cpSync(copy, directory, { recursive: true });
    cluster.startNode('n1');
    await until('it says why it does not serve', async () => {
      const { status, body } = await http('GET', `${cluster.url('n1')}/readyz`);
      return status === 503 && /put back.*mark \d+ of boot 1 /.test(body.toString());
    });
    expect(await get('n1', 'late', 'r=1')).toBe('503');
    await cluster.signal('n1', 'SIGKILL');
    rmSync(directory, { recursive: true });
    cluster.startNode('n1');
    await cluster.ready();
    await until('it is filled', async () => (await stateOf('n1', 'n2')) === 'active');
    expect(await get('n1', 'late', 'r=1&sloppy=false')).toBe('yes');
  });
});
