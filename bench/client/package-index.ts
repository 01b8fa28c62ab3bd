/**
 * A real data set: the index of packages that Debian's package manager keeps, a record for each package and version. Where there
 * is none, or a small one, records of the same look are made up.
 */

import { execFileSync } from 'node:child_process';

export interface DataSet {
  readonly source: string;
  /** Each name once. */
  readonly records: ReadonlyMap<string, string>;
}

const LEAST = 50_000;

export function packageIndex(): DataSet {
  const records = new Map<string, string>();
  for (const stanza of dump().split('\n\n')) {
    const name = /^Package: (.+)$/m.exec(stanza)?.[1];
    const version = /^Version: (.+)$/m.exec(stanza)?.[1];
    if (name !== undefined) records.set(`${name}/${version}`, stanza);
  }
  if (records.size >= LEAST) return { source: 'apt-cache dumpavail', records };
  for (let i = records.size; i < LEAST; i++) {
    const text = `Package: made-up-${i}\nVersion: ${i}\nDescription: ${'a word and another '.repeat(20 + (i % 60))}`;
    records.set(`made-up-${i}/${i}`, text);
  }
  return { source: 'made up, for want of a package index', records };
}

function dump(): string {
  try {
    return execFileSync('apt-cache', ['dumpavail'], { encoding: 'utf8', maxBuffer: 1024 ** 3 });
  } catch {
    return '';
  }
}
