/** A process that runs tasks one after the other. The bug that it is started with is planted before the product is loaded. */

import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Answer, Planted } from './pool.ts';
import type { Task } from './tasks.ts';

// There are many such processes, and all load the same modules.
enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/simulation', import.meta.url)));
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
  process.send!(content);
}
