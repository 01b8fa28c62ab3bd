/**
 * Runs tasks in several processes. A process has one bug planted, or none, for all its life. Processes and not threads:
 * what is left of one can be killed in the middle of a run, where ending many threads one after the other has once brought
 * the whole test runner down with it.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { bugNamed } from './bugs.ts';
import type { SourceEdit } from './source-edits.ts';
import type { Report, Task } from './tasks.ts';

/** What a process is started with, as JSON. */
export interface Planted {
  readonly bug?: string;
  readonly edits: readonly SourceEdit[];
}

/** What a process sends back, once for each task. */
export type Answer = { readonly report: Report } | { readonly error: string };

/** The reports in the order of the tasks, each as soon as it and all before it are there. */
export async function* performAll(
  tasks: readonly Task[],
  processes: number,
  bug: string | undefined,
): AsyncGenerator<{ readonly task: Task; readonly report: Report }> {
  const workers = Array.from({ length: Math.min(processes, tasks.length) }, () => new Performer(bug));
  const reports: (Promise<Report> | undefined)[] = [];
  let next = 0;
  const free = workers.map(async (worker) => {
    for (let at = next++; at < tasks.length; at = next++) {
      const report = (reports[at] = worker.perform(tasks[at]!));
      await report.catch(() => undefined);
      wake();
    }
  });
  let wake: () => void = () => undefined;
  try {
    for (const [at, task] of tasks.entries()) {
      while (reports[at] === undefined) await new Promise<void>((resolve) => (wake = resolve));
      yield { task, report: await reports[at] };
    }
    await Promise.all(free);
  } finally {
    // Hands out nothing more; what still runs is of no use to anybody.
    next = tasks.length;
    await Promise.all(workers.map(async (worker) => await worker.end()));
  }
}

/**
 * One process, and another one after that has been ended by a signal: no run ends so by itself, it means that the runtime
 * has crashed or that the machine is short of memory. As a run is the same each time, it is made once more, and told of.
 */
export class Performer {
  readonly #bug: string | undefined;
  #process: WorkerProcess;
  #ended = false;

  constructor(bug: string | undefined) {
    this.#bug = bug;
    this.#process = new WorkerProcess(bug);
  }

  get pid(): number {
    return this.#process.pid;
  }

  async perform(task: Task): Promise<Report> {
    try {
      return await this.#process.perform(task);
    } catch (error) {
      if (this.#ended || !(error instanceof EndedBySignal)) throw error;
      console.error(`${error.message}; it is made once more`);
      this.#process = new WorkerProcess(this.#bug);
      return await this.#process.perform(task);
    }
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#process.end();
  }
}

class EndedBySignal extends Error {}

class WorkerProcess {
  readonly #process: ChildProcess;

  constructor(bug: string | undefined) {
    const planted: Planted = bug === undefined ? { edits: [] } : { bug, edits: bugNamed(bug).edits ?? [] };
    const file = new URL('./worker.ts', import.meta.url);
    this.#process = fork(file, [JSON.stringify(planted)], { execArgv: [], serialization: 'advanced' });
  }

  get pid(): number {
    return this.#process.pid!;
  }

  perform(task: Task): Promise<Report> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        this.#process.off('message', heard);
        this.#process.off('exit', ended);
        this.#process.off('error', failed);
      };
      const heard = (message: unknown): void => {
        done();
        const answer = message as Answer;
        if ('report' in answer) resolve(answer.report);
        else reject(new Error(answer.error));
      };
      const failed = (error: Error): void => {
        done();
        reject(error);
      };
      const ended = (code: number | null, signal: string | null): void => {
        const text = `the process of ${named(task)} ended with ${signal ?? code} in the middle of it`;
        failed(signal === null ? new Error(text) : new EndedBySignal(text));
      };
      this.#process.on('message', heard);
      this.#process.on('exit', ended);
      this.#process.on('error', failed);
      if (this.#process.connected) this.#process.send(task);
      else ended(this.#process.exitCode, this.#process.signalCode);
    });
  }

  async end(): Promise<void> {
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null) return;
    const exit = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exit;
  }
}

function named(task: Task): string {
  return task.kind === 'seed' ? `seed ${task.seed}` : `scenario ${task.name}`;
}
