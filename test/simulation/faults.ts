/**
 * What can go wrong in a simulated cluster, by kind. Each run has a random subset of the kinds, each with an intensity of
 * its own (swarm testing, Groce et al. 2012): a run with all faults at once hides what a run with one of them shows.
 *
 * Every crash loses what had not been synced, or keeps the first few commits of it, as the medium decides.
 */

import type { LinkFault } from '#world/simulated/links.ts';
import type { SeededRandom } from '#world/simulated/random.ts';
import type { Machine, SimulatedCluster } from './cluster.ts';
import { LinkBoard } from './link-board.ts';
import { isAnswer, MESSAGE_NAMES, requestName } from './messages-on-the-wire.ts';
import { isMissed } from './put-back.ts';
import type { Supervisor } from './supervisor.ts';
import type { WorkloadBucket } from './workload.ts';

export interface FaultOptions {
  readonly cluster: SimulatedCluster;
  readonly supervisor: Supervisor;
  readonly buckets: readonly WorkloadBucket[];
  readonly random: SeededRandom;
  readonly note: (host: string, what: string) => void;
}

export interface ChosenFault {
  readonly kind: FaultKind;
  /** How often it strikes, as a multiple of the usual. */
  readonly intensity: number;
}

/** Kinds that the mechanisms of today cannot stand, with what they wait for. */
export const SWITCHED_OFF: Readonly<Record<string, string>> = {};

/** Requests by which nodes learn of epochs, and by which replicas get what they have missed, other than by transfers. */
const LEARNS = /^consensus\.(decided|learn)$/;
const MENDS = /^(handoff\.|repair\.(forest|roots))/;

/** One kind's view of the run. */
class Injection {
  readonly random: SeededRandom;
  readonly cluster: SimulatedCluster;
  readonly supervisor: Supervisor;
  readonly links: LinkBoard;
  readonly note: FaultOptions['note'];
  readonly #buckets: readonly WorkloadBucket[];
  readonly #intensity: number;
  readonly #isOver: () => boolean;
  readonly #pending: Set<() => void>;

  constructor(
    options: FaultOptions,
    links: LinkBoard,
    { kind, intensity }: ChosenFault,
    isOver: () => boolean,
    pending: Set<() => void>,
  ) {
    this.#pending = pending;
    this.random = options.random.fork(kind);
    this.cluster = options.cluster;
    this.supervisor = options.supervisor;
    this.links = links;
    this.note = options.note;
    this.#buckets = options.buckets;
    this.#intensity = intensity;
    this.#isOver = isOver;
  }

  /** Strikes again and again, `mean` virtual milliseconds apart at the usual intensity. */
  every(mean: number, strike: () => void): void {
    this.#after(this.random.exponential(mean / this.#intensity), () => {
      strike();
      this.every(mean, strike);
    });
  }

  /** Runs later unless all is healed by then. */
  #after(delay: number, run: () => void): void {
    this.cluster.simulation.schedule(delay, 'fault', () => {
      if (!this.#isOver()) run();
    });
  }

  /** Ends the fault after a random time with this mean. */
  lasts(mean: number, end: () => void): void {
    this.#after(this.random.exponential(mean), end);
  }

  /** Later, or as soon as all is healed: what has begun must come to its end. */
  after(delay: number, run: () => void): void {
    this.#pending.add(run);
    this.cluster.simulation.schedule(delay, 'fault goes on', () => {
      if (this.#pending.delete(run)) run();
    });
  }

  machine(): Machine {
    const { machines } = this.cluster;
    return machines[this.random.below(machines.length)]!;
  }

  /** The other members, as the machine's node knows them. */
  othersThan(machine: Machine): readonly Machine[] {
    const members = machine.running?.node.chain.facts()?.ring.members ?? [];
    const there = members.filter(({ id, state }) => id !== machine.id && state !== 'removed');
    return there.map(({ id }) => this.cluster.machine(id));
  }

  bucket(): WorkloadBucket {
    return this.#buckets[this.random.below(this.#buckets.length)]!;
  }

  /** One way, or both, or all that lead to or from one machine. */
  ways(): readonly (readonly [from: Machine, to: Machine])[] {
    const a = this.machine();
    const others = this.cluster.machines.filter((machine) => machine !== a);
    const b = others[this.random.below(others.length)]!;
    switch (this.random.below(4)) {
      case 0:
        return [[a, b]];
      case 1:
        return [
          [a, b],
          [b, a],
        ];
      case 2:
        return others.map((other) => [a, other] as const);
      default:
        return others.map((other) => [other, a] as const);
    }
  }

  /** Puts the fault on some ways for a while. */
  onWays(what: string, fault: LinkFault, lasting: number, ways = this.ways()): void {
    const ends = ways.map(([from, to]) => this.links.add(from.host, to.host, fault));
    const names = ways.map(([from, to]) => `${from.id}>${to.id}`).join(' ');
    this.note(ways[0]![0].id, `network ${what} ${names}`);
    this.lasts(lasting, () => {
      for (const end of ends) end();
      this.note(ways[0]![0].id, `network no more ${what} ${names}`);
    });
  }

  /** From `least` to `most`, each order of magnitude as likely. */
  between(least: number, most: number): number {
    return least * (most / least) ** this.random.fraction();
  }
}

const KINDS = {
  'messages-delayed': (on) => on.every(4000, () => on.onWays('delay', { delay: on.between(2, 500) }, 2000)),
  'messages-dropped': (on) => on.every(5000, () => on.onWays('drop', { drop: on.between(0.01, 0.5) }, 2000)),
  'messages-duplicated': (on) =>
    on.every(5000, () => on.onWays('duplicate', { duplicate: on.between(0.02, 0.5) }, 3000)),
  'messages-reordered': (on) => on.every(5000, () => on.onWays('reorder', { reorder: on.between(0.02, 0.3) }, 3000)),
  'messages-replayed': (on) => on.every(5000, () => on.onWays('replay', { replay: on.between(0.02, 0.3) }, 3000)),
  'connections-reset': (on) => on.every(5000, () => on.onWays('reset', { reset: on.between(0.005, 0.2) }, 2000)),
  partition: (on) =>
    on.every(12_000, () => {
      const side = on.cluster.machines.filter(() => on.random.chance(0.5));
      const other = on.cluster.machines.filter((machine) => !side.includes(machine));
      const ways = side.flatMap((a) => other.flatMap((b) => [[a, b] as const, [b, a] as const]));
      if (ways.length > 0) on.onWays('partition', { blocked: true }, 6000, ways);
    }),
  'asymmetric-partition': (on) => on.every(10_000, () => on.onWays('block', { blocked: true }, 4000)),
  'partition-by-message': (on) =>
    on.every(6000, () => {
      const name = MESSAGE_NAMES[on.random.below(MESSAGE_NAMES.length)]!;
      // Several stores in one message are stores, too.
      on.onWays(`lose ${name}`, { loses: (message) => requestName(message).startsWith(name) }, 3000);
    }),
  'replies-lost': (on) => on.every(6000, () => on.onWays('lose replies', { loses: isAnswer }, 1500)),
  crash: (on) => on.every(6000, () => on.supervisor.crash(on.machine(), on.between(20, 8000))),
  'crash-at-step': (on) =>
    on.every(4000, () => {
      const machine = on.machine();
      const wanted = on.random.chance(0.5) ? 'append' : 'sync';
      let stepsLeft = 1 + on.random.below(20);
      machine.medium.onStep = (step) => {
        if (step !== wanted || --stepsLeft > 0) return;
        machine.medium.onStep = undefined;
        const crash = (): void => on.supervisor.crash(machine, on.between(20, 4000));
        // A commit is in the middle of the node's own code, which ends with the event; a sync ends between two events.
        if (step === 'sync') crash();
        else on.cluster.simulation.schedule(0, `crash at a commit ${machine.id}`, crash);
      };
    }),
  'restart-loop': (on) =>
    on.every(20_000, () => {
      const machine = on.machine();
      let left = 2 + on.random.below(6);
      const again = (): void => {
        on.supervisor.crash(machine, on.between(5, 300));
        left -= 1;
        if (left > 0) on.lasts(400, again);
      };
      again();
    }),
  'clean-restart': (on) => on.every(10_000, () => on.supervisor.stop(on.machine(), on.between(20, 2000))),
  'fsync-error': (on) =>
    on.every(15_000, () => {
      const machine = on.machine();
      on.note(machine.id, 'disk fails at the next sync');
      machine.medium.failNextSync();
      on.lasts(2000, () => on.supervisor.crash(machine, on.between(20, 1000)));
    }),
  'full-disk': (on) =>
    on.every(15_000, () => {
      const machine = on.machine();
      on.note(machine.id, 'disk is full');
      machine.medium.capacityBytes = machine.medium.bytes;
      on.lasts(3000, () => {
        on.note(machine.id, 'disk has room again');
        machine.medium.capacityBytes = Number.POSITIVE_INFINITY;
      });
    }),
  'slow-disk': (on) =>
    on.every(8000, () => {
      const machine = on.machine();
      machine.medium.extraSyncMilliseconds = on.between(5, 1500);
      on.note(machine.id, `disk needs ${Math.round(machine.medium.extraSyncMilliseconds)} ms more for a sync`);
      on.lasts(3000, () => {
        machine.medium.extraSyncMilliseconds = 0;
      });
    }),
  'clocks-skewed': (on) => {
    for (const machine of on.cluster.machines)
      machine.host.clock.jump(Math.round((on.random.fraction() - 0.5) * 10_000));
  },
  'clocks-drift': (on) => {
    for (const machine of on.cluster.machines) machine.host.clock.setDrift((on.random.fraction() - 0.5) * 1000);
  },
  'clocks-jump': (on) =>
    on.every(8000, () => {
      const jump = Math.round(on.between(10, 5000)) * (on.random.chance(0.5) ? 1 : -1);
      const machine = on.machine();
      on.note(machine.id, `clock jumps by ${jump} ms`);
      machine.host.clock.jump(jump);
    }),
  /** Not wrong at all, but every request under way meets an epoch that it does not know. */
  'buckets-redefined': (on) => {
    on.every(5000, () => {
      const { id, running } = on.machine();
      const { name, properties } = on.bucket();
      const body = new TextEncoder().encode(JSON.stringify({ ...properties, sloppy: on.random.chance(0.5) }));
      on.note(id, `is asked to redefine ${name}`);
      void running?.api('PUT', `/v1/buckets/${name}`, { 'content-type': 'application/json' }, body);
    });
  },
  pause: (on) => on.every(10_000, () => pauseFor(on, on.machine(), on.between(50, 15_000))),
  /** One disk in a run, so that whatever two nodes had made durable is somewhere. */
  'disk-lost': (on) =>
    on.every(20_000, () => {
      const machine = on.machine();
      if (on.supervisor.disksLost > 0 || machine.running?.node.member()?.state !== 'active') return;
      on.supervisor.disksLost += 1;
      on.supervisor.replaceDisk(machine, on.between(20, 5000), 'empty');
    }),
  /**
   * Whoever looks after the node empties the disk when the node says that it is an old one. Copies are from before the last start
   * or from after it, and are put back when all others remember something that they do not know: else nobody could find out.
   */
  'disk-put-back': (on) =>
    on.every(15_000, () => {
      const machine = on.machine();
      const { running, medium } = machine;
      const { state, storageId } = running?.node.member() ?? {};
      if (on.supervisor.disksLost > 0 || state !== 'active' || typeof storageId !== 'string') return;
      on.supervisor.disksLost += 1;
      const backup = medium.snapshot();
      if (on.random.chance(0.5)) on.supervisor.crash(machine, on.between(20, 500));
      let missed = 0;
      const look = (): void => {
        if (on.supervisor.isRetired(machine)) return;
        missed = isMissed(storageId, backup, on.othersThan(machine)) ? missed + 1 : 0;
        // Twice, so that what they remember is on stable storage.
        if (missed < 2) return on.lasts(1000, look);
        on.supervisor.replaceDisk(machine, on.between(20, 500), backup);
        on.after(on.between(500, 8000), () => on.supervisor.replaceDisk(machine, on.between(20, 2000), 'empty'));
      };
      on.lasts(on.between(1000, 10_000), look);
    }),
  'nodes-learn-nothing': (on) =>
    on.every(6000, () => {
      const deaf = on.random.chance(0.5) ? [on.machine()] : [on.machine(), on.machine()];
      const ways = deaf.flatMap((a) =>
        on.cluster.machines.flatMap((b) => (a === b ? [] : [[a, b] as const, [b, a] as const])),
      );
      on.onWays('lose epochs', { loses: (message) => LEARNS.test(requestName(message)) }, 5000, ways);
    }),
  'nothing-is-mended': (on) =>
    on.every(8000, () => {
      const { machines } = on.cluster;
      const ways = machines.flatMap((a) => machines.flatMap((b) => (a === b ? [] : [[a, b] as const])));
      on.onWays('lose what mends', { loses: (message) => MENDS.test(requestName(message)) }, 8000, ways);
    }),
  'slow-node': (on) =>
    on.every(15_000, () => {
      const machine = on.machine();
      let left = 20 + on.random.below(100);
      const again = (): void => {
        pauseFor(on, machine, 20 + on.random.exponential(20));
        left -= 1;
        if (left > 0) on.lasts(50, again);
      };
      again();
    }),
  'stalled-loop': (on) => on.every(5000, () => pauseFor(on, on.machine(), on.between(5, 800))),
} satisfies Record<string, (on: Injection) => void>;

export type FaultKind = keyof typeof KINDS;
/** Those that matter to a ring that changes, and are left out where it does not. */
export const RING_FAULTS = ['nodes-learn-nothing', 'nothing-is-mended'] as const satisfies readonly FaultKind[];
/** Those that some runs have beside the others. */
export const DISK_FAULTS = ['disk-lost', 'disk-put-back'] as const satisfies readonly FaultKind[];
export const FAULT_KINDS = Object.keys(KINDS) as readonly FaultKind[];

/** Kinds after which what was not synced may be gone. */
export const LOSES_UNSYNCED: ReadonlySet<FaultKind> = new Set<FaultKind>([
  'crash',
  'crash-at-step',
  'restart-loop',
  'clean-restart',
  'fsync-error',
  'disk-lost',
  'disk-put-back',
]);

function pauseFor(on: Injection, machine: Machine, milliseconds: number): void {
  on.supervisor.pause(machine);
  on.lasts(milliseconds, () => on.supervisor.resume(machine));
}

/** The faults of one run. They begin when this is made. */
export class Faults {
  readonly #options: FaultOptions;
  readonly #links: LinkBoard;
  #isOver = false;
  /** What is to be done when all is healed, at the latest. */
  readonly #pending = new Set<() => void>();

  constructor(options: FaultOptions, chosen: readonly ChosenFault[]) {
    this.#options = options;
    this.#links = new LinkBoard(options.cluster.network);
    for (const fault of chosen)
      KINDS[fault.kind](new Injection(options, this.#links, fault, () => this.#isOver, this.#pending));
  }

  /** Ends all faults: the network carries, disks have room, whatever is down is started. Clocks stay as they are. */
  heal(): void {
    this.#isOver = true;
    this.#links.clear();
    for (const run of this.#pending) run();
    this.#pending.clear();
    for (const { medium } of this.#options.cluster.machines) {
      medium.onStep = undefined;
      medium.capacityBytes = Number.POSITIVE_INFINITY;
      medium.extraSyncMilliseconds = 0;
      medium.forgetFailingSyncs();
    }
    for (const machine of this.#options.cluster.machines) {
      // A node whose disk has failed serves no more; its supervisor replaces the process.
      if (machine.running?.disk.failure()?.kind === 'failed') this.#options.supervisor.crash(machine, 0);
    }
    this.#options.supervisor.startAll();
    this.#options.note('', 'all is healed');
  }
}
