/**
 * What SQLite's result codes mean for a node: whether the disk heals, whether the transaction may have been applied, and
 * what the operator can do.
 */

import { constants } from 'node:os';
import { DiskError } from '#world/world.ts';

/** The data directory cannot be used. The message is one line: which file, what is wrong with it, what would help. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError';
}

/** At `commit` an input/output error leaves open whether the transaction survives a restart; before it, nothing does. */
export type DiskStep = 'read' | 'reserve' | 'write' | 'commit' | 'sync' | 'checkpoint';

/** What Node.js calls errors of the operating system for which it has no name, such as that a quota is used up. */
const UNNAMED = /^Unknown system error -(\d+)$/;

/** The code of an error that SQLite or the operating system reported; undefined for any other thrown value. */
function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  const number = UNNAMED.exec(error.code)?.[1];
  return number === undefined ? error.code : nameOf(Number(number));
}

function nameOf(number: number): string {
  return Object.entries(constants.errno).find(([, known]) => known === number)?.[0] ?? `E${number}`;
}

/**
 * The disk's own failure behind a thrown value; undefined when it is something else, such as a row that is larger than
 * SQLite can hold or a bug of the caller.
 */
export function toDiskError(error: unknown, step: DiskStep, path: string): DiskError | undefined {
  if (error instanceof DiskError) return error;
  const code = errorCode(error);
  if (code === undefined) return undefined;
  const cause = `${path}: ${step} failed: ${(error as Error).message} (${code})`;
  // The index of the log is never synced: it cannot become longer when there is no space for it.
  const isFull =
    code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE'
      ? step !== 'sync' && step !== 'checkpoint'
      : (code === 'ENOSPC' || code === 'EDQUOT') && step === 'reserve';
  if (isFull) {
    // The commit mark is the last thing that a commit writes, so a commit that ran out of space has not happened. A read runs out
    // of it where a transaction has changed more pages than the cache holds: some of them have to go to make room.
    return new DiskError('full', `${cause}; free some space, a node that serves goes on by itself`, false, {
      cause: error,
    });
  }
  const uncertain = step === 'commit' || step === 'sync' || step === 'checkpoint';
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return new DiskError('corrupt', `${cause}; replace the disk or its contents`, uncertain, { cause: error });
  }
  const isForeign = code === 'SQLITE_TOOBIG' || code === 'SQLITE_ERROR' || code === 'SQLITE_MISUSE';
  if (isForeign || !/^(SQLITE_|E[A-Z0-9]+$)/.test(code) || code.startsWith('ERR_')) return undefined;
  return new DiskError('failed', `${cause}; check the disk, then start the node again`, uncertain, { cause: error });
}

const OPENING: Readonly<Record<string, string>> = {
  SQLITE_NOTADB: 'is not a database of this program; move the file away or choose another data directory',
  SQLITE_CORRUPT: 'is damaged; start with an empty data directory under the same node name',
  SQLITE_BUSY: 'is in use by another process; stop that one, or choose another data directory',
  SQLITE_FULL: 'cannot be opened because the disk is full; free some space',
  SQLITE_IOERR_SHMSIZE: 'cannot be opened because there is no space for the index of its log; free some space',
  // SQLite opens what it may only read, and says no more of it.
  SQLITE_READONLY:
    'cannot be written; check the permissions of the file and its directory, and whether its file system is read-only',
  SQLITE_CANTOPEN: 'cannot be opened or created; check the path and its permissions',
  EACCES: 'cannot be written; check the permissions of the file and its directory',
  EPERM: 'cannot be written; check the permissions of the file and its directory',
  EROFS: 'is on a read-only file system; choose another data directory',
  ENOTDIR: 'is below something that is not a directory; choose another data directory',
  EEXIST: 'is below something that is not a directory; choose another data directory',
  ENOSPC: 'cannot be created because the disk is full; free some space',
};

/** The same for an error while the database is opened. Errors that say nothing about the files pass unchanged. */
export function toOpeningError(error: unknown, path: string): unknown {
  const code = errorCode(error);
  if (code === undefined || code.startsWith('ERR_')) return error;
  const primary = /^SQLITE_[A-Z]+/.exec(code)?.[0] ?? code;
  const why = OPENING[code] ?? OPENING[primary] ?? `cannot be used: ${(error as Error).message} (${code})`;
  return new DataDirectoryError(`${path} ${why}`, { cause: error });
}
