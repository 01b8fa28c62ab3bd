/**
 * `npm run bench:scale`: what becomes of rates, delays and memory when there is more of something.
 *
 *     --parts a,b       some of keys, values, nodes, connections, soak; all without it
 *     --keys 1e5,1e6    sizes of the store of the first part, in place of 0.1, 1, 3 and 10 million
 *     --seconds N       of each measurement, 5 without it
 *     --soak-seconds N  600 without it
 *     --node-flags '…'  starts the nodes of the first and of the last part with more flags
 *     --quick           small numbers, to see that it runs
 *     --base-port N     17401 without it
 *     --json FILE       writes all figures
 */

import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { flagsFrom, namesIn } from '../flags.ts';
import { measureKeys } from './scale-keys.ts';
import { measureConnections, measureNodes, measureValues } from './scale-others.ts';
import { measureSoak } from './scale-soak.ts';
import { commit, machine } from './surroundings.ts';

export interface ScaleOptions {
  readonly quick: boolean;
  readonly basePort: number;
  readonly seconds: number;
  readonly keys: readonly number[] | undefined;
  readonly soakSeconds: number;
  readonly nodeFlags: readonly string[];
}

export type Row = Readonly<Record<string, string | number>>;

const PARTS = {
  keys: measureKeys,
  values: measureValues,
  nodes: measureNodes,
  connections: measureConnections,
  soak: measureSoak,
} as const;

const { values: flags } = flagsFrom(
  {
    options: {
      parts: { type: 'string', default: Object.keys(PARTS).join(',') },
      keys: { type: 'string' },
      seconds: { type: 'string' },
      'soak-seconds': { type: 'string' },
      'node-flags': { type: 'string', default: '' },
      quick: { type: 'boolean', default: false },
      'base-port': { type: 'string', default: '17401' },
      json: { type: 'string' },
    },
  },
  ['seconds', 'soak-seconds', 'base-port'],
  ['keys'],
);

const options: ScaleOptions = {
  quick: flags.quick,
  basePort: Number(flags['base-port']),
  seconds: Number(flags.seconds ?? (flags.quick ? 2 : 5)),
  keys: flags.keys?.split(',').map(Number),
  soakSeconds: Number(flags['soak-seconds'] ?? (flags.quick ? 20 : 600)),
  nodeFlags: flags['node-flags'].split(' ').filter((flag) => flag !== ''),
};

const parts = namesIn('parts', flags.parts, Object.keys(PARTS) as (keyof typeof PARTS)[]);
const results: Record<string, { readonly load: number; readonly rows: readonly Row[] }> = {};
console.log(`${machine()}, commit ${commit()}`);
for (const name of parts) {
  const rows = await PARTS[name](options);
  // Others on the machine make every figure worse.
  const load = loadavg()[0]!;
  results[name] = { load, rows };
  console.log(`\n${name} (load average ${load.toFixed(0)})\n\n${markdown(rows)}`);
  if (flags.json !== undefined)
    writeFileSync(flags.json, `${JSON.stringify({ machine: machine(), commit: commit(), results }, null, 2)}\n`);
}

function markdown(rows: readonly Row[]): string {
  const columns = Object.keys(rows[0] ?? {});
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(columns),
    line(columns.map(() => '---')),
    ...rows.map((row) => line(columns.map((column) => row[column] ?? ''))),
  ].join('\n');
}
