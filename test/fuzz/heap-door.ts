/** Loaded into a node's process by a test that wants to know how much memory is in use there: asked over the IPC channel. */

import { isMainThread } from 'node:worker_threads';
import { heapBytesAfterCollection } from './heap.ts';

if (isMainThread) {
  process.on('message', (message) => {
    if (message === 'heap') process.send?.({ heapBytes: heapBytesAfterCollection() });
  });
}
