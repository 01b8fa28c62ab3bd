/**
 * `npm run bench:load`: three real nodes with durable data, load from a separate process, PUT and GET of 1 KiB at quorum.
 * Prints operations a second, latencies, errors and the nodes' CPU time for an operation; `--json FILE` writes the same.
 * `--profile DIR` records a CPU profile of every node, `--auth` lets every request show a token, `--node-flags '…'` starts the
 * nodes with more flags.
 */

import { spawn, execFileSync, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { values: flags } = parseArgs({
  options: {
    json: { type: 'string' },
    profile: { type: 'string' },
    seconds: { type: 'string', default: '10' },
    connections: { type: 'string', default: '64' },
    'base-port': { type: 'string', default: '17101' },
    rounds: { type: 'string', default: '3' },
    auth: { type: 'boolean', default: false },
    'node-flags': { type: 'string', default: '' },
  },
});

const NODES = 3;
const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;
const GENERATOR = new URL('generator.ts', import.meta.url).pathname;
const basePort = Number(flags['base-port']);
const directory = mkdtempSync(join(tmpdir(), 'quoral-load-'));
const adminTokenFile = join(directory, 'admin-token');
const urls = Array.from({ length: NODES }, (_, index) => `http://127.0.0.1:${basePort + index}`);

interface Figures {
  readonly operations: number;
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly errors: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly cpuMicrosPerOp: number;
}

function startNode(index: number): ChildProcess {
  const founders = urls.map((_, i) => `n${i + 1}=127.0.0.1:${basePort + 100 + i}`).join(',');
  const profile = flags.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${flags.profile}`];
  const args = [
    ...[...profile, MAIN, 'node', '--id', `n${index + 1}`, '--listen', `127.0.0.1:${basePort + index}`],
    ...['--peer-listen', `127.0.0.1:${basePort + 100 + index}`, '--data-dir', join(directory, `n${index + 1}`)],
    ...['--cluster-secret', 'a secret of this benchmark', '--initial-cluster', founders, '--log-level', 'warn'],
  ];
  args.push(...flags['node-flags'].split(' ').filter((flag) => flag !== ''));
  if (flags.auth) args.push('--auth', 'tokens', '--admin-token-file', adminTokenFile);
  return spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

async function waitUntilReady(): Promise<void> {
  for (const url of urls) {
    for (let attempt = 0; ; attempt++) {
      const ready = await fetch(`${url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (ready) break;
      if (attempt > 400) throw new Error(`${url} did not get ready`);
      await sleep(50);
    }
  }
}

/** User and system CPU time of all nodes so far, in microseconds (Linux; 0 elsewhere). */
function cpuMicros(nodes: readonly ChildProcess[]): number {
  let ticks = 0;
  for (const { pid } of nodes) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      return 0;
    }
  }
  return ticks * 10_000;
}

/** A token like that of any client: the one from the file takes another way. */
async function createToken(): Promise<string> {
  const response = await fetch(`${urls[0]}/v1/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${readFileSync(adminTokenFile, 'utf8')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'load', scopes: ['read:bench', 'write:bench'] }),
  });
  return ((await response.json()) as { token: string }).token;
}

let token: string | undefined;

async function generate(nodes: readonly ChildProcess[], mode: 'fill' | 'put' | 'get'): Promise<Figures | undefined> {
  const args = [
    '--urls',
    urls.join(','),
    '--mode',
    mode,
    '--connections',
    flags.connections,
    '--seconds',
    flags.seconds,
    ...(token === undefined ? [] : ['--token', token]),
  ];
  const generator = spawn(process.execPath, [GENERATOR, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let before = 0;
  let after = 0;
  let result: Omit<Figures, 'cpuMicrosPerOp'> | undefined;
  // The marks and the result come in any order.
  for await (const line of createInterface({ input: generator.stdout })) {
    const message = JSON.parse(line) as { mark?: string; result?: Omit<Figures, 'cpuMicrosPerOp'> };
    if (message.mark === 'start') before = cpuMicros(nodes);
    if (message.mark === 'end') after = cpuMicros(nodes);
    result ??= message.result;
  }
  return result && { ...result, cpuMicrosPerOp: (after - before) / result.operations };
}

function median(rounds: readonly Figures[]): Figures {
  return [...rounds].sort((a, b) => a.opsPerSecond - b.opsPerSecond)[Math.floor(rounds.length / 2)]!;
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

function show(mix: string, figures: Figures): string {
  const { opsPerSecond, p50Ms, p99Ms, p999Ms, cpuMicrosPerOp, errors } = figures;
  const cells = [
    opsPerSecond.toFixed(0),
    p50Ms.toFixed(2),
    p99Ms.toFixed(2),
    p999Ms.toFixed(2),
    cpuMicrosPerOp.toFixed(0),
    String(errors),
  ];
  return [mix.padEnd(5), ...cells.map((cell) => cell.padStart(9))].join(' ');
}

async function main(): Promise<void> {
  if (flags.auth) writeFileSync(adminTokenFile, randomBytes(32).toString('hex'));
  const nodes = urls.map((_, index) => startNode(index));
  const rounds: Record<'put' | 'get', Figures[]> = { put: [], get: [] };
  const machine = `${cpus()[0]?.model ?? 'unknown'} × ${cpus().length}, ${(totalmem() / 1024 ** 3).toFixed(0)} GiB, Node ${process.version}`;
  try {
    await waitUntilReady();
    console.log(`${machine}, commit ${commit()}`);
    console.log(
      `${NODES} nodes, N=3 R=2 W=2, fsync before every answer, 1 KiB values, ${flags.connections} connections, ${flags.seconds} s a round${flags.auth ? ', tokens' : ''}`,
    );
    if (flags.auth) token = await createToken();
    await generate(nodes, 'fill');
    for (let round = 0; round < Number(flags.rounds); round++) {
      for (const mode of ['put', 'get'] as const) rounds[mode].push((await generate(nodes, mode))!);
    }
  } finally {
    await stop(nodes);
  }
  console.log(
    [
      'mix  ',
      ...['ops/s', 'p50 ms', 'p99 ms', 'p99.9 ms', 'CPU µs/op', 'errors'].map((title) => title.padStart(9)),
    ].join(' '),
  );
  for (const mode of ['put', 'get'] as const) console.log(show(mode, median(rounds[mode])));
  if (flags.json !== undefined) {
    const quoral = { put: median(rounds.put), get: median(rounds.get) };
    writeFileSync(flags.json, `${JSON.stringify({ machine, commit: commit(), quoral, rounds }, null, 2)}\n`);
  }
}

async function stop(nodes: readonly ChildProcess[]): Promise<void> {
  await Promise.all(
    nodes.map(async (node) => {
      if (node.exitCode !== null || node.signalCode !== null) return;
      const gone = new Promise((resolve) => node.once('exit', resolve));
      node.kill('SIGTERM');
      await gone;
    }),
  );
  rmSync(directory, { recursive: true, force: true });
}

if (flags.profile !== undefined) mkdirSync(flags.profile, { recursive: true });
await main();
