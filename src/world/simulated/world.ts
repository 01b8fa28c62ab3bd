/**
 * All ports of one simulated process.
 */

import { digest } from '#world/digest.ts';
import { NO_TRACE } from '#world/no-trace.ts';
import type { Disk, PeerAddress, World } from '#world/world.ts';
import { simulatedClock } from './clock.ts';
import type { SimulatedProcess } from './host.ts';
import type { SimulatedLog } from './log.ts';
import { SimulatedMetrics } from './metrics.ts';
import type { SimulatedNetwork } from './network.ts';
import type { SimulatedTraces } from './trace.ts';

export interface SimulatedWorldOptions {
  readonly process: SimulatedProcess;
  readonly network: SimulatedNetwork;
  /** Of the node's peer door, such as `n1:7100`. */
  readonly address: PeerAddress;
  readonly disk: Disk;
  readonly log: SimulatedLog;
  /** Nothing is traced without it. */
  readonly traces?: SimulatedTraces;
}

export interface SimulatedWorld extends World {
  readonly metrics: SimulatedMetrics;
}

export function simulatedWorld({
  process,
  network,
  address,
  disk,
  log,
  traces,
}: SimulatedWorldOptions): SimulatedWorld {
  return {
    clock: simulatedClock(process),
    random: process.random.fork('random'),
    network: network.port(process, address),
    disk,
    log: log.of(process),
    metrics: new SimulatedMetrics(),
    trace: traces?.of(process.host.name) ?? NO_TRACE,
    digest,
  };
}
