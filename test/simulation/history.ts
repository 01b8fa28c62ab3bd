/**
 * What a simulated run leaves behind: the requests of its clients as they saw them, and plain copies of what the replicas
 * held. The checkers judge a run by this alone. Every stored value carries the id of the write that made it, so that a
 * value read somewhere leads back to the request that wrote it, without help from the code under test.
 */

export type WriteId = string;

/** An instant of the run. The simulator runs one event after the other, so `order` tells before from after even at equal times. */
export interface Moment {
  /** Larger than that of every earlier moment. Checkers compare moments by this. */
  readonly order: number;
  /** Virtual milliseconds since the run began. */
  readonly time: number;
}

/** A maker of moments, each later in order than the one before. */
export function momentSource(): (time: number) => Moment {
  let order = 0;
  return (time) => {
    order += 1;
    return { order, time };
  };
}

export interface BucketFacts {
  readonly mode: 'siblings' | 'lww' | 'strong';
  /** How many owners each key has: the lesser of the bucket's n and the number of members. */
  readonly owners: number;
}

/**
 * How a request ended for its client.
 * - `answered`: with an answer that the contract allows.
 * - `unexpected`: with an answer that the contract does not allow, such as status 500.
 * - `connection-lost`: without an answer, because the connection broke.
 * - `gave-up`: without an answer; the client waited until well after the deadline.
 * - `open`: the run stopped first.
 */
export type Ending = 'answered' | 'unexpected' | 'connection-lost' | 'gave-up' | 'open';

interface RequestFacts {
  readonly client: string;
  /** The session whose token the request carried, null for none. */
  readonly session: string | null;
  readonly bucket: string;
  readonly key: string;
  /** The node that the client addressed. */
  readonly node: string;
  /** The node that the answer names, null when there is none. */
  readonly coordinator: string | null;
  readonly start: Moment;
  /** Null exactly when `ending` is `open`. */
  readonly end: Moment | null;
  /** The virtual time by which the answer has to be there. */
  readonly deadline: number;
  readonly ending: Ending;
  /** For people: the status and problem code, or the error. */
  readonly answer: string;
}

export interface ReadRequest extends RequestFacts {
  readonly kind: 'read';
  readonly quorum: ReadQuorum;
  /** The ids of the values shown, as often as they were shown; empty when there was none; null when the read failed. */
  readonly shown: readonly WriteId[] | null;
}

export interface ReadQuorum {
  readonly r: number;
  readonly pr: number;
  /** Whether fallbacks may count. */
  readonly sloppy: boolean;
}

/** Of a delete without a context, `r` and `pr` are those of the read that finds what to delete. */
export interface WriteQuorum extends ReadQuorum {
  readonly w: number;
  readonly pw: number;
  readonly dw: number;
}

/** - `replaces`: pass only while this write is the one version; `absent`: pass only while there is no value. */
export type Condition =
  | { readonly kind: 'none' }
  | { readonly kind: 'replaces'; readonly write: WriteId }
  | { readonly kind: 'absent' };

/** One request to write. Only a retry, with equal idempotency key and content, has the write id of an earlier request. */
export interface WriteRequest extends RequestFacts {
  readonly kind: 'put' | 'delete';
  readonly write: WriteId;
  readonly quorum: WriteQuorum;
  /**
   * All that the client was shown together with the context that it sent: by the read or write whose answer held the
   * context, or by the answer whose tag `If-Match` names. Empty for the context of a deleted key; null for no context.
   */
  readonly covers: readonly WriteId[] | null;
  readonly condition: Condition;
  readonly idempotencyKey: string | null;
  /** In a key that holds a set, all elements that were written; each element is the id of the write that added it. */
  readonly elements: readonly WriteId[] | null;
  readonly outcome: 'applied' | 'not-applied' | 'unknown';
  /** Answered that the condition did not hold (status 412); the outcome is then `not-applied`. */
  readonly preconditionFailed: boolean;
}

export type Request = ReadRequest | WriteRequest;

/** A node could not work from one time to the other: it was stopped, paused, or its event loop stood still. */
export interface Stall {
  readonly node: string;
  readonly from: number;
  readonly to: number;
}

/** A sample of something that has to stay within a bound. */
export interface Gauge {
  readonly node: string;
  readonly name: string;
  readonly value: number;
  readonly bound: number;
  readonly time: number;
}

export interface History {
  readonly buckets: Readonly<Record<string, BucketFacts>>;
  readonly requests: readonly Request[];
  readonly gauges: readonly Gauge[];
  readonly stalls: readonly Stall[];
  /** From here on all faults are healed and all owners are said to hold the same; null when that never was. */
  readonly convergedAt: Moment | null;
  /** When the run stopped. */
  readonly end: Moment;
  /**
   * Writes that the faults of this run may have destroyed although they were acknowledged, without a promise being
   * broken: `dw=0` and a crash, or no surviving disk among those that made them durable. They count as unknown.
   */
  readonly mayBeLost: readonly WriteId[];
  /** Whether a crash of this run may have lost what a node had accepted and not yet made durable. */
  readonly losesUnsynced: boolean;
  /**
   * Whether only majorities are promised to meet: the ring changed while members were away, and of those that are away only a
   * minority can go by old rules.
   */
  readonly majoritiesOnly?: boolean;
}

/** A dot as the white box shows it: the write number `counter` of an actor, which is a node during a tenure. */
export interface Dot {
  readonly node: number;
  readonly tenure: number;
  readonly counter: number;
}

/** That a dot was given to a write, and was then committed somewhere or sent to another node. */
export interface Mint {
  readonly write: WriteId;
  readonly dot: Dot;
}

export interface LiveVersion {
  readonly dot: Dot;
  /** The id in the value; of a deletion marker null. */
  readonly write: WriteId | null;
}

/** What one node held of one key. A node that held nothing of it has an empty vector and no versions. */
export interface ReplicaSnapshot {
  readonly node: string;
  readonly bucket: string;
  readonly key: string;
  readonly moment: Moment;
  /** For each actor, up to which counter its dots are known. */
  readonly vector: readonly Dot[];
  readonly versions: readonly LiveVersion[];
}

export interface WhiteBox {
  /**
   * Every dot of every write that got one, or for some writes none at all: what is known to be incomplete weakens the
   * checks of the writes concerned.
   */
  readonly mints: readonly Mint[];
  /** States of replicas at any time and in any number, of owners or not. */
  readonly samples: readonly ReplicaSnapshot[];
  /** What the owners held at the end, when all was healed; null when the run ended before that. */
  readonly final: FinalSnapshot | null;
}

export interface FinalSnapshot {
  /** Of each key that a client ever wrote, one for each of its owners. */
  readonly replicas: readonly ReplicaSnapshot[];
  /** Hints still waiting, a node. */
  readonly hints: readonly { readonly node: string; readonly waiting: number }[];
}

export const NO_WHITE_BOX: WhiteBox = { mints: [], samples: [], final: null };
