/**
 * How much memory this process may use, and what part of it the values of clients get. One that is written is held several times on
 * its way: as a body, as the state that is stored, in messages to the other owners and in what comes from these. Where the kernel ends
 * processes that use more than they may, it is better to refuse some.
 */

import { totalmem } from 'node:os';
import { constrainedMemory } from 'node:process';
import { DEFAULT_API_SETTINGS, type ApiSettings } from '#api/services.ts';
import type { Log } from '#world/world.ts';
import type { NodeOptions } from '#node.ts';

/** What a node takes beside its caches and the values of clients, about: 64 MiB are bytes of values that are dead and not freed yet. */
const PROGRAM_BYTES = 160 * 1024 * 1024;
/** Of the rest for bodies; as much for answers that clients are slow to take, for what waits for the disk, and for calls to each peer. */
const PART = 1 / 12;
/** Of these calls' bytes, what may wait for the connection. */
const QUEUED_PART = 1 / 4;

/** What the machine has, or less where this process is in a group (a container, a service) with a limit. */
export function memoryLimit(): number {
  const limit = constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

/** Bytes that may be held at once. */
export interface MemoryShares {
  readonly values: number;
  readonly queued: number;
}

export interface MemoryNeeds {
  /** Of the disk's two caches and its journal. */
  readonly cacheBytes: number;
  /** The largest value or batch: one of them always has room. */
  readonly largestBytes: number;
}

/** What such a limit leaves to values, which is told of when it is a narrower bound than others. */
export function memorySharesOf(limit: number, needs: MemoryNeeds, log: Pick<Log, 'info' | 'warn'>): MemoryShares {
  const { cacheBytes, largestBytes } = needs;
  const share = Math.floor((limit - cacheBytes - PROGRAM_BYTES) * PART);
  const values = Math.max(largestBytes, share);
  const shares = { values, queued: Math.max(largestBytes, Math.floor(values * QUEUED_PART)) };
  const forValues = (bytes: number): number => cacheBytes + PROGRAM_BYTES + bytes / PART;
  if (share < largestBytes) {
    const reason = `under load this node may need ${forValues(largestBytes)} bytes: give it more memory, or smaller caches and values (disk-cache, row-cache, disk-journal, value-max, batch-bytes-max)`;
    log.warn('memory-small', { limit, ...shares, reason });
  } else if (share < DEFAULT_API_SETTINGS.bodiesMaxBytes) {
    const reason = `from ${forValues(DEFAULT_API_SETTINGS.bodiesMaxBytes)} bytes of memory on the settings alone are the bound; what does not fit is refused (429)`;
    log.info('memory-shared', { limit, ...shares, reason });
  }
  return shares;
}

export function apiWithin({ values }: MemoryShares): Pick<ApiSettings, 'bodiesMaxBytes' | 'answersMaxBytes'> {
  const { bodiesMaxBytes, answersMaxBytes } = DEFAULT_API_SETTINGS;
  return { bodiesMaxBytes: Math.min(bodiesMaxBytes, values), answersMaxBytes: Math.min(answersMaxBytes, values) };
}

export function nodeWithin({ values, queued }: MemoryShares, options: NodeOptions): NodeOptions {
  const { wire, replica } = options;
  return {
    ...options,
    wire: {
      ...wire,
      maxInFlightBytes: Math.min(wire.maxInFlightBytes, values),
      maxQueuedBytes: Math.min(wire.maxQueuedBytes, queued),
    },
    replica: { ...replica, commitQueueBytesMax: Math.min(replica.commitQueueBytesMax, values) },
  };
}
