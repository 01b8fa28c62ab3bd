/** How much memory is in use once everything that is not is collected. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export function heapBytesAfterCollection(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
