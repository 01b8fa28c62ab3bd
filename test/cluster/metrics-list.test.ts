/**
 * config/metrics.md lists every figure of ours that a node shows, and no other: whoever renames one breaks dashboards. The
 * names, types and labels come from three real nodes. `npm run docs` writes the list anew.
 */

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent } from 'undici';
import { afterAll, expect, test } from 'vitest';
import { Authority, writePair } from '../authority.ts';
import { http, temporaryDirectory, TestCluster } from './support.ts';

const DOCUMENT = new URL('../../config/metrics.md', import.meta.url);
const INTRODUCTION = `# Figures

What \`/metrics\` shows of a node, beside the figures of the process that prom-client names (\`process_…\`, \`nodejs_…\`; how
late the event loop is, \`quoral_event_loop_delay_seconds\` says alone). Names, types and labels are stable; labels take their values
from closed lists. Times are seconds, sizes bytes. This table is written by \`npm run docs\`.

| name | type | labels | meaning |
| --- | --- | --- | --- |
`;

interface Family {
  readonly help: string;
  readonly type: string;
  readonly labels: ReadonlySet<string>;
}

const directory = temporaryDirectory();
let cluster: TestCluster | undefined;
let dispatcher: Agent | undefined;

afterAll(async () => {
  await dispatcher?.close();
  await cluster?.stop();
  rmSync(directory, { recursive: true });
});

function familiesIn(text: string): ReadonlyMap<string, Family> {
  const families = new Map<string, { help: string; type: string; labels: Set<string> }>();
  for (const line of text.split('\n')) {
    const help = /^# HELP (\S+) (.*)$/.exec(line);
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    const sample = /^([a-z_]+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+$/.exec(line);
    if (help !== null) families.set(help[1]!, { help: help[2]!, type: '', labels: new Set() });
    else if (type !== null) families.get(type[1]!)!.type = type[2]!;
    else if (sample !== null) {
      for (const [, label] of (sample[2] ?? '').matchAll(/(?:^|,)([a-z_]+)="/g))
        families.get(sample[1]!)?.labels.add(label!);
    }
  }
  return families;
}

test('the list of figures is true', async () => {
  // Everything that has figures of its own is on.
  const authority = new Authority('of the figures');
  const { cert, key, ca } = writePair(directory, 'node', authority.sign({ names: ['127.0.0.1'] }), authority.pem);
  const tls = ['--tls-cert', cert, '--tls-key', key];
  const peerTls = ['--peer-tls-cert', cert, '--peer-tls-key', key, '--peer-tls-ca', ca];
  const flags = ['--otlp-endpoint', 'http://127.0.0.1:9', ...tls, ...peerTls];
  cluster = await TestCluster.prepare(3, { scheme: 'https', flagsOf: () => flags });
  cluster.startAll();
  dispatcher = new Agent({ connect: { ca: authority.pem } });
  await cluster.ready(cluster.ids, dispatcher);
  await http('PUT', `${cluster.url('n1')}/v1/kv/b/k`, { body: 'v', dispatcher });
  const { body } = await http('GET', `${cluster.url('n1')}/metrics`, { dispatcher });
  const families = familiesIn(body.toString());
  const rows = [...families]
    .filter(([name]) => name.startsWith('quoral_'))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { help, type, labels }]) => {
      const names = [...labels].filter((label) => label !== 'le').toSorted();
      return `| \`${name}\` | ${type} | ${names.join(', ')} | ${help.replace(/\.$/, '')} |`.replaceAll(/ +/g, ' ');
    });
  if (process.env['WRITE_DOCS'] === '1') writeFileSync(DOCUMENT, `${INTRODUCTION}${rows.join('\n')}\n`);
  const shown = readFileSync(DOCUMENT, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.replaceAll(/ +/g, ' '));
  expect(shown, 'config/metrics.md: run npm run docs').toEqual(rows);

  // Prometheus' own conventions.
  for (const [name, { type, help }] of families) {
    if (!name.startsWith('quoral_')) continue;
    expect(name.endsWith('_total'), `${name} is a ${type}`).toBe(type === 'counter');
    expect(name, 'units are seconds and bytes').not.toMatch(/_(ms|millis|milliseconds|minutes|kib|mib|percent)(_|$)/);
    expect(help.length, `${name} says what it means`).toBeGreaterThan(10);
  }
  for (const name of ['process_resident_memory_bytes', 'process_open_fds', 'nodejs_gc_duration_seconds']) {
    expect(families.has(name) || process.platform !== 'linux', name).toBe(true);
  }
});
