/**
 * A format after the newest one, in which each row ends with one more byte.
 */

import { MIGRATIONS, type Migration } from '#world/real/disk-schema.ts';

export const MARK = 0x6d;

export function markEachRow(marked: () => void = () => undefined): readonly Migration[] {
  return [
    ...MIGRATIONS,
    (database) => {
      const keys = database.prepare<[], Uint8Array>('SELECT k FROM rows ORDER BY k').pluck().all();
      const update = database.prepare<[Uint8Array]>(`UPDATE rows SET v = CAST(v || x'6d' AS BLOB) WHERE k = ?`);
      for (const key of keys) {
        update.run(key);
        marked();
      }
    },
  ];
}
