/**
 * `npm run bench:load`: three real nodes with durable data under load from a separate process, values of 1 KiB, in turns with a
 * cluster of three etcd where one is installed, with the floor of both operations on the same machine, and at half of the load with
 * three nodes that do only what cannot be done without.
 *
 *     --json FILE         writes all figures
 *     --quick             PUT, GET and YCSB A at 64 connections, without etcd; less than 45 s
 *     --warm SECONDS      of PUT and GET on each system before it is measured: code that has just begun to run is slower, most of
 *                         all where it is compiled meanwhile. What nodes do in their first seconds is told apart
 *     --mixes put,get     only these mixes, and nothing else
 *     --profile DIR       a CPU profile of every node
 *     --auth              every request shows a token
 *     --node-flags '…'    starts the nodes with more flags
 */

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { tuneRuntime } from '#cli/runtime-settings.ts';
import { flagsFrom, namesIn } from '../flags.ts';
import { temporaryDirectory } from '../interruption.ts';
import { BareCluster } from './bare.ts';
import { EtcdCluster, etcdVersion } from './etcd.ts';
import { floorOf, measurePrimitives, measureSync, type Primitives } from './floor.ts';
import { MIX_NAMES, type MixName } from './mixes.ts';
import { Nodes } from './nodes.ts';
import { commit, groupSizes, machine, meanGroup } from './surroundings.ts';
import { judge, median, medianOf, tableOf, type LoadReport, type OpenLoopFigures } from './report.ts';
import { generate, generateAndSettle, type Figures, type GeneratorFlags } from './run-generator.ts';

const { values: flags } = flagsFrom(
  {
    options: {
      json: { type: 'string' },
      quick: { type: 'boolean', default: false },
      mixes: { type: 'string' },
      profile: { type: 'string' },
      seconds: { type: 'string' },
      warm: { type: 'string' },
      connections: { type: 'string', default: '64' },
      'base-port': { type: 'string', default: '17101' },
      rounds: { type: 'string' },
      auth: { type: 'boolean', default: false },
      'node-flags': { type: 'string', default: '' },
    },
  },
  ['seconds', 'warm', 'connections', 'base-port', 'rounds'],
);

const NODES = 3;
const ONLY = flags.mixes === undefined ? undefined : namesIn('mixes', flags.mixes, MIX_NAMES);
const CONNECTIONS = Number(flags.connections);
const RECORDS = flags.quick ? 5000 : 20_000;
const SECONDS = Number(flags.seconds ?? 3);
const WARM_SECONDS = Number(flags.warm ?? (flags.quick ? 4 : 30));
const ROUNDS = Number(flags.rounds ?? (flags.quick ? 1 : 7));
/** Of each rate of an open loop; its p99 differs more from run to run than what a closed loop does a second. */
const OPEN_ROUNDS = 3;
const BASE_PORT = Number(flags['base-port']);
const OTHER_CONNECTIONS = [1, 16, 256];
const OPEN_SHARES = [0.25, 0.5, 0.75];

interface Cluster {
  readonly urls: readonly string[];
  readonly pids: readonly number[];
}

let token: string | undefined;

function load(cluster: Cluster, mix: MixName, more: GeneratorFlags = {}, run = generate): Promise<Figures> {
  const usual = { connections: CONNECTIONS, seconds: SECONDS, warmup: 1, records: RECORDS, token };
  const keys = mix === 'put' || mix === 'get' ? 'uniform' : 'zipfian';
  return run(cluster, { ...usual, keys, mix, ...more });
}

/** PUTs are charged with what they leave to be done, which would fall on whatever comes next; the mixes are compared with nothing. */
function loadInTurn(cluster: Cluster, mix: MixName, more: GeneratorFlags = {}): Promise<Figures> {
  return load(cluster, mix, more, mix === 'put' ? generateAndSettle : generate);
}

async function fill(cluster: Cluster, system: 'quoral' | 'etcd'): Promise<void> {
  await generate(cluster, { system, mix: 'fill', connections: CONNECTIONS, records: RECORDS, token });
}

/** Half PUT and half GET, so that both are compiled and the memory of the process has found its size. */
async function warmUp(cluster: Cluster, more: GeneratorFlags = {}): Promise<void> {
  if (WARM_SECONDS > 0) {
    const flags = { keys: 'uniform', warmup: 0, seconds: WARM_SECONDS, ...more };
    await load(cluster, 'a', flags, generateAndSettle);
  }
}

/** What nodes do that were started a moment ago. */
async function firstSeconds(quoral: Cluster): Promise<LoadReport['firstSeconds']> {
  return { put: await load(quoral, 'put'), get: await load(quoral, 'get') };
}

/** A token like that of any client: the one from the file takes another way. */
async function createToken(url: string, adminTokenFile: string): Promise<string> {
  const response = await fetch(`${url}/v1/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${readFileSync(adminTokenFile, 'utf8')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'load', scopes: ['read:bench', 'write:bench'] }),
  });
  return ((await response.json()) as { token: string }).token;
}

type Series = Record<string, Figures[]>;

interface Turns {
  readonly quoral: Series;
  readonly etcd: Series;
  readonly primitives: readonly Primitives[];
}

/**
 * The mixes of both systems and the primitives, one after the other in each round, so that a machine that drifts does so for
 * all of them. What is compared stands side by side: etcd's PUT, ours, the floor, our GET, etcd's; every other round the
 * other way round, since what one leaves behind falls on the next.
 */
async function inTurns(
  quoral: Cluster,
  etcd: Cluster | undefined,
  mixes: readonly MixName[],
  withFloor: boolean,
): Promise<Turns> {
  const series: { quoral: Series; etcd: Series } = { quoral: {}, etcd: {} };
  const primitives: Primitives[] = [];
  let group = 1;
  const ours = async (mix: MixName): Promise<void> => {
    const before = await groupSizes(quoral.urls);
    (series.quoral[mix] ??= []).push(await loadInTurn(quoral, mix));
    if (mix === 'put') group = Math.max(1, Math.round(meanGroup(before, await groupSizes(quoral.urls))));
  };
  const etcds = async (mix: MixName, system: 'etcd' | 'etcd-serializable' = 'etcd'): Promise<void> => {
    const name = system === 'etcd' ? mix : 'getSerializable';
    if (etcd !== undefined) (series.etcd[name] ??= []).push(await loadInTurn(etcd, mix, { system }));
  };
  const floor = async (): Promise<void> => {
    const options = { connections: CONNECTIONS, seconds: flags.quick ? 1 : 2, group, nodes: NODES };
    if (withFloor) primitives.push(await measurePrimitives(options));
  };
  const steps = mixes.flatMap((mix) => {
    if (mix === 'put') return [() => etcds(mix), () => ours(mix), floor];
    if (mix === 'get') return [() => ours(mix), () => etcds(mix), () => etcds(mix, 'etcd-serializable')];
    return [() => ours(mix), () => etcds(mix)];
  });
  for (let round = 0; round < ROUNDS; round++)
    for (const step of round % 2 === 0 ? steps : steps.toReversed()) await step();
  return { ...series, primitives };
}

/** Each by itself, so that the floors of PUT and GET add up to what is told of them. */
function medianPrimitives(rounds: readonly Primitives[]): Primitives {
  const names = Object.keys(rounds[0]!) as (keyof Primitives)[];
  const middle = (name: keyof Primitives): number => medianOf(rounds, (one) => one[name])[name];
  return Object.fromEntries(names.map((name) => [name, middle(name)])) as unknown as Primitives;
}

function medians(series: Series): Record<string, Figures> {
  return Object.fromEntries(Object.entries(series).map(([mix, rounds]) => [mix, median(rounds)]));
}

/** All else that is told of this system: other numbers of connections, and the other mixes. */
async function more(quoral: Cluster): Promise<Pick<LoadReport, 'quoral' | 'uniform' | 'byConnections'>> {
  const byConnections: Record<string, Record<string, Figures>> = {};
  for (const connections of OTHER_CONNECTIONS) {
    byConnections[connections] = {
      put: await load(quoral, 'put', { connections }),
      get: await load(quoral, 'get', { connections }),
    };
  }
  const zipfian: Record<string, Figures> = {};
  const uniform: Record<string, Figures> = {};
  for (const mix of ['b', 'c', 'f'] as const) zipfian[mix] = await load(quoral, mix);
  for (const mix of ['a', 'b', 'c', 'f'] as const) uniform[mix] = await load(quoral, mix, { keys: 'uniform' });
  // As the client writes. The first run lets V8 compile what only such writes need.
  for (let run = 0; run < 2; run++) zipfian['keyed put'] = await load(quoral, 'put', { system: 'quoral-keyed' });
  // It adds records, so it comes after the others.
  zipfian['d'] = await load(quoral, 'd');
  return { quoral: zipfian, uniform, byConnections };
}

type System = OpenLoopFigures['system'];
type Reached = Readonly<Record<OpenLoopFigures['of'], Record<string, Figures>>>;

/**
 * Each system at fixed shares of what it has reached, the bare nodes at half of what this one has reached, and this one at half of
 * what etcd has reached too; in turns.
 */
async function atFixedRates(
  clusters: Readonly<Record<System, Cluster | undefined>>,
  reached: Reached,
): Promise<OpenLoopFigures[]> {
  const all: OpenLoopFigures[] = [];
  for (const mix of ['put', 'get'] as const) {
    const loads: { system: System; of: OpenLoopFigures['of']; share: number }[] = [
      ...OPEN_SHARES.map((share) => ({ system: 'quoral', of: 'quoral', share }) as const),
      { system: 'bare', of: 'quoral', share: 0.5 },
    ];
    if (clusters.etcd !== undefined)
      for (const system of ['etcd', 'quoral'] as const) loads.push({ system, of: 'etcd', share: 0.5 });
    const rounds = loads.map((): Figures[] => []);
    const rates = loads.map(({ of, share }) => Math.round(reached[of][mix]!.opsPerSecond * share));
    for (let round = 0; round < OPEN_ROUNDS; round++)
      for (const [i, { system }] of loads.entries())
        rounds[i]!.push(await load(clusters[system]!, mix, { ...spoken(system), rate: rates[i], connections: 256 }));
    for (const [i, one] of loads.entries()) {
      const p99Ms = rounds[i]!.map((figures) => figures.p99Ms);
      all.push({ ...one, mix, rate: rates[i]!, p99Ms, figures: medianOf(rounds[i]!, (figures) => figures.p99Ms) });
    }
  }
  return all;
}

/** Bare nodes are spoken to as these are. */
function spoken(system: System): GeneratorFlags {
  return { system: system === 'etcd' ? 'etcd' : 'quoral' };
}

/** It is started after the closed loops, so that it costs them nothing. */
async function openLoops(quoral: Cluster, etcd: Cluster | undefined, reached: Reached): Promise<OpenLoopFigures[]> {
  const bare = new BareCluster(BASE_PORT + 20);
  try {
    await bare.ready();
    await fill(bare, 'quoral');
    await warmUp(bare);
    return await atFixedRates({ quoral, etcd, bare }, reached);
  } finally {
    await bare.stop();
  }
}

async function measure(nodes: Nodes, etcd: EtcdCluster | undefined): Promise<LoadReport> {
  const quoral: Cluster = { urls: Object.values(nodes.urls), pids: nodes.pids };
  await fill(quoral, 'quoral');
  if (etcd !== undefined) await fill(etcd, 'etcd');
  const first = flags.quick || ONLY !== undefined ? {} : await firstSeconds(quoral);
  await warmUp(quoral);
  if (etcd !== undefined) await warmUp(etcd, { system: 'etcd' });
  const turns = await inTurns(quoral, etcd, ONLY ?? ['put', 'get', 'a'], ONLY === undefined);
  const reached = medians(turns.quoral);
  const theirs = medians(turns.etcd);
  const isWhole = !flags.quick && ONLY === undefined;
  const rest = isWhole ? await more(quoral) : undefined;
  const openLoop = isWhole ? await openLoops(quoral, etcd, { quoral: reached, etcd: theirs }) : [];
  const floors = turns.primitives.map(floorOf);
  const primitives = turns.primitives.length === 0 ? undefined : medianPrimitives(turns.primitives);
  return {
    machine: machine(),
    commit: commit(),
    command: process.argv.slice(2).join(' '),
    durability:
      `${NODES} nodes, N=3 R=2 W=2 dw=2, fdatasync before every answer; etcd with its defaults, which sync its log too; ` +
      `1 KiB values, ${RECORDS} records, ${CONNECTIONS} connections, ${ROUNDS} rounds of ${SECONDS} s after ${WARM_SECONDS} s of PUT and GET`,
    ...(primitives === undefined ? {} : { primitives, floor: floorOf(primitives), sync: measureSync() }),
    quoral: { ...reached, ...rest?.quoral },
    uniform: rest?.uniform ?? {},
    firstSeconds: first,
    byConnections: rest?.byConnections ?? {},
    openLoop,
    peers: etcd === undefined ? {} : { etcd: theirs },
    rounds: { quoral: turns.quoral, etcd: turns.etcd, floor: floors },
  };
}

async function main(): Promise<void> {
  // As a node does: part of the floor is measured in this process.
  tuneRuntime(totalmem());
  const secrets = temporaryDirectory('quoral-load-');
  const adminTokenFile = join(secrets, 'admin-token');
  const nodeFlags = ['--log-level', 'warn', ...flags['node-flags'].split(' ').filter((flag) => flag !== '')];
  if (flags.auth) {
    writeFileSync(adminTokenFile, randomBytes(32).toString('hex'));
    nodeFlags.push('--auth', 'tokens', '--admin-token-file', adminTokenFile);
  }
  const profile = flags.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${flags.profile}`];
  if (flags.profile !== undefined) mkdirSync(flags.profile, { recursive: true });
  const version = flags.quick || flags.mixes !== undefined ? undefined : etcdVersion();
  const nodes = new Nodes(NODES, BASE_PORT, nodeFlags, profile);
  const etcd = version === undefined ? undefined : new EtcdCluster(BASE_PORT + 10);
  try {
    await nodes.startAll();
    await etcd?.ready();
    if (flags.auth) token = await createToken(Object.values(nodes.urls)[0]!, adminTokenFile);
    const report = judge(await measure(nodes, etcd));
    console.log(`${report.machine}, commit ${report.commit}${version === undefined ? '' : `, ${version}`}`);
    console.log(`${report.durability}\n\n${tableOf(report)}`);
    if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(report, null, 2)}\n`);
  } finally {
    await Promise.all([nodes.stop(), etcd?.stop()]);
    rmSync(secrets, { recursive: true, force: true });
  }
}

await main();
