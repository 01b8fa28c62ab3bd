/**
 * Seen from outside, in the system calls of a real node: between a request and its answer the write-ahead log is synced. A
 * kill -9 cannot show this, because the kernel keeps what a killed process has written.
 */

import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePorts } from './ports.ts';
import { http, MAIN, temporaryDirectory, until } from './support.ts';

const WRITES = 20;
const HAS_STRACE = spawnSync('strace', ['-V']).status === 0;

type Event = 'sync begins' | 'sync ends' | 'answer';

/** The order in which syncs of the log ended and answers to PUT left, from the lines of `strace -f`. */
function readTrace(trace: string): readonly Event[] {
  const events: Event[] = [];
  /** Threads inside a sync of the log whose end is on a later line. */
  const syncing = new Set<string>();
  for (const line of trace.split('\n')) {
    const thread = /^(?:\[pid +)?(\d+)/.exec(line)?.[1] ?? '';
    if (/\bf(?:data)?sync\(\d+<[^>]*-wal>/.test(line)) {
      events.push('sync begins');
      if (line.includes('unfinished')) syncing.add(thread);
      else events.push('sync ends');
    } else if (/<\.\.\. f(?:data)?sync resumed>/.test(line) && syncing.delete(thread)) {
      events.push('sync ends');
    } else if (line.includes('HTTP/1.1 204')) {
      events.push('answer');
    }
  }
  return events;
}

test('the reader of traces sees an answer that no sync preceded', () => {
  const lines = (...calls: readonly string[]): string => calls.map((call) => `4711 ${call}`).join('\n');
  const sync = 'fdatasync(20</data/quoral.db-wal>) = 0';
  const answer = 'write(31<socket:[1]>, "HTTP/1.1 204 No Content"..., 200) = 200';
  expect(readTrace(lines(sync, answer))).toEqual(['sync begins', 'sync ends', 'answer']);
  expect(readTrace(lines(answer, sync))).toEqual(['answer', 'sync begins', 'sync ends']);
  const [begin, end] = ['4712 fdatasync(20</data/quoral.db-wal> <unfinished ...>', '4712 <... fdatasync resumed>) = 0'];
  expect(readTrace([begin, lines(answer), end].join('\n'))).toEqual(['sync begins', 'answer', 'sync ends']);
});

test.runIf(HAS_STRACE)('a sync of the log ends between each durable PUT and its answer (seen by strace)', async () => {
  const directory = temporaryDirectory();
  const [port, peerPort] = await freePorts(2);
  const traceFile = join(directory, 'trace');
  const strace = ['-f', '-y', '-s', '24', '-e', 'trace=fsync,fdatasync,write,writev,sendto,sendmsg', '-o', traceFile];
  const node = [
    process.execPath,
    MAIN,
    'node',
    '--listen',
    `127.0.0.1:${port}`,
    '--peer-listen',
    `127.0.0.1:${peerPort}`,
  ];
  const child = spawn('strace', [...strace, ...node, '--data-dir', join(directory, 'n1')], { stdio: 'ignore' });
  try {
    const url = `http://127.0.0.1:${port}`;
    await until('the node is ready', async () => (await http('GET', `${url}/readyz`)).status === 200);
    for (let i = 0; i < WRITES; i++) {
      expect((await http('PUT', `${url}/v1/kv/b/${i}?dw=1`, { body: `value ${i}` })).status).toBe(204);
    }
  } finally {
    // The tracer ends with what it traces.
    const gone = new Promise((resolve) => child.once('exit', resolve));
    const traced = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ')[0]);
    if (traced > 0) process.kill(traced, 'SIGTERM');
    await gone;
  }
  const events = readTrace(readFileSync(traceFile, 'utf8'));
  rmSync(directory, { recursive: true, force: true });
  expect(events.filter((event) => event === 'answer')).toHaveLength(WRITES);
  let syncs = 0;
  for (const event of events) {
    if (event === 'sync ends') syncs += 1;
    if (event !== 'answer') continue;
    expect(syncs, 'syncs between two answers').toBeGreaterThan(0);
    syncs = 0;
  }
});
