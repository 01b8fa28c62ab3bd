/**
 * `npm run bench:many-keys -- list|batch|watch|log`: listings, batches and watches with three real nodes.
 *
 *     list    keys a second of a stream and of pages, and what they cost the nodes
 *     batch   the same operations one by one and in batches
 *     watch   from the request that writes to the event, and to many watchers
 *     log     what the log of changes costs a PUT: nodes with it and without it, in turns
 *     --quick         small numbers, to see that it runs
 *     --base-port N   17301 without it
 *     --json FILE     writes all figures
 */

import { writeFileSync } from 'node:fs';
import { flagsFrom, refuse } from '../flags.ts';
import { measureBatches } from './many-keys-batch.ts';
import { measureListing } from './many-keys-list.ts';
import { measureLog } from './many-keys-log.ts';
import { measureWatching } from './many-keys-watch.ts';
import { commit, machine } from './surroundings.ts';

const { values: flags, positionals } = flagsFrom(
  {
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      'base-port': { type: 'string', default: '17301' },
      json: { type: 'string' },
    },
  },
  ['base-port'],
);

const PARTS = { list: measureListing, batch: measureBatches, watch: measureWatching, log: measureLog } as const;

export interface PartOptions {
  readonly quick: boolean;
  readonly basePort: number;
}

export type Row = Readonly<Record<string, string | number>>;

const [name = ''] = positionals;
const part = Object.hasOwn(PARTS, name) ? PARTS[name as keyof typeof PARTS] : undefined;
if (part === undefined) refuse(`which part? ${Object.keys(PARTS).join(', ')}`);
const rows = await part({ quick: flags.quick, basePort: Number(flags['base-port']) });
console.log(`${name}: commit ${commit()}, ${machine()}\n`);
console.log(markdown(rows));
if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify({ commit: commit(), machine: machine(), rows }));

function markdown(table: readonly Row[]): string {
  const columns = Object.keys(table[0] ?? {});
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(columns),
    line(columns.map(() => '---')),
    ...table.map((row) => line(columns.map((c) => row[c] ?? ''))),
  ].join('\n');
}
