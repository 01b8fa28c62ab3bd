/** What a worker can be asked to do: one run, or one scripted scenario. */

import type { Finding } from './arena.ts';
import { bugNamed } from './bugs.ts';
import { planOf, type PlanChanges } from './plan.ts';
import { simulate, type Result } from './run.ts';
import { play, type ScenarioName } from './scenarios.ts';
import { NODES } from './stage.ts';
import { Timeline } from './timeline.ts';

export interface SeedTask {
  readonly kind: 'seed';
  readonly seed: number;
  readonly changes: PlanChanges;
  /** Once more, to compare the hashes. */
  readonly twice: boolean;
  /** Characters of a line of the timeline; 0 for none. */
  readonly traceWidth: number;
  /** Ends as soon as anything is found. */
  readonly hasty?: boolean;
}

export interface ScenarioTask {
  readonly kind: 'scenario';
  readonly name: ScenarioName;
  readonly traceWidth: number;
  readonly hasty?: boolean;
}

export type Task = SeedTask | ScenarioTask;

export interface Report {
  readonly findings: readonly Finding[];
  /** Of a scenario undefined. */
  readonly result: Result | undefined;
  readonly trace: readonly string[];
}

export async function perform(task: Task, bug: string | undefined): Promise<Report> {
  const planted = bug === undefined ? undefined : bugNamed(bug);
  const tampering = planted?.tampering?.();
  const timeline = task.traceWidth === 0 ? undefined : new Timeline();
  const options = {
    hasty: task.hasty === true,
    ...(tampering === undefined ? {} : { tampering }),
    ...(timeline === undefined ? {} : { timeline }),
  };
  if (task.kind === 'scenario') {
    const found = await play(task.name, options);
    return { findings: found, result: undefined, trace: [...(timeline?.render(NODES, task.traceWidth) ?? [])] };
  }
  const plan = planOf(task.seed, task.changes);
  const result = await simulate(plan, options);
  const findings = [...result.findings];
  if (task.twice) {
    const again = planted?.tampering?.();
    const { hash } = await simulate(plan, again === undefined ? {} : { tampering: again });
    if (hash !== result.hash) {
      findings.unshift({
        check: 'determinism',
        key: '',
        detail: `the second run has the hash ${hash}, not ${result.hash}`,
      });
    }
  }
  return {
    findings,
    result,
    trace: [...(timeline?.render(plan.ringChanges ? plan.nodes + 3 : plan.nodes, task.traceWidth) ?? [])],
  };
}
