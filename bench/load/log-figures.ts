/** The log of an outage as an operator meets it: how many lines of what, and how many in the worst second. */

import type { LogLine } from './nodes.ts';

export interface LogFigures {
  readonly lines: number;
  readonly mostInASecond: { readonly node: string; readonly lines: number };
  readonly events: readonly {
    readonly event: string;
    readonly level: string;
    readonly lines: number;
    readonly example: string;
  }[];
}

export function logFigures(all: readonly LogLine[], from: number, until: number): LogFigures {
  const lines = all.filter(({ time }) => !(time < from || time > until));
  const seconds = Map.groupBy(lines, ({ node, time }) => `${node} ${Math.floor(time / 1000)}`);
  let most = { node: '', lines: 0 };
  for (const [second, of] of seconds)
    if (of.length > most.lines) most = { node: second.split(' ')[0]!, lines: of.length };
  const events = [...Map.groupBy(lines, ({ event, level }) => `${level} ${event}`).values()]
    .map((of) => ({ event: of[0]!.event, level: of[0]!.level, lines: of.length, example: of[0]!.text }))
    .sort((a, b) => b.lines - a.lines);
  return { lines: lines.length, mostInASecond: most, events };
}

export function showLog({ lines, mostInASecond, events }: LogFigures): void {
  console.log(
    `log: ${lines} lines of all nodes, at most ${mostInASecond.lines} in a second of one (${mostInASecond.node})`,
  );
  for (const { event, level, lines: count, example } of events) {
    console.log(`  ${String(count).padStart(6)} ${level.padEnd(5)} ${event}`);
    console.log(`         ${example.slice(0, 300)}`);
  }
}
