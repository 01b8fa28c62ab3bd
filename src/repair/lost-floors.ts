/**
 * A member that lost its disk has forgotten the floors below which it had promised to take nothing (see replica/floors.ts), and a
 * message from before may still be on its way to its name. So it takes a floor for all partitions before it takes any
 * state: a time that is later than every promise of its former disk. The others have given the same promises, each when its
 * own clock was past the floor, so the clock of any of them will do; the latest of those that answer is taken.
 *
 * A new member has promised nothing either. It asks those that know that it is one: whatever they promise later, they promise
 * for it too, or not at all (see ReclaimMember).
 */

import { timeOf } from '#causality/hybrid-clock.ts';
import type { Epoch, NodeId } from '#kernel/identity.ts';
import { ALL_PLACES } from '#replica/floors.ts';
import type { Replica } from '#replica/replica.ts';
import type { Knowledge } from '#replica/scope.ts';
import { writersOf } from '#ring/moving.ts';
import type { Messaging } from '#wire/messaging.ts';
import { DiskError, type Timer, type World } from '#world/world.ts';
import { TimeMessage } from './reclaim-messages.ts';

export interface LostFloorsOptions {
  readonly world: Pick<World, 'clock' | 'log'>;
  readonly messaging: Pick<Messaging, 'call'>;
  readonly knowledge: Knowledge;
  readonly replica: Pick<Replica, 'commits' | 'floors' | 'now'>;
  readonly self: NodeId;
  readonly ready: () => boolean;
  /** Asks all members to install an epoch, and returns those that have not by the deadline. */
  readonly awaitInstalled: (wanted: Epoch, deadline: number) => Promise<readonly NodeId[]>;
}

/** A member whose clock is not past the floor yet, and why. */
export interface ClockBehind {
  readonly milliseconds: number;
  readonly reason: string;
}

const RETRY_MS = 50;
const PATIENCE_MS = 500;

export class LostFloors {
  readonly #options: LostFloorsOptions;
  #timer: Timer | undefined;
  #stopped = true;

  constructor(options: LostFloorsOptions) {
    this.#options = options;
  }

  /** Looks again and again until the node serves: by then it is known whether its disk was lost, and it has a floor. */
  start(): void {
    this.#stopped = false;
    void this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const { ready, replica, world } = this.#options;
    try {
      if (!replica.floors.known()) await this.learn();
    } catch (error) {
      if (!(error instanceof DiskError)) world.log.error('floors-not-learned', { reason: String(error) });
    }
    if (!this.#stopped && !ready()) this.#timer = world.clock.after(RETRY_MS, () => void this.#look());
  }

  /** Undefined when the clocks of all members that can be asked are past the floor: what others write would be refused. */
  async behind(): Promise<ClockBehind | undefined> {
    const { knowledge, replica, self } = this.#options;
    const others = knowledge.ring().members.filter(({ id, state }) => id !== self && state !== 'removed');
    const answers = await Promise.all(others.map(async ({ id }) => ({ id, time: await this.#timeOf(id) })));
    const floor = replica.floors.of(ALL_PLACES);
    const times = answers.flatMap(({ id, time }) => (time === undefined ? [] : [{ id, time }]));
    const sorted = times.toSorted((one, other) => one.time - other.time);
    const [first, last] = [sorted[0], sorted.at(-1)];
    if (first === undefined || last === undefined || first.time > floor) return undefined;
    const apart = timeOf(last.time) - timeOf(first.time);
    const reason = `the clock of ${last.id} is ahead of that of ${first.id} by ${apart} ms`;
    return { milliseconds: timeOf(floor) - timeOf(first.time), reason };
  }

  /**
   * For a newcomer, once for the change that brings it. It takes no writes before it has a floor, so one that takes some already has
   * the floor on its disk: with a later one it would refuse, after a restart in the middle, what is written at that moment.
   */
  async learnOnce(): Promise<boolean> {
    const { knowledge, replica } = this.#options;
    const takesWrites = knowledge
      .ring()
      .placements.some(({ partitions }) => partitions.some((entry) => writersOf(entry).includes(knowledge.self())));
    return (takesWrites && replica.floors.of(ALL_PLACES) > 0) || (await this.learn());
  }

  /** False when nobody could say. */
  async learn(): Promise<boolean> {
    const { knowledge, replica, self, world, awaitInstalled } = this.#options;
    const members = knowledge.ring().members.filter(({ id, state }) => id !== self && state !== 'removed');
    // Who was wiped as well, or is as new, may not know the same promises.
    const able = members.filter(({ state }) => state !== 'refilling' && state !== 'joining');
    const missing = await awaitInstalled(knowledge.epoch(), world.clock.monotonic() + PATIENCE_MS);
    const asked = able.filter(({ id }) => !missing.includes(id));
    const times = (await Promise.all(asked.map(({ id }) => this.#timeOf(id)))).filter((time) => time !== undefined);
    if (times.length === 0 && able.length > 0) return false;
    const floor = Math.max(replica.now(), ...times);
    const run: Parameters<typeof replica.commits.submit>[0]['run'] = (transaction) =>
      replica.floors.raise(transaction, ALL_PLACES, floor);
    await replica.commits.submit({ run, bytes: 0, durable: true });
    world.log.info('floors-learned', { floor, members: times.length });
    return true;
  }

  async #timeOf(id: NodeId): Promise<number | undefined> {
    const { messaging, world } = this.#options;
    const deadline = world.clock.monotonic() + PATIENCE_MS;
    const result = await messaging.call(id, TimeMessage, null, { deadline });
    return result.kind === 'reply' ? result.reply : undefined;
  }
}
