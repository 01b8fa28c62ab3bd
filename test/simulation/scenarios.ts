/**
 * Scripted schedules, for what a random run finds too rarely. Each repeats one dangerous sequence on fresh keys, with the
 * nodes in changing roles and in buckets of both kinds. A crash loses all that was not synced.
 */

import { Arena, type Finding } from './arena.ts';
import { DEFAULT_COORDINATOR_SETTINGS } from '#coordinator/environment.ts';
import { DEFAULT_MEMBERSHIP_SETTINGS } from '#membership/settings.ts';
import { DEFAULT_HINT_SETTINGS } from '#handoff/hints.ts';
import type { NodeOptions } from '#node.ts';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { WATCH_SCRIPTS, WATCHED_RING_SCRIPTS } from './watch-scripts.ts';
import { RING_AGAIN_SCRIPTS, RING_AGAIN_STRONG_SCRIPTS } from './ring-again-scripts.ts';
import { RING_LOST_SCRIPTS, RING_LOST_STRONG_SCRIPTS } from './ring-lost-scripts.ts';
import { RING_SCRIPTS } from './ring-scripts.ts';
import { RingStage } from './ring-stage.ts';
import { COME_AND_GO_MS, STRONG_SCRIPTS } from './strong-scripts.ts';
import { TYPE_SCRIPTS } from './type-scripts.ts';
import { VECTOR_SCRIPTS } from './vector-scripts.ts';
import type { Timeline } from './timeline.ts';
import type { Tampering } from './tampering.ts';
import { DISK_SCRIPTS } from './disk-scripts.ts';
import { FALLBACK_SCRIPTS } from './fallback-scripts.ts';
import { ATTEMPT_SCRIPTS } from './attempt-scripts.ts';
import { REPLICA_SCRIPTS } from './replica-scripts.ts';
import { NODES, Stage, type Script } from './stage.ts';
import { MARK_MS } from './script-settings.ts';

const SCRIPTS = {
  ...DISK_SCRIPTS,
  ...FALLBACK_SCRIPTS,
  ...ATTEMPT_SCRIPTS,
  ...REPLICA_SCRIPTS,
  ...STRONG_SCRIPTS,
  ...RING_SCRIPTS,
  ...RING_AGAIN_SCRIPTS,
  ...RING_LOST_SCRIPTS,
  ...WATCHED_RING_SCRIPTS,
  ...WATCH_SCRIPTS,
  ...TYPE_SCRIPTS,
  ...VECTOR_SCRIPTS,
} satisfies Readonly<Record<string, Script>>;

/**
 * Played by more nodes than a key has owners, none of which crashes, and without anti-entropy, whose calls have no time: only
 * hints bring home what was missed.
 */
const WITH_FALLBACKS: ReadonlySet<string> = new Set([
  'fallback-writes-twice',
  'hint-grows-while-delivered',
  'owners-are-asked-for',
  'a-fallback-knows-nothing',
  'a-fallback-is-behind',
  'kept-for-several-owners',
  'answer-to-a-forward-is-lost',
]);
const HINTS_ONLY = {
  repair: { ...DEFAULT_REPAIR_SETTINGS, callTimeout: 0 },
  hints: { ...DEFAULT_HINT_SETTINGS, interval: 300 },
};

/** With tombstones that are given up within seconds; clocks are right. */
const RECLAIMING: ReadonlySet<string> = new Set([
  'deleted-while-one-is-away',
  'a-former-owner-has-what-was-deleted',
  'a-long-vector-lacks-a-write',
  'a-late-clock-after-a-horizon',
  ...Object.keys(STRONG_SCRIPTS),
]);
const RECLAIMING_WITH_FALLBACKS: ReadonlySet<string> = new Set([
  'hint-is-older-than-a-deletion',
  'a-hint-beside-a-long-vector',
]);
const SOON = {
  upkeep: { forgottenAfter: 90_000 },
  repair: {
    ...DEFAULT_REPAIR_SETTINGS,
    interval: 1000,
    settle: 200,
    reclaimInterval: 1000,
    reclaimAge: 500,
    reclaimWait: 1000,
  },
};

/** With marks that come often. */
const MARKING: ReadonlySet<string> = new Set(['running-disk-is-put-back', 'power-loss-while-marking']);
const MARKS = { membership: { ...DEFAULT_MEMBERSHIP_SETTINGS, markInterval: MARK_MS } };

/** Owners that are not asked for all of a key say only what they know, however small its values are. */
const OUTLINING: ReadonlySet<string> = new Set(['coordinator-lacks-the-value']);
const OUTLINES = { coordinator: { ...DEFAULT_COORDINATOR_SETTINGS, valuesUpTo: 0 } };
/** Owners that have the same as the coordinator say no more than that, however small it is. */
const COMPARING: ReadonlySet<string> = new Set(['coordinator-is-behind']);
const SAME = { coordinator: { ...DEFAULT_COORDINATOR_SETTINGS, leastSaved: Number.NEGATIVE_INFINITY } };

/** Five nodes and one that comes, whose partitions move. */
const RING_CHANGES: ReadonlySet<string> = new Set(
  [RING_SCRIPTS, RING_AGAIN_SCRIPTS, RING_LOST_SCRIPTS, WATCHED_RING_SCRIPTS].flatMap((scripts) =>
    Object.keys(scripts),
  ),
);
const RING_NODES = 5;
const MOVING_STRONG_KEYS: ReadonlySet<string> = new Set([
  'strong-keys-of-two-leavers',
  ...Object.keys(RING_AGAIN_STRONG_SCRIPTS),
  ...Object.keys(RING_LOST_STRONG_SCRIPTS),
]);
const SHRINKING: ReadonlySet<string> = new Set(['all-that-have-it-leave']);

export type ScenarioName = keyof typeof SCRIPTS;
/** Scenarios that the product of today does not pass, with what it would take. */
export const WAITING_FOR_A_FIX: Readonly<Partial<Record<ScenarioName, string>>> = {};

export const SCENARIO_NAMES = Object.keys(SCRIPTS) as readonly ScenarioName[];

export interface ScenarioOptions {
  /** Ends as soon as anything is found. */
  readonly hasty?: boolean;
  readonly tampering?: Tampering;
  readonly timeline?: Timeline;
}

/** What the checkers find when the scenario is played. */
export async function play(name: ScenarioName, options: ScenarioOptions): Promise<readonly Finding[]> {
  const setting = RING_CHANGES.has(name)
    ? {
        nodes: SHRINKING.has(name) ? NODES : RING_NODES,
        ...{ ringChanges: true, strong: MOVING_STRONG_KEYS.has(name), losesUnsynced: false },
        ...nodeFor(name),
      }
    : WITH_FALLBACKS.has(name)
      ? { nodes: NODES + 1, node: HINTS_ONLY, losesUnsynced: false }
      : RECLAIMING_WITH_FALLBACKS.has(name)
        ? { nodes: NODES + 1, node: SOON, losesUnsynced: false }
        : { nodes: NODES, losesUnsynced: true, ...nodeFor(name) };
  const types = Object.hasOwn(TYPE_SCRIPTS, name);
  const arena = new Arena({ ...options, ...setting, types, seed: name });
  const clients = arena.directedClients();
  for (const { medium } of arena.cluster.machines) medium.losesAllUnsynced = true;
  await arena.run(async () => {
    const stage = new Stage(arena, clients);
    await SCRIPTS[name](stage, new RingStage(arena, stage));
    await arena.converge(clients);
  });
  return arena.findings;
}

function nodeFor(name: ScenarioName): { readonly node?: Partial<NodeOptions> } {
  if (name === 'strong-keys-come-and-go') return { node: { ...SOON, upkeep: { forgottenAfter: COME_AND_GO_MS } } };
  if (RECLAIMING.has(name)) return { node: SOON };
  if (MARKING.has(name)) return { node: MARKS };
  if (COMPARING.has(name)) return { node: SAME };
  return OUTLINING.has(name) ? { node: OUTLINES } : {};
}
