/**
 * What a row costs from its commit until it stands in SQLite: in commits of 22 rows of 1 KiB, which replace others anywhere among so
 * many, without an end (`steady`) or in rounds of 18,000 rows, after each of which all of it goes there (`rounds`).
 *
 *     node bench/micro/apply.bench.ts [steady|rounds] [records] [rounds] [directory of another checkout]
 *
 * CPU time is that of the whole process, with its threads. With another checkout both take turns in one process, round by round.
 */

import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Disk } from '#world/world.ts';
import { temporaryDirectory } from '../interruption.ts';

const GROUP = 22;
const BYTES = 1130;
const ROOT = new URL('../../', import.meta.url).pathname;
const ROUND_ROWS = { steady: 60_000, rounds: 18_000 } as const;
/** After a second without a commit all goes into SQLite; and what runs in other threads is over sooner. */
const SETTLED_MS = 2500;
const THREADS_MS = 200;
const TABLES = [{ name: 'rows', rows: 'wide', recalled: true }] as const;
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

class Rows {
  readonly #disk: Disk;
  readonly #keys: readonly Uint8Array[];
  readonly #noise = new Uint8Array(randomBytes(BYTES));
  #number = 0;

  constructor(disk: Disk, records: number) {
    this.#disk = disk;
    this.#keys = Array.from({ length: records }, () => new Uint8Array(randomBytes(24)));
  }

  async fill(): Promise<void> {
    let next = 0;
    await this.#write(this.#keys.length, () => next++);
  }

  replace(rows: number): Promise<void> {
    return this.#write(rows, () => Math.floor(Math.random() * this.#keys.length));
  }

  async #write(rows: number, which: () => number): Promise<void> {
    for (let done = 0; done < rows; done += GROUP) {
      await this.#disk.commit((transaction) => {
        for (let i = 0; i < GROUP && done + i < rows; i++) {
          const value = this.#noise.slice();
          new DataView(value.buffer).setFloat64(0, this.#number++);
          transaction.put('rows', this.#keys[which()]!, value);
        }
      }).durable;
    }
  }
}

export interface ApplyOptions {
  /** Rounds end when all rows of each stand in SQLite. */
  readonly settle: boolean;
  readonly records: number;
  readonly rounds: number;
  readonly rowsARound: number;
  /** Directories of the checkouts that take turns. */
  readonly roots?: readonly string[];
}

/** CPU µs of a row, by checkout and round. */
export async function measureApply(options: ApplyOptions): Promise<number[][]> {
  const { settle, records, rounds, rowsARound, roots = [ROOT] } = options;
  const sides = await Promise.all(roots.map((root) => openSide(root, records)));
  for (const { rows } of sides) {
    await rows.fill();
    if (settle) await sleep(SETTLED_MS);
    else await rows.replace(rowsARound);
  }
  for (let round = 0; round < rounds; round++) {
    for (const { rows, costs } of round % 2 === 0 ? sides : sides.toReversed()) {
      const before = process.cpuUsage();
      await rows.replace(rowsARound);
      await sleep(settle ? SETTLED_MS : THREADS_MS);
      const { user, system } = process.cpuUsage(before);
      costs.push((user + system) / rowsARound);
    }
  }
  for (const { close } of sides) await close();
  return sides.map(({ costs }) => costs);
}

async function openSide(root: string, records: number) {
  const { openDisk } = (await import(`${root}src/world/real/disk.ts`)) as typeof import('#world/real/disk.ts');
  const directory = temporaryDirectory('quoral-apply-bench-');
  const disk = await openDisk({
    ...{ path: join(directory, 'data.db'), tables: TABLES, log: SILENT },
    rowCacheBytes: 64 * 1024 * 1024,
  });
  const close = async (): Promise<void> => {
    await disk.close();
    rmSync(directory, { recursive: true });
  };
  return { rows: new Rows(disk, records), costs: [] as number[], close };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [mode = 'steady', records = '20000', rounds = '10', other] = process.argv.slice(2);
  if (mode !== 'steady' && mode !== 'rounds') throw new Error(`steady or rounds, not ${mode}`);
  const roots = other === undefined ? [ROOT] : [`${resolve(other)}/`, ROOT];
  const costs = await measureApply({
    ...{ settle: mode === 'rounds', rowsARound: ROUND_ROWS[mode], roots },
    ...{ records: Number(records), rounds: Number(rounds) },
  });
  for (const [side, root] of roots.entries()) {
    const sorted = costs[side]!.toSorted((a, b) => a - b);
    const median = sorted[sorted.length >> 1]!;
    const figures = `${median.toFixed(1)} µs of CPU a row, the least ${sorted[0]!.toFixed(1)}`;
    console.log(`${root}: ${mode}, ${records} records: ${figures}`);
  }
}
