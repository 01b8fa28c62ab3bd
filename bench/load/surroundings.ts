/** What a measurement depends on beside the program, and what the nodes tell of themselves. */

import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';

export function machine(): string {
  return `${cpus()[0]?.model ?? 'unknown'} × ${cpus().length}, ${(totalmem() / 1024 ** 3).toFixed(0)} GiB, Node ${process.version}`;
}

export function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

export interface GroupSizes {
  readonly operations: number;
  readonly commits: number;
}

/** Of all commits of all nodes so far. */
export async function groupSizes(urls: readonly string[]): Promise<GroupSizes> {
  const texts = await Promise.all(urls.map(async (url) => await (await fetch(`${url}/metrics`)).text()));
  const sum = (name: string): number =>
    texts.reduce((total, text) => total + Number(new RegExp(`^${name} ([\\d.e+]+)$`, 'm').exec(text)?.[1] ?? 0), 0);
  return { operations: sum('quoral_commit_group_size_sum'), commits: sum('quoral_commit_group_size_count') };
}

/** Operations that shared a commit in between. */
export function meanGroup(before: GroupSizes, after: GroupSizes): number {
  return (after.operations - before.operations) / Math.max(1, after.commits - before.commits);
}
