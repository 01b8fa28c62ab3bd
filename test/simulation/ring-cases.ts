/** Ring changes under load that something strikes at a chosen moment, judged by all checkers and by the watch. */

import type { MoveStage } from '#ring/moving.ts';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import { Arena, type Finding } from './arena.ts';
import type { Machine } from './cluster.ts';
import type { BucketFacts } from './history.ts';
import type { Level } from './levels.ts';
import { requestName } from './messages-on-the-wire.ts';
import { RingStage } from './ring-stage.ts';
import { Stage } from './stage.ts';
import { Clients } from './workload.ts';

const SOON = { repair: { ...DEFAULT_REPAIR_SETTINGS, interval: 3000, reclaimInterval: 4000, reclaimAge: 2000 } };
const UNTIL_MS = 60_000;
const DOWN_MS = 300;

export interface RingCase {
  readonly seed: string;
  readonly nodes: number;
  readonly levels?: (facts: BucketFacts) => readonly Level[];
}

/** What is found when `live` happens under load; the last change has to come to its end. */
export async function underLoad(
  { seed, nodes, levels }: RingCase,
  live: (on: Strikes) => Promise<void>,
): Promise<{ readonly findings: readonly Finding[]; readonly acknowledged: number }> {
  const arena = new Arena({ seed, nodes, node: SOON, ringChanges: true, losesUnsynced: true });
  await arena.run(async () => {
    const { simulation } = arena.cluster;
    const habits = { clients: 3, thinkTime: 60, operationsMax: 5000, keyLifetime: 15_000, impatience: 0 };
    const random = simulation.random.fork('clients');
    const clients = new Clients(arena.workload({ ...habits, random, ...(levels === undefined ? {} : { levels }) }));
    const over = clients.run();
    const stage = new Stage(arena, clients);
    const ring = new RingStage(arena, stage);
    await live(new Strikes(arena, stage, ring));
    await ring.over();
    clients.stop();
    await simulation.settle(over);
    await arena.recovered();
    await arena.converge(clients);
  });
  const acknowledged = arena.recorder.requests.filter((one) => one.kind !== 'read' && one.outcome === 'applied').length;
  return { findings: arena.findings, acknowledged };
}

/** What can happen in a case. */
export class Strikes {
  readonly arena: Arena;
  readonly stage: Stage;
  readonly ring: RingStage;

  constructor(arena: Arena, stage: Stage, ring: RingStage) {
    this.arena = arena;
    this.stage = stage;
    this.ring = ring;
  }

  /** Newcomers are there, and the change has begun. */
  async begin(change: { readonly [kind: string]: unknown }, newcomers: readonly string[] = []): Promise<void> {
    for (const id of newcomers) await this.ring.newcomer(id);
    const through = this.arena.members().find(({ running }) => running?.node.ready() === true)!;
    const { id } = await this.ring.plan(through, change);
    await this.ring.apply(through, id);
  }

  /** Until some partition is in that stage, or the change is over; whether it is. */
  async reaches(stage: MoveStage): Promise<boolean> {
    const is = (): boolean => this.#entries().some(({ move }) => move?.stage === stage) || this.#change() === undefined;
    await this.arena.cluster.simulation.run(is, UNTIL_MS);
    return this.#change() !== undefined;
  }

  machine(id: string): Machine {
    return this.arena.cluster.machine(id);
  }

  crash(machine: Machine): void {
    this.arena.supervisor.crash(machine, DOWN_MS);
  }

  /** Whoever drives the change dies before it has proposed the next epoch, then after it has been decided, and so on. */
  async killDrivers(): Promise<number> {
    const { simulation, machines, network } = this.arena.cluster;
    let doomed: Machine | undefined;
    let kills = 0;
    const dies = (machine: Machine): void => {
      kills += 1;
      this.crash(machine);
      doomed = undefined;
    };
    const watched = new Set<Machine>();
    while (this.#change() !== undefined) {
      const epoch = this.#epoch();
      for (const machine of machines) {
        if (watched.has(machine)) continue;
        watched.add(machine);
        const loses = (message: Uint8Array): boolean => {
          if (kills % 2 === 1 || requestName(message) !== 'consensus.accept') return false;
          if (doomed === undefined) simulation.schedule(0, 'the driver dies', () => dies(machine));
          doomed ??= machine;
          return doomed === machine;
        };
        for (const other of machines) if (other !== machine) network.setFault(machine.host, other.host, { loses });
      }
      const before = kills;
      await simulation.run(() => kills > before || this.#epoch() > epoch || this.#change() === undefined, UNTIL_MS);
      if (kills === before && kills % 2 === 1) dies(this.#driver());
      await this.stage.pass(50);
    }
    network.clearFaults();
    return kills;
  }

  /** The voter that comes first of those that run. */
  #driver(): Machine {
    const { members, voters } = this.arena.watch.views.newest!.ring;
    const machines = voters.map((index) => this.machine(members.find((member) => member.index === index)!.id));
    return machines.find(({ running }) => running?.node.ready() === true) ?? machines[0]!;
  }

  #epoch(): number {
    return this.arena.watch.views.newest!.epoch;
  }

  #change() {
    return this.arena.watch.views.newest!.ring.change;
  }

  #entries() {
    return this.arena.watch.views.newest!.ring.placements.flatMap(({ partitions }) => partitions);
  }
}
