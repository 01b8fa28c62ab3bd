/** A write that was answered `not-applied` is nowhere: no read ever shows it, and no replica ever held it. */

import type { WhiteBox } from '../history.ts';
import { hasHeardOf } from './dots.ts';
import type { KeyHistories, KeyHistory, Write } from './key-history.ts';
import { snapshotsOf } from './replica-knowledge.ts';
import type { Violation } from './violation.ts';

export function checkNotAppliedInvisible(histories: KeyHistories, whiteBox: WhiteBox): readonly Violation[] {
  const violations: Violation[] = [];
  const refusedOf = new Map<KeyHistory, readonly Write[]>();
  for (const key of histories.values()) {
    refusedOf.set(
      key,
      [...key.writes.values()].filter(({ outcome }) => outcome === 'not-applied'),
    );
    for (const { shown, request } of key.reads) {
      for (const id of new Set(shown)) {
        if (key.writes.get(id)?.outcome !== 'not-applied') continue;
        violations.push(violation(key, `a read by ${request.client} at time ${request.start.time} shows ${id}`, id));
      }
    }
  }
  for (const mode of ['siblings', 'lww', 'strong'] as const) {
    for (const { history: key, snapshot } of snapshotsOf(histories, whiteBox, mode)) {
      for (const { id, dots } of refusedOf.get(key) ?? []) {
        const isLive = snapshot.versions.some(({ write }) => write === id);
        if (!isLive && !dots.some((dot) => hasHeardOf(snapshot.vector, dot))) continue;
        const verb = isLive ? 'holds' : 'knows';
        violations.push(violation(key, `${snapshot.node} ${verb} ${id} at time ${snapshot.moment.time}`, id));
      }
    }
  }
  return violations;
}

function violation(key: KeyHistory, detail: string, write: string): Violation {
  return { check: 'not-applied-invisible', key: key.name, detail: `${detail}, which was not applied`, writes: [write] };
}
