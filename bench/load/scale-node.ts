/** What a running node shows of its size and of its event loop, from outside. */

import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Nodes } from './nodes.ts';

export const MIB = 1024 ** 2;

/** Bytes of memory that a process has (Linux; NaN elsewhere): all, and without pages of files. */
export function memory(pid: number): { readonly rss: number; readonly anonymous: number } {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const kibibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
    return { rss: kibibytes('VmRSS') * 1024, anonymous: kibibytes('RssAnon') * 1024 };
  } catch {
    return { rss: Number.NaN, anonymous: Number.NaN };
  }
}

export function rssMib(nodes: Nodes): number {
  return nodes.pids.reduce((sum, pid) => sum + memory(pid).rss, 0) / MIB;
}

export function diskMib(nodes: Nodes, id: string): number {
  const directory = join(nodes.directory, id);
  return readdirSync(directory).reduce((sum, file) => sum + statSync(join(directory, file)).size, 0) / MIB;
}

export class NodeFigures {
  readonly #text: string;

  /** What `/metrics` answers. */
  constructor(text: string) {
    this.#text = text;
  }

  static async of(url: string): Promise<NodeFigures> {
    return new NodeFigures(await (await fetch(`${url}/metrics`)).text());
  }

  value(name: string): number {
    return Number(new RegExp(`^${name} ([\\d.e+-]+)$`, 'm').exec(this.#text)?.[1] ?? Number.NaN);
  }

  /** The bound of the last bucket of the histogram that has got something since, in milliseconds; 0 for nothing. */
  longestMs(name: string, since?: NodeFigures): number {
    const before = new Map(since === undefined ? [] : since.#buckets(name));
    let below = 0;
    let longest = 0;
    for (const [bound, count] of this.#buckets(name)) {
      const more = count - (before.get(bound) ?? 0);
      if (more > below) longest = bound;
      below = more;
    }
    return longest * 1000;
  }

  #buckets(name: string): readonly (readonly [bound: number, count: number])[] {
    return [...this.#text.matchAll(new RegExp(`^${name}_bucket\\{le="([^"]+)"\\} (\\d+)$`, 'gm'))].map(
      ([, bound = '', count = '']) => [bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound), Number(count)],
    );
  }
}

export const LOOP_DELAY = 'quoral_event_loop_delay_seconds';
export const CHECKPOINT = 'quoral_disk_checkpoint_seconds';

/** Starts a node and waits until it serves; milliseconds. */
export async function startTimed(nodes: Nodes, id: string): Promise<number> {
  const began = performance.now();
  nodes.start(id);
  for (;;) {
    const { ok } = await fetch(`${nodes.urls[id]}/readyz`).catch(() => ({ ok: false }));
    if (ok) return performance.now() - began;
    if (performance.now() - began > 120_000) throw new Error(`${id} did not get ready within two minutes`);
    await sleep(5);
  }
}

/** By how much the values grow for each unit of time: the line that fits them best. */
export function slope(times: readonly number[], values: readonly number[]): number {
  const mean = (all: readonly number[]): number => all.reduce((a, b) => a + b, 0) / all.length;
  const [meanTime, meanValue] = [mean(times), mean(values)];
  const above = times.reduce((sum, time, i) => sum + (time - meanTime) * (values[i]! - meanValue), 0);
  return above / times.reduce((sum, time) => sum + (time - meanTime) ** 2, 0);
}
