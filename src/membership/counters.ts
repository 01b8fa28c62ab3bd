/**
 * What this room counts.
 */

import type { Counter, Metrics } from '#world/world.ts';
import type { Standing } from './member-table.ts';

export interface MembershipCounters {
  readonly probes: Counter;
  readonly indirectProbes: Counter;
  readonly exchanges: Counter;
  readonly verdicts: Readonly<Record<Standing, Counter>>;
  readonly silences: Counter;
  readonly refutations: Counter;
  readonly lateTicks: Counter;
}

export function membershipCounters(metrics: Metrics): MembershipCounters {
  const verdict = (standing: Standing): Counter =>
    metrics.counter('quoral_member_verdicts_total', 'Changes of what is believed of other members.', { standing });
  return {
    probes: metrics.counter('quoral_member_probes_total', 'Probes of other members.'),
    indirectProbes: metrics.counter('quoral_member_indirect_probes_total', 'Probes that others were asked for.'),
    exchanges: metrics.counter('quoral_member_exchanges_total', 'Exchanges of all that is believed.'),
    verdicts: { alive: verdict('alive'), suspect: verdict('suspect'), dead: verdict('dead'), left: verdict('left') },
    silences: metrics.counter('quoral_member_silences_total', 'Times that a member did not answer this node in time.'),
    refutations: metrics.counter('quoral_member_refutations_total', 'Accusations of this node that it refuted.'),
    lateTicks: metrics.counter(
      'quoral_event_loop_late_total',
      'Times that the event loop was late by a probe timeout.',
    ),
  };
}
