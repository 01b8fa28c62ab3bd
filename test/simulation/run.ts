/**
 * One run: lets clients work on a cluster while things go wrong, heals it, and judges what the clients saw and what the
 * disks hold. Equal plans and equal code give equal runs, down to the last event.
 */

import { DEFAULT_COORDINATOR_SETTINGS } from '#coordinator/environment.ts';
import { DEFAULT_MEMBERSHIP_SETTINGS } from '#membership/settings.ts';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { Arena, type Finding } from './arena.ts';
import { Faults, LOSES_UNSYNCED } from './faults.ts';
import { classOf, type Plan } from './plan.ts';
import type { SupervisorCounts } from './supervisor.ts';
import type { Tampering } from './tampering.ts';
import type { Timeline } from './timeline.ts';
import type { Request } from './history.ts';
import { RingOperator, type RingCounts } from './ring-operator.ts';
import { Clients } from './workload.ts';

export interface Result {
  readonly seed: number;
  /** Virtual milliseconds during which the clients worked. */
  readonly virtual: number;
  readonly events: number;
  readonly acked: number;
  readonly notApplied: number;
  readonly unknown: number;
  readonly hash: string;
  readonly supervisor: SupervisorCounts;
  /** Changes of the ring; undefined in a run without any. */
  readonly ring: RingCounts | undefined;
  readonly messages: number;
  /** What is wrong, the plainest first; empty when all is well. */
  readonly findings: readonly Finding[];
}

export interface RunOptions {
  /** Ends as soon as anything is found. */
  readonly hasty?: boolean;
  readonly timeline?: Timeline;
  /** What a planted bug does to the cluster. */
  readonly tampering?: Tampering;
}

/** The least part of the requests that has to succeed, by class. */
const SUCCEEDED_MINIMUM = { calm: 0.5, rough: 0.2, harsh: 0.05 } as const;
/** Runs with fewer operations say nothing about that. */
const PROGRESS_FROM = 250;
const LAST_ANSWER_MS = 60_000;

/** Repair as busy as clocks that are seconds apart allow, so that a run sees all of it. */
const BUSY_REPAIR = {
  ...DEFAULT_REPAIR_SETTINGS,
  interval: 3000,
  settle: 1000,
  reclaimInterval: 4000,
  reclaimAge: 2000,
  reclaimWait: 12_000,
};

/** Where disks are put back, marks come often enough for copies to be found out by them. */
const FREQUENT_MARKS = { ...DEFAULT_MEMBERSHIP_SETTINGS, markInterval: 2000 };

/** In some runs whoever is not asked for all of a key says only what it knows, however small the values are. */
const OUTLINES_EVERY = 8;
const OUTLINES = { ...DEFAULT_COORDINATOR_SETTINGS, valuesUpTo: 0 };
/** In the others who has the same as the coordinator says no more than that, however small it is. */
const SAME = { ...DEFAULT_COORDINATOR_SETTINGS, leastSaved: Number.NEGATIVE_INFINITY };

export async function simulate(plan: Plan, options: RunOptions = {}): Promise<Result> {
  const losesUnsynced = plan.faults.some(({ kind }) => LOSES_UNSYNCED.has(kind));
  const putsBack = plan.faults.some(({ kind }) => kind === 'disk-put-back');
  const node = {
    repair: BUSY_REPAIR,
    coordinator: plan.seed % OUTLINES_EVERY === 0 ? OUTLINES : SAME,
    ...(putsBack ? { membership: FREQUENT_MARKS } : {}),
  };
  const { seed, nodes, ringChanges, types } = plan;
  const arena = new Arena({
    ...options,
    seed,
    nodes,
    node,
    losesUnsynced,
    ringChanges,
    strong: true,
    types,
    reclaims: true,
  });
  let ring: RingCounts | undefined;
  await arena.run(async () => {
    const operator = ringChanges
      ? new RingOperator(arena, arena.cluster.simulation.random.fork('operator'))
      : undefined;
    ring = operator?.counts;
    await live(arena, plan, operator);
  });
  const { simulation, network } = arena.cluster;
  const outcomes = arena.recorder.requests.map((request) =>
    request.kind === 'read' ? (request.shown === null ? 'failed' : 'applied') : request.outcome,
  );
  const count = (outcome: string): number => outcomes.filter((one) => one === outcome).length;
  if (!arena.ended) checkProgress(arena, plan, count('applied') / outcomes.length);
  return {
    seed: plan.seed,
    virtual: plan.duration,
    events: simulation.events,
    acked: count('applied'),
    notApplied: count('not-applied'),
    unknown: count('unknown'),
    hash: simulation.hash(),
    supervisor: arena.supervisor.counts,
    ring,
    messages: network.sentInAll().messages,
    findings: arena.findings,
  };
}

async function live(arena: Arena, plan: Plan, operator: RingOperator | undefined): Promise<void> {
  const { mode, duration } = plan;
  const { simulation } = arena.cluster;
  const clients = new Clients(arena.workload({ ...plan, random: simulation.random.fork('clients') }));
  const faults = new Faults(
    {
      cluster: arena.cluster,
      supervisor: arena.supervisor,
      buckets: arena.buckets,
      random: simulation.random.fork('faults'),
      note: (host, what) => arena.note(host, what),
    },
    plan.faults,
  );
  const began = simulation.now;
  let healthySince = Infinity;
  arena.sample(clients);
  const touching = plan.touches ? arena.touchingClient(clients) : undefined;
  const over = Promise.all([clients.run(), arena.types?.run(), touching?.run()]);
  if (mode === 'liveness') {
    await simulation.run(began + (duration * 2) / 3);
    faults.heal();
    await operator?.finish();
    await arena.recovered();
    await arena.refilled();
    operator?.goOn();
    healthySince = arena.recorder.moment().order;
  }
  await simulation.run(Math.max(began + duration, simulation.now));
  clients.stop();
  arena.types?.stop();
  touching?.stop();
  if (mode === 'safety') faults.heal();
  await simulation.settle(over, LAST_ANSWER_MS);
  await operator?.finish();
  if (mode === 'safety') await arena.recovered();
  await arena.refilled();
  await arena.converge(clients);
  checkServes(
    arena,
    healthySince,
    plan.faults.some(({ kind }) => LOSES_UNSYNCED.has(kind)),
  );
}

/** Once all is healed, no request fails for want of replicas or time. */
function checkServes(arena: Arena, since: number, mayLose: boolean): void {
  for (const request of arena.recorder.requests) {
    if (request.start.order < since || request.ending !== 'answered') continue;
    if (!/^(5|429)/.test(request.answer)) continue;
    // What a session was told and a crash has taken away cannot come back: the client has to begin a new one.
    if (mayLose && request.answer.includes('session-not-met')) continue;
    // An owner that has given its place away while the request was under way cannot take it, and is no other's to replace.
    if (arena.movesMembers && asksForMore(request, arena)) continue;
    const detail = `a ${request.kind} at ${request.node}, all healed, is answered ${request.answer}`;
    arena.find({ check: 'liveness', key: `${request.bucket}/${request.key}`, detail });
  }
}

/** Whether it asks for more than a majority of the owners. */
function asksForMore({ bucket, quorum }: Request, { buckets }: Arena): boolean {
  const { owners } = buckets.find(({ name }) => name === bucket)!.facts;
  const most = Math.floor(owners / 2) + 1;
  return Math.max(quorum.r, quorum.pr, ...('w' in quorum ? [quorum.w, quorum.pw, quorum.dw] : [])) > most;
}

/** Faults so heavy that nothing happens must not pass for a test. */
function checkProgress(arena: Arena, plan: Plan, succeeded: number): void {
  const least = SUCCEEDED_MINIMUM[classOf(plan)];
  if (arena.recorder.requests.length < PROGRESS_FROM || succeeded >= least) return;
  const detail = `${Math.round(succeeded * 100)} % of the requests succeeded, at least ${least * 100} % should`;
  arena.find({ check: 'progress', key: classOf(plan), detail });
}
