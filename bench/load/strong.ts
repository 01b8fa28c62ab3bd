/**
 * `npm run bench:strong`: reads and writes of strong keys on three real nodes with durable data, in turns with a cluster of three
 * etcd where one is installed, whose reads are linearizable too. The same clients, over HTTP, values of 1 KiB. Both are warmed up before
 * the first figure is taken, by two seconds of writes and two of reads from 64 clients: fewer would leave a young process to interpret
 * most of its program for minutes.
 *
 *     --part distinct|hot   keys that the clients share evenly, or one key for all; both without it
 *     --clients 1,8,64      how many clients, one after the other
 *     --rounds N            the median of so many
 *     --seconds N           of each measurement
 *     --json FILE           writes all figures
 *     --results FILE        puts the tables into this page, in the place of those of the same part
 *
 * One part takes less than two minutes with the defaults.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { flagsFrom, refuse } from '../flags.ts';
import { EtcdCluster, etcdVersion } from './etcd.ts';
import { Nodes } from './nodes.ts';
import { median } from './report.ts';
import { generate, type Figures } from './run-generator.ts';
import { commit, groupSizes, machine, meanGroup } from './surroundings.ts';

const { values: flags } = flagsFrom(
  {
    options: {
      part: { type: 'string' },
      clients: { type: 'string', default: '1,8,64' },
      rounds: { type: 'string', default: '1' },
      seconds: { type: 'string', default: '5' },
      json: { type: 'string' },
      results: { type: 'string' },
      'base-port': { type: 'string', default: '17301' },
    },
  },
  ['rounds', 'seconds', 'base-port'],
  ['clients'],
);

const PARTS = { distinct: 1000, hot: 1 } as const;
type Part = keyof typeof PARTS;
const MIXES = ['put', 'get'] as const;
const NODES = 3;
const BASE_PORT = Number(flags['base-port']);

interface System {
  readonly name: 'quoral' | 'etcd';
  readonly urls: readonly string[];
  readonly pids: readonly number[];
}

interface Measured {
  readonly part: Part;
  readonly clients: number;
  readonly mix: (typeof MIXES)[number];
  readonly system: System['name'];
  readonly rounds: readonly Figures[];
  /** Operations that shared a commit, on average; of ours only. */
  readonly group: number | undefined;
}

async function measure(systems: readonly System[], part: Part, clients: number): Promise<readonly Measured[]> {
  const measured = new Map<string, Measured & { readonly rounds: Figures[] }>();
  for (let round = 0; round < Number(flags.rounds); round++) {
    for (const mix of MIXES) {
      for (const system of systems) {
        const counts = async (): Promise<Parameters<typeof meanGroup>[0] | undefined> =>
          system.name === 'quoral' ? await groupSizes(system.urls) : undefined;
        const before = await counts();
        const load = { mix, connections: clients, records: PARTS[part], seconds: Number(flags.seconds), warmup: 1 };
        const figures = await generate(system, { ...load, system: system.name });
        const after = await counts();
        const group = before === undefined || after === undefined ? undefined : meanGroup(before, after);
        const name = `${mix} ${system.name}`;
        const entry = measured.get(name) ?? { part, clients, mix, system: system.name, rounds: [], group };
        entry.rounds.push(figures);
        measured.set(name, entry);
      }
    }
  }
  return [...measured.values()];
}

function row({ part, clients, mix, system, rounds, group }: Measured): string {
  const { opsPerSecond, p50Ms, p99Ms, p999Ms, cpuMicrosPerOp, errors } = median(rounds);
  const cells = [
    ...[opsPerSecond.toFixed(0), p50Ms.toFixed(2), p99Ms.toFixed(2), p999Ms.toFixed(2), cpuMicrosPerOp.toFixed(0)],
    ...[group === undefined || mix === 'get' ? '' : group.toFixed(1), String(errors)],
  ];
  return `| ${[part, String(clients), mix, system, ...cells].join(' | ')} |`;
}

const HEAD = [
  '| keys | clients | operation | system | ops/s | p50 ms | p99 ms | p99.9 ms | CPU µs/op | ops/commit | errors |',
  '| ---- | ------: | --------- | ------ | ----: | -----: | -----: | -------: | --------: | ---------: | -----: |',
].join('\n');

/** The page says by comments where the tables of each part begin and end. */
function placeIn(file: string, part: Part): { readonly before: string; readonly after: string } {
  let page: string;
  try {
    page = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`--results ${file} cannot be read: ${String(error)}`, { cause: error });
  }
  const [begin, end] = [`<!-- ${part} -->`, `<!-- end of ${part} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`--results ${file} has no place for ${part}: ${begin} and ${end}`);
  return { before: page.slice(0, from + begin.length), after: page.slice(to) };
}

function putInto(file: string, part: Part, text: string): void {
  const { before, after } = placeIn(file, part);
  writeFileSync(file, `${before}\n\n${text}\n\n${after}`);
}

const ALL_PARTS = ['distinct', 'hot'] as const;

function wantedParts(): readonly Part[] {
  const wanted = ALL_PARTS.filter((part) => flags.part === undefined || flags.part === part);
  if (wanted.length === 0) refuse(`--part ${flags.part}: distinct or hot`);
  // A run whose figures have no place is refused before it, not after.
  if (flags.results !== undefined) for (const part of wanted) placeIn(flags.results, part);
  return wanted;
}

async function warmUp(systems: readonly System[]): Promise<void> {
  for (const system of systems) {
    const load = { system: system.name, connections: 64, records: PARTS.distinct, seconds: 2, warmup: 0 };
    for (const mix of MIXES) await generate(system, { ...load, mix });
  }
}

async function main(): Promise<void> {
  const parts = wantedParts();
  const version = etcdVersion();
  const nodes = new Nodes(NODES, BASE_PORT, ['--log-level', 'warn']);
  const etcd = version === undefined ? undefined : new EtcdCluster(BASE_PORT + 10);
  try {
    await nodes.startAll();
    await etcd?.ready();
    const urls = Object.values(nodes.urls);
    const headers = { 'content-type': 'application/json' };
    const defined = await fetch(`${urls[0]!}/v1/buckets/bench`, {
      method: 'PUT',
      headers,
      body: '{"consistency":"strong"}',
    });
    if (!defined.ok) throw new Error(`the bucket was not defined: ${await defined.text()}`);
    const systems: System[] = [{ name: 'quoral', urls, pids: nodes.pids }];
    if (etcd !== undefined) systems.push({ name: 'etcd', urls: etcd.urls, pids: etcd.pids });
    for (const system of systems) {
      await generate(system, { system: system.name, mix: 'fill', connections: 16, records: PARTS.distinct });
    }
    await warmUp(systems);
    const results: Measured[] = [];
    for (const part of parts) {
      for (const clients of flags.clients.split(',').map(Number))
        results.push(...(await measure(systems, part, clients)));
    }
    for (const part of parts) {
      const rows = results.filter((result) => result.part === part);
      const text = `${machine()}, commit ${commit()}${version === undefined ? '' : `, ${version}`}:\n\n${HEAD}\n${rows.map(row).join('\n')}`;
      console.log(`${text}\n`);
      if (flags.results !== undefined) putInto(flags.results, part, text);
    }
    if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(results, null, 2)}\n`);
  } finally {
    await Promise.all([nodes.stop(), etcd?.stop()]);
  }
}

await main();
