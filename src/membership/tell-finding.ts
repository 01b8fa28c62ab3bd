/**
 * What the failure detector finds out, as people read and count it.
 */

import type { NodeIndex } from '#kernel/identity.ts';
import type { Log } from '#world/world.ts';
import type { MembershipCounters } from './counters.ts';
import type { Finding } from './failure-detector.ts';

/** `nameOf` gives members the names that the operator knows. */
export function tellFinding(
  log: Log,
  counters: MembershipCounters,
  finding: Finding,
  nameOf: (index: NodeIndex) => string,
): void {
  switch (finding.kind) {
    case 'standing':
      counters.verdicts[finding.after.standing].add();
      return tellStanding(log, finding, nameOf);
    case 'refuted': {
      const { accusation, incarnation } = finding;
      counters.refutations.add();
      log.warn('accusation-refuted', { by: nameOf(accusation.from), accusation: accusation.standing, incarnation });
      return;
    }
    case 'silent':
      counters.silences.add();
      log.info('member-silent', { peer: nameOf(finding.member), reason: 'it has not answered a probe in time' });
      return;
    case 'heard':
      log.info('member-heard', { peer: nameOf(finding.member) });
      return;
    case 'late':
      counters.lateTicks.add();
      log.warn('event-loop-late', { milliseconds: Math.round(finding.lateness), reason: 'probes are thrown away' });
  }
}

function tellStanding(
  log: Log,
  { member, before, after }: Finding & { readonly kind: 'standing' },
  nameOf: (index: NodeIndex) => string,
): void {
  const { incarnation, standing, from } = after;
  const fields = { peer: nameOf(member), incarnation, before: before.standing, by: nameOf(from) };
  switch (standing) {
    case 'alive':
      // The first that is heard of a member is no news.
      if (before.incarnation === 0) log.debug('member-alive', fields);
      else log.info('member-alive', fields);
      return;
    case 'suspect':
      log.warn('member-suspect', { ...fields, reason: 'neither it nor others on its behalf have answered' });
      return;
    case 'dead':
      log.warn('member-dead', { ...fields, reason: 'it has not refuted the suspicion in time' });
      return;
    case 'left':
      log.info('member-left', fields);
  }
}
