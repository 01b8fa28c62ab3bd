/**
 * `npm run bench:overload`: a cluster of three nodes gets three times as many requests as it can answer, from clients that do not
 * wait for each other; before and after it half as many as it can. What is answered, how late, what is turned away, and
 * whether all is as before five seconds later.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMix } from './mixes.ts';
import { Nodes } from './nodes.ts';
import { generate, type Figures, type GeneratorFlags } from './run-generator.ts';
import { commit, machine } from './surroundings.ts';

const { values: flags } = parseArgs({
  options: {
    json: { type: 'string' },
    mix: { type: 'string', default: 'a' },
    seconds: { type: 'string', default: '10' },
    connections: { type: 'string', default: '1500' },
    'base-port': { type: 'string', default: '17101' },
    'node-flags': { type: 'string', default: '' },
  },
});

const STORM = 3;
const CALM = 0.5;
const RECOVERY_MS = 5000;

async function main(): Promise<void> {
  const mix = isMix(flags.mix) ? flags.mix : 'a';
  const given = flags['node-flags'].split(' ').filter((flag) => flag !== '');
  const nodes = new Nodes(3, Number(flags['base-port']), ['--log-level', 'error', ...given]);
  const load = (more: GeneratorFlags): Promise<Figures> =>
    generate(
      { urls: Object.values(nodes.urls), pids: nodes.pids },
      { mix, seconds: flags.seconds, warmup: 1, connections: 64, ...more },
    );
  try {
    await nodes.startAll();
    await load({ mix: 'fill' });
    await load({});
    const peak = await load({});
    const rate = (times: number): GeneratorFlags => ({
      rate: Math.round(peak.opsPerSecond * times),
      connections: flags.connections,
    });
    const before = await load(rate(CALM));
    const storm = await load(rate(STORM));
    await sleep(RECOVERY_MS);
    const after = await load(rate(CALM));
    console.log(`${machine()}, commit ${commit()}, mix ${mix}, 1 KiB, ${flags.seconds} s each`);
    const show = (name: string, { opsPerSecond, p50Ms, p99Ms, statuses }: Figures): void =>
      console.log(
        `${name.padEnd(22)} ${opsPerSecond.toFixed(0).padStart(6)}/s  p50 ${p50Ms.toFixed(1)} ms  p99 ${p99Ms.toFixed(1)} ms  ${JSON.stringify(statuses)}`,
      );
    show('closed loop, 64', peak);
    show(`${CALM} times as many`, before);
    show(`${STORM} times as many`, storm);
    show('5 s later', after);
    const goodput = storm.opsPerSecond / peak.opsPerSecond;
    console.log(
      `goodput ${goodput.toFixed(2)} of the peak; p99 ${(storm.p99Ms / before.p99Ms).toFixed(1)} times that before`,
    );
    if (flags.json !== undefined)
      writeFileSync(
        flags.json,
        `${JSON.stringify({ machine: machine(), commit: commit(), peak, before, storm, after }, null, 2)}\n`,
      );
  } finally {
    await nodes.stop();
  }
}

await main();
