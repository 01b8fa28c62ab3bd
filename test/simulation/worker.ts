/** A process that runs tasks one after the other. The bug that it is started with is planted before the product is loaded. */

import { flushCompileCache } from 'node:module';
import type { Answer, Planted } from './pool.ts';
import type { Task } from './tasks.ts';

const { edits, bug } = JSON.parse(process.argv[2]!) as Planted;
if (edits.length > 0) {
  const { editSources } = await import('./source-edits.ts');
  editSources(edits);
}
const { perform } = await import('./tasks.ts');
process.on('message', (task: Task) => {
  void perform(task, bug).then(
    (report) => answer({ report }),
    (error: unknown) => answer({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
// Nobody waits for what it does any more.
process.on('disconnect', () => process.exit());

function answer(content: Answer): void {
  // There are many such processes, and all load the same modules. This one will be killed, so it leaves to the others now what it
  // has compiled; only the first has anything to write.
  flushCompileCache();
  process.send!(content);
}
