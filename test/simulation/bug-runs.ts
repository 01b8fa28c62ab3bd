/** Plays what has to show a wrong variant. */

import { afterAll, afterEach, expect } from 'vitest';
import { BUG_RUNS, type Bug } from './bugs.ts';
import { Performer } from './pool.ts';
import type { ScenarioName } from './scenarios.ts';
import type { Report, SeedTask, Task } from './tasks.ts';

const { seeds, changes } = BUG_RUNS;

export const RANDOM_RUNS: readonly SeedTask[] = seeds.map((seed) => ({
  kind: 'seed',
  seed,
  changes,
  twice: false,
  traceWidth: 0,
  hasty: true,
}));

/** The product has to pass them hastily, too: what ends a run of a variant before its time must be a broken promise. */
export function scripted(name: ScenarioName): Task {
  return { kind: 'scenario', name, traceWidth: 0, hasty: true };
}

/** Far more than a variant takes on a machine that has nothing else to do. */
export const PATIENCE_MS = 300_000;

/** Of each variant so much stays in the process that has played it. */
const VARIANTS_A_PROCESS = 40;

/** Plays variants, many in one process, and the product itself beside them: in there, too, it has to be what it is. */
export class Stagehand {
  #performer: Performer | undefined;
  #played = 0;

  /** To be called once in a file, where its tests are. */
  constructor() {
    afterAll(() => this.#end());
    afterEach(async ({ task }) => {
      // What has failed may be at it still.
      if (task.result?.state === 'fail') await this.#end();
    });
  }

  async finds({ name, foundBy }: Bug): Promise<void> {
    if (this.#played === VARIANTS_A_PROCESS) await this.#end();
    this.#played += 1;
    const tasks = 'seed' in foundBy ? beginningWith(foundBy.seed) : [scripted(foundBy.scenario)];
    const checks = await failedChecks(tasks, async (task) => this.#perform(task, name));
    expect(checks).not.toEqual([]);
    // What shows a bug is a broken promise, not an exception in the variant itself.
    expect(checks).not.toContain('crash');
  }

  /** What is found when the product itself plays it. */
  async findings(task: Task): Promise<Report['findings']> {
    return (await this.#perform(task, undefined)).findings;
  }

  async #perform(task: Task, bug: string | undefined): Promise<Report> {
    this.#performer ??= new Performer();
    return this.#performer.perform(task, bug);
  }

  async #end(): Promise<void> {
    await this.#performer?.end();
    this.#performer = undefined;
    this.#played = 0;
  }
}

/** All random runs: which of them shows a variant may change with whatever is added to the simulator. */
function beginningWith(seed: number): readonly Task[] {
  return RANDOM_RUNS.toSorted((a, b) => Number(b.seed === seed) - Number(a.seed === seed));
}

/** The checks that fail in the first of the tasks in which any does. */
async function failedChecks(tasks: readonly Task[], play: (task: Task) => Promise<Report>): Promise<readonly string[]> {
  for (const task of tasks) {
    const { findings } = await play(task);
    if (findings.length > 0) return findings.map(({ check }) => check);
  }
  return [];
}
