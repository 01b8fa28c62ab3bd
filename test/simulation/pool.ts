/** Runs tasks on several threads. A thread has one bug planted, or none, for all its life. */

import { Worker } from 'node:worker_threads';
import { bugNamed } from './bugs.ts';
import type { SourceEdit } from './source-edits.ts';
import type { Report, Task } from './tasks.ts';

export interface WorkerData {
  readonly bug: string | undefined;
  readonly edits: readonly SourceEdit[];
}

/** The reports in the order of the tasks, each as soon as it and all before it are there. */
export async function* performAll(
  tasks: readonly Task[],
  threads: number,
  bug: string | undefined,
): AsyncGenerator<{ readonly task: Task; readonly report: Report }> {
  const workers = Array.from({ length: Math.min(threads, tasks.length) }, () => new Thread(bug));
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
    await Promise.all(workers.map(async (worker) => await worker.end()));
  }
}

class Thread {
  readonly #worker: Worker;

  constructor(bug: string | undefined) {
    const edits = bug === undefined ? [] : (bugNamed(bug).edits ?? []);
    const workerData: WorkerData = { bug, edits };
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData, execArgv: [] });
  }

  perform(task: Task): Promise<Report> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        this.#worker.off('message', heard);
        this.#worker.off('error', failed);
      };
      const heard = (message: { readonly report?: Report; readonly error?: string }): void => {
        done();
        if (message.report === undefined) reject(new Error(message.error));
        else resolve(message.report);
      };
      const failed = (error: Error): void => {
        done();
        reject(error);
      };
      this.#worker.on('message', heard);
      this.#worker.on('error', failed);
      this.#worker.postMessage(task);
    });
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}
