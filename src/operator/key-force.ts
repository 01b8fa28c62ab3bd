/**
 * The way out for a strong key of which too many owners have lost the register: what each owner has, what would be gone on with and
 * what that may lose, first as words and then as a deed. What is done is what was shown: its id names all that it was made from.
 */

import { etagOf } from '#causality/etag.ts';
import { timeOf } from '#causality/hybrid-clock.ts';
import type { Bucket } from '#buckets/definition.ts';
import { majorityOf } from '#consensus/electorate.ts';
import {
  latestOf,
  type Forced,
  type RegisterForce,
  type RegisterSighting,
  type RegisterSurvey,
} from '#coordinator/register-force.ts';
import type { RegisterValue } from '#coordinator/register-value.ts';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { othersNeeded } from '#repair/mend.ts';
import { lastOf } from '#watch/strong-news.ts';
import type { Digest } from '#world/world.ts';

export interface RegisterVersionView {
  /** Null where the key was deleted, or never written. */
  readonly etag: string | null;
  /** When it was written or deleted last; null for never. */
  readonly time: string | null;
  readonly bytes: number;
  /** Who has the lease of the key by it. */
  readonly holder: string | null;
}

export interface RegisterView {
  readonly node: string;
  readonly register: RegisterSighting['register'];
  readonly reason: string;
  /** Null where nothing was accepted, or nobody can say. */
  readonly version: RegisterVersionView | null;
}

export interface KeyForceView {
  readonly applied: boolean;
  readonly bucket: string;
  readonly partition: number;
  readonly owners: readonly RegisterView[];
  /** To be sent to have it done; null when it cannot be, or needs not. */
  readonly id: string | null;
  /** Why it cannot be done; empty when it can. */
  readonly refusal: string;
  /** What the key would hold: null for nothing. */
  readonly keeps: RegisterVersionView | null;
  readonly mayLose: readonly string[];
}

export type KeyForceResult =
  | { readonly kind: 'shown'; readonly view: KeyForceView }
  | { readonly kind: 'refused'; readonly detail: string }
  | Extract<Forced, { kind: 'failed' }>;

export interface KeyForceOptions {
  readonly registers: Pick<RegisterForce, 'survey' | 'force'>;
  readonly digest: Pick<Digest, 'sha256'>;
  /** Milliseconds since 1970 as people write it. */
  readonly timeText: (milliseconds: number) => string;
}

export class KeyForce {
  readonly #options: KeyForceOptions;

  constructor(options: KeyForceOptions) {
    this.#options = options;
  }

  async show(bucket: Bucket, key: Uint8Array, deadline: number): Promise<KeyForceView> {
    return this.#view(bucket, key, await this.#options.registers.survey(bucket, key, deadline));
  }

  /** Does what was shown under the id, if that is how it still is. */
  async force(bucket: Bucket, key: Uint8Array, id: string, deadline: number): Promise<KeyForceResult> {
    const { registers } = this.#options;
    const survey = await registers.survey(bucket, key, deadline);
    const view = this.#view(bucket, key, survey);
    if (view.id === null) return { kind: 'refused', detail: view.refusal };
    if (view.id !== id) {
      return {
        kind: 'refused',
        detail: 'what the owners have is not what was shown any more: nothing was changed; look again',
      };
    }
    const takePart = survey.sightings.filter(({ register }) => register !== 'silent').map(({ node }) => node);
    const result = await registers.force(bucket, key, takePart, deadline);
    return result.kind === 'forced' ? { kind: 'shown', view: { ...view, applied: true } } : result;
  }

  #view(bucket: Bucket, key: Uint8Array, survey: RegisterSurvey): KeyForceView {
    const { partition, sightings } = survey;
    const refusal = whyNot(sightings) ?? '';
    const kept = latestOf(sightings)?.accepted?.value;
    return {
      ...{ applied: false, bucket: bucket.name, partition },
      owners: sightings.map(({ node, register, reason, accepted, votes }) => ({
        ...{ node, register, reason: votes ? reason : `${reason === '' ? '' : `${reason}; `}a former owner` },
        version: accepted === null ? null : this.#version(accepted.value),
      })),
      id: refusal === '' ? this.#idOf(bucket, key, sightings) : null,
      refusal,
      keeps: kept === undefined ? null : this.#version(kept),
      mayLose: refusal === '' ? whatMayBeLost(sightings) : [],
    };
  }

  #version({ state, lease }: RegisterValue): RegisterVersionView {
    const live = state.versions.filter(({ content }) => content !== null);
    const last = lastOf(state);
    return {
      etag: live.length === 0 ? null : etagOf(live),
      time: last === undefined ? null : this.#options.timeText(timeOf(last.counter)),
      bytes: live.reduce((sum, { content }) => sum + content!.value.length, 0),
      holder: lease?.holder ?? null,
    };
  }

  #idOf({ name, incarnation }: Bucket, key: Uint8Array, sightings: readonly RegisterSighting[]): string {
    const seen = sightings.map(({ node, register, accepted }) => [node, register, accepted?.ballot ?? null]);
    const text = JSON.stringify([name, incarnation, toHex(key), seen]);
    return toHex(this.#options.digest.sha256(utf8(text))).slice(0, 16);
  }
}

/** What to do about owners that cannot be asked, also because they have new disks that nobody can fill. */
const BACK_OR_REPLACED =
  'bring them back; those that are gone for good, or have lost their disks and are not filled again, are stopped and replaced ' +
  '(quoral ring plan --replace OLD=NEW --accept-loss-of OLD)';

/** Undefined when it can be done, and nothing less helps. */
export function whyNot(all: readonly RegisterSighting[]): string | undefined {
  const sightings = all.filter(({ votes }) => votes);
  const named = (register: RegisterSighting['register']): readonly string[] =>
    sightings.filter((one) => one.register === register).map(({ node }) => node);
  const [whole, damaged, silent] = [named('whole'), named('damaged'), named('silent')];
  if (damaged.length === 0) {
    const away = silent.length === 0 ? '' : `; ${silent.join(', ')} cannot be asked: ${BACK_OR_REPLACED}`;
    return `no owner that can be asked has lost what it had of the key${away}`;
  }
  if (whole.length >= othersNeeded(sightings.length)) {
    return `${whole.join(', ')} have enough of the key: ${damaged.join(', ')} gets it back from them by itself, so nothing need be lost`;
  }
  const majority = majorityOf(sightings.length);
  if (whole.length + damaged.length >= majority) return undefined;
  return (
    `${whole.length + damaged.length} of the ${sightings.length} owners can be asked, and ${majority} are needed, so first ` +
    `for ${silent.join(', ')}: ${BACK_OR_REPLACED}`
  );
}

function whatMayBeLost(sightings: readonly RegisterSighting[]): readonly string[] {
  const damaged = sightings.filter(({ register }) => register === 'damaged').map(({ node }) => node);
  const silent = sightings.filter(({ register }) => register === 'silent');
  return [
    `acknowledged changes of the key, leases and requests with idempotency keys that only ${damaged.join(', ')} knew`,
    ...silent.map(
      ({ node, reason }) =>
        `what only ${node} has of it, which cannot be asked (${reason}): if it may come back, wait for it, since then nothing need be lost`,
    ),
  ];
}
