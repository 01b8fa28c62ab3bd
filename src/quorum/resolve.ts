/**
 * From what a request asks for to numbers of replicas. A number that no replica set of the bucket could meet is the
 * client's mistake (`invalid`); one that the bucket allows and the cluster is too small for is `unavailable`.
 */

import { assert } from '#kernel/assert.ts';
import type { QuorumWord } from './words.ts';

/** What a request says about reads; what it leaves out comes from the bucket. */
export interface AskedRead {
  readonly r?: QuorumWord | undefined;
  readonly pr?: QuorumWord | undefined;
}

/** What a request says about writes; what it leaves out comes from the bucket. */
export interface AskedWrite {
  readonly w?: QuorumWord | undefined;
  readonly pw?: QuorumWord | undefined;
  readonly dw?: QuorumWord | undefined;
}

export type Unresolved =
  /** No cluster could do this: `detail` says why in a sentence for people. */
  | { readonly kind: 'invalid'; readonly parameter: string; readonly detail: string }
  /** More replicas are needed than the cluster has for the key. */
  | { readonly kind: 'unavailable'; readonly needed: number; readonly of: number };

export type ResolvedRead = { readonly kind: 'ok'; readonly r: number; readonly pr: number } | Unresolved;

export type ResolvedWrite =
  | { readonly kind: 'ok'; readonly w: number; readonly pw: number; readonly dw: number }
  | Unresolved;

/** A canonical whole number or a word; undefined for any other text. Whether the number fits is asked later. */
export function parseQuorumWord(text: string): QuorumWord | undefined {
  if (text === 'one' || text === 'quorum' || text === 'all') return text;
  return /^(0|[1-9][0-9]{0,14})$/.test(text) ? Number(text) : undefined;
}

/** The number that a word means among `replicas` owners, that is n' = min(n, members). */
export function resolveQuorum(word: QuorumWord, replicas: number): number {
  switch (word) {
    case 'one':
      return 1;
    case 'quorum':
      return Math.floor(replicas / 2) + 1;
    case 'all':
      return replicas;
    default:
      return word;
  }
}

/** Numbers for a read of a bucket with replication factor `n` in a cluster of `members` that can own data. */
export function resolveRead(
  asked: AskedRead,
  defaults: { readonly r: QuorumWord; readonly pr: QuorumWord },
  n: number,
  members: number,
): ResolvedRead {
  if (asked.r === undefined && asked.pr === undefined) {
    const r = byDefault('r', defaults.r, n, members);
    return typeof r === 'number' ? { kind: 'ok', r, pr: partOf(r, defaults.pr, n, members) } : r;
  }
  const whole = { name: 'r', asked: asked.r, inherited: defaults.r };
  const parts = [{ name: 'pr', asked: asked.pr, inherited: defaults.pr }];
  const resolved = resolve(whole, parts, n, members);
  return resolved.kind === 'ok' ? { kind: 'ok', r: resolved.whole, pr: resolved.parts[0]! } : resolved;
}

/** Numbers for a write of a bucket with replication factor `n` in a cluster of `members` that can own data. */
export function resolveWrite(
  asked: AskedWrite,
  defaults: { readonly w: QuorumWord; readonly pw: QuorumWord; readonly dw: QuorumWord },
  n: number,
  members: number,
): ResolvedWrite {
  if (asked.w === undefined && asked.pw === undefined && asked.dw === undefined) {
    const w = byDefault('w', defaults.w, n, members);
    if (typeof w !== 'number') return w;
    return { kind: 'ok', w, pw: partOf(w, defaults.pw, n, members), dw: partOf(w, defaults.dw, n, members) };
  }
  const whole = { name: 'w', asked: asked.w, inherited: defaults.w };
  const parts = [
    { name: 'pw', asked: asked.pw, inherited: defaults.pw },
    { name: 'dw', asked: asked.dw, inherited: defaults.dw },
  ];
  const resolved = resolve(whole, parts, n, members);
  if (resolved.kind !== 'ok') return resolved;
  return { kind: 'ok', w: resolved.whole, pw: resolved.parts[0]!, dw: resolved.parts[1]! };
}

/** What {@link resolve} gives when nothing is asked for, as in nearly all requests, without making anything. */
function byDefault(name: string, word: QuorumWord, n: number, members: number): number | Unresolved {
  assert(members > 0, 'a cluster has at least one member');
  const replicas = Math.min(n, members);
  const number = resolveQuorum(word, replicas);
  const mistake = outOfRange(name, word, 1, n);
  return mistake ?? (number > replicas ? { kind: 'unavailable', needed: number, of: replicas } : number);
}

function partOf(whole: number, word: QuorumWord, n: number, members: number): number {
  return Math.min(resolveQuorum(word, Math.min(n, members)), whole);
}

interface Parameter {
  readonly name: string;
  readonly asked: QuorumWord | undefined;
  readonly inherited: QuorumWord;
}

/** `parts` count among the replies that `whole` asks for, so none of them can be larger. */
function resolve(
  whole: Parameter,
  parts: readonly Parameter[],
  n: number,
  members: number,
): { readonly kind: 'ok'; readonly whole: number; readonly parts: readonly number[] } | Unresolved {
  assert(members > 0, 'a cluster has at least one member');
  const replicas = Math.min(n, members);
  const wholeWord = whole.asked ?? whole.inherited;
  const explicit = parts.filter((part) => part.asked !== undefined);

  const mistake =
    outOfRange(whole.name, wholeWord, 1, n) ??
    firstOf(explicit, (part) => outOfRange(part.name, part.asked!, 0, n)) ??
    // Two numbers contradict each other in a cluster of any size.
    firstOf(explicit, (part) =>
      typeof part.asked === 'number' && typeof wholeWord === 'number' && part.asked > wholeWord
        ? tooLarge(part, whole, part.asked, wholeWord)
        : undefined,
    );
  if (mistake !== undefined) return mistake;

  const needed = Math.max(...[whole, ...explicit].map((one) => resolveQuorum(one.asked ?? one.inherited, replicas)));
  if (needed > replicas) return { kind: 'unavailable', needed, of: replicas };

  const wholeNumber = resolveQuorum(wholeWord, replicas);
  const numbers: number[] = [];
  for (const part of parts) {
    const number = resolveQuorum(part.asked ?? part.inherited, replicas);
    if (part.asked !== undefined && number > wholeNumber) return tooLarge(part, whole, number, wholeNumber);
    numbers.push(Math.min(number, wholeNumber));
  }
  return { kind: 'ok', whole: wholeNumber, parts: numbers };
}

function firstOf<T, R>(items: readonly T[], judge: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const judgement = judge(item);
    if (judgement !== undefined) return judgement;
  }
  return undefined;
}

function outOfRange(parameter: string, word: QuorumWord, least: number, n: number): Unresolved | undefined {
  if (typeof word !== 'number' || (word >= least && word <= n)) return undefined;
  const detail = `${parameter}=${word}: this bucket keeps n=${n} replicas of a key, so ${parameter} is ${least} to ${n}, or one, quorum, all`;
  return { kind: 'invalid', parameter, detail };
}

function tooLarge(part: Parameter, whole: Parameter, partNumber: number, wholeNumber: number): Unresolved {
  const origin = whole.asked === undefined ? `, the bucket's default; give ${whole.name} as well` : '';
  const detail = `${say(part.name, part.asked, partNumber)} is more than ${say(whole.name, whole.asked ?? whole.inherited, wholeNumber)}${origin}`;
  return { kind: 'invalid', parameter: part.name, detail };
}

/** `w=2`, or `w=quorum (2 here)` where a word was given. */
function say(name: string, word: QuorumWord | undefined, number: number): string {
  return typeof word === 'string' ? `${name}=${word} (${number} here)` : `${name}=${number}`;
}

/** What a one-word level stands for, so that nobody has to compute R+W>N. */
export type Consistency =
  | {
      readonly kind: 'ok';
      /** What the word does not speak of stays as the bucket has it. */
      readonly read: AskedRead;
      readonly write: AskedWrite;
      /** False when the word excludes fallbacks; undefined when it leaves that to the bucket. */
      readonly sloppy: false | undefined;
      /** The numbers are a majority of the key's owners in the zone of the node that takes the request. */
      readonly local: boolean;
    }
  | { readonly kind: 'invalid'; readonly detail: string };

export const CONSISTENCY_WORDS = ['one', 'quorum', 'strict_quorum', 'all', 'local_quorum'] as const;
type ConsistencyWord = (typeof CONSISTENCY_WORDS)[number];

/** What a `consistency` parameter stands for. */
export function resolveConsistency(text: string): Consistency {
  const word = CONSISTENCY_WORDS.find((known) => known === text);
  if (word === undefined) {
    return {
      kind: 'invalid',
      detail: `consistency: ${JSON.stringify(text.slice(0, 64))} is not a level; these are: ${CONSISTENCY_WORDS.join(', ')}`,
    };
  }
  return meaning(word);
}

const ANYWHERE = { sloppy: undefined, local: false } as const;

function meaning(word: ConsistencyWord): Consistency {
  switch (word) {
    case 'one':
      return { kind: 'ok', read: { r: 'one' }, write: { w: 'one', dw: 'one' }, ...ANYWHERE };
    case 'quorum':
      return { kind: 'ok', read: { r: 'quorum' }, write: { w: 'quorum', dw: 'quorum' }, ...ANYWHERE };
    case 'strict_quorum':
      return {
        kind: 'ok',
        read: { r: 'quorum', pr: 'quorum' },
        write: { w: 'quorum', pw: 'quorum', dw: 'quorum' },
        sloppy: false,
        local: false,
      };
    case 'all':
      return {
        kind: 'ok',
        read: { r: 'all', pr: 'all' },
        write: { w: 'all', pw: 'all', dw: 'all' },
        sloppy: false,
        local: false,
      };
    case 'local_quorum':
      // At least one owner; how many of the zone make a majority is known where the key's owners are.
      return {
        kind: 'ok',
        read: { r: 'one', pr: 'one' },
        write: { w: 'one', pw: 'one', dw: 'one' },
        sloppy: undefined,
        local: true,
      };
  }
}
