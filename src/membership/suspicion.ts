/**
 * How long a suspect has to refute before it is taken for dead: long while one node alone accuses it, who may be the one in
 * trouble, and shorter with each other node that confirms (Lifeguard, Dadgar et al. 2017, section IV-B).
 */

export interface SuspicionSettings {
  /** Milliseconds between two probes. */
  readonly probeInterval: number;
  /** The shortest time is this many probe intervals, times the logarithm of the cluster. */
  readonly suspicionFactor: number;
}

/** The longest time is this many times the shortest. */
const LONGEST_FACTOR = 6;

/** Milliseconds for a suspicion with so many accusers among so many members, all counted. */
export function suspicionTimeout(settings: SuspicionSettings, members: number, accusers: number): number {
  const { probeInterval, suspicionFactor } = settings;
  const shortest = suspicionFactor * Math.max(1, Math.log10(Math.max(1, members))) * probeInterval;
  // In a small cluster so many confirmations cannot come; waiting for them would only be late.
  const wanted = members - 2 < suspicionFactor - 2 ? 0 : suspicionFactor - 2;
  if (wanted < 1) return shortest;
  const longest = LONGEST_FACTOR * shortest;
  const progress = Math.log(accusers) / Math.log(wanted + 1);
  return Math.max(shortest, longest - (longest - shortest) * progress);
}
