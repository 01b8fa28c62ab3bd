/**
 * Seen from outside, in the system calls of a real node: between a request and its answer the journal is written and synced. A
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

type Event = 'write begins' | 'write ends' | 'answer';

/** The order in which writes to the journal that are synced by themselves ended and answers to PUT left, from the lines of `strace -f`. */
function readTrace(trace: string): readonly Event[] {
  const events: Event[] = [];
  /** Descriptors of the journal that were opened so that each write is synced. */
  const synced = new Set<string>();
  /** Threads inside such a write whose end is on a later line. */
  const writing = new Set<string>();
  for (const line of trace.split('\n')) {
    const thread = /^(?:\[pid +)?(\d+)/.exec(line)?.[1] ?? '';
    const opened = /\bopenat\(.*-journal-\d", ([A-Z_|]+).*\) += (\d+)/.exec(line);
    if (opened !== null) {
      if (opened[1]!.split('|').includes('O_DSYNC')) synced.add(opened[2]!);
      else synced.delete(opened[2]!);
    }
    const write = /\bpwrite64\((\d+)<[^>]*-journal-\d>/.exec(line);
    if (write !== null && synced.has(write[1]!)) {
      events.push('write begins');
      if (line.includes('unfinished')) writing.add(thread);
      else events.push('write ends');
    } else if (/<\.\.\. pwrite64 resumed>/.test(line) && writing.delete(thread)) {
      events.push('write ends');
    } else if (line.includes('HTTP/1.1 204')) {
      events.push('answer');
    }
  }
  return events;
}

test('the reader of traces sees an answer that no synced write preceded', () => {
  const lines = (...calls: readonly string[]): string => calls.map((call) => `4711 ${call}`).join('\n');
  const path = '/data/quoral.db-journal-0';
  const open = (flags: string): string => `openat(AT_FDCWD</>, "${path}", O_RDWR|${flags}, 0644) = 20<${path}>`;
  const write = `pwrite64(20<${path}>, "1JuQ"..., 200, 0) = 200`;
  const answer = 'write(31<socket:[1]>, "HTTP/1.1 204 No Content"..., 200) = 200';
  const trace = (...calls: readonly string[]): readonly Event[] =>
    readTrace(lines(open('O_DSYNC|O_CLOEXEC'), ...calls));
  expect(trace(write, answer)).toEqual(['write begins', 'write ends', 'answer']);
  expect(trace(answer, write)).toEqual(['answer', 'write begins', 'write ends']);
  expect(readTrace(lines(open('O_CLOEXEC'), write, answer))).toEqual(['answer']);
  const [begin, end] = [
    `4712 pwrite64(20<${path}>, "1JuQ"..., 200, 0 <unfinished ...>`,
    '4712 <... pwrite64 resumed>) = 200',
  ];
  const first = lines(open('O_DSYNC|O_CLOEXEC'));
  expect(readTrace([first, begin, lines(answer), end].join('\n'))).toEqual(['write begins', 'answer', 'write ends']);
});

test.runIf(HAS_STRACE)(
  'a synced write to the journal ends between each durable PUT and its answer (seen by strace)',
  async () => {
    const directory = temporaryDirectory();
    const [port, peerPort] = await freePorts(2);
    const traceFile = join(directory, 'trace');
    const strace = [
      '-f',
      '-y',
      '-s',
      '300',
      '-e',
      'trace=openat,pwrite64,write,writev,sendto,sendmsg',
      '-o',
      traceFile,
    ];
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
    let writes = 0;
    for (const event of events) {
      if (event === 'write ends') writes += 1;
      if (event !== 'answer') continue;
      expect(writes, 'writes between two answers').toBeGreaterThan(0);
      writes = 0;
    }
  },
);
