/**
 * `npm run bench:compare -- --against REF`: this checkout and another commit, two clusters of three nodes side by side, each loaded
 * for a few seconds in turn, again and again in changing order. Machines drift and have other things to do; of two that were
 * measured in turns the ratio can be believed all the same. `--rate` is an open loop; `--node-flags` are given to Node.js for this checkout only.
 */

import { execFileSync } from 'node:child_process';
import { rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { flagsFrom, namesIn } from '../flags.ts';
import { temporaryDirectory, undoWhenInterrupted } from '../interruption.ts';
import { MIX_NAMES, type MixName } from './mixes.ts';
import { Nodes } from './nodes.ts';
import { generate, type Figures } from './run-generator.ts';
import { commit, machine } from './surroundings.ts';

const { values: flags } = flagsFrom(
  {
    options: {
      against: { type: 'string', default: 'HEAD~1' },
      mixes: { type: 'string', default: 'put,get' },
      rounds: { type: 'string', default: '7' },
      seconds: { type: 'string', default: '4' },
      /** For each mix and side, before anything is measured. */
      warm: { type: 'string', default: '15' },
      connections: { type: 'string', default: '64' },
      /** Of a value. */
      bytes: { type: 'string', default: '1024' },
      /** Requests a second, however many of them are under way; otherwise each connection sends its next one after the last. */
      rate: { type: 'string' },
      'base-port': { type: 'string', default: '17101' },
      'node-flags': { type: 'string', default: '' },
    },
  },
  ['rounds', 'seconds', 'warm', 'connections', 'bytes', 'rate', 'base-port'],
);

const MIXES = namesIn('mixes', flags.mixes, MIX_NAMES);
const ROOT = new URL('../../', import.meta.url).pathname;
const NODES = 3;
const RECORDS = 20_000;
const SIDES = ['other', 'this'] as const;
type Side = (typeof SIDES)[number];

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
}

/** A checkout of the other commit that shares the installed packages. */
function checkout(): string {
  const directory = join(temporaryDirectory('quoral-compare-'), 'other');
  undoWhenInterrupted(() => void git('worktree', 'remove', '--force', directory));
  git('worktree', 'add', '--detach', directory, flags.against);
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  return directory;
}

function load(nodes: Nodes, mix: MixName | 'fill', seconds: number, rate?: string): Promise<Figures> {
  const cluster = { urls: Object.values(nodes.urls), pids: nodes.pids };
  const { bytes, connections } = flags;
  return generate(cluster, { mix, seconds, warmup: 1, records: RECORDS, connections, bytes, rate });
}

async function inTurns(sides: Readonly<Record<Side, Nodes>>, mixes: readonly MixName[]): Promise<void> {
  const seconds = Number(flags.seconds);
  for (const side of SIDES) {
    await load(sides[side], 'fill', 0);
    for (const mix of mixes) await load(sides[side], mix, Number(flags.warm));
  }
  for (const mix of mixes) {
    const rounds: Record<Side, Figures[]> = { other: [], this: [] };
    for (let round = 0; round < Number(flags.rounds); round++) {
      for (const side of round % 2 === 0 ? SIDES : SIDES.toReversed())
        rounds[side].push(await load(sides[side], mix, seconds, flags.rate));
    }
    for (const what of ['cpuMicrosPerOp', 'opsPerSecond', 'p50Ms', 'p99Ms'] as const) {
      const of = (side: Side): number => median(rounds[side].map((figures) => figures[what]));
      const ratio = of('this') / of('other');
      console.log(
        [mix.padEnd(4), what.padEnd(15), of('other').toFixed(1), '→', of('this').toFixed(1), ratio.toFixed(3)].join(
          ' ',
        ),
      );
    }
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

async function main(): Promise<void> {
  const other = checkout();
  const port = Number(flags['base-port']);
  const quiet = ['--log-level', 'warn'];
  const nodeFlags = flags['node-flags'].split(' ').filter((flag) => flag !== '');
  const sides = {
    other: new Nodes(NODES, port, quiet, [], join(other, 'src/main.ts')),
    this: new Nodes(NODES, port + 10, quiet, nodeFlags),
  };
  try {
    for (const side of SIDES) await sides[side].startAll();
    console.log(`${machine()}; ${git('rev-parse', '--short', flags.against)} → ${commit()} and what is not committed`);
    await inTurns(sides, MIXES);
  } finally {
    for (const side of SIDES) await sides[side].stop();
    git('worktree', 'remove', '--force', other);
    rmSync(join(other, '..'), { recursive: true, force: true });
  }
}

await main();
