/**
 * `npm run bench:client`: a real data set through `quoral import` and `quoral export`, with nodes killed and started again
 * meanwhile, compared byte by byte; the same undisturbed, for the figures; listing; and what the client costs beside bare requests.
 * Prints tables in Markdown; `--json FILE` writes the same. Fails when what comes out is not what went in.
 */

import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { text } from '#client/codec.ts';
import { connect } from '#client/quoral.ts';
import { flagsFrom } from '../flags.ts';
import { mindProcess } from '../interruption.ts';
import { Nodes } from '../load/nodes.ts';
import { measureOverhead, type OverheadRow } from './overhead.ts';
import { packageIndex } from './package-index.ts';

const { values: flags } = flagsFrom(
  {
    options: {
      json: { type: 'string' },
      'base-port': { type: 'string', default: '17401' },
      seconds: { type: 'string', default: '2' },
      records: { type: 'string' },
    },
  },
  ['base-port', 'seconds', 'records'],
);

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;
const nodes = new Nodes(3, Number(flags['base-port']), ['--log-level', 'warn']);
const urls = Object.values(nodes.urls);

interface Moved {
  readonly what: string;
  readonly keys: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** The lines of an export, in the order of an export: that of the keys' bytes. */
function writeSource(file: string): { readonly source: string; readonly keys: number } {
  const { source, records } = packageIndex();
  const lines = [...records]
    .map(([key, value]) => ({ key, bytes: Buffer.from(key, 'utf8'), value }))
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
    .slice(0, flags.records === undefined ? undefined : Number(flags.records))
    .map(({ key, value }) => `${JSON.stringify({ key, value, contentType: 'text/plain' })}\n`);
  writeFileSync(file, lines.join(''));
  return { source, keys: lines.length };
}

async function quoral(...args: readonly string[]): Promise<{ readonly keys: number; readonly seconds: number }> {
  const child = spawn(process.execPath, [MAIN, ...args, '--json', '--url', urls.join(',')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  mindProcess(child);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const status = await new Promise((resolve) => child.once('exit', resolve));
  if (status !== 0) throw new Error(`quoral ${args.join(' ')} ended with ${String(status)}`);
  const { imported, exported, seconds } = JSON.parse(output) as {
    imported?: number;
    exported?: number;
    seconds: number;
  };
  return { keys: imported ?? exported ?? 0, seconds };
}

/** While the work goes on, one node is killed and started again. */
async function disturbed<T>(victim: string, begun: () => boolean, work: Promise<T>): Promise<T> {
  let over = false;
  const done = work.finally(() => (over = true));
  // Heard of at the end.
  done.catch(() => undefined);
  while (!begun() && !over) await sleep(5);
  await sleep(300);
  const inTime = !over;
  await nodes.signal(victim, 'SIGKILL');
  await sleep(1500);
  nodes.start(victim);
  const result = await done;
  await nodes.ready(victim);
  if (!inTime) console.log(`(${victim} was killed too late to disturb anything)`);
  return result;
}

function digest(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

function demandEqual(a: string, b: string): void {
  if (digest(a) !== digest(b))
    throw new Error(`${b} is not what ${a} was: ${statSync(a).size} and ${statSync(b).size} bytes`);
}

async function move(source: string): Promise<readonly Moved[]> {
  const bytes = statSync(source).size;
  const moved: Moved[] = [];
  const note = (what: string, { keys, seconds }: { keys: number; seconds: number }): void => {
    moved.push({ what, keys, bytes, seconds });
  };
  const first = join(nodes.directory, 'first.ndjson');
  const importing = disturbed(
    'n2',
    () => existsSync(`${source}.packages.import`),
    quoral('import', 'packages', source),
  );
  note('import, n2 killed and started again', await importing);
  note(
    'export, n3 killed and started again',
    await disturbed('n3', () => existsSync(first), quoral('export', 'packages', first)),
  );
  demandEqual(source, first);

  const second = join(nodes.directory, 'second.ndjson');
  note('import', await quoral('import', 'undisturbed', source));
  note('export', await quoral('export', 'undisturbed', second));
  demandEqual(source, second);

  const started = performance.now();
  let keys = 0;
  for await (const key of connect({ urls }).bucket('undisturbed', text).keys()) if (key !== '') keys += 1;
  note('list', { keys, seconds: (performance.now() - started) / 1000 });
  return moved;
}

function movedTable(moved: readonly Moved[]): string {
  const rows = moved.map(({ what, keys, bytes, seconds }) => {
    const rate = what === 'list' ? '' : (bytes / 1e6 / seconds).toFixed(1);
    return `| ${what} | ${keys} | ${seconds.toFixed(1)} | ${Math.round(keys / seconds)} | ${rate} |`;
  });
  return ['| | keys | s | keys/s | MB/s |', '| --- | ---: | ---: | ---: | ---: |', ...rows].join('\n');
}

function overheadTable(rows: readonly OverheadRow[]): string {
  const names = rows[0]!.figures.map(({ name }) => name);
  const heads = rows.map(({ operation, figures }) => `${operation.toUpperCase()}, ${figures[0]!.atOnce} at once`);
  const lines = names.map((name, i) => {
    const cells = rows.map(
      ({ figures }) => `${figures[i]!.opsPerSecond.toFixed(0)} op/s, ${figures[i]!.cpuMicros.toFixed(0)} µs`,
    );
    return `| ${name} | ${cells.join(' | ')} |`;
  });
  return [`| | ${heads.join(' | ')} |`, `| --- |${' ---: |'.repeat(rows.length)}`, ...lines].join('\n');
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

try {
  const load = loadavg()[0]!.toFixed(1);
  await nodes.startAll();
  const source = join(nodes.directory, 'source.ndjson');
  const { source: origin, keys } = writeSource(source);
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${(totalmem() / 1024 ** 3).toFixed(0)} GiB, Node ${process.version}`;
  console.log(`${machine}, commit ${commit()}, load average ${load} at the start`);
  console.log(`${keys} records, ${(statSync(source).size / 1e6).toFixed(1)} MB (${origin})\n`);
  const moved = await move(source);
  console.log(`${movedTable(moved)}\n\nBoth exports are equal to the source, byte by byte.\n`);
  const overhead = await measureOverhead(urls, Number(flags.seconds), 3);
  console.log(overheadTable(overhead));
  if (flags.json !== undefined) {
    writeFileSync(
      flags.json,
      `${JSON.stringify({ machine, commit: commit(), load, origin, moved, overhead }, null, 2)}\n`,
    );
  }
} finally {
  await nodes.stop();
}
