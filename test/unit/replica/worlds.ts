/** One simulated process with a disk, for tests of what a replica does to it. */

import type { NodeIndex } from '#kernel/identity.ts';
import { SimulatedMedium } from '#world/simulated/disk-medium.ts';
import { openSimulatedDisk, type SimulatedDisk } from '#world/simulated/disk.ts';
import { simulatedClock } from '#world/simulated/clock.ts';
import { SimulatedHost } from '#world/simulated/host.ts';
import { SimulatedMetrics } from '#world/simulated/metrics.ts';
import { Simulation } from '#world/simulated/scheduler.ts';
import { SimulatedLog } from '#world/simulated/log.ts';
import { digest } from '#world/digest.ts';
import type { Clock, Log, TableDefinition } from '#world/world.ts';
import { REPLICA_TABLES } from '#replica/tables.ts';

export const SELF = 0 as NodeIndex;

export class OneMachine {
  readonly simulation = new Simulation({ seed: 'one machine' });
  readonly host = new SimulatedHost(this.simulation, 'n1');
  readonly medium = new SimulatedMedium();
  readonly log = new SimulatedLog();
  readonly tables: readonly TableDefinition[];

  constructor(tables: readonly TableDefinition[] = REPLICA_TABLES) {
    this.tables = tables;
  }

  /** A new process on the machine; the former one must have ended. */
  boot(): OneProcess {
    const process = this.host.start();
    const disk = openSimulatedDisk({
      medium: this.medium,
      tables: this.tables,
      clock: simulatedClock(process),
      random: process.random.fork('disk'),
    });
    process.onEnd(() => disk.crash());
    return {
      clock: simulatedClock(process),
      disk,
      metrics: new SimulatedMetrics(),
      log: this.log.of(process),
      random: process.random,
      digest,
    };
  }
}

export interface OneProcess {
  readonly clock: Clock;
  readonly disk: SimulatedDisk;
  readonly metrics: SimulatedMetrics;
  readonly log: Log;
  readonly random: { uint32(): number; bytes(length: number): Uint8Array };
  readonly digest: typeof digest;
}
