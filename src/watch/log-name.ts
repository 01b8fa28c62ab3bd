/**
 * What the groups of a node's log are counted in, as cursors and followers name it: 24 hex digits of the disk's identity, and 8 of the
 * life of the boot that was asked. A disk that was put back to a copy goes on with numbers that it has given before. A single node that
 * comes back so is refused by the others; when all come back so, nobody but a client remembers what was undone, and its cursor
 * names a boot that the disk does not know.
 */

const DISK_DIGITS = 24;
const LIFE_DIGITS = 8;

export interface LogDisk {
  /** 32 hex digits. */
  readonly storageId: string;
  /** A random number for each boot, this one's first. */
  readonly lives: readonly number[];
}

export type LogJudgement =
  | 'this'
  /** Counted by a boot that this disk does not know (any more). */
  | 'undone'
  | 'of another disk';

/** Under which name a boot gives out places in the log. */
export function logName({ storageId, lives }: LogDisk): string {
  return nameOf(storageId, lives[0]!);
}

export function judgeLogName({ storageId, lives }: LogDisk, name: string): LogJudgement {
  // Earlier releases named the disk alone.
  if (name === storageId || lives.some((life) => name === nameOf(storageId, life))) return 'this';
  return isSameDisk(name, storageId) ? 'undone' : 'of another disk';
}

/** Numbers that the disk itself has found good under both names are of one count. */
export function isSameDisk(a: string, b: string): boolean {
  return a.slice(0, DISK_DIGITS) === b.slice(0, DISK_DIGITS);
}

function nameOf(storageId: string, life: number): string {
  return storageId.slice(0, DISK_DIGITS) + life.toString(16).padStart(LIFE_DIGITS, '0');
}
