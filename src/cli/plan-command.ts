/** `quoral ring plan`: what a change of the ring would do, as people read it. */

import { askJson, type ClientOptions } from './client.ts';
import { counted, sizeOf, timeOf } from './measures.ts';
import { print, table, UsageError } from './output.ts';

export interface PlanOptions extends ClientOptions {
  readonly join?: readonly string[];
  readonly leave?: readonly string[];
  readonly replace?: readonly string[];
  readonly weight?: readonly string[];
  readonly zone?: readonly string[];
  readonly acceptLossOf?: readonly string[];
  /** Lists every move. */
  readonly moves?: boolean;
}

interface Pair<Value> {
  readonly before: Value;
  readonly after: Value;
}

interface PlanView {
  readonly id: string;
  readonly epoch: number;
  readonly moves: readonly {
    readonly n: number;
    readonly partition: number;
    readonly from: string | null;
    readonly to: string;
    readonly keys: number | null;
    readonly bytes: number | null;
  }[];
  readonly summary: {
    readonly moves: number;
    readonly leastMoves: number;
    readonly dropped: number;
    readonly reordered: number;
    readonly keys: number;
    readonly bytes: number;
    /** At the default throttle, roughly. */
    readonly seconds: number;
    readonly members: readonly {
      readonly id: string;
      readonly zone: string;
      readonly weight: number;
      readonly change: string;
      readonly before: number;
      readonly after: number;
      readonly gets: number;
      readonly gives: number;
      readonly keys: number;
      readonly bytes: number;
    }[];
    readonly voters: Pair<readonly string[]>;
    readonly tables: readonly {
      readonly n: number;
      readonly owners: Pair<number>;
      readonly balance: Pair<{ readonly fullest: number; readonly emptiest: number }>;
      readonly zones: Pair<{ readonly fewest: number; readonly possible: number }>;
    }[];
    /** A node of an earlier version does not say. */
    readonly givesUp?: readonly string[];
    readonly risks: readonly { readonly code: string; readonly detail: string }[];
  };
}

export async function ringPlan(options: PlanOptions): Promise<void> {
  const body = JSON.stringify({
    join: options.join ?? [],
    leave: options.leave ?? [],
    replace: pairs('replace', options.replace, 'OLD=NEW', (value) => value),
    weights: pairs('weight', options.weight, 'ID=NUMBER, such as n3=2', Number),
    zones: pairs('zone', options.zone, 'ID=ZONE, such as n3=z2', (value) => value),
    // A node of an earlier version does not know it.
    ...(options.acceptLossOf === undefined ? {} : { acceptLossOf: options.acceptLossOf }),
  });
  const headers = { 'content-type': 'application/json' };
  const plan = (await askJson(options, '/v1/ring/plans', {
    method: 'POST',
    headers,
    body,
    changes: false,
  })) as PlanView;
  if (options.json === true) print(JSON.stringify(plan));
  else show(plan, options);
}

function pairs<Value>(
  flag: string,
  given: readonly string[] | undefined,
  form: string,
  read: (text: string) => Value,
): Record<string, Value> {
  const entries = (given ?? []).map((text): [string, Value] => {
    const at = text.lastIndexOf('=');
    const value = read(text.slice(at + 1));
    if (at < 1 || value === '' || Number.isNaN(value)) throw new UsageError(`--${flag} ${text}: must be ${form}`);
    return [text.slice(0, at), value];
  });
  return Object.fromEntries(entries);
}

function show({ id, epoch, moves, summary }: PlanView, options: PlanOptions): void {
  print(`plan ${id}, made for epoch ${epoch}; nothing has been changed`);
  print('');
  const members = summary.members.map((one) => [
    one.id,
    one.change,
    one.zone,
    String(one.weight),
    String(one.before),
    String(one.after),
    String(one.gets),
    String(one.gives),
    String(one.keys),
    sizeOf(one.bytes),
  ]);
  const head = ['node', 'change', 'zone', 'weight', 'partitions', 'then', 'gets', 'gives', 'keys to get', 'bytes'];
  print(table(head, members));
  print('');
  for (const { n, owners, balance, zones } of summary.tables) {
    const times = ({ fullest, emptiest }: { fullest: number; emptiest: number }): string =>
      `${emptiest.toFixed(2)}-${fullest.toFixed(2)}`;
    print(
      `n=${n}: ${change(owners.before, owners.after)} replicas in at least ${change(zones.before.fewest, zones.after.fewest)} ` +
        `zones; members own ${change(times(balance.before), times(balance.after))} of their fair shares`,
    );
  }
  print(`voters: ${change(summary.voters.before.join(' '), summary.voters.after.join(' '))}`);
  showMoves(summary);
  for (const what of summary.givesUp ?? []) print(`gives up ${what}`);
  for (const { code, detail } of summary.risks) print(`mind ${code}: ${detail}`);
  const even = isRebalance(options) && summary.moves + summary.dropped + summary.reordered === 0;
  print(even ? 'there is nothing to do' : `do it: quoral ring apply ${id} --wait, at the same node`);
  if (options.moves !== true) return;
  print('');
  const rows = moves.map((move) => [
    String(move.n),
    String(move.partition),
    move.from ?? '-',
    move.to,
    move.keys === null ? '?' : String(move.keys),
    move.bytes === null ? '?' : sizeOf(move.bytes),
  ]);
  print(table(['n', 'partition', 'from', 'to', 'keys', 'bytes'], rows));
}

function showMoves({ moves, leastMoves, keys, bytes, dropped, seconds }: PlanView['summary']): void {
  if (moves === 0) {
    print(dropped === 0 ? 'no replica moves' : `no replica moves, ${counted(dropped, 'replica')} are given up`);
    return;
  }
  const least = leastMoves === moves ? 'no ring as even needs fewer' : `${leastMoves} at the least`;
  const gone = dropped === 0 ? '' : `; ${dropped} are given up`;
  const what = `about ${counted(keys, 'key')} and ${sizeOf(bytes)}${gone}, which takes about ${timeOf(seconds)}, longer while clients are busy`;
  print(`${counted(moves, 'replica')} of partitions move (${least}): ${what}`);
}

/** Whether nothing was asked for but what evens the ring out. */
function isRebalance({ join, leave, replace, weight, zone }: PlanOptions): boolean {
  return [join, leave, replace, weight, zone].every((given) => given === undefined);
}

function change(before: number | string, after: number | string): string {
  return before === after ? String(before) : `${before} -> ${after}`;
}
