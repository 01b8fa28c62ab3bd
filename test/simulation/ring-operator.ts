/**
 * Whoever looks after the ring in a random run: lets nodes join, leave and take the place of others, of dead ones too, several
 * at once, and pauses, goes on with or aborts what is under way. What is asked for may fail, and is asked for again.
 */

import { nodeId } from '#kernel/identity.ts';
import type { Member } from '#ring/ring.ts';
import type { SeededRandom } from '#world/simulated/random.ts';
import type { Arena } from './arena.ts';
import type { Machine } from './cluster.ts';

/** The owners that each key of a run has, and the members that there are at least. */
const MEMBERS_LEAST = 3;
const MEMBERS_MOST = 7;
/** Mean of the virtual milliseconds between two looks. */
const LOOK_MS = 1500;
/** How often a change is asked for before another is thought of. */
const ATTEMPTS_MAX = 12;
/** Mean of the virtual milliseconds that a node which is no member any more runs on. */
const LEFT_RUNNING_MS = 4000;
const END_MS = 120_000;

interface Wish {
  readonly join?: readonly string[];
  readonly leave?: readonly string[];
  readonly replace?: Readonly<Record<string, string>>;
  readonly weights?: Readonly<Record<string, number>>;
}

export interface RingCounts {
  begun: number;
  aborted: number;
  over: number;
}

export class RingOperator {
  readonly counts: RingCounts = { begun: 0, aborted: 0, over: 0 };
  readonly #arena: Arena;
  readonly #random: SeededRandom;
  #wish: Wish | undefined;
  #attempts = 0;
  /** Nodes that are to join now. */
  readonly #promised = new Set<string>();
  #lastAsked: Machine | undefined;
  #ends = false;
  #isWell = false;
  #under = '';
  /** Machines that were members and are switched off some time after they are none any more. */
  readonly #leaving = new Set<Machine>();

  constructor(arena: Arena, random: SeededRandom) {
    this.#arena = arena;
    this.#random = random;
    this.#later();
  }

  /** Brings what is under way to its end, and does without nodes that are dead. */
  async finish(): Promise<void> {
    this.#ends = true;
    this.#wish = undefined;
    const { simulation } = this.#arena.cluster;
    const until = simulation.now + END_MS;
    do {
      // What was asked for a moment ago begins meanwhile.
      await simulation.run(simulation.now + 500);
    } while ((this.#change() !== undefined || this.#dead().length > 0) && simulation.now < until);
    if (simulation.now < until) return;
    const detail = `a ring change is not over ${END_MS} ms after healing: ${this.#describe()}`;
    this.#arena.find({ check: 'liveness', key: '', detail });
  }

  /** All is well, and the ring goes on to change, but no machine is lost any more. */
  goOn(): void {
    this.#ends = false;
    this.#isWell = true;
  }

  #later(): void {
    const { simulation } = this.#arena.cluster;
    simulation.schedule(this.#random.exponential(LOOK_MS), 'operator', () => {
      this.#look();
      this.#later();
    });
  }

  #look(): void {
    this.#switchOff();
    const change = this.#change();
    if ((change?.id ?? '') !== this.#under) {
      if (this.#under !== '') this.counts.over += 1;
      if (change !== undefined) this.counts.begun += 1;
      this.#under = change?.id ?? '';
      this.#wish = undefined;
    }
    if (change !== undefined) {
      this.#steer(change.state);
      return;
    }
    if (this.#wish === undefined || ++this.#attempts > ATTEMPTS_MAX) {
      this.#promised.clear();
      this.#wish = this.#think();
      this.#attempts = 0;
    }
    if (this.#wish !== undefined) this.#ask(this.#wish);
  }

  #steer(state: 'running' | 'paused' | 'aborting'): void {
    if (state === 'paused') {
      if (this.#ends || this.#random.chance(0.4)) this.#post('/v1/ring/transfers/resume', {});
    } else if (!this.#ends && state === 'running') {
      const chance = this.#random.below(16);
      if (chance === 0) this.#post('/v1/ring/transfers/pause', {});
      if (chance === 1) {
        this.counts.aborted += 1;
        this.#post('/v1/ring/transfers/abort', {});
      }
    }
  }

  /** What to do next: with the dead first, and nothing new when all is to come to an end. */
  #think(): Wish | undefined {
    const members = this.#members();
    const [dead] = this.#dead();
    if (dead !== undefined) return this.#without(dead, members.length);
    if (this.#ends) return undefined;
    const victim = members[this.#random.below(members.length)]!.id;
    const other = members[this.#random.below(members.length)]!.id;
    switch (this.#random.below(8)) {
      case 0:
      case 1:
        return members.length < MEMBERS_MOST ? { join: [this.#newcomer()] } : undefined;
      case 2:
        return members.length + 2 <= MEMBERS_MOST ? { join: [this.#newcomer(), this.#newcomer()] } : undefined;
      case 3:
        return members.length > MEMBERS_LEAST ? { leave: [victim] } : undefined;
      case 4:
        return { replace: { [victim]: this.#newcomer() } };
      case 5:
        return { join: [this.#newcomer()], leave: [victim], weights: victim === other ? {} : { [other]: 2 } };
      case 6:
        return { weights: { [victim]: 1 + this.#random.below(3) } };
      default:
        return this.#kill(victim, members.length);
    }
  }

  #without(dead: string, members: number): Wish {
    if (members > MEMBERS_LEAST && this.#random.chance(0.3)) return { leave: [dead] };
    return { replace: { [dead]: this.#newcomer() } };
  }

  /** Once in a run a machine is lost for good, with its disk. */
  #kill(victim: string, members: number): Wish | undefined {
    const { supervisor } = this.#arena;
    if (supervisor.disksLost > 0 || this.#isWell) return undefined;
    supervisor.retire(this.#arena.cluster.machine(victim), 'lost');
    return this.#without(victim, members);
  }

  /** A machine whose node waits to become a member: one that waits already, or a new one. */
  #newcomer(): string {
    const { cluster, supervisor } = this.#arena;
    const known = new Set(this.#arena.watch.views.newest!.ring.members.map(({ id }) => id));
    const waiting = cluster.machines.find(
      (machine) => !known.has(machine.id) && !this.#promised.has(machine.id) && !supervisor.isRetired(machine),
    );
    const id = waiting?.id ?? nodeId(`n${cluster.machines.length + 1}`);
    this.#promised.add(id);
    if (waiting !== undefined) return id;
    const members = this.#members().map((member) => member.peer);
    supervisor.start(cluster.add(id, members.slice(0, 3)));
    return id;
  }

  #ask(wish: Wish): void {
    void this.#request('/v1/ring/plans', wish, (text) => {
      if (this.#ends && this.#dead().length === 0) return;
      const { id } = JSON.parse(text) as { readonly id: string };
      this.#post(`/v1/ring/plans/${id}/apply`, {}, this.#lastAsked);
    });
  }

  #post(path: string, body: unknown, to?: Machine): void {
    void this.#request(path, body, () => undefined, to);
  }

  /** The answer of a node that dies never comes. */
  async #request(path: string, body: unknown, answered: (text: string) => void, to?: Machine): Promise<void> {
    const machines = this.#arena.cluster.machines.filter(({ running }) => running?.node.ready() === true);
    const machine = to ?? machines[this.#random.below(machines.length)];
    if (machine?.running === undefined) return;
    this.#lastAsked = machine;
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    const headers = { 'content-type': 'application/json' };
    const { status, body: answer } = await machine.running.api('POST', path, headers, bytes);
    const text = new TextDecoder().decode(answer);
    const detail = status < 300 ? '' : text.slice(0, 300);
    this.#arena.note(machine.id, `POST ${path} ${JSON.stringify(body)}: ${status} ${detail}`);
    if (status < 300) answered(text);
  }

  #switchOff(): void {
    const { cluster, supervisor, watch } = this.#arena;
    for (const { id, state } of watch.views.newest?.ring.members ?? []) {
      const machine = cluster.machine(id);
      if (state !== 'removed' || supervisor.isRetired(machine) || this.#leaving.has(machine)) continue;
      this.#leaving.add(machine);
      cluster.simulation.schedule(this.#random.exponential(LEFT_RUNNING_MS), 'operator switches off', () =>
        supervisor.retire(machine, 'left'),
      );
    }
  }

  #members(): readonly Member[] {
    const { ring } = this.#arena.watch.views.newest!;
    return ring.members.filter(({ state }) => state !== 'removed');
  }

  /** Members whose machines are lost. */
  #dead(): readonly string[] {
    const { cluster, supervisor } = this.#arena;
    return this.#members()
      .map(({ id }) => id)
      .filter((id) => supervisor.isRetired(cluster.machine(id)));
  }

  #change() {
    return this.#arena.watch.views.newest?.ring.change;
  }

  #describe(): string {
    const facts = this.#arena.watch.views.newest!;
    const { members, placements, change } = facts.ring;
    const states = members.map(({ id, state }) => `${id} ${state}`).join(', ');
    const moves = placements.flatMap(({ n, partitions }) =>
      partitions.flatMap(({ owners, move }, p) =>
        move === undefined ? [] : [`${n}/${p} ${move.stage} ${owners.join()}-${move.others.join()}`],
      ),
    );
    return `epoch ${facts.epoch}, ${change?.state ?? 'none'}; ${states}; ${moves.slice(0, 4).join('; ')}`;
  }
}
