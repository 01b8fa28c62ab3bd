/** What a node says that ends before it has started. */

import { constants } from 'node:os';
import { expect, test } from 'vitest';
import { whyEnded } from '#cli/run-node.ts';
import { toDiskError, toOpeningError } from '#world/real/disk-errors.ts';
import { DiskError } from '#world/world.ts';

test('on a full disk it does not go on by itself, and says so', () => {
  const full = toDiskError(Object.assign(new Error('no room'), { code: 'SQLITE_FULL' }), 'commit', '/d/quoral.db');
  expect(whyEnded(full!)).toBe(
    '/d/quoral.db: commit failed: no room (SQLITE_FULL); free some space, a node that serves goes on by itself, this one has not started: start it again then',
  );
  // Its index cannot become longer, whatever SQLite calls that.
  const shm = Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR_SHMSIZE' });
  expect(toDiskError(shm, 'commit', '/d/quoral.db')).toMatchObject({ kind: 'full', uncertain: false });
  // A quota is used up in the place of the disk.
  const quota = Object.assign(new Error('no room'), { code: `Unknown system error -${constants.errno.EDQUOT}` });
  expect(toDiskError(quota, 'reserve', '/d/quoral.db')).toMatchObject({ kind: 'full', uncertain: false });
  expect(whyEnded(new DiskError('failed', 'check the disk', true))).toBe('check the disk');
});

test('on a file system that has become read-only it names that beside the permissions', () => {
  const readOnly = Object.assign(new Error('attempt to write a readonly database'), { code: 'SQLITE_READONLY' });
  expect(whyEnded(toOpeningError(readOnly, '/d/quoral.db') as Error)).toBe(
    '/d/quoral.db cannot be written; check the permissions of the file and its directory, and whether its file system is read-only',
  );
});
