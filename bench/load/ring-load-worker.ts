/** The clients of a changing ring in a thread of their own, so that nothing else that the bench does slows them down. */

import { parentPort, workerData } from 'node:worker_threads';
import { RingLoad, type RingLoadOptions } from './ring-load.ts';

const load = new RingLoad(workerData as RingLoadOptions);

/** The nodes to ask from now on, or null for the end. */
parentPort!.on('message', (urls: Readonly<Record<string, string>> | null) => {
  if (urls !== null) {
    load.use(urls);
    return;
  }
  void load.stop().then((result) => {
    parentPort!.postMessage(result);
    parentPort!.close();
  });
});
