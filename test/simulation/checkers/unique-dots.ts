/** A dot names one write of its key for ever. A dot given out twice makes one of the two writes vanish at some merge. */

import { showDot } from './dots.ts';
import type { KeyHistories } from './key-history.ts';
import type { Violation } from './violation.ts';

export function checkUniqueDots(histories: KeyHistories): readonly Violation[] {
  const violations: Violation[] = [];
  for (const { name, writes } of histories.values()) {
    const owners = new Map<string, string>();
    for (const { id, dots } of writes.values()) {
      for (const dot of dots.map(showDot)) {
        const other = owners.get(dot);
        owners.set(dot, id);
        if (other === undefined) continue;
        const detail = `the dot ${dot} was given to ${other} and to ${id}`;
        violations.push({ check: 'unique-dots', key: name, detail, writes: [other, id] });
      }
    }
  }
  return violations;
}
