/**
 * Marks on the disk, one higher than the other within each boot. A node writes one now and then, and when it is on stable
 * storage it tells the others; so a copy of the disk from before it is a mark behind what they remember, however often the
 * copy has been started since. The disk keeps the last mark of each boot whose life it keeps.
 *
 * Commits come in order: a disk that has a mark has everything that was committed before it.
 */

import { ByteReader, ByteWriter } from '#kernel/binary.ts';
import { utf8 } from '#kernel/bytes.ts';
import type { Disk } from '#world/world.ts';
import { NODE } from './tables.ts';

const MARKS = utf8('marks');

export class DiskMarks {
  readonly #disk: Disk;
  readonly #boot: number;
  /** By boot, of those before this one. */
  readonly #earlier: ReadonlyMap<number, number>;
  #written = 0;
  #durable = 0;

  /** Reads what is on the disk; of boots before `oldest` nobody asks any more. */
  constructor(disk: Disk, boot: number, oldest: number) {
    this.#disk = disk;
    this.#boot = boot;
    this.#earlier = new Map(readMarks(disk).filter(([earlier]) => earlier >= oldest));
  }

  /** The last mark of the boot that is on stable storage; 0 without any. */
  of(boot: number): number {
    return boot === this.#boot ? this.#durable : (this.#earlier.get(boot) ?? 0);
  }

  /** Writes the next mark; {@link of} tells it when the promise resolves. Rejects with a DiskError when it does not. */
  async raise(): Promise<void> {
    const mark = this.#written + 1;
    this.#written = mark;
    const { durable } = this.#disk.commit((transaction) => {
      const writer = new ByteWriter();
      for (const [boot, last] of [[this.#boot, mark] as const, ...this.#earlier]) {
        writer.varint(boot);
        writer.varint(last);
      }
      transaction.put(NODE, MARKS, writer.finish());
    });
    await durable;
    this.#durable = Math.max(this.#durable, mark);
  }
}

/** Pairs of a boot and its last mark. */
function readMarks(disk: Disk): readonly (readonly [boot: number, mark: number])[] {
  const row = disk.get(NODE, MARKS) ?? new Uint8Array();
  const reader = new ByteReader(row);
  const marks: (readonly [number, number])[] = [];
  while (reader.offset < row.length) marks.push([reader.varint(), reader.varint()]);
  return marks;
}
