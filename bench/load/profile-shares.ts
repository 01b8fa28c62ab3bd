/**
 * Reads the CPU profiles that `bench:load --profile DIR` left and prints where the time went: HTTP, wire, storage and so on,
 * as shares of the time that the process was not idle. Native frames belong to the nearest caller whose file is known.
 *
 *     node bench/load/profile-shares.ts DIR
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly children?: readonly number[];
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** First match wins; each is the place that a frame's file names. */
const PLACES: readonly (readonly [place: string, pattern: RegExp])[] = [
  ['storage (SQLite)', /better-sqlite3|world\/real\/(disk|wal)/],
  ['storage (replica, causality)', /src\/(replica|causality)\//],
  ['wire (encoding, calls)', /src\/wire\/|msgpackr/],
  ['wire (sockets, frames)', /world\/real\/(network|connection|dial|fram|frame|upgrade)/],
  ['HTTP (api)', /src\/api\/|node_modules\/hono|@hono/],
  ['coordinator', /src\/(coordinator|quorum|ring|buckets|repair|consensus|node)/],
  ['HTTP (node:http)', /node:_http|node:http/],
  ['streams and sockets (node)', /node:(net|internal\/stream|stream|internal\/streams)|node:internal\/streams/],
  ['metrics and log', /prom-client|pino|world\/real\/(metrics|log)/],
];

function placeOf(url: string): string | undefined {
  return PLACES.find(([, pattern]) => pattern.test(url))?.[0];
}

const totals = new Map<string, number>();

function add(place: string, micros: number): void {
  totals.set(place, (totals.get(place) ?? 0) + micros);
}

for (const file of readdirSync(process.argv[2] ?? '.').filter((name) => name.endsWith('.cpuprofile'))) {
  const profile = JSON.parse(readFileSync(join(process.argv[2] ?? '.', file), 'utf8')) as Profile;
  const parents = new Map<number, ProfileNode>();
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  for (const node of profile.nodes) for (const child of node.children ?? []) parents.set(child, node);
  const places = new Map<number, string>();
  for (const node of profile.nodes) {
    const { functionName } = node.callFrame;
    let place = functionName.startsWith('(') && functionName !== '(anonymous)' ? functionName : undefined;
    for (let at: ProfileNode | undefined = node; place === undefined && at !== undefined; at = parents.get(at.id)) {
      place = placeOf(at.callFrame.url);
    }
    places.set(node.id, place ?? 'other');
  }
  profile.samples.forEach((id, index) => add(places.get(byId.get(id)!.id)!, profile.timeDeltas[index]!));
}

const idle = totals.get('(idle)') ?? 0;
const busy = [...totals.values()].reduce((sum, micros) => sum + micros, 0) - idle;
for (const [place, micros] of [...totals].filter(([place]) => place !== '(idle)').sort((a, b) => b[1] - a[1])) {
  console.log(`${((micros / busy) * 100).toFixed(1).padStart(6)} %  ${place}`);
}
