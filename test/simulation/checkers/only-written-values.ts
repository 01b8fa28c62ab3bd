/** Every value that is read or held was written to that very key, by a request that had begun. */

import type { WhiteBox, WriteId } from '../history.ts';
import { keyName } from './key-history.ts';
import type { KeyHistories } from './key-history.ts';
import type { Violation } from './violation.ts';

export function checkOnlyWrittenValues(histories: KeyHistories, whiteBox: WhiteBox): readonly Violation[] {
  const violations: Violation[] = [];
  for (const { name, reads } of histories.values()) {
    for (const { shown, end, request } of reads) look(name, shown, end, `a read by ${request.client} shows`);
  }
  for (const snapshots of [whiteBox.samples, whiteBox.final?.replicas ?? []]) {
    for (const { node, bucket, key, moment, versions } of snapshots) {
      const live = versions.flatMap(({ write }) => write ?? []);
      look(keyName(bucket, key), live, moment.order, `${node} holds`);
    }
  }
  return violations;

  function look(key: string, values: readonly WriteId[], before: number, where: string): void {
    for (const id of values) {
      const write = histories.get(key)?.writes.get(id);
      if (write?.kind === 'put' && write.start < before) continue;
      violations.push({
        check: 'only-written-values',
        key,
        detail: `${where} ${id}, which nobody had put there`,
        writes: [id],
      });
    }
  }
}
