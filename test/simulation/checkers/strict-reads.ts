/**
 * A strict quorum read sees every strict quorum write that was acknowledged before the read began, or what replaced that
 * write; and it does not see what such a write has replaced. Reads after the cluster has converged are strict whatever
 * numbers they ask for.
 */

import type { History } from '../history.ts';
import type { KeyHistories } from './key-history.ts';
import { faultyReads } from './quorum-readers.ts';
import type { Violation } from './violation.ts';

export function checkStrictReads(histories: KeyHistories, history: History): readonly Violation[] {
  return [...histories.values()].flatMap((key): readonly Violation[] => {
    if (key.mode === 'strong') return [];
    return faultyReads(key, history, () => true).map(({ read, fault }): Violation => {
      const { client, start } = read.request;
      const reader = `a read by ${client} at time ${start.time} shows [${read.shown.join()}]`;
      const detail =
        fault.kind === 'missing'
          ? `${reader} and neither ${fault.write}, acknowledged before, nor what replaced it`
          : `${reader}, though ${fault.by.id}, acknowledged before, replaced ${fault.write}`;
      const writes = fault.kind === 'missing' ? [fault.write] : [fault.write, fault.by.id];
      return { check: 'strict-reads', key: key.name, detail, writes };
    });
  });
}
