/**
 * Keeps the processes of a cluster running as an operator's supervisor does: what ends is started again after a while,
 * until somebody says that it shall stay down. It also notes when a node could not work.
 */

import { DiskError } from '#world/world.ts';
import type { Machine, SimulatedCluster } from './cluster.ts';
import type { MediumSnapshot } from '#world/simulated/disk-medium.ts';
import type { Recorder } from './recorder.ts';

/** A start that failed is tried again after this many virtual milliseconds. */
const RETRY_MS = 500;
/** A clean stop that takes longer is ended by force. */
const STOP_PATIENCE_MS = 10_000;

export interface SupervisorCounts {
  crashes: number;
  cleanStops: number;
  failedStarts: number;
}

export class Supervisor {
  readonly counts: SupervisorCounts = { crashes: 0, cleanStops: 0, failedStarts: 0 };
  readonly #cluster: SimulatedCluster;
  readonly #recorder: Recorder;
  readonly #crashed: (error: unknown) => void;
  readonly #note: (host: string, what: string) => void;
  readonly #downSince = new Map<Machine, number>();
  readonly #pausedSince = new Map<Machine, number>();
  readonly #stopping = new Set<Machine>();
  /** Machines that stay down from some time on. */
  readonly #retired = new Set<Machine>();
  /** Machines that the next retry may start. */
  readonly #starting = new Map<Machine, number>();

  constructor(
    cluster: SimulatedCluster,
    recorder: Recorder,
    crashed: (error: unknown) => void,
    note: (host: string, what: string) => void,
  ) {
    this.#cluster = cluster;
    this.#recorder = recorder;
    this.#crashed = crashed;
    this.#note = note;
  }

  /** Ends the process at once, if there is one, and starts the next after `downFor` virtual milliseconds. */
  crash(machine: Machine, downFor: number): void {
    if (machine.host.process === undefined) return;
    this.#note(machine.id, 'is killed');
    this.counts.crashes += 1;
    this.#end(machine);
    this.#startLater(machine, downFor);
  }

  /** Hears of each disk that is replaced. */
  diskLost: ((machine: Machine) => void) | undefined;
  /** Disks that were lost, with their machines or without. */
  disksLost = 0;

  /** Ends the process, and nobody starts it again: its disk is `lost`, or it has `left` the cluster before. */
  retire(machine: Machine, why: 'lost' | 'left'): void {
    if (this.#retired.has(machine)) return;
    this.#retired.add(machine);
    this.#note(machine.id, why === 'lost' ? 'is lost for good' : 'is switched off');
    if (why === 'lost') this.disksLost += 1;
    if (machine.host.process !== undefined) this.#end(machine);
  }

  /** Ends the process and puts another disk in the place of its own: an empty one, or one that is as it was once. */
  replaceDisk(machine: Machine, downFor: number, disk: MediumSnapshot | 'empty'): void {
    this.#note(machine.id, disk === 'empty' ? 'loses its disk' : 'has its disk put back');
    this.crash(machine, downFor);
    if (disk === 'empty') machine.medium.wipe();
    else machine.medium.restore(disk);
    this.diskLost?.(machine);
  }

  isRetired(machine: Machine): boolean {
    return this.#retired.has(machine);
  }

  /** Starts a machine that was never started. */
  start(machine: Machine): void {
    this.#start(machine);
  }

  /** Ends the process cleanly and starts the next after `downFor` virtual milliseconds. */
  stop(machine: Machine, downFor: number): void {
    const { running } = machine;
    const { process } = machine.host;
    if (running === undefined || process === undefined || this.#stopping.has(machine)) return;
    this.#note(machine.id, 'stops');
    this.#stopping.add(machine);
    machine.running = undefined;
    const end = (clean: boolean): void => {
      if (!process.alive) return;
      if (clean) this.counts.cleanStops += 1;
      this.#note(machine.id, clean ? 'has stopped' : 'is killed while it stops');
      this.#end(machine);
      this.#startLater(machine, downFor);
    };
    this.#cluster.simulation.schedule(STOP_PATIENCE_MS, `stop patience ${machine.id}`, () => end(false));
    running.node.stop(STOP_PATIENCE_MS).then(
      () => end(true),
      (error: unknown) => {
        if (!(error instanceof DiskError) && process.alive) this.#crashed(error);
        end(false);
      },
    );
  }

  pause(machine: Machine): void {
    if (machine.host.process === undefined || machine.host.paused) return;
    this.#note(machine.id, 'is paused');
    this.#pausedSince.set(machine, this.#cluster.simulation.now);
    machine.host.pause();
  }

  resume(machine: Machine): void {
    this.#endPause(machine);
    if (machine.host.paused) {
      this.#note(machine.id, 'goes on');
      machine.host.resume();
    }
  }

  /** Starts what is down, now. */
  startAll(): void {
    for (const machine of this.#cluster.machines) {
      this.resume(machine);
      if (machine.host.process === undefined && !this.#retired.has(machine)) this.#start(machine);
    }
  }

  #end(machine: Machine): void {
    this.#stopping.delete(machine);
    this.#endPause(machine);
    this.#cluster.crash(machine);
    this.#downSince.set(machine, this.#cluster.simulation.now);
  }

  #endPause(machine: Machine): void {
    const from = this.#pausedSince.get(machine);
    if (from === undefined) return;
    this.#pausedSince.delete(machine);
    this.#recorder.stalls.push({ node: machine.id, from, to: this.#cluster.simulation.now });
  }

  #startLater(machine: Machine, delay: number): void {
    const turn = (this.#starting.get(machine) ?? 0) + 1;
    this.#starting.set(machine, turn);
    this.#cluster.simulation.schedule(delay, `start ${machine.id}`, () => {
      if (this.#starting.get(machine) !== turn || this.#retired.has(machine)) return;
      if (machine.host.process === undefined) this.#start(machine);
    });
  }

  #start(machine: Machine): void {
    this.#starting.set(machine, (this.#starting.get(machine) ?? 0) + 1);
    this.#note(machine.id, 'starts');
    const began = this.#cluster.start(machine);
    const { process } = machine.host;
    began.then(
      () => {
        const from = this.#downSince.get(machine);
        this.#downSince.delete(machine);
        if (from !== undefined)
          this.#recorder.stalls.push({ node: machine.id, from, to: this.#cluster.simulation.now });
      },
      (error: unknown) => {
        if (process?.alive !== true) return;
        if (!(error instanceof DiskError)) this.#crashed(error);
        this.#note(machine.id, `does not start: ${String(error)}`);
        this.counts.failedStarts += 1;
        this.#cluster.crash(machine);
        this.#startLater(machine, RETRY_MS);
      },
    );
  }
}
