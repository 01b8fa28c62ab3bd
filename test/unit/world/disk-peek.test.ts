/**
 * The format of a database file as it stands on disk, beside what SQLite itself says when it opens a copy.
 */

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { peek } from '#world/real/disk-peek.ts';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quoral-peek-'));
  path = join(directory, 'data.db');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A copy as a killed process would leave it; the original stays open. */
function left(): string {
  const copy = join(directory, 'left');
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy);
  for (const name of ['data.db', 'data.db-wal']) copyFileSync(join(directory, name), join(copy, name));
  return join(copy, 'data.db');
}

function opened(): Database.Database {
  const database = new Database(path);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = OFF');
  database.pragma('wal_autocheckpoint = 0');
  database.pragma('application_id = 7');
  database.exec('CREATE TABLE rows (v)');
  return database;
}

test('no file, a directory, a short file, another file', () => {
  expect(peek(path)).toBeUndefined();
  expect(peek(directory)).toBeUndefined();
  for (const content of ['', 'SQLite format 3\0', 'x'.repeat(5000)]) {
    writeFileSync(path, content);
    expect(peek(path), content.slice(0, 20)).toBeUndefined();
  }
});

test('after any history of commits, checkpoints and torn ends it says what SQLite says', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('version' as const), version: fc.integer({ min: 0, max: 1000 }) }),
    fc.record({ kind: fc.constant('rows' as const), bytes: fc.integer({ min: 1, max: 20_000 }) }),
    fc.record({ kind: fc.constant('checkpoint' as const), mode: fc.constantFrom('PASSIVE', 'RESTART', 'TRUNCATE') }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.double({ min: 0, max: 1, noNaN: true }), (steps, kept) => {
      rmSync(directory, { recursive: true });
      mkdirSync(directory);
      const database = opened();
      for (const taken of steps) {
        if (taken.kind === 'version') database.pragma(`user_version = ${taken.version}`);
        else if (taken.kind === 'rows') database.prepare('INSERT INTO rows VALUES (?)').run('x'.repeat(taken.bytes));
        else database.pragma(`wal_checkpoint(${taken.mode})`);
      }
      const copy = left();
      const { length } = readFileSync(`${copy}-wal`);
      // A cut beyond what was checkpointed last would be damage, which is not judged here.
      const torn = steps.some(({ kind }) => kind === 'checkpoint') ? length : Math.floor(length * kept);
      truncateSync(`${copy}-wal`, torn);
      const seen = peek(copy);
      database.close();
      const check = new Database(copy);
      const version = check.pragma('user_version', { simple: true });
      const application = check.pragma('application_id', { simple: true });
      check.close();
      expect(seen).toEqual({ version, application });
    }),
    { numRuns: 40 },
  );
});

test('what no commit follows does not count, nor what an earlier round of the log has left', () => {
  const database = opened();
  database.pragma('user_version = 1');
  database.pragma('wal_checkpoint(TRUNCATE)');
  database.pragma('user_version = 2');
  const copy = left();
  database.close();
  expect(peek(copy)?.version).toBe(2);
  const log = readFileSync(`${copy}-wal`);
  const uncommitted = Buffer.from(log);
  uncommitted.writeUInt32BE(0, 32 + 4);
  writeFileSync(`${copy}-wal`, uncommitted);
  expect(peek(copy)?.version).toBe(1);
  const stale = Buffer.from(log);
  stale.writeUInt32BE(stale.readUInt32BE(16) + 1, 16);
  writeFileSync(`${copy}-wal`, stale);
  expect(peek(copy)?.version).toBe(1);
});
