/**
 * `npm run bench:overload`: a cluster of three nodes gets three times as many requests as it can answer, from clients that do not
 * wait for each other; before and after it half as many as it can. What is answered, how late, what is turned away, and
 * whether all is as before five seconds later.
 *
 * The generator shares the machine: what it needs for three times as many requests the nodes do not have. So the goodput is shown
 * twice: as it is, and for each second of CPU time that the nodes had, which is what they would do with a generator elsewhere.
 * With `--apart` the nodes have the first processor and the generator the second, in all phases.
 */

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { flagsFrom, namesIn } from '../flags.ts';
import { MIX_NAMES } from './mixes.ts';
import { Nodes } from './nodes.ts';
import { generate, type Figures, type GeneratorFlags } from './run-generator.ts';
import { commit, machine } from './surroundings.ts';

const { values: flags } = flagsFrom(
  {
    options: {
      json: { type: 'string' },
      mix: { type: 'string', default: 'a' },
      seconds: { type: 'string', default: '10' },
      connections: { type: 'string', default: '1500' },
      'base-port': { type: 'string', default: '17101' },
      'node-flags': { type: 'string', default: '' },
      apart: { type: 'boolean', default: false },
    },
  },
  ['seconds', 'connections', 'base-port'],
);

const [mix] = namesIn('mix', flags.mix, MIX_NAMES);
const STORM = 3;
/** Seconds in which the storm begins and the nodes find out; shown by themselves. */
const ONSET = 2;
const CALM = 0.5;
const RECOVERY_MS = 5000;

interface Phases {
  readonly peak: Figures;
  readonly before: Figures;
  readonly storm: Figures;
  readonly after: Figures;
}

async function measure(nodes: Nodes): Promise<Phases> {
  const load = (more: GeneratorFlags): Promise<Figures> =>
    generate(
      { urls: Object.values(nodes.urls), pids: nodes.pids },
      { mix, seconds: flags.seconds, warmup: 1, connections: 64, ...more },
    );
  await load({ mix: 'fill' });
  await load({});
  const peak = await load({});
  const rate = (times: number): GeneratorFlags => ({
    rate: Math.round(peak.opsPerSecond * times),
    connections: flags.connections,
  });
  const before = await load(rate(CALM));
  const storm = await load({ ...rate(STORM), warmup: ONSET });
  await sleep(RECOVERY_MS);
  return { peak, before, storm, after: await load(rate(CALM)) };
}

/** Of the CPU time that one operation took at the peak, how much one takes in the storm, refusals included: the inverse of that. */
function perCpu(one: Figures): number {
  return one.operations / one.nodesCpuMicros;
}

function show(name: string, figures: Figures): void {
  const { opsPerSecond, p50Ms, p99Ms, statuses, generatorCpuMicros, nodesCpuMicros } = figures;
  const cpu = (micros: number): string => `${(micros / 1e6 / Number(flags.seconds)).toFixed(2)} cores`;
  console.log(
    `${name.padEnd(20)} ${opsPerSecond.toFixed(0).padStart(6)}/s  p50 ${p50Ms.toFixed(1)} ms  p99 ${p99Ms.toFixed(1)} ms  ` +
      `nodes ${cpu(nodesCpuMicros)}, generator ${cpu(generatorCpuMicros)}, late p50 ${figures.lateP50Ms.toFixed(1)} p99 ${figures.lateP99Ms.toFixed(1)} ms, ` +
      `${figures.waited} without a connection  ${JSON.stringify(statuses)}`,
  );
}

function report({ peak, before, storm, after }: Phases): void {
  show('closed loop, 64', peak);
  show(`${CALM} times as many`, before);
  show(`${STORM} times as many`, storm);
  show('5 s later', after);
  const { refused, refusedP50Ms, refusedP99Ms, withoutRetryAfter } = storm;
  console.log(
    `refused ${refused}: p50 ${refusedP50Ms.toFixed(1)} ms, p99 ${refusedP99Ms.toFixed(1)} ms, without Retry-After ${withoutRetryAfter}`,
  );
  for (const [second, { right, p50Ms, p99Ms, refused: away, refusedP99Ms }] of storm.seconds.entries()) {
    console.log(
      `  second ${second}${second < ONSET ? ', not measured' : ''}: ${right} in ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms; ` +
        `${away} turned away, p99 ${refusedP99Ms.toFixed(1)} ms`,
    );
  }
  const target = (what: string, reached: number, met: boolean, wanted: string): void =>
    console.log(`${met ? 'met   ' : 'MISSED'} ${what}: ${reached.toFixed(2)}, wanted ${wanted}`);
  const goodput = storm.opsPerSecond / peak.opsPerSecond;
  target('goodput, peak = 1', goodput, goodput >= 0.8, '≥ 0.80');
  const equal = perCpu(storm) / perCpu(peak);
  target('goodput for the CPU time that the nodes had', equal, equal >= 0.8, '≥ 0.80');
  const late = storm.p99Ms / before.p99Ms;
  target('p99 of those let in, at half load = 1', late, late <= 2, '≤ 2.00');
  const recovered = after.p99Ms / before.p99Ms;
  target(
    'p99 at half load 5 s later, before = 1',
    recovered,
    recovered <= 2 && after.errors === 0,
    '≤ 2.00, no errors',
  );
}

/** The nodes on the first processor, the generator, which inherits ours, on the second: neither takes the other's time. */
function keepApart(pids: readonly number[]): void {
  const keep = (pid: number, processor: number): void => {
    const { status, error } = spawnSync('taskset', ['-a', '-p', '-c', String(processor), String(pid)], {
      stdio: 'ignore',
    });
    if (status !== 0) throw new Error('--apart needs taskset and two processors', { cause: error });
  };
  for (const pid of pids) keep(pid, 0);
  keep(process.pid, 1);
}

async function main(): Promise<void> {
  const given = flags['node-flags'].split(' ').filter((flag) => flag !== '');
  const nodes = new Nodes(3, Number(flags['base-port']), ['--log-level', 'error', ...given]);
  try {
    await nodes.startAll();
    if (flags.apart) keepApart(nodes.pids);
    const phases = await measure(nodes);
    console.log(
      `${machine()}, commit ${commit()}, mix ${flags.mix}, 1 KiB, ${flags.seconds} s each${flags.apart ? ', nodes and generator on a processor of their own' : ''}`,
    );
    report(phases);
    if (flags.json !== undefined)
      writeFileSync(
        flags.json,
        `${JSON.stringify({ machine: machine(), commit: commit(), apart: flags.apart, ...phases }, null, 2)}\n`,
      );
  } finally {
    await nodes.stop();
  }
}

await main();
