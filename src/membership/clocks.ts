/** The members' clocks as an operator sees them: which are apart, and whether this node's own is the wrong one. */

import type { NodeId, NodeIndex } from '#kernel/identity.ts';
import type { World } from '#world/world.ts';
import { ClockDifferences, leastOf, type ClockReading, type ClockSettings } from './clock-differences.ts';

/** The machine's two clocks may come apart by so much while a probe is under way; more is a jump, and nothing is measured. */
const JUMP_MIN_MS = 20;

/** A node that starts waits so long for a member that agrees with its clock, where those that it has heard do not. */
const START_PATIENCE_MS = 10_000;

/** The two clocks of this node at one moment. */
export interface ClockMoment {
  readonly wall: number;
  readonly monotonic: number;
}

interface NamedMember {
  readonly id: NodeId;
  readonly index: NodeIndex;
}

export class Clocks {
  readonly #world: Pick<World, 'clock' | 'log' | 'metrics'>;
  readonly #self: NodeId;
  readonly #differences: ClockDifferences;
  readonly #shown = new Set<NodeId>();
  #others: ReadonlyMap<NodeId, NodeIndex> = new Map();
  readonly #apartMax: number;
  #fault: number | undefined;
  /** Until then this node's clock is in doubt, as long as nobody agrees with it. */
  #doubtUntil: number;
  #asked = false;

  constructor(world: Pick<World, 'clock' | 'log' | 'metrics'>, self: NodeId, settings: ClockSettings) {
    this.#world = world;
    this.#self = self;
    this.#differences = new ClockDifferences(settings);
    this.#apartMax = settings.apartMax;
    this.#doubtUntil = world.clock.monotonic() + START_PATIENCE_MS;
  }

  setMembers(members: readonly NamedMember[]): void {
    this.#others = new Map(members.flatMap(({ id, index }) => (id === this.#self ? [] : [[id, index]])));
    this.#differences.forgetAllBut(new Set(this.#others.values()));
    if (this.#others.size === 0) this.#fault = undefined;
    // An only member serves by its own clock, and goes on to when it gets others.
    if (this.#others.size === 0 && members.length > 0) this.#doubtUntil = -Infinity;
    for (const id of this.#others.keys()) this.#show(id);
  }

  now(): ClockMoment {
    const { clock } = this.#world;
    return { wall: clock.wall(), monotonic: clock.monotonic() };
  }

  /** A probe sent at `sent` has ended: with what the member's clock said meanwhile, if it has answered and told it. */
  asked(peer: NodeId, theirs: number | undefined, sent: ClockMoment): void {
    this.#asked = true;
    if (theirs !== undefined) this.#heard(peer, theirs, sent);
  }

  #heard(peer: NodeId, theirs: number, sent: ClockMoment): void {
    const index = this.#others.get(peer);
    const now = this.now();
    const elapsed = now.monotonic - sent.monotonic;
    if (index === undefined || Math.abs(now.wall - sent.wall - elapsed) > JUMP_MIN_MS) return;
    const uncertainty = elapsed / 2;
    const reading = { difference: Math.round(theirs - (now.wall - uncertainty)), uncertainty };
    const news = this.#differences.note(index, reading, now.monotonic);
    if (news !== undefined) this.#tell(peer, news, reading);
    this.#judge();
  }

  /** Milliseconds that the member's clock is ahead of this node's, negative if behind; 0 for itself. */
  difference(peer: NodeId): number | undefined {
    return peer === this.#self ? 0 : this.#reading(peer)?.difference;
  }

  /** Those that are further away than `milliseconds`, and by how much. */
  apartBy(milliseconds: number): readonly { readonly id: NodeId; readonly difference: number }[] {
    return [...this.#others.keys()].flatMap((id) => {
      const reading = this.#reading(id);
      return reading !== undefined && leastOf(reading) > milliseconds ? [{ id, difference: reading.difference }] : [];
    });
  }

  /** By how many milliseconds the others' clocks are ahead of this node's, or behind, when a majority of them says so. */
  ownFault(): number | undefined {
    return this.#fault;
  }

  /** Why this node, which has started, may be the one that is wrong: before a majority has told it, it would serve by that clock. */
  startDoubt(): string | undefined {
    // Asked several times for each request: the clock is not looked at any more once there is no doubt.
    if (this.#doubtUntil === -Infinity || this.#others.size === 0) return undefined;
    if (this.#world.clock.monotonic() >= this.#doubtUntil) {
      this.#doubtUntil = -Infinity;
      return undefined;
    }
    if (!this.#asked) return 'its clock has not been compared with that of another member yet';
    const far = this.apartBy(this.#apartMax);
    const known = [...this.#others.keys()].filter((id) => this.#reading(id) !== undefined).length;
    const [first] = far;
    if (first !== undefined && far.length === known)
      return `its clock is ${aheadOf(-first.difference, `that of ${first.id}`)}, and it waits for what others say`;
    // Somebody agrees, or those that answer do not tell their time.
    this.#doubtUntil = -Infinity;
    return undefined;
  }

  /** Judges this node's own clock by what was heard. */
  #judge(): void {
    const { clock, log } = this.#world;
    const others = [...this.#others.values()];
    const before = this.#fault;
    const now = clock.monotonic();
    const found = this.#differences.ownFault(others, now);
    // That some of those who said so are silent since proves nothing: it takes others that agree.
    const fault = found ?? (this.#differences.isBackedUp(others, now) ? undefined : before);
    this.#fault = fault;
    if (fault !== undefined && before === undefined) {
      const reason = `the clock of this node is ${aheadOf(-fault, 'those of a majority of the members')}; it serves no requests until it is right`;
      log.error('clock-wrong', { milliseconds: -fault, reason });
    }
    if (fault === undefined && before !== undefined) log.info('clock-right', {});
  }

  #reading(peer: NodeId): ClockReading | undefined {
    const index = this.#others.get(peer);
    return index === undefined ? undefined : this.#differences.of(index, this.#world.clock.monotonic());
  }

  #tell(peer: NodeId, news: 'apart' | 'agrees', { difference }: ClockReading): void {
    const { log } = this.#world;
    if (news === 'agrees') log.info('clock-agrees', { peer, milliseconds: difference });
    else {
      const reason = `its clock is ${aheadOf(difference, "this node's")}`;
      log.warn('clock-apart', { peer, milliseconds: difference, reason });
    }
  }

  #show(id: NodeId): void {
    if (this.#shown.has(id)) return;
    this.#shown.add(id);
    const read = (): number => (this.difference(id) ?? 0) / 1000;
    const help = "Seconds that a peer's clock is ahead of this node's; negative when it is behind.";
    this.#world.metrics.gauge('quoral_clock_difference_seconds', help, read, { peer: id });
  }
}

const UNITS = [
  ['days', 86_400_000],
  ['hours', 3_600_000],
  ['minutes', 60_000],
  ['seconds', 1000],
] as const;

/** As people read it: `3.0 hours ahead of that of n1`, `3.0 hours behind that of n1`. */
export function aheadOf(milliseconds: number, whose: string): string {
  const length = Math.abs(milliseconds);
  const [unit, size] = UNITS.find(([, least]) => length >= 2 * least) ?? (['ms', 1] as const);
  const amount = size === 1 ? String(Math.round(length)) : (length / size).toFixed(1);
  return `${amount} ${unit} ${milliseconds < 0 ? 'behind' : 'ahead of'} ${whose}`;
}
