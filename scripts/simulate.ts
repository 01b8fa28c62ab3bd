/**
 * Runs whole clusters in virtual time under faults, and says which promise broke.
 *
 *     npm run simulate -- --seed 7 [--for 60s] [--nodes 5] [--trace]
 *     npm run simulate -- --seeds 1-200 [--processes 2]
 *     npm run simulate -- --seed 7 --bug merge-drops-sibling
 *     npm run simulate -- --list-bugs | --list-off
 */

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { CHECKS_OFF } from '../test/simulation/arena.ts';
import { BUGS, BUGS_TO_COME, bugNamed } from '../test/simulation/bugs.ts';
import { FAULT_KINDS, SWITCHED_OFF, type FaultKind } from '../test/simulation/faults.ts';
import { planOf, type PlanChanges } from '../test/simulation/plan.ts';
import { performAll } from '../test/simulation/pool.ts';
import { shrink } from '../test/simulation/shrink.ts';
import { SCENARIO_NAMES, WAITING_FOR_A_FIX } from '../test/simulation/scenarios.ts';
import type { Report, ScenarioTask, SeedTask } from '../test/simulation/tasks.ts';
import { WORKLOADS_OFF } from '../test/simulation/workload.ts';
import { Mistake, tellingMistakes } from './mistakes.ts';

/** Every so many seeds one is run twice. */
const REPEATED_ONE_IN = 10;
const FINDINGS_SHOWN = 5;

const OPTIONS = {
  seed: { type: 'string' },
  seeds: { type: 'string' },
  for: { type: 'string' },
  'ring-changes': { type: 'boolean' },
  types: { type: 'boolean' },
  nodes: { type: 'string' },
  operations: { type: 'string' },
  without: { type: 'string' },
  bug: { type: 'string' },
  scenario: { type: 'string' },
  'list-bugs': { type: 'boolean' },
  'list-off': { type: 'boolean' },
  'no-shrink': { type: 'boolean' },
  processes: { type: 'string' },
  trace: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

const USAGE = `npm run simulate -- --seed N | --seeds A-B | --scenario NAME | --list-bugs | --list-off
  --for 60s          virtual time during which the clients work
  --nodes N          instead of the number that the seed stands for
  --ring-changes     lets members come and go in every run, not in a part of them
  --types            clients of data types in every run, not in a part of them
  --operations N     at most so many requests of clients
  --without A,B      fault kinds to leave out: ${FAULT_KINDS.join(', ')}
  --bug NAME         plants a known-wrong variant
  --scenario NAME    plays a script instead: ${SCENARIO_NAMES.join(', ')}
  --trace            shows what happened, one column a node
  --processes N      for several seeds; as many as there are processors without it
  --no-shrink        does not look for a smaller run that fails too`;

await tellingMistakes('simulate', main);

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  if (values['list-bugs'] === true) {
    listNames(Object.fromEntries(BUGS.map(({ name, about }) => [name, about])));
    return 0;
  }
  if (values['list-off'] === true) {
    const off = { ...SWITCHED_OFF, ...WORKLOADS_OFF, ...CHECKS_OFF, ...BUGS_TO_COME, ...WAITING_FOR_A_FIX };
    listNames(off);
    if (Object.keys(off).length === 0) console.log('nothing is switched off');
    return 0;
  }
  if (values.help === true) {
    console.log(USAGE);
    return 0;
  }
  if (values.bug !== undefined && !BUGS.some(({ name }) => name === values.bug)) {
    throw new Mistake(`--bug ${values.bug}: see --list-bugs`);
  }
  const changes = changesFrom(values);
  if (values.scenario !== undefined) return await runScenario(values.scenario, values);
  if (values.seeds !== undefined) return await runMany(seedsFrom(values.seeds), changes, values);
  if (values.seed === undefined) throw new Mistake('--seed or --seeds is missing');
  return await runOne(wholeNumber('seed', values.seed, 0), changes, values);
}

function listNames(table: Readonly<Record<string, string>>): void {
  const longest = Math.max(...Object.keys(table).map((name) => name.length));
  for (const [name, about] of Object.entries(table)) console.log(`${name.padEnd(longest)}  ${about}`);
}

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

async function runOne(
  seed: number,
  changes: PlanChanges,
  { bug, trace, 'no-shrink': noShrink }: Values,
): Promise<number> {
  const task: SeedTask = { kind: 'seed', seed, changes, twice: false, traceWidth: trace === true ? width() : 0 };
  for await (const { report } of performAll([task], 1, bug)) {
    for (const line of report.trace) console.log(line);
    console.log(planLine(seed, changes));
    tell(report);
    if (report.findings.length > 0 && noShrink !== true && trace !== true) await tellSmallest(task, report, bug);
    console.log(verdict(report));
    return report.findings.length === 0 ? 0 : 1;
  }
  return 1;
}

async function runScenario(text: string, { bug, trace }: Values): Promise<number> {
  const name = SCENARIO_NAMES.find((known) => known === text);
  if (name === undefined) throw new Mistake(`--scenario ${text}: one of ${SCENARIO_NAMES.join(', ')}`);
  const task: ScenarioTask = { kind: 'scenario', name, traceWidth: trace === true ? width() : 0 };
  for await (const { report } of performAll([task], 1, bug)) {
    for (const line of report.trace) console.log(line);
    tell(report);
    console.log(`scenario=${name} ${judgement(report)}`);
    return report.findings.length === 0 ? 0 : 1;
  }
  return 1;
}

async function runMany(seeds: readonly number[], changes: PlanChanges, { bug, processes }: Values): Promise<number> {
  const count = processes === undefined ? availableParallelism() : wholeNumber('processes', processes, 1);
  const tasks = seeds.map((seed): SeedTask => ({
    kind: 'seed',
    seed,
    changes,
    twice: seed % REPEATED_ONE_IN === 0,
    traceWidth: 0,
  }));
  const violated: number[] = [];
  const began = performance.now();
  const total = { virtual: 0, acked: 0, unknown: 0, events: 0 };
  for await (const { task, report } of performAll(tasks, count, bug)) {
    if (report.findings.length > 0) {
      violated.push((task as SeedTask).seed);
      tell(report);
    }
    console.log(verdict(report));
    const { virtual, acked, unknown, events } = report.result!;
    total.virtual += virtual * ((task as SeedTask).twice ? 2 : 1);
    total.acked += acked;
    total.unknown += unknown;
    total.events += events;
  }
  const seconds = (performance.now() - began) / 1000;
  const speed = total.virtual / 1000 / seconds;
  console.log(
    `${seeds.length} seeds, ${violated.length} violated${violated.length === 0 ? '' : ` (${violated.join(' ')})`}; ` +
      `acked=${total.acked} unknown=${total.unknown} events=${total.events}; ` +
      `${seconds.toFixed(1)} s, ${speed.toFixed(1)} virtual seconds a second on ${count} processes`,
  );
  return violated.length === 0 ? 0 : 1;
}

/** The line that programs read. */
function verdict(report: Report): string {
  const { seed, virtual, events, acked, unknown, ring, hash } = report.result!;
  const changes = ring === undefined ? '' : ` changes=${ring.begun}`;
  const figures = `events=${events} acked=${acked} unknown=${unknown}${changes} hash=${hash}`;
  return `seed=${seed} virtual=${virtual / 1000}s ${figures} ${judgement(report)}`;
}

function judgement({ findings: [first] }: Report): string {
  return first === undefined ? 'verdict=ok' : `verdict=VIOLATED check=${first.check} key=${first.key || '-'}`;
}

function planLine(seed: number, changes: PlanChanges): string {
  const { mode, nodes, ringChanges, types, clients, faults } = planOf(seed, changes);
  const kinds = faults.map(({ kind, intensity }) => `${kind} ${intensity.toFixed(1)}`).join(', ');
  return `${mode}, ${nodes} nodes${ringChanges ? ' that come and go' : ''}, ${clients} clients${types ? ' and those of data types' : ''}; ${kinds === '' ? 'no faults' : kinds}`;
}

function tell({ findings }: Report): void {
  for (const { check, key, detail } of findings.slice(0, FINDINGS_SHOWN)) console.log(`  ${check} ${key}: ${detail}`);
  if (findings.length > FINDINGS_SHOWN) console.log(`  and ${findings.length - FINDINGS_SHOWN} more`);
}

async function tellSmallest(task: SeedTask, report: Report, bug: string | undefined): Promise<void> {
  const smallest = await shrink(task, report.findings[0]!.check, async (smaller) => {
    for await (const { report: found } of performAll([smaller], 1, bug)) return found.findings;
    return [];
  });
  console.log(`  smallest: npm run simulate -- ${command(smallest, bug)} --trace`);
}

function command({ seed, changes }: SeedTask, bug: string | undefined): string {
  const { duration, nodes, ringChanges, types, operationsMax, without } = changes;
  return [
    `--seed ${seed}`,
    ...(duration === undefined ? [] : [`--for ${duration / 1000}s`]),
    ...(nodes === undefined ? [] : [`--nodes ${nodes}`]),
    ...(ringChanges === true ? ['--ring-changes'] : []),
    ...(types === true ? ['--types'] : []),
    ...(operationsMax === undefined ? [] : [`--operations ${operationsMax}`]),
    ...(without === undefined || without.length === 0 ? [] : [`--without ${without.join(',')}`]),
    ...(bug === undefined ? [] : [`--bug ${bugNamed(bug).name}`]),
  ].join(' ');
}

function changesFrom(values: Values): PlanChanges {
  const { nodes, operations, without } = values;
  return {
    ...(values.for === undefined ? {} : { duration: duration(values.for) }),
    ...(nodes === undefined ? {} : { nodes: wholeNumber('nodes', nodes, 1, 9) }),
    ...(values['ring-changes'] === true ? { ringChanges: true } : {}),
    ...(values.types === true ? { types: true } : {}),
    ...(operations === undefined ? {} : { operationsMax: wholeNumber('operations', operations, 1) }),
    ...(without === undefined ? {} : { without: without.split(',').map(faultKind) }),
  };
}

function seedsFrom(text: string): readonly number[] {
  const match = /^(\d+)-(\d+)$/.exec(text);
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || last < first) throw new Mistake(`--seeds ${text}: such as 1-200`);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** Virtual milliseconds. */
function duration(text: string): number {
  const match = /^(\d+)(s|m)$/.exec(text);
  if (match === null) throw new Mistake(`--for ${text}: such as 60s or 5m`);
  return Number(match[1]) * (match[2] === 'm' ? 60_000 : 1000);
}

function wholeNumber(name: string, text: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) throw new Mistake(`--${name} ${text}: a whole number from ${least}`);
  return value;
}

function faultKind(text: string): FaultKind {
  const kind = FAULT_KINDS.find((known) => known === text);
  if (kind === undefined) throw new Mistake(`--without ${text}: one of ${FAULT_KINDS.join(', ')}`);
  return kind;
}

function width(): number {
  return process.stdout.columns ?? 200;
}
