/** A segment of the journal in memory. */

import { expect, test } from 'vitest';
import { JournalSegment } from '#world/real/journal-segment.ts';
import { hashOf } from '#world/real/row-cache.ts';

const NOWHERE = { segment: 0, bytes: 0 };

function segment(): JournalSegment {
  return new JournalSegment({ number: 1, identity: 7, tables: ['rows'], after: NOWHERE, bytes: new Uint8Array(64) });
}

function valueOf(from: JournalSegment, key: Uint8Array): Uint8Array | undefined {
  const at = from.find(hashOf(0, key), 0, key);
  return at === 0 ? undefined : from.bytes.slice(from.startAt(at), from.startAt(at) + from.lengthAt(at));
}

test('keys that were chosen to be found late make it end early, and are found', () => {
  const rows = segment();
  const keys: Uint8Array[] = [];
  for (let i = 0; keys.length < 300; i++) {
    const key = Uint8Array.of(i, i >> 8, i >> 16);
    if ((hashOf(0, key) & 0xfff) === 0) keys.push(key);
  }
  for (const key of keys.slice(0, 200)) rows.put(0, key, key);
  expect(rows.isCrowded).toBe(false);
  for (const key of keys.slice(200)) rows.put(0, key, key);
  expect(rows.isCrowded).toBe(true);
  for (const key of keys) expect(valueOf(rows, key)).toEqual(key);
});

test('what was put since the last record goes, and what was there before is back, over any growth', () => {
  const rows = segment();
  const key = (i: number): Uint8Array => Uint8Array.of(i, i >> 8);
  for (let i = 0; i < 3000; i++) rows.put(0, key(i), key(i));
  rows.finish(NOWHERE);
  for (let i = 2000; i < 9000; i++) rows.put(0, key(i), i % 2 === 0 ? undefined : key(i + 1));
  rows.drop();
  expect(rows.rows).toBe(3000);
  for (let i = 0; i < 9000; i++) expect(valueOf(rows, key(i))).toEqual(i < 3000 ? key(i) : undefined);
  expect(rows.inOrder(0)).toHaveLength(3000);
});
