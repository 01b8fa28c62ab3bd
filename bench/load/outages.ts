/**
 * `npm run bench:outages`: what users notice of outages. Four real nodes at their defaults; capacity is measured first, then
 * an open loop at 30 % of it goes on while one node is killed and started again, and later one is frozen and goes on.
 * Then 10,000 keys are deleted while a node is down, and all nodes are restarted one after the other under load.
 * `--quick` has outages of 8 s instead of 30 s; `--parts outages,deletes,rolling` chooses; `--json FILE` writes all figures,
 * `--logs FILE` keeps what the nodes logged, in FILE.outages and FILE.rolling. With `--cut` one node is cut off from the others as
 * well, in a network of the benchmark's own (see network.ts for what that needs).
 */

import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { flagsFrom, namesIn } from '../flags.ts';
import { mindProcess } from '../interruption.ts';
import { differ, hintsWaiting, lostWrites, ownersOf, sweep, type Held } from './convergence.ts';
import { deletesWhileAway } from './deletes.ts';
import { logFigures, showLog } from './log-figures.ts';
import { Network } from './network.ts';
import { Nodes, type LogLine } from './nodes.ts';
import { fill, now, type OpenLoopOptions, type Sent } from './open-loop.ts';
import { describe, figuresOf, hasFailed, isAtVictim, percentile, perSecond, type Outage } from './outage-report.ts';

const { values: flags } = flagsFrom(
  {
    options: {
      json: { type: 'string' },
      quick: { type: 'boolean', default: false },
      parts: { type: 'string', default: 'outages,deletes,rolling' },
      'base-port': { type: 'string', default: '17101' },
      share: { type: 'string', default: '0.3' },
      logs: { type: 'string' },
      cut: { type: 'boolean', default: false },
    },
  },
  ['base-port', 'share'],
);

const NODES = 4;
const BUCKET = 'bench';
const BYTES = 1024;
const GENERATOR = new URL('generator.ts', import.meta.url).pathname;
const WORKER = new URL('open-loop-worker.ts', import.meta.url);
const PHASES = ['before', 'killed', 'between', 'frozen', 'after', ...(flags.cut ? ['cut', 'healed'] : [])];
const TARGETS = { routedAroundMs: 1000, convergedMs: 20_000 };
const outageMs = flags.quick ? 8000 : 30_000;
const calmMs = flags.quick ? 6000 : 20_000;
const keysOfPhase = flags.quick ? 500 : 3000;
/** Convergence is waited for that long at most, and then reported as missing. */
const CONVERGENCE_LIMIT_MS = 120_000;

/** Operations a second that 64 clients get from all nodes in a closed loop, PUT and GET mixed. */
async function capacity(urls: readonly string[]): Promise<number> {
  const args = ['--urls', urls.join(','), '--mix', 'a', '--connections', '64', '--warmup', flags.quick ? '1' : '3'];
  args.push('--seconds', flags.quick ? '3' : '10', '--bytes', String(BYTES));
  const generator = mindProcess(
    spawn(process.execPath, [GENERATOR, ...args], { stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  for await (const line of createInterface({ input: generator.stdout })) {
    const { result } = JSON.parse(line) as { result?: { opsPerSecond: number } };
    if (result !== undefined) return result.opsPerSecond;
  }
  throw new Error('the generator of the closed loop gave no result');
}

class Load {
  readonly #worker: Worker;

  constructor(options: OpenLoopOptions) {
    this.#worker = new Worker(WORKER, { workerData: options });
    this.#worker.on('error', (error) => {
      throw error;
    });
  }

  enter(phase: string): void {
    this.#worker.postMessage(phase);
  }

  async stop(): Promise<readonly Sent[]> {
    const sent = new Promise<readonly Sent[]>((resolve) => this.#worker.once('message', resolve));
    this.#worker.postMessage(null);
    return sent;
  }
}

interface Convergence {
  /**
   * Milliseconds after the return until none waited for the node that was away; undefined when not within the limit. Others
   * come and go all the time on a busy machine, where owners that are well may take too long for a write.
   */
  readonly hintsGoneMs: number | undefined;
  readonly hintsAtReturn: number;
  /** When the looking began, and when all replicas had been seen equal. */
  readonly firstLookMs: number;
  readonly allEqualMs: number | undefined;
  /** Keys whose replicas differed at the first look, which begins when the hints are gone. */
  readonly differedAtFirstLook: number;
}

async function convergence(
  nodes: Nodes,
  victim: string,
  owners: ReadonlyMap<string, readonly string[]>,
  keys: readonly string[],
  returned: number,
): Promise<Convergence> {
  const { urls } = nodes;
  const limit = returned + CONVERGENCE_LIMIT_MS;
  // The node that comes back may not answer yet.
  const waiting = async (): Promise<number> => hintsWaiting(urls, victim).catch(() => Infinity);
  let hints = await waiting();
  let hintsAtReturn = hints === Infinity ? 0 : hints;
  while (hints > 0 && now() < limit) {
    await sleep(200);
    hints = await waiting();
    if (hints !== Infinity) hintsAtReturn = Math.max(hints, hintsAtReturn);
  }
  const hintsGoneMs = hints === 0 ? now() - returned : undefined;
  const firstLookMs = now() - returned;
  const times = { hintsGoneMs, hintsAtReturn, firstLookMs };
  let open = keys;
  let differedAtFirstLook: number | undefined;
  for (;;) {
    const held = await sweep(urls, BUCKET, owners, open);
    open = [...held].filter(([, answers]) => differ(answers)).map(([key]) => key);
    differedAtFirstLook ??= open.length;
    if (open.length === 0) return { ...times, allEqualMs: now() - returned, differedAtFirstLook };
    if (now() > limit) return { ...times, allEqualMs: undefined, differedAtFirstLook };
    await sleep(200);
  }
}

/** How an outage begins or ends. */
type Way = () => Promise<void> | void;

async function outages(nodes: Nodes, rate: number, network: Network | undefined): Promise<object> {
  const { urls } = nodes;
  const keysOf = (phase: string): string[] => Array.from({ length: keysOfPhase }, (_, i) => `${phase}-${i}`);
  const keys = PHASES.flatMap(keysOf);
  await fill(Object.values(urls), BUCKET, keys, BYTES);
  const owners = await ownersOf(urls['n1']!, BUCKET, keys);
  const options = { urls, bucket: BUCKET, rate, phases: PHASES, keys: keysOfPhase, bytes: BYTES };
  const load = new Load({ ...options, probes: true });
  await sleep(2000 + calmMs);
  const away: Outage[] = [];
  const convergences: Convergence[] = [];
  const outage = async (name: string, victim: string, next: string, begin: Way, end: Way): Promise<void> => {
    const from = now();
    load.enter(name);
    await begin();
    await sleep(outageMs);
    load.enter(next);
    const until = now();
    await end();
    const converged = convergence(nodes, victim, owners, keysOf(name), until);
    await nodes.ready(victim);
    away.push({ name, victim, from, until, ready: now() });
    convergences.push(await converged);
    await sleep(Math.max(0, until + calmMs - now()));
  };
  const send = (id: string, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT') => (): Promise<void> => nodes.signal(id, signal);
  await outage('killed', 'n4', 'between', send('n4', 'SIGKILL'), () => nodes.start('n4'));
  await outage('frozen', 'n2', 'after', send('n2', 'SIGSTOP'), send('n2', 'SIGCONT'));
  if (network !== undefined)
    await outage(
      'cut',
      'n3',
      'healed',
      () => network.cut('n3'),
      () => network.heal(),
    );
  const sent = await load.stop();
  const begin = sent.reduce((first, { due }) => Math.min(first, due), Infinity) + 2000;
  const normal = sent.filter(({ due }) => due >= begin && due < away[0]!.from);
  const figures = away.map((one, i) => ({
    ...figuresOf(sent, one, normal, convergences[i]!.firstLookMs),
    ...convergences[i]!,
  }));
  const final = await sweep(urls, BUCKET, owners, keys);
  const failed = sent.filter((request) => hasFailed(request) && !isAtVictim(request, away));
  const late = sent.map(({ due, begun }) => begun - due);
  let hintsLeft = await hintsWaiting(urls);
  for (const limit = now() + CONVERGENCE_LIMIT_MS; hintsLeft > 0 && now() < limit;) {
    await sleep(200);
    hintsLeft = await hintsWaiting(urls);
  }
  const lines = nodes.log();
  const log = logFigures(lines, begin, now());
  keepLog('outages', lines, begin);
  const result = {
    requests: sent.length,
    failed: failed.length,
    failures: failed.slice(0, 50).map((request) => describe(request, begin)),
    lostWrites: lostWrites(sent, final),
    hintsLeft,
    replicasThatDiffer: [...final].filter(([, held]) => differ(held)).map(([key]) => key),
    generatorLateP99Ms: percentile(late, 0.99),
    outages: figures,
    seconds: perSecond(sent, away),
    log,
  };
  showOutages(result);
  showLog(log);
  return result;
}

function showOutages(result: {
  readonly requests: number;
  readonly failed: number;
  readonly failures: readonly string[];
  readonly lostWrites: readonly string[];
  readonly hintsLeft: number;
  readonly replicasThatDiffer: readonly string[];
  readonly generatorLateP99Ms: number;
  readonly outages: readonly (ReturnType<typeof figuresOf> & Convergence)[];
  readonly seconds: ReturnType<typeof perSecond>;
}): void {
  console.log('second phase    requests failed at-victim   p50 ms   p99 ms   max ms');
  for (const { second, phase, requests, failed, atVictim, p50Ms, p99Ms, maxMs } of result.seconds) {
    const cells = [String(requests).padStart(8), String(failed).padStart(6), String(atVictim).padStart(9)];
    const times = [p50Ms, p99Ms, maxMs].map((ms) => ms.toFixed(1).padStart(8));
    console.log([String(second).padStart(6), phase.padEnd(8), ...cells, ...times].join(' '));
  }
  for (const one of result.outages) {
    const { failed, routedAroundMs, p99DuringMs, p99TargetMs, hintsGoneMs, allEqualMs } = one;
    console.log(`${one.name}: ${one.requests} requests, ${one.failedAtVictim} failed at the victim`);
    verdict('failed requests', failed, 0);
    verdict('routed around within, ms', routedAroundMs, TARGETS.routedAroundMs);
    verdict('p99 meanwhile, ms', p99DuringMs, p99TargetMs);
    console.log(
      `  p99 before ${one.p99BeforeMs.toFixed(1)}, meanwhile from the second second on ${one.p99AfterFirstSecondMs.toFixed(1)}, from the return until the hints were gone ${one.p99AfterReturnMs.toFixed(1)} ms`,
    );
    verdict(`hints (${one.hintsAtReturn}) gone after, ms`, hintsGoneMs ?? Infinity, TARGETS.convergedMs);
    verdict('all replicas seen equal after, ms', allEqualMs ?? Infinity, TARGETS.convergedMs);
    console.log(`  ${one.differedAtFirstLook} of ${keysOfPhase} keys differed at the first look`);
  }
  console.log(
    `all: ${result.requests} requests, the generator was late by ${result.generatorLateP99Ms.toFixed(1)} ms at p99`,
  );
  verdict('failed requests', result.failed, 0);
  for (const failure of result.failures) console.log(`    ${failure}`);
  verdict('keys that have lost a write', result.lostWrites.length, 0);
  verdict('hints left when the load has ended', result.hintsLeft, 0);
  verdict('keys whose replicas differ in the end', result.replicasThatDiffer.length, 0);
}

function verdict(what: string, value: number, target: number): void {
  console.log(`  ${value <= target ? 'met   ' : 'MISSED'} ${what}: ${value.toFixed(0)}, target ${target.toFixed(0)}`);
}

/** All nodes, one after the other, under the load, by clients that look at nothing but closed doors. */
async function rolling(nodes: Nodes, rate: number): Promise<object> {
  const { urls } = nodes;
  const keys = Array.from({ length: keysOfPhase }, (_, i) => `rolling-${i}`);
  await fill(Object.values(urls), BUCKET, keys, BYTES);
  const owners = await ownersOf(urls['n1']!, BUCKET, keys);
  const load = new Load({
    ...{ urls, bucket: BUCKET, rate, phases: ['rolling'], keys: keysOfPhase, bytes: BYTES },
    probes: false,
  });
  await sleep(2000);
  for (const id of nodes.ids) {
    await nodes.signal(id, 'SIGTERM');
    await sleep(1000);
    nodes.start(id);
    for (const other of nodes.ids) await nodes.ready(other, '/healthz');
    await sleep(1000);
  }
  const sent = await load.stop();
  let final: ReadonlyMap<string, readonly Held[]>;
  const limit = now() + CONVERGENCE_LIMIT_MS;
  do final = await sweep(urls, BUCKET, owners, keys);
  while ([...final.values()].some(differ) && now() < limit);
  const failed = sent.filter(hasFailed);
  const begin = sent.reduce((first, { due }) => Math.min(first, due), Infinity);
  keepLog('rolling', nodes.log(), begin);
  const p99Ms = percentile(
    sent.map(({ took }) => took),
    0.99,
  );
  const lost = lostWrites(sent, final);
  console.log(`rolling restart of ${NODES} nodes: ${sent.length} requests, p99 ${p99Ms.toFixed(1)} ms`);
  verdict('failed requests', failed.length, 0);
  const failures = failed.slice(0, 50).map((request) => describe(request, begin));
  for (const failure of failures) console.log(`    ${failure}`);
  verdict('keys that have lost a write', lost.length, 0);
  return { requests: sent.length, p99Ms, failed: failed.length, failures, lostWrites: lost };
}

function keepLog(part: string, lines: readonly LogLine[], from: number): void {
  if (flags.logs === undefined) return;
  const inOrder = lines.filter(({ time }) => time >= from).sort((a, b) => a.time - b.time);
  writeFileSync(`${flags.logs}.${part}`, inOrder.map(({ text }) => `${text}\n`).join(''));
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

async function main(): Promise<void> {
  const parts = namesIn('parts', flags.parts, ['outages', 'deletes', 'rolling']);
  const basePort = Number(flags['base-port']);
  const machine = `${cpus()[0]?.model ?? 'unknown'} × ${cpus().length}, ${(totalmem() / 1024 ** 3).toFixed(0)} GiB, Node ${process.version}`;
  const result: Record<string, unknown> = { machine, commit: commit(), loadBefore: loadavg(), targets: TARGETS };
  console.log(
    `${machine}, commit ${commit()}, load ${loadavg()
      .map((one) => one.toFixed(1))
      .join(' ')}`,
  );
  if (parts.includes('outages') || parts.includes('rolling')) {
    const network = flags.cut ? new Network(Array.from({ length: NODES }, (_, i) => `n${i + 1}`)) : undefined;
    const nodes = new Nodes(NODES, basePort, flags.cut ? ['--insecure'] : [], [], undefined, network);
    try {
      network?.up();
      await nodes.startAll();
      const urls = Object.values(nodes.urls);
      const keys = Array.from({ length: 20_000 }, (_, i) => `key-${i}`);
      await fill(urls, BUCKET, keys, BYTES);
      const opsPerSecond = await capacity(urls);
      const rate = opsPerSecond * Number(flags.share);
      console.log(
        `${NODES} nodes, capacity ${opsPerSecond.toFixed(0)} op/s, open loop of ${rate.toFixed(0)} requests/s, half PUT, half GET of ${BYTES} bytes at the defaults`,
      );
      Object.assign(result, { opsPerSecond, rate });
      if (parts.includes('outages')) result['outages'] = await outages(nodes, rate, network);
      if (parts.includes('rolling')) result['rolling'] = await rolling(nodes, rate);
    } finally {
      await nodes.stop();
      network?.down();
    }
  }
  if (parts.includes('deletes')) {
    const deletes = await deletesWhileAway(NODES, basePort, flags.quick ? 2000 : 10_000);
    console.log(`${deletes.keys} keys deleted while a node was down, all replicas looked at after its return`);
    verdict('keys that rose', deletes.risen.length, 0);
    verdict('deletes that failed', deletes.failed.length, 0);
    console.log(`  hints gone after ${deletes.hintsGoneMs.toFixed(0)} ms`);
    verdict(`tombstones of ${deletes.tombstonesMost} left`, deletes.tombstonesLeft, 0);
    console.log(`  the last one gone ${deletes.tombstonesGoneMs.toFixed(0)} ms after the return`);
    result['deletes'] = deletes;
  }
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(result, null, 2)}\n`);
}

await main();
