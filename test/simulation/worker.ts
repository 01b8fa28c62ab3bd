/** A thread that runs tasks one after the other. The bug that it is started with is planted before the product is loaded. */

import { parentPort, workerData } from 'node:worker_threads';
import type { Task } from './tasks.ts';

const { edits, bug } = workerData as import('./pool.ts').WorkerData;
if (edits.length > 0) {
  const { editSources } = await import('./source-edits.ts');
  editSources(edits);
}
const { perform } = await import('./tasks.ts');
parentPort!.on('message', (task: Task) => {
  void perform(task, bug).then(
    (report) => parentPort!.postMessage({ report }),
    (error: unknown) =>
      parentPort!.postMessage({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
