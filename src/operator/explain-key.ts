/**
 * Asks every member itself what it has of a key, owners and those that keep hints alike, and puts the answers side by side.
 */

import type { Bucket } from '#buckets/definition.ts';
import { timeOf } from '#causality/hybrid-clock.ts';
import type { State } from '#causality/state.ts';
import { CorruptState, encodeState } from '#causality/state-codec.ts';
import type { Hints } from '#handoff/hints.ts';
import type { NodeId } from '#kernel/identity.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import { hasPlacement, ownersOf } from '#ring/preference-list.ts';
import type { Member } from '#ring/ring.ts';
import type { Replica } from '#replica/replica.ts';
import type { Knowledge } from '#replica/scope.ts';
import type { RecordName } from '#replica/tables.ts';
import { Refusal } from '#wire/message.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { Digest } from '#world/world.ts';
import { agree, differences, nameDot, timeOfDot, type Sighting, type WaitingHint, type Words } from './explain.ts';
import {
  KeyReportMessage,
  reportEncoded,
  reportState,
  type HintReport,
  type KeyQuestion,
  type KeyReport,
  type StateReport,
} from './key-report.ts';

export interface VersionView {
  readonly dot: string;
  readonly time: string;
  readonly bytes: number;
  readonly deleted: boolean;
}

export interface ReplicaView {
  readonly node: string;
  readonly role: Sighting['role'];
  readonly reachable: boolean;
  readonly versions: readonly VersionView[];
  /** Dots up to which each actor's writes are known; empty when the node never heard of the key. */
  readonly vector: readonly string[];
  /** Null when there is no record, or none that can be read. */
  readonly digest: string | null;
}

export interface HintView {
  readonly at: string;
  readonly for: string;
  readonly versions: readonly VersionView[];
  readonly digest: string | null;
  /** Whether it may be the only copy of an acknowledged write. */
  readonly sole: boolean;
  readonly oldest: string;
}

export interface Explanation {
  readonly bucket: string;
  readonly partition: number;
  readonly replicas: readonly ReplicaView[];
  readonly hints: readonly HintView[];
  /** Whether every owner answered and all have the very same. */
  readonly agree: boolean;
  readonly differences: readonly string[];
}

export interface ExplainKeyOptions {
  readonly messaging: Messaging;
  readonly replica: Replica;
  readonly hints: Hints;
  /** What this node has accepted of a strong key. */
  readonly accepted: (name: RecordName) => State | undefined;
  readonly knowledge: Knowledge;
  readonly digest: Digest;
  readonly self: NodeId;
  /** Milliseconds since 1970 as people write it. */
  readonly timeText: (milliseconds: number) => string;
}

interface Answered {
  readonly member: Member;
  readonly report: KeyReport | undefined;
  /** Why there is no report. */
  readonly silence: string;
}

export class ExplainKey {
  readonly #options: ExplainKeyOptions;

  constructor(options: ExplainKeyOptions) {
    this.#options = options;
    options.messaging.handle(KeyReportMessage, (question) => this.#report(question));
  }

  async explain(bucket: Bucket, key: Uint8Array, deadline: number): Promise<Explanation> {
    const ring = this.#options.knowledge.ring();
    const { n } = bucket.properties;
    const partition = partitionOf(ring, hashKey(ring, bucket.name, key));
    const owners = hasPlacement(ring, n) ? ownersOf(ring, n, partition).owners : [];
    const question = { bucket: bucket.name, incarnation: bucket.incarnation, n, partition, key };
    const members = ring.members.filter(({ state }) => state !== 'removed');
    const answers = await Promise.all(members.map((member) => this.#ask(member, question, deadline)));
    const words: Words = {
      member: (index) => ring.members.find((member) => member.index === index)?.id ?? `#${index}`,
      time: this.#options.timeText,
    };

    const sightings = answers
      .map(({ member, report, silence }) => ({
        order: owners.indexOf(member.index),
        node: member.id,
        role: owners.includes(member.index) ? ('primary' as const) : ('former' as const),
        silence,
        refilling: member.state === 'refilling',
        record: report?.record ?? null,
        damage: report?.damage ?? '',
      }))
      .filter(({ role, record, damage }) => role === 'primary' || record !== null || damage !== '')
      .toSorted((a, b) => (a.order + 1 || 99) - (b.order + 1 || 99));
    const waiting = answers.flatMap(({ member, report }) =>
      (report?.hints ?? []).map((hint) => ({ hint, at: member.id, for: words.member(hint.owner), state: hint.state })),
    );
    return {
      bucket: bucket.name,
      partition,
      replicas: sightings.map((sighting) => replicaView(sighting, words)),
      hints: waiting.map(({ hint, ...where }) => hintView(hint, where, words)),
      agree: agree(sightings),
      differences: [...differences(sightings, waiting, words), ...silentFallbacks(answers, owners)],
    };
  }

  async #ask(member: Member, question: KeyQuestion, deadline: number): Promise<Answered> {
    const { messaging, self } = this.#options;
    if (member.id === self) return { member, report: await this.#report(question), silence: '' };
    const result = await messaging.call(member.id, KeyReportMessage, question, { deadline });
    if (result.kind === 'reply') return { member, report: result.reply, silence: '' };
    return { member, report: undefined, silence: result.kind === 'refused' ? result.code : result.reason };
  }

  async #report(question: KeyQuestion): Promise<KeyReport> {
    const { replica, hints, digest } = this.#options;
    let record: StateReport | null = null;
    let damage = '';
    try {
      const stored = replica.record(question, question.key);
      const state = stored?.state ?? this.#options.accepted(question);
      const encoded = stored?.encoded ?? (state && encodeState(state, digest.crc32));
      if (state !== undefined && encoded !== undefined) record = reportState(state, encoded, digest);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      damage = error.message.slice(0, 400);
    }
    const found = await hints.find(question, question.key);
    return { record, damage, hints: found.map(({ owner, hint }) => this.#hint(owner, hint)) };
  }

  #hint(
    owner: HintReport['owner'],
    hint: { readonly state: Uint8Array | null; readonly sole: boolean; readonly low: number },
  ): HintReport {
    let state: StateReport | null = null;
    try {
      if (hint.state !== null) state = reportEncoded(hint.state, this.#options.digest);
    } catch (error) {
      if (!(error instanceof CorruptState)) throw error;
    }
    return { owner, state, sole: hint.sole, low: hint.low };
  }
}

/** Members that may keep hints and could not be asked. */
function silentFallbacks(answers: readonly Answered[], owners: readonly number[]): readonly string[] {
  return answers
    .filter(({ member, silence }) => silence !== '' && !owners.includes(member.index))
    .map(({ member, silence }) => `${member.id} did not answer, and may keep hints: ${silence}`);
}

function versionViews(state: StateReport | null, words: Words): readonly VersionView[] {
  return (state?.versions ?? []).map(({ dot, bytes, deleted }) => ({
    dot: nameDot(dot, words),
    time: timeOfDot(dot, words),
    bytes,
    deleted,
  }));
}

function replicaView({ node, role, silence, record }: Sighting, words: Words): ReplicaView {
  return {
    node,
    role,
    reachable: silence === '',
    versions: versionViews(record, words),
    vector: (record?.vector ?? []).map((dot) => nameDot(dot, words)),
    digest: record?.digest ?? null,
  };
}

function hintView({ sole, low }: HintReport, where: WaitingHint, words: Words): HintView {
  return {
    at: where.at,
    for: where.for,
    versions: versionViews(where.state, words),
    digest: where.state?.digest ?? null,
    sole,
    oldest: words.time(timeOf(low)),
  };
}
