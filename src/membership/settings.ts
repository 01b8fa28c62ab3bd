/**
 * Every interval and number of this room. Times are milliseconds.
 */

import type { ClockSettings } from './clock-differences.ts';

export interface MembershipSettings {
  readonly clocks: ClockSettings;
  /** Between two looks at what is due. */
  readonly tickInterval: number;
  /** Between two probes of this node, whoever is probed. */
  readonly probeInterval: number;
  /** For a member to answer, and then once more for others to reach it. */
  readonly probeTimeout: number;
  /** Others that are asked to ask. */
  readonly indirectProbes: number;
  /** A suspect has this many probe intervals to refute, times the logarithm of the cluster. */
  readonly suspicionFactor: number;
  /** Between two rounds of telling news, when there are any, and how many are told. */
  readonly gossipInterval: number;
  readonly gossipFanout: number;
  /** Between two exchanges of the whole table. */
  readonly exchangeInterval: number;
  /** Between two marks that this node leaves with the others: how young a copy of its disk may be and not be found out. */
  readonly markInterval: number;
  /** A member that owes answers and has said nothing for so long is probed out of turn. */
  readonly silenceBeforeProbe: number;
}

/**
 * For up to 50 nodes: a member that freezes is routed around after `silenceBeforeProbe` and `probeTimeout` by whoever has
 * requests there, and suspected by all within a second.
 */
export const DEFAULT_MEMBERSHIP_SETTINGS: MembershipSettings = {
  clocks: { warnFrom: 500, apartMax: 60_000 },
  tickInterval: 50,
  probeInterval: 250,
  probeTimeout: 200,
  indirectProbes: 3,
  suspicionFactor: 4,
  gossipInterval: 200,
  gossipFanout: 3,
  exchangeInterval: 30_000,
  markInterval: 60_000,
  silenceBeforeProbe: 100,
};
