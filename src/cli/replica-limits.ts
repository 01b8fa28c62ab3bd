/** The replica's settings under the names that it knows them by. */

import type { ReplicaLimits } from '#replica/replica.ts';
import type { Settings } from '#settings.ts';

export function replicaLimits(settings: Settings): ReplicaLimits {
  return {
    siblingsMax: settings['siblings-max'],
    entriesMax: settings['entries-max'],
    stateBytesMax: settings['object-max'],
    commitGroupMax: settings['commit-group-max'],
    commitQueueMax: settings['commit-queue-max'],
    commitQueueBytesMax: settings['commit-queue-bytes-max'],
    retryWindow: settings['retry-window'],
    retriesMax: settings['retries-max'],
    retryPurgeInterval: settings['retry-purge-interval'],
  };
}
