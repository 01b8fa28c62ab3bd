/**
 * A change of the ring as an operator asks for it, and the members that there are when it is done. Several changes may come
 * together: what moves is worked out once, for all of them.
 */

import { nodeIndex, type NodeIndex } from '#kernel/identity.ts';
import type { Member, Ring } from './ring.ts';

/** Nodes are named by their id; those that wait to join also by their peer address. */
export interface RingChange {
  readonly join: readonly string[];
  readonly leave: readonly string[];
  /** Whom each new node takes the place of: `[old, new]`. */
  readonly replace: readonly (readonly [string, string])[];
  readonly weights: readonly (readonly [string, number])[];
  readonly zones: readonly (readonly [string, string])[];
  /** Of those that go: members that are gone for good, so that what only they had is given up. */
  readonly acceptLossOf?: readonly string[];
}

/** A node that is no member and could become one. */
export type Newcomer = Pick<Member, 'id' | 'peer' | 'url' | 'zone' | 'weight'> & {
  readonly storageId: NonNullable<Member['storageId']>;
};

export type ChangedMembers =
  | {
      readonly kind: 'members';
      /** All that were ever members, sorted by index; those that leave are `removed`. */
      readonly members: readonly Member[];
      /** Who takes the place of whom. */
      readonly successors: ReadonlyMap<NodeIndex, NodeIndex>;
      /** Of which is given up what only they had. */
      readonly lost: readonly NodeIndex[];
    }
  /** `field` is the part of the change that is wrong. */
  | { readonly kind: 'refused'; readonly field: keyof RingChange; readonly detail: string };

/** Indexes are never used again, so they run out after this many members. */
/** 65,535 stands for all of them in vectors (causality/horizon.ts). */
const INDEX_MAX = 65_534;

export function changeMembers(ring: Ring, change: RingChange, waiting: readonly Newcomer[]): ChangedMembers {
  return new Changing(ring, waiting).apply(change);
}

class Refused extends Error {
  readonly field: keyof RingChange;

  constructor(field: keyof RingChange, detail: string) {
    super(detail);
    this.field = field;
  }
}

class Changing {
  readonly #members: Map<NodeIndex, Member>;
  readonly #waiting: readonly Newcomer[];
  readonly #leaving = new Set<NodeIndex>();
  readonly #joined = new Set<Newcomer>();
  readonly #lost = new Set<NodeIndex>();
  readonly #successors = new Map<NodeIndex, NodeIndex>();
  #next: number;

  constructor(ring: Ring, waiting: readonly Newcomer[]) {
    this.#members = new Map(ring.members.map((member) => [member.index, member]));
    this.#waiting = waiting;
    this.#next = Math.max(...ring.members.map(({ index }) => index)) + 1;
  }

  apply(change: RingChange): ChangedMembers {
    try {
      for (const name of change.join) this.#join('join', name);
      for (const name of change.leave) this.#leave('leave', name);
      for (const [old, name] of change.replace) {
        this.#successors.set(this.#leave('replace', old), this.#join('replace', name));
      }
      for (const [name, weight] of change.weights) this.#set('weights', name, { weight });
      for (const [name, zone] of change.zones) this.#set('zones', name, { zone });
      for (const name of change.acceptLossOf ?? []) this.#lose('acceptLossOf', name);
      this.#removeLeavers(change);
    } catch (error) {
      if (error instanceof Refused) return { kind: 'refused', field: error.field, detail: error.message };
      throw error;
    }
    const members = [...this.#members.values()].sort((a, b) => a.index - b.index);
    return { kind: 'members', members, successors: this.#successors, lost: [...this.#lost] };
  }

  #join(field: keyof RingChange, name: string): NodeIndex {
    const newcomer = this.#waiting.find(({ id, peer }) => id === name || peer === name);
    if (newcomer === undefined) {
      const member = this.#named(name);
      if (member !== undefined) throw new Refused(field, `${name} is a member already`);
      const names = this.#waiting.map(({ id }) => id);
      const who = names.length === 0 ? 'no node waits' : `those that wait are ${names.join(', ')}`;
      throw new Refused(field, `no node named ${name} waits to join; ${who}`);
    }
    if (this.#joined.has(newcomer)) throw new Refused(field, `${name} joins twice`);
    if (this.#next > INDEX_MAX) throw new Refused(field, `a cluster may have had ${INDEX_MAX + 1} members in all`);
    this.#joined.add(newcomer);
    const index = nodeIndex(this.#next++);
    const { id, storageId, peer, url, zone, weight } = newcomer;
    this.#members.set(index, { index, id, storageId, peer, url, zone, weight, state: 'active' });
    return index;
  }

  #leave(field: keyof RingChange, name: string): NodeIndex {
    const member = this.#named(name);
    if (member === undefined) throw new Refused(field, `${name} is not a member`);
    if ([...this.#joined].some(({ id }) => id === member.id)) {
      throw new Refused(field, `${name} joins and leaves`);
    }
    if (this.#leaving.has(member.index)) throw new Refused(field, `${name} leaves twice`);
    this.#leaving.add(member.index);
    return member.index;
  }

  #set(field: keyof RingChange, name: string, update: Partial<Member>): void {
    const joins = [...this.#joined].find(({ id, peer }) => id === name || peer === name);
    const member = this.#named(joins?.id ?? name);
    if (member === undefined) throw new Refused(field, `${name} is neither a member nor joins`);
    if (this.#leaving.has(member.index)) throw new Refused(field, `${name} leaves`);
    this.#members.set(member.index, { ...member, ...update });
  }

  #lose(field: keyof RingChange, name: string): void {
    const member = this.#named(name);
    if (member === undefined) throw new Refused(field, `${name} is not a member`);
    if (!this.#leaving.has(member.index)) throw new Refused(field, `${name} neither leaves nor is replaced`);
    this.#lost.add(member.index);
  }

  #removeLeavers({ leave }: RingChange): void {
    for (const index of this.#leaving) this.#members.set(index, { ...this.#members.get(index)!, state: 'removed' });
    const left = [...this.#members.values()].some(({ state }) => state === 'active' || state === 'refilling');
    if (left) return;
    throw new Refused(leave.length > 0 ? 'leave' : 'replace', 'no member would be left');
  }

  #named(id: string): Member | undefined {
    return [...this.#members.values()].find((member) => member.id === id && member.state !== 'removed');
  }
}
