/**
 * How far the calendar clocks of the other members are from this node's own, as probes show: each answer brings its sender's
 * time, and its way back took no longer than the whole exchange (as NTP measures it, RFC 5905). What may be due to the way is
 * held against nobody.
 *
 * Two clocks that differ do not say which of them is wrong. A majority of all members that agree with each other and not with
 * this node do; two majorities share a member, so that can never be said of all sides at once.
 */

import type { NodeIndex } from '#kernel/identity.ts';

export interface ClockSettings {
  /** Members whose clocks are further apart are told of. */
  readonly warnFrom: number;
  /** A node whose clock is further away from that of a majority serves no requests. */
  readonly apartMax: number;
}

/** Milliseconds that the member's clock is ahead of this node's, negative if behind, give or take `uncertainty`. */
export interface ClockReading {
  readonly difference: number;
  readonly uncertainty: number;
}

/** One that was not renewed for so long says nothing any more. */
const READING_AGE_MAX_MS = 60_000;

interface Noted extends ClockReading {
  readonly at: number;
  /** The least difference that was told of last; 0 when none is. */
  readonly told: number;
}

/** What should be told of a member: that its clock is apart, or that it is not any more. */
export type ClockNews = 'apart' | 'agrees';

export class ClockDifferences {
  readonly #settings: ClockSettings;
  readonly #noted = new Map<NodeIndex, Noted>();

  constructor(settings: ClockSettings) {
    this.#settings = settings;
  }

  note(member: NodeIndex, reading: ClockReading, now: number): ClockNews | undefined {
    const { warnFrom } = this.#settings;
    const told = this.#noted.get(member)?.told ?? 0;
    const least = leastOf(reading);
    // Told again when it has doubled; agreed again only when it is clearly less, so that nothing is told back and forth.
    const news =
      least > Math.max(warnFrom, 2 * told) ? 'apart' : told > 0 && least < warnFrom / 2 ? 'agrees' : undefined;
    const tell = news === 'apart' ? least : news === 'agrees' ? 0 : told;
    this.#noted.set(member, { ...reading, at: now, told: tell });
    return news;
  }

  /** Undefined when no answer of late has brought one. */
  of(member: NodeIndex, now: number): ClockReading | undefined {
    const noted = this.#noted.get(member);
    return noted === undefined || now - noted.at > READING_AGE_MAX_MS ? undefined : noted;
  }

  /** This node's own clock has jumped: what was measured by it before says nothing any more. */
  disregardAll(): void {
    for (const [member, noted] of this.#noted) this.#noted.set(member, { ...noted, at: -Infinity });
  }

  forgetAllBut(members: ReadonlySet<NodeIndex>): void {
    for (const gone of [...this.#noted.keys()].filter((member) => !members.has(member))) this.#noted.delete(gone);
  }

  /**
   * How far a majority of all members, of whom `others` are those beside this node, agree that this node's clock is from
   * theirs: negative when it is ahead of them. Undefined when no majority says that it is too far.
   */
  ownFault(others: readonly NodeIndex[], now: number): number | undefined {
    const majority = Math.floor((others.length + 1) / 2) + 1;
    const { apartMax } = this.#settings;
    const far = this.#far(others, now).toSorted((a, b) => a.difference - b.difference);
    for (const [i, { difference }] of far.entries()) {
      const last = far[i + majority - 1];
      if (last === undefined) return undefined;
      if (last.difference - difference <= apartMax) return far[i + Math.floor(majority / 2)]!.difference;
    }
    return undefined;
  }

  /** Whether more of those that answer agree with this node, itself among them, than do not. */
  isBackedUp(others: readonly NodeIndex[], now: number): boolean {
    const far = this.#far(others, now).length;
    const near = others.filter((member) => this.of(member, now) !== undefined).length - far;
    return near > 0 && near + 1 > far;
  }

  /** How many of the others agree with this node, if its clock had not gone ahead by so much. */
  agreeing(others: readonly NodeIndex[], now: number, ahead = 0): number {
    return others.filter((member) => {
      const reading = this.of(member, now);
      if (reading === undefined) return false;
      return leastOf({ ...reading, difference: reading.difference + ahead }) <= this.#settings.apartMax;
    }).length;
  }

  #far(others: readonly NodeIndex[], now: number): readonly ClockReading[] {
    const known = others.flatMap((member) => this.of(member, now) ?? []);
    return known.filter((reading) => leastOf(reading) > this.#settings.apartMax);
  }
}

/** How far the clocks are apart at least. */
export function leastOf({ difference, uncertainty }: ClockReading): number {
  return Math.max(0, Math.abs(difference) - uncertainty);
}
