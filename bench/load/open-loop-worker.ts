/** The open loop in a thread of its own, so that nothing else that the bench does makes its requests late. */

import { parentPort, workerData } from 'node:worker_threads';
import { OpenLoop, type OpenLoopOptions } from './open-loop.ts';

const load = new OpenLoop(workerData as OpenLoopOptions);

/** The name of the phase that begins, or null for the end. */
parentPort!.on('message', (phase: string | null) => {
  if (phase !== null) {
    load.enter(phase);
    return;
  }
  void load.stop().then((sent) => {
    parentPort!.postMessage(sent);
    parentPort!.close();
  });
});
