/** Whether a disk that is put back to a copy would be found out: by what the other members remember of it. */

import { ByteReader } from '#kernel/binary.ts';
import { utf8 } from '#kernel/bytes.ts';
import type { StorageId } from '#kernel/identity.ts';
import { NODE } from '#replica/tables.ts';
import type { MediumSnapshot } from '#world/simulated/disk-medium.ts';
import type { Machine } from './cluster.ts';

/** A boot of a disk and its last mark. */
type Instant = readonly [boot: number, mark: number];

/** Whether there are others and each of them remembers something of the disk that the copy of it does not know. */
export function isMissed(storage: StorageId, copy: MediumSnapshot, others: readonly Machine[]): boolean {
  const known = instantOf(copy);
  if (others.length === 0) return false;
  return others.every((other) => {
    const row = other.medium.row('boots', utf8(storage));
    if (row === undefined) return false;
    const [boot, , mark] = numbersIn(row);
    return isLater([boot!, mark!], known);
  });
}

function instantOf({ tables }: MediumSnapshot): Instant {
  const row = (name: string): Uint8Array =>
    tables.get(NODE)?.find(([key]) => new TextDecoder().decode(key) === name)?.[1] ?? new Uint8Array();
  const [boot] = numbersIn(row('boot'));
  const [marked, mark] = numbersIn(row('marks'));
  return [boot ?? 0, marked === boot ? (mark ?? 0) : 0];
}

function isLater(a: Instant, b: Instant): boolean {
  return a[0] > b[0] || (a[0] === b[0] && a[1] > b[1]);
}

function numbersIn(row: Uint8Array): readonly number[] {
  const reader = new ByteReader(row);
  const numbers: number[] = [];
  while (reader.offset < row.length) numbers.push(reader.varint());
  return numbers;
}
