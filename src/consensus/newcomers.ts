/**
 * Nodes that wait to become members. Whoever is no member introduces itself again and again; the members remember it for a
 * while, so that an operator sees it and can name it in a plan. It is no fact: nothing is decided by it.
 */

import { nodeId } from '#kernel/identity.ts';
import { Refusal } from '#wire/message.ts';
import type { Clock, Timer } from '#world/world.ts';
import { memberNamed } from './electorate.ts';
import type { EpochLog } from './epoch-log.ts';
import type { Facts, Introduction } from './facts.ts';

/** Nodes that are remembered at once. */
export const NEWCOMERS_MAX = 64;

export type Acquaintance =
  /** A member, or one that is about to bind its name to a new disk. */
  | { readonly kind: 'member' }
  | { readonly kind: 'newcomer' }
  /** It can never become a member as it is. */
  | { readonly kind: 'refused'; readonly code: string; readonly detail: string };

/** Who the node is by the facts. */
export function acquaint(facts: Facts, node: Introduction): Acquaintance {
  const { members } = facts.ring;
  const sameDisk = members.find(({ storageId }) => storageId === node.storageId);
  if (sameDisk?.state === 'removed') {
    const detail = `${sameDisk.id} was removed with this disk, which stays out for ever: start with an empty data directory to join as a new node`;
    return { kind: 'refused', code: 'removed', detail };
  }
  const named = memberNamed(facts, nodeId(node.id));
  const isNamed = named !== undefined && named.state !== 'removed';
  if (isNamed && named.storageId === node.storageId) return { kind: 'member' };
  if (sameDisk !== undefined) {
    const detail = `the storage identity of ${node.id} is that of ${sameDisk.id}: its data directory is a copy`;
    return { kind: 'refused', code: 'disk-taken', detail };
  }
  if (isNamed) {
    if (named.peer === node.peer) return { kind: 'member' };
    const detail = `${node.id} is a member at ${named.peer} with another disk: choose another --id, or, if this is that member with an empty disk, --advertise ${named.peer}`;
    return { kind: 'refused', code: 'id-taken', detail };
  }
  const neighbour = members.find(({ peer, state }) => peer === node.peer && state !== 'removed');
  if (neighbour === undefined) return { kind: 'newcomer' };
  const detail = `${node.peer} is the address of ${neighbour.id}: set --peer-listen or --advertise`;
  return { kind: 'refused', code: 'address-taken', detail };
}

interface Heard {
  readonly introduction: Introduction;
  readonly at: number;
}

export interface NewcomersOptions {
  readonly clock: Clock;
  readonly log: EpochLog;
  /** Milliseconds after its last introduction. */
  readonly forgetAfter: number;
  /** Others wait now, or one of them elsewhere. */
  readonly changed: () => void;
}

export class Newcomers {
  readonly #options: NewcomersOptions;
  readonly #heard = new Map<string, Heard>();
  #timer: Timer | undefined;

  constructor(options: NewcomersOptions) {
    this.#options = options;
  }

  /**
   * Takes note of a node that introduces itself, unless it is a member.
   *
   * @throws Refusal when it cannot become one
   */
  meet(introduction: Introduction): void {
    const facts = this.#options.log.newest;
    if (facts === undefined) return;
    const verdict = acquaint(facts, introduction);
    if (verdict.kind === 'refused') throw new Refusal(verdict.code, verdict.detail, facts.epoch);
    if (verdict.kind === 'member') return;
    this.#forget();
    const before = this.#heard.get(introduction.id)?.introduction;
    // At the same address it is the same node, with an empty disk.
    if (before !== undefined && before.storageId !== introduction.storageId && before.peer !== introduction.peer) {
      const detail = `another node named ${introduction.id} waits already, at ${before.peer}: choose another --id`;
      throw new Refusal('id-taken', detail, facts.epoch);
    }
    if (before === undefined && this.#heard.size >= NEWCOMERS_MAX) {
      throw new Refusal('overloaded', `${NEWCOMERS_MAX} nodes wait to join already`, facts.epoch);
    }
    this.#heard.set(introduction.id, { introduction, at: this.#options.clock.monotonic() });
    if (before?.peer !== introduction.peer) this.#options.changed();
    this.#timer ??= this.#forgetLater();
  }

  /** Those that wait now, sorted by id. */
  list(): readonly Introduction[] {
    const waiting = [...this.#heard.values()].filter((one) => this.#waits(one)).map(({ introduction }) => introduction);
    return waiting.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #forgetLater(): Timer {
    const { clock, forgetAfter } = this.#options;
    return clock.after(forgetAfter, () => {
      this.#forget();
      this.#timer = this.#heard.size === 0 ? undefined : this.#forgetLater();
    });
  }

  #forget(): void {
    const gone = [...this.#heard].filter(([, one]) => !this.#waits(one));
    for (const [id] of gone) this.#heard.delete(id);
    if (gone.length > 0) this.#options.changed();
  }

  /** Whether it has neither gone away nor become a member. */
  #waits({ introduction, at }: Heard): boolean {
    const { clock, log, forgetAfter } = this.#options;
    if (at < clock.monotonic() - forgetAfter) return false;
    return log.newest !== undefined && acquaint(log.newest, introduction).kind === 'newcomer';
  }
}
