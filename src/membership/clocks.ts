/** The members' clocks as an operator sees them: which are apart, and whether this node's own is the wrong one. */

import type { NodeId, NodeIndex } from '#kernel/identity.ts';
import type { World } from '#world/world.ts';
import { ClockDifferences, leastOf, type ClockReading, type ClockSettings } from './clock-differences.ts';

/** The machine's two clocks may come apart by so much while a probe is under way; more is a jump, and nothing is measured. */
const JUMP_MIN_MS = 20;

/** A node that starts, or whose clock has jumped, waits so long for others that agree with its clock. */
const PATIENCE_MS = 10_000;

/** The calendar clock may go on by so much before it is held against the monotonic one again. */
const LOOK_AGAIN_MS = 100;

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
  /** Why this node may be the one that is wrong: it has just started, or its clock has gone ahead by `jump` at once. */
  #doubt: { readonly until: number; readonly jump: number } | undefined;
  /** What the calendar clock was ahead of the monotonic one when this node's clock was found right last. */
  #trusted: number;
  #asked = false;
  #areKnown = false;
  /** What the calendar clock showed when it was held against the monotonic one last for somebody who asked. */
  #lookedAt = -Infinity;

  constructor(world: Pick<World, 'clock' | 'log' | 'metrics'>, self: NodeId, settings: ClockSettings) {
    this.#world = world;
    this.#self = self;
    this.#differences = new ClockDifferences(settings);
    this.#apartMax = settings.apartMax;
    this.#doubt = { until: world.clock.monotonic() + PATIENCE_MS, jump: 0 };
    this.#trusted = this.#offset();
  }

  setMembers(members: readonly NamedMember[]): void {
    this.#areKnown = members.length > 0;
    // By its own clock alone it has served so far.
    if (this.#others.size === 0 && this.#doubt === undefined) this.#trusted = this.#offset();
    this.#others = new Map(members.flatMap(({ id, index }) => (id === this.#self ? [] : [[id, index]])));
    this.#differences.forgetAllBut(new Set(this.#others.values()));
    if (this.#others.size === 0) this.#fault = undefined;
    // An only member serves by its own clock, and goes on to when it gets others.
    if (this.#others.size === 0 && members.length > 0) this.#doubt = undefined;
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
    if (index === undefined) return;
    this.#lookForJump();
    const now = this.now();
    const elapsed = now.monotonic - sent.monotonic;
    if (Math.abs(now.wall - sent.wall - elapsed) > JUMP_MIN_MS) return;
    const uncertainty = elapsed / 2;
    const reading = { difference: Math.round(theirs - (now.wall - uncertainty)), uncertainty };
    const news = this.#differences.note(index, reading, now.monotonic);
    if (news !== undefined) this.#tell(peer, news, reading);
    this.doubt();
    if (this.#doubt === undefined && leastOf(reading) <= this.#apartMax) this.#trusted = this.#offset();
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

  /**
   * Why this node may be the one whose clock is wrong, before a majority has told it. Asked several times for each request, and again by
   * whoever decides something by the clock: between the look at the clock and this there must be nothing to wait for.
   */
  doubt(): string | undefined {
    if (this.#others.size === 0) return undefined;
    const wall = this.#world.clock.wall();
    // Reading both clocks at each of those times costs a hundredth of a GET, and within so short a time none has jumped.
    if (this.#doubt === undefined && wall >= this.#lookedAt && wall < this.#lookedAt + LOOK_AGAIN_MS) return undefined;
    this.#lookedAt = wall;
    const jump = this.#lookForJump();
    if (this.#doubt === undefined) return undefined;
    return jump === 0 ? this.#startDoubt(this.#doubt.until) : this.#jumpDoubt(jump, this.#doubt.until);
  }

  /** Whether neither a majority nor a jump speaks against this node's clock. Before the members are known nobody could. */
  isBelieved(): boolean {
    return this.#areKnown && this.#fault === undefined && this.doubt() === undefined;
  }

  /** How far the clock has jumped since it was found right last; 0 while that may be due to small steps. */
  #lookForJump(): number {
    const jump = this.#offset() - this.#trusted;
    const known = this.#doubt?.jump ?? 0;
    if (Math.abs(jump) <= this.#apartMax) {
      if (known !== 0) this.#trust('back where it was');
      return 0;
    }
    if (Math.abs(jump - known) > this.#apartMax) this.#noteJump(jump);
    return jump;
  }

  #startDoubt(until: number): string | undefined {
    if (this.#world.clock.monotonic() >= until) return this.#trust('started');
    if (!this.#asked) return 'its clock has not been compared with that of another member yet';
    const far = this.apartBy(this.#apartMax);
    const known = [...this.#others.keys()].filter((id) => this.#reading(id) !== undefined).length;
    const [first] = far;
    if (first !== undefined && far.length === known)
      return `its clock is ${aheadOf(-first.difference, `that of ${first.id}`)}, and it waits for what others say`;
    // Somebody agrees, or those that answer do not tell their time.
    return this.#trust('started');
  }

  /** Of machines that were suspended, or set right, the clock jumps as well: when others agree with it, it is right. */
  #jumpDoubt(jump: number, until: number): string | undefined {
    const now = this.#world.clock.monotonic();
    const others = [...this.#others.values()];
    const agree = this.#differences.agreeing(others, now);
    const agreeWithBefore = this.#differences.agreeing(others, now, jump);
    const isMajority = agree + 1 > (others.length + 1) / 2;
    if (isMajority || (now >= until && agree >= agreeWithBefore)) return this.#trust('compared');
    const next =
      agreeWithBefore > agree
        ? 'and those of other members did not: set it right, or start this node again if it is right now'
        : 'and it waits for what others say';
    return `its clock ${jumpText(jump)}, ${next}`;
  }

  #noteJump(jump: number): void {
    const { clock, log } = this.#world;
    this.#doubt = { until: clock.monotonic() + PATIENCE_MS, jump };
    this.#differences.disregardAll();
    const reason = `the clock of this node ${jumpText(jump)}; it serves no requests until it has been compared with those of others`;
    log.warn('clock-jumped', { milliseconds: Math.round(jump), reason });
  }

  #trust(how: 'started' | 'compared' | 'back where it was'): undefined {
    this.#doubt = undefined;
    if (how === 'back where it was') this.#differences.disregardAll();
    else this.#trusted = this.#offset();
    if (how !== 'started' && this.#fault === undefined) this.#world.log.info('clock-right', {});
  }

  #offset(): number {
    const { clock } = this.#world;
    return clock.wall() - clock.monotonic();
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
  return `${lengthText(milliseconds)} ${milliseconds < 0 ? 'behind' : 'ahead of'} ${whose}`;
}

function jumpText(milliseconds: number): string {
  return `has gone ${lengthText(milliseconds)} ${milliseconds < 0 ? 'back' : 'ahead'} at once`;
}

function lengthText(milliseconds: number): string {
  const length = Math.abs(milliseconds);
  const [unit, size] = UNITS.find(([, least]) => length >= 2 * least) ?? (['ms', 1] as const);
  return `${size === 1 ? String(Math.round(length)) : (length / size).toFixed(1)} ${unit}`;
}
