/**
 * Runs tasks in several processes. Processes and not threads: what is left of one can be killed in the middle of a run, where
 * ending many threads one after the other has once brought the whole test runner down with it.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { bugNamed } from './bugs.ts';
import type { SourceEdit } from './source-edits.ts';
import type { Report, Task } from './tasks.ts';

/** What a process is asked for. */
export interface Order {
  readonly task: Task;
  /** What is planted for it. */
  readonly bug: string | undefined;
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
  const workers = Array.from({ length: Math.min(processes, tasks.length) }, () => new Performer());
  const reports: (Promise<Report> | undefined)[] = [];
  let next = 0;
  const free = workers.map(async (worker) => {
    for (let at = next++; at < tasks.length; at = next++) {
      const report = (reports[at] = worker.perform(tasks[at]!, bug));
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
  #process = new WorkerProcess();
  #ended = false;

  get pid(): number {
    return this.#process.pid;
  }

  async perform(task: Task, bug: string | undefined): Promise<Report> {
    const order = { task, bug, edits: bug === undefined ? [] : (bugNamed(bug).edits ?? []) };
    try {
      return await this.#process.perform(order);
    } catch (error) {
      if (this.#ended || !(error instanceof EndedBySignal)) throw error;
      console.error(`${error.message}; it is made once more`);
      this.#process = new WorkerProcess();
      return await this.#process.perform(order);
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

  constructor() {
    const file = new URL('./worker.ts', import.meta.url);
    // To blank out types by a call is an experiment still, which a process would tell of. And several of these keep the processors
    // busy: rare collections of what a run throws away, by one thread, cost the least, as long as that fits into the caches.
    const heap = ['--v8-pool-size=1', '--min-semi-space-size=16', '--max-semi-space-size=16'];
    const execArgv = ['--disable-warning=ExperimentalWarning', ...heap];
    this.#process = fork(file, [], { execArgv, serialization: 'advanced' });
  }

  get pid(): number {
    return this.#process.pid!;
  }

  perform(order: Order): Promise<Report> {
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
        const text = `the process of ${named(order.task)} ended with ${signal ?? code} in the middle of it`;
        failed(signal === null ? new Error(text) : new EndedBySignal(text));
      };
      this.#process.on('message', heard);
      this.#process.on('exit', ended);
      this.#process.on('error', failed);
      if (this.#process.connected) this.#process.send(order);
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
