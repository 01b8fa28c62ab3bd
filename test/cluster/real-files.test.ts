/**
 * Six hundred real files through three real processes: one is killed in the middle, then all of them, and every
 * acknowledged file must come back byte for byte each time.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { http, TestCluster } from './support.ts';

const FILES = 600;
const CONCURRENCY = 24;
const ROOT = new URL('../../node_modules', import.meta.url).pathname;

function collectFiles(): readonly string[] {
  const found: string[] = [];
  const waiting = [ROOT];
  while (waiting.length > 0 && found.length < FILES) {
    const directory = waiting.pop()!;
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) waiting.push(path);
      else if (entry.isFile() && statSync(path).size <= 4 * 1024 * 1024 && found.length < FILES) found.push(path);
    }
  }
  return found;
}

async function inParallel<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      while (next < items.length) {
        const index = next++;
        await work(items[index]!, index);
      }
    }),
  );
}

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start(3);
});

afterAll(async () => cluster.stop());

function keyOf(path: string): string {
  return encodeURIComponent(path.slice(ROOT.length + 1));
}

async function readBack(files: Iterable<string>, ids: readonly string[]): Promise<void> {
  await inParallel([...files], async (path, index) => {
    const answer = await http('GET', `${cluster.url(ids[index % ids.length]!)}/v1/kv/files/${keyOf(path)}`);
    expect(answer.status, path).toBe(200);
    expect(answer.body.equals(readFileSync(path)), path).toBe(true);
  });
}

test('600 files survive the kill of one node in the middle, and then of all nodes', async () => {
  const files = collectFiles();
  expect(files.length).toBe(FILES);
  const acknowledged = new Set<string>();
  let killed: Promise<unknown> | undefined;
  await inParallel(files, async (path, index) => {
    if (index === FILES / 2) killed = cluster.signal('n2', 'SIGKILL');
    const id = cluster.ids[index % 3]!;
    const url = `${cluster.url(id)}/v1/kv/files/${keyOf(path)}`;
    const headers = { 'content-type': 'application/x-test' };
    try {
      const answer = await http('PUT', url, { headers, body: readFileSync(path) });
      if (answer.status === 204) acknowledged.add(path);
      else expect([503, 504], `${path} at ${id}: ${answer.body.toString()}`).toContain(answer.status);
    } catch (error) {
      // Only the killed node may leave a request without an answer.
      expect(id, String(error)).toBe('n2');
    }
  });
  await killed;
  // What was sent to the dead node goes to another one; with one of three dead, quorum requests go on.
  await inParallel(
    files.filter((path) => !acknowledged.has(path)),
    async (path) => {
      const answer = await http('PUT', `${cluster.url('n1')}/v1/kv/files/${keyOf(path)}`, {
        body: readFileSync(path),
      });
      expect(answer.status, answer.body.toString()).toBe(204);
      acknowledged.add(path);
    },
  );
  expect(acknowledged.size).toBe(FILES);
  await readBack(acknowledged, ['n1', 'n3']);

  await Promise.all(['n1', 'n3'].map(async (id) => cluster.signal(id, 'SIGKILL')));
  cluster.startAll();
  await cluster.ready();
  await readBack(acknowledged, cluster.ids);
});
