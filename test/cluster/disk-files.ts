/**
 * Runs the writing process and looks at what it leaves on its disk.
 */

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import Database from 'better-sqlite3';
import { openDisk } from '#world/real/disk.ts';
import type { Log } from '#world/world.ts';
import { groupRows, replacedKey, replacedRow, WRITER_TABLES, type WriterOptions } from './disk-writer-rows.ts';

export const WRITER = fileURLToPath(new URL('./disk-writer.ts', import.meta.url));

export function hasProgram(name: string, ...args: readonly string[]): boolean {
  return spawnSync(name, args, { stdio: 'ignore' }).status === 0;
}

export function startWriter(options: WriterOptions): ChildProcess {
  return spawn(process.execPath, [WRITER, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
}

export function startMigrator(path: string, standsAt: number): ChildProcess {
  const program = fileURLToPath(new URL('./disk-migrator.ts', import.meta.url));
  return spawn(process.execPath, [program, path, String(standsAt)], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** The lines that a process writes until it ends. `each` sees them as they come. */
export async function linesOf(child: ChildProcess, each?: (line: string) => void): Promise<string[]> {
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout! });
  reader.on('line', (line) => {
    lines.push(line);
    each?.(line);
  });
  await Promise.all([once(reader, 'close'), once(child, 'exit')]);
  return lines;
}

/** What a restart finds: the groups that are there whole, the groups of which only a part is there, and damage. */
export interface Findings {
  readonly whole: ReadonlySet<number>;
  readonly torn: readonly number[];
  /** The group that has written each of the rows that are replaced again and again, none when it is not there; -1 for what none has. */
  readonly replaced: readonly (number | undefined)[];
  readonly damage: string | undefined;
}

const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Opens a copy of the files as a restart does, and closes it. The copy must not be in use. */
export async function inspectFiles(path: string, options: WriterOptions): Promise<Findings> {
  const whole = new Set<number>();
  const torn: number[] = [];
  const replaced: (number | undefined)[] = [];
  try {
    const disk = await openDisk({ path, tables: WRITER_TABLES, log: silentLog });
    const found = new Map(
      disk.range('rows', { limit: 1_000_000 }).map(([key, value]) => [Buffer.from(key).toString('latin1'), value]),
    );
    await disk.close();
    const check = integrity(path);
    if (check !== 'ok') return { whole, torn, replaced, damage: check };
    for (let number = 0; number < (options.replaced ?? 0); number++) {
      const held = found.get(Buffer.from(replacedKey(number)).toString('latin1'));
      replaced.push(held && writerOf(held, number, options));
    }
    for (let group = 0; group < options.groups; group++) {
      const rows = groupRows(group, options);
      const there = rows.filter(([key, value]) => {
        const held = found.get(Buffer.from(key).toString('latin1'));
        return held !== undefined && Buffer.from(value).equals(held);
      });
      if (there.length === rows.length) whole.add(group);
      else if (there.length > 0) torn.push(group);
    }
    return { whole, torn, replaced, damage: undefined };
  } catch (error) {
    return { whole, torn, replaced, damage: String(error) };
  }
}

function writerOf(held: Uint8Array, number: number, options: WriterOptions): number {
  for (let group = number; group < options.groups; group += options.replaced!) {
    if (Buffer.from(replacedRow(group, options)![1]).equals(held)) return group;
  }
  return -1;
}

function integrity(path: string): string {
  const database = new Database(path, { readonly: true });
  try {
    return String(database.pragma('integrity_check', { simple: true }));
  } finally {
    database.close();
  }
}
