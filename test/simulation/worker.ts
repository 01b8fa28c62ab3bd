/** A process that runs tasks one after the other, each with the bug that is planted for it. */

import { flushCompileCache } from 'node:module';
import type { Answer, Order } from './pool.ts';
import { Variants } from './source-edits.ts';

const variants = new Variants(import.meta.resolve('./tasks.ts'));
let isPlain = true;

process.on('message', (order: Order) => {
  void perform(order).then(
    (report) => answer({ report }),
    (error: unknown) => answer({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
// Nobody waits for what it does any more.
process.on('disconnect', () => process.exit());

async function perform({ task, bug, edits }: Order) {
  if (edits.length > 0) isPlain = false;
  const program = (await variants.load(bug ?? '', edits)) as typeof import('./tasks.ts');
  return program.perform(task, bug);
}

function answer(content: Answer): void {
  // There are many such processes, and all load the same modules. This one will be killed, so it leaves to the others now what it
  // has compiled; only the first has anything to write. Variants are of no use to others.
  if (isPlain) flushCompileCache();
  process.send!(content);
}
