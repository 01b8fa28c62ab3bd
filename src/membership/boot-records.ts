/**
 * Which boots of which disk the cluster has seen. A disk that was put back to an earlier state has forgotten writes that it
 * confirmed and votes that it gave, and nothing on it says so; but the others remember boots that it does not know.
 *
 * Each boot of a disk has a number and a random life, and the disk keeps the lives of its last boots. So a disk that was put
 * back is found out even when it has been started often enough since to have caught up in number. For a copy from after the
 * last start each boot has marks: a number that the disk has on stable storage before others hear of it. A disk that lacks
 * the last mark which others have seen was put back to a state from before that mark.
 */

import { ByteReader, ByteWriter } from '#kernel/binary.ts';
import { fromUtf8, utf8 } from '#kernel/bytes.ts';
import { storageId, type StorageId } from '#kernel/identity.ts';
import { DiskError, type Disk, type TableDefinition } from '#world/world.ts';

const BOOTS = 'boots';

export const MEMBERSHIP_TABLES: readonly TableDefinition[] = [{ name: BOOTS, rows: 'narrow' }];

/** Disks that are remembered: the members of a cluster and the disks that they have lost. */
const DISKS_MAX = 4096;

export interface BootRecord {
  readonly storage: StorageId;
  readonly boot: number;
  readonly life: number;
  /** The last mark of that boot; 0 before its first. */
  readonly mark: number;
}

/** This node's disk, as it knows itself. */
export interface OwnBoots {
  readonly storageId: StorageId;
  readonly boot: number;
  /** Of this boot and those before it, the latest first; the oldest may be forgotten. */
  readonly lives: readonly number[];
  readonly marks: OwnMarks;
}

export interface OwnMarks {
  /** The last mark of the boot that is on stable storage; 0 without any. */
  of(boot: number): number;
  /** Writes the next mark of this boot; resolves when it is on stable storage. */
  raise(): Promise<void>;
}

/** Why the disk must have been put back to an earlier state, when others have seen such a boot of it; otherwise undefined. */
export function whyPutBack(own: OwnBoots, seen: BootRecord): string | undefined {
  if (seen.storage !== own.storageId) return undefined;
  if (seen.boot > own.boot) {
    return `others have seen boot ${seen.boot} of this disk, which believes to be in boot ${own.boot}`;
  }
  const life = own.lives[own.boot - seen.boot];
  if (life === undefined) return undefined;
  if (life !== seen.life) {
    return `others have seen another boot ${seen.boot} of this disk than the one that it remembers`;
  }
  const mark = own.marks.of(seen.boot);
  if (seen.mark <= mark) return undefined;
  return `others have seen mark ${seen.mark} of boot ${seen.boot} of this disk, which remembers no later one than ${mark}`;
}

/** What this node has seen of all disks, on its own disk. */
export class BootRecords {
  readonly #disk: Disk;
  readonly #records = new Map<StorageId, BootRecord>();
  /** Of the latest commit. */
  #durable: Promise<void> = Promise.resolve();

  constructor(disk: Disk) {
    this.#disk = disk;
    for (const [key, value] of disk.range(BOOTS, { limit: DISKS_MAX })) {
      const reader = new ByteReader(value);
      const [boot, life] = [reader.varint(), reader.varint()];
      // Programs that knew no marks wrote none.
      const mark = reader.offset < value.length ? reader.varint() : 0;
      const storage = storageId(fromUtf8(key));
      this.#records.set(storage, { storage, boot, life, mark });
    }
  }

  get(storage: StorageId): BootRecord | undefined {
    return this.#records.get(storage);
  }

  all(): readonly BootRecord[] {
    return [...this.#records.values()];
  }

  /**
   * Remembers the higher boots and their higher marks; resolves when they are on stable storage, or in memory alone while the
   * disk is full. Of two boots with one number the first counts. Rejects with a DiskError when the disk has failed.
   */
  async note(records: readonly BootRecord[]): Promise<void> {
    const newer = records.filter((record) => this.#isNews(record));
    // What another call has noted may not be on stable storage yet.
    if (newer.length > 0) this.#durable = this.#store(newer);
    await this.#durable;
  }

  #isNews({ storage, boot, life, mark }: BootRecord): boolean {
    const known = this.#records.get(storage);
    if (known === undefined) return this.#records.size < DISKS_MAX;
    return boot > known.boot || (boot === known.boot && life === known.life && mark > known.mark);
  }

  async #store(newer: readonly BootRecord[]): Promise<void> {
    try {
      const { durable } = this.#disk.commit((transaction) => {
        for (const { storage, boot, life, mark } of newer) {
          const writer = new ByteWriter(24);
          writer.varint(boot);
          writer.varint(life);
          writer.varint(mark);
          transaction.put(BOOTS, utf8(storage), writer.finish());
        }
      });
      for (const record of newer) this.#records.set(record.storage, record);
      await durable;
    } catch (error) {
      if (!(error instanceof DiskError) || error.kind !== 'full') throw error;
      for (const record of newer) this.#records.set(record.storage, record);
    }
  }
}
