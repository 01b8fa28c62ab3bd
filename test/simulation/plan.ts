/** What a seed stands for: how large the cluster is, what goes wrong in it, how its clients behave. */

import { SeededRandom } from '#world/simulated/random.ts';
import { DISK_FAULTS, FAULT_KINDS, RING_FAULTS } from './faults.ts';
import type { ChosenFault, FaultKind } from './faults.ts';

/**
 * - `safety`: faults from the beginning to the end; healing comes after that.
 * - `liveness`: the faults end after two thirds, and for the rest everything has to work.
 */
export type Mode = 'safety' | 'liveness';

export interface Plan {
  readonly seed: number;
  readonly mode: Mode;
  readonly nodes: number;
  /** Whether members come and go meanwhile. */
  readonly ringChanges: boolean;
  /** Whether there are clients of data types as well. */
  readonly types: boolean;
  /** Whether somebody touches keys as well. */
  readonly touches: boolean;
  /** Virtual milliseconds during which the clients work. */
  readonly duration: number;
  readonly faults: readonly ChosenFault[];
  readonly clients: number;
  readonly thinkTime: number;
  readonly operationsMax: number;
  readonly keyLifetime: number;
  /** Of 100 requests, those whose client turns away. */
  readonly impatience: number;
}

/** What the command line, or the search for a smaller failing run, puts in place of what the seed says. */
export interface PlanChanges {
  readonly nodes?: number;
  readonly ringChanges?: boolean;
  readonly types?: boolean;
  readonly touches?: boolean;
  readonly duration?: number;
  readonly operationsMax?: number;
  /** Fault kinds that are left out. */
  readonly without?: readonly FaultKind[];
}

export const DEFAULT_DURATION = 60_000;
const FAULTS_AT_ONCE_MAX = 7;
/** Of all seeds, those in which the ring changes. */
const RING_CHANGES_SHARE = 0.25;
/** Of all seeds, those with clients of data types. */
const TYPES_SHARE = 0.4;
/** Of all seeds, those with somebody who touches keys. */
const TOUCHES_SHARE = 0.25;

export function planOf(seed: number, changes: PlanChanges = {}): Plan {
  const random = new SeededRandom(seed).fork('plan');
  const draw = (label: string): SeededRandom => random.fork(label);
  const without = new Set(changes.without);
  const ringChanges = changes.ringChanges ?? draw('ring changes').chance(RING_CHANGES_SHARE);
  const nodes = changes.nodes ?? [3, 3, 3, 3, 5, 5, 2, 4][draw('nodes').below(8)]!;
  return {
    seed,
    mode: draw('mode').chance(0.5) ? 'safety' : 'liveness',
    nodes: ringChanges ? Math.max(3, nodes) : nodes,
    ringChanges,
    types: changes.types ?? draw('types').chance(TYPES_SHARE),
    touches: changes.touches ?? draw('touches').chance(TOUCHES_SHARE),
    duration: changes.duration ?? DEFAULT_DURATION,
    faults: [
      ...chooseFaults(draw('faults')),
      ...(ringChanges ? some(RING_FAULTS, 0.4, draw('ring faults')) : []),
      ...(nodes < 3 ? [] : some(DISK_FAULTS, 0.05, draw('disks'))),
    ].filter(({ kind }) => !without.has(kind)),
    clients: 2 + draw('clients').below(7),
    thinkTime: [60, 200, 600][draw('think time').below(3)]!,
    operationsMax: changes.operationsMax ?? 3000,
    keyLifetime: [1000, 4000, 15_000][draw('key lifetime').below(3)]!,
    impatience: [0, 0, 5, 20][draw('impatience').below(4)]!,
  };
}

/** Some seeds go without any: what fails there needs no fault. */
function chooseFaults(random: SeededRandom): readonly ChosenFault[] {
  if (random.chance(0.03)) return [];
  const wanted = 1 + random.below(FAULTS_AT_ONCE_MAX);
  const others: readonly FaultKind[] = [...RING_FAULTS, ...DISK_FAULTS];
  const kinds = FAULT_KINDS.filter((kind) => !others.includes(kind));
  const order = kinds.map((kind) => ({ kind, rank: random.fork(kind).uint32() }));
  return order
    .toSorted((a, b) => a.rank - b.rank)
    .slice(0, wanted)
    .map(({ kind }) => ({ kind, intensity: 0.3 * 10 ** random.fork(`${kind} intensity`).fraction() }));
}

function some(kinds: readonly FaultKind[], probability: number, random: SeededRandom): readonly ChosenFault[] {
  return kinds.filter((kind) => random.fork(kind).chance(probability)).map((kind) => ({ kind, intensity: 1 }));
}

/** The seed's class, for which a minimum of acknowledged operations is asserted. */
export function classOf(plan: Plan): 'calm' | 'rough' | 'harsh' {
  const force = plan.faults.reduce((sum, { intensity }) => sum + intensity, 0);
  return force < 2 ? 'calm' : force < 6 ? 'rough' : 'harsh';
}
