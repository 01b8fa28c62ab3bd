/**
 * A request sent again with its idempotency key makes no second version: all requests with one idempotency key for one key
 * have at most one version live at any time, in any place, and only ever one value. And what was acknowledged is found before
 * its condition is judged again.
 */

import type { ReplicaSnapshot, WhiteBox, WriteId } from '../history.ts';
import { showDot } from './dots.ts';
import { keyName } from './key-history.ts';
import type { KeyHistories, KeyHistory } from './key-history.ts';
import type { Violation } from './violation.ts';

export function checkIdempotentRetries(histories: KeyHistories, whiteBox: WhiteBox): readonly Violation[] {
  const retried = new Map<string, RetriedRequests>();
  for (const key of histories.values()) {
    const requests = new RetriedRequests(key);
    if (!requests.isEmpty()) retried.set(key.name, requests);
    requests.lookAtConditions();
    for (const { shown, request } of key.reads) {
      requests.look(
        `a read by ${request.client}`,
        shown.map((write) => ({ write, version: write })),
      );
    }
  }
  const requestsOf = ({ bucket, key }: ReplicaSnapshot) => retried.get(keyName(bucket, key));
  const final = whiteBox.final?.replicas ?? [];
  for (const snapshot of [...whiteBox.samples, ...final]) {
    requestsOf(snapshot)?.look(`${snapshot.node} at time ${snapshot.moment.time}`, viewOf([snapshot]));
  }
  for (const [name, snapshots] of Map.groupBy(final, ({ bucket, key }) => keyName(bucket, key))) {
    retried.get(name)?.look('the owners at the end', viewOf(snapshots));
  }
  return [...retried.values()].flatMap(({ violations }) => violations);
}

interface Seen {
  readonly write: WriteId;
  /** Names the version within one view. */
  readonly version: string;
}

/** The live versions of one or several replicas, each once. */
function viewOf(snapshots: readonly ReplicaSnapshot[]): readonly Seen[] {
  const versions = new Map<string, Seen>();
  for (const { node, versions: live } of snapshots) {
    for (const [at, { dot, write }] of live.entries()) {
      const version = showDot(dot);
      // One replica that lists a dot twice is wrong; two that both have it are not.
      const isTwice = live.findIndex((other) => showDot(other.dot) === version) < at;
      if (write !== null) versions.set(isTwice ? `${version} at ${node} again` : version, { write, version });
    }
  }
  return [...versions.values()];
}

/** The requests to one key that carry an idempotency key. */
class RetriedRequests {
  readonly violations: Violation[] = [];
  readonly #key: KeyHistory;
  readonly #name: string;
  readonly #idempotencyKeyOf: ReadonlyMap<WriteId, string>;
  /** By idempotency key, the value that was seen first. */
  readonly #valueOf = new Map<string, WriteId>();
  readonly #told = new Set<string>();

  constructor(key: KeyHistory) {
    const { name, writes } = key;
    this.#key = key;
    this.#name = name;
    this.#idempotencyKeyOf = new Map(
      [...writes.values()].flatMap(({ id, requests }) => {
        const { idempotencyKey } = requests[0]!;
        return idempotencyKey === null ? [] : [[id, idempotencyKey] as const];
      }),
    );
  }

  isEmpty(): boolean {
    return this.#idempotencyKeyOf.size === 0;
  }

  /**
   * A request that so many owners have confirmed that any question to a quorum meets one of them must not fail on its
   * condition when it is sent again.
   */
  lookAtConditions(): void {
    const { owners, writes } = this.#key;
    for (const { id, requests, acknowledged, holders } of writes.values()) {
      const { idempotencyKey, quorum } = requests[0]!;
      if (idempotencyKey === null) continue;
      const asked = Math.max(Math.floor(owners / 2) + 1, owners - quorum.w + 1);
      const failed = requests.find(({ start, preconditionFailed }) => preconditionFailed && start.order > acknowledged);
      if (failed === undefined || holders + asked <= owners) continue;
      this.#tell(idempotencyKey, `sent again at time ${failed.start.time} the condition is judged, though it was met`, [
        id,
      ]);
    }
  }

  /** Looks at what is live at once in some place. Each idempotency key is told once. */
  look(where: string, live: readonly Seen[]): void {
    const seen = new Map<string, string>();
    for (const { write, version } of live) {
      const idempotencyKey = this.#idempotencyKeyOf.get(write);
      if (idempotencyKey === undefined || this.#told.has(idempotencyKey)) continue;
      const value = this.#valueOf.get(idempotencyKey) ?? write;
      this.#valueOf.set(idempotencyKey, value);
      const other = seen.get(idempotencyKey);
      seen.set(idempotencyKey, version);
      if (other !== undefined) {
        this.#tell(idempotencyKey, `${where}: two versions are live, ${other} and ${version}`, [
          ...new Set([value, write]),
        ]);
      } else if (value !== write) {
        this.#tell(idempotencyKey, `${where}: the value is ${write}, and elsewhere it was ${value}`, [value, write]);
      }
    }
  }

  #tell(idempotencyKey: string, what: string, writes: readonly WriteId[]): void {
    this.#told.add(idempotencyKey);
    const detail = `of one request with Idempotency-Key ${idempotencyKey}, ${what}`;
    this.violations.push({ check: 'idempotent-retries', key: this.#name, detail, writes });
  }
}
