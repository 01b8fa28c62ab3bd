/** The journal before files that are in the test's hands. */

import { expect, test } from 'vitest';
import type { JournalFile } from '#world/real/journal-file.ts';
import { Journal } from '#world/real/journal.ts';

type Done = (error: Error | undefined) => void;

const SEGMENT_BYTES = 4096;
const key = (i: number): Uint8Array => Uint8Array.of(i);

function journalOf() {
  const writes: Done[] = [];
  const file = {
    ...{ growth: () => 0, reserve: () => undefined, assertInPlace: () => undefined, close: () => undefined },
    write: (_bytes: Uint8Array, _from: number, _to: number, done: Done) => void writes.push(done),
  } as unknown as JournalFile;
  const journal = new Journal({
    ...{ files: [file, file], identity: 1, tables: ['rows', 'others'], segmentBytes: SEGMENT_BYTES, last: 0 },
    ...{ observe: () => undefined, assertRoom: () => undefined, onWritten: () => undefined },
    onError: (error) => error,
  });
  const put = (i: number, bytes: number): void => {
    journal.put(0, key(i), new Uint8Array(bytes));
    journal.commit().catch(() => undefined);
  };
  return { journal, put, written: () => writes.shift()!(undefined) };
}

test('a row is outdated when its newer value is on stable storage, and not before', () => {
  const { journal, put, written } = journalOf();
  put(1, 10);
  put(2, SEGMENT_BYTES);
  // The first segment is complete once both are written.
  written();
  written();
  expect(journal.complete()).toBeDefined();
  put(1, 10);
  put(1, 10);
  put(3, 10);
  expect(journal.isOutdated(0, key(1))).toBe(false);
  // The first of the three is by itself, and the row's last value is in the next write.
  written();
  expect(journal.isOutdated(0, key(1))).toBe(false);
  written();
  expect([1, 2, 3].map((i) => journal.isOutdated(0, key(i)))).toEqual([true, false, true]);
  expect(journal.isOutdated(1, key(1))).toBe(false);
});

test('a row that is deleted afterwards is outdated too, and what the oldest segment says twice is not', () => {
  const { journal, put, written } = journalOf();
  put(1, 10);
  put(2, 10);
  put(2, SEGMENT_BYTES);
  written();
  written();
  expect(journal.complete()).toBeDefined();
  expect(journal.isOutdated(0, key(2))).toBe(false);
  journal.put(0, key(1), undefined);
  void journal.commit();
  expect(journal.isOutdated(0, key(1))).toBe(false);
  written();
  expect(journal.isOutdated(0, key(1))).toBe(true);
});
