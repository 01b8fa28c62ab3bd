/**
 * Says in the log when the space for the data runs low, and when there is enough again; once each, for it lasts.
 */

import type { Clock, Disk, Log } from '#world/world.ts';

export interface SpaceWatchOptions {
  readonly world: { readonly clock: Clock; readonly disk: Pick<Disk, 'freeBytes'>; readonly log: Log };
  /** Less free space than this many bytes is low. */
  readonly lowBytes: number;
  /** Milliseconds between two looks. */
  readonly interval: number;
}

/** Looks now and from then on. */
export function watchSpace({ world, lowBytes, interval }: SpaceWatchOptions): void {
  const { clock, disk, log } = world;
  let low = false;
  const look = (): void => {
    const freeBytes = disk.freeBytes();
    if (freeBytes < lowBytes !== low) {
      low = !low;
      if (low) log.warn('disk-space-low', { freeBytes, lowBytes });
      else log.info('disk-space-enough', { freeBytes, lowBytes });
    }
    clock.after(interval, look);
  };
  look();
}
