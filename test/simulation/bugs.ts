/**
 * The bug bank: variants of the product that are known to be wrong, so that it is known that the simulator would see them.
 * A bug is a small edit of the source text, made while the module is loaded, or something between a node and its disk. The
 * product has no switches for them; an edit that does not fit the source any more is an error.
 */

import { present } from '#kernel/assert.ts';
import { utf8 } from '#kernel/bytes.ts';
import { ByteWriter } from '#kernel/binary.ts';
import { NODE, RECORDS } from '#replica/tables.ts';
import type { Dot } from './history.ts';
import type { ScenarioName } from './scenarios.ts';
import type { SourceEdit } from './source-edits.ts';
import { MANY_KEYS_BUGS } from './many-keys-bugs.ts';
import { SESSION_BUGS } from './session-bugs.ts';
import { RING_CHANGE_BUGS } from './ring-change-bugs.ts';
import { STRONG_BUGS } from './strong-bugs.ts';
import { TYPE_BUGS } from './type-bugs.ts';
import type { Tampering } from './tampering.ts';
import { VECTOR_BUGS } from './vector-bugs.ts';

export interface Bug {
  readonly name: string;
  /** What is wrong, in a line. */
  readonly about: string;
  readonly edits?: readonly SourceEdit[];
  readonly tampering?: () => Tampering;
  /**
   * Where it is certainly seen: in one of a few random runs, of which the named one has shown it with the least work and is
   * made first, or in a script.
   */
  readonly foundBy: { readonly seed: (typeof BUG_RUNS.seeds)[number] } | { readonly scenario: ScenarioName };
}

/** The random runs in which most bugs have to be seen; short ones, so that there can be more of them. */
export const BUG_RUNS = {
  seeds: [3, 5, 6, 7, 8, 9, 11, 13, 14, 16, 17, 18],
  changes: { duration: 20_000, types: false, touches: false },
} as const;

/** Bugs of mechanisms that are not built yet. */
export const BUGS_TO_COME: Readonly<Record<string, string>> = {};

const JOIN = 'src/causality/join.ts';
const WRITE = 'src/causality/write.ts';
const WRITE_ROUND = 'src/coordinator/write-round.ts';
const WRITE_OUTCOME = 'src/coordinator/write-outcome.ts';
const READ_ROUND = 'src/coordinator/read-round.ts';
const BEFORE_WRITE = 'src/coordinator/before-write.ts';
const REPLICA = 'src/replica/replica.ts';
const GROUP_COMMIT = 'src/replica/group-commit.ts';
const NODE_STORAGE = 'src/replica/node-storage.ts';
const RECLAIM = 'src/repair/reclaim.ts';
const TALLY = 'src/quorum/tally.ts';

export const BUGS: readonly Bug[] = [
  {
    name: 'outline-shown-as-empty',
    about: 'a version of which an owner has only said that it has it is shown with an empty value',
    edits: [
      {
        file: 'src/causality/outline.ts',
        from: 'else if (!covers(known.vector, dot)) return undefined;',
        to: "else if (!covers(known.vector, dot)) versions.push({ dot, expiresAt: 0, content: { value: new Uint8Array(), contentType: '', contentEncoding: '', meta: [] } });",
      },
    ],
    foundBy: { scenario: 'coordinator-lacks-the-value' },
  },
  {
    name: 'outline-news-left-out',
    about: 'a version of which an owner has only said that it has it is taken for superseded',
    edits: [
      {
        file: 'src/causality/outline.ts',
        from: 'else if (!covers(known.vector, dot)) return undefined;',
        to: '',
      },
    ],
    foundBy: { scenario: 'coordinator-lacks-the-value' },
  },
  {
    name: 'old-backup-goes-on',
    about: 'a node whose disk was put back to an earlier state serves and votes',
    edits: [
      {
        file: 'src/membership/boot-records.ts',
        from: 'if (seen.storage !== own.storageId) return undefined;',
        to: 'if (seen.storage !== own.storageId || seen.boot > 0) return undefined;',
      },
    ],
    foundBy: { scenario: 'disk-is-put-back' },
  },
  {
    name: 'touch-raises',
    about: 'a touch writes what is there anew, and so raises what it does not know to be deleted',
    edits: [
      {
        file: 'src/causality/touch.ts',
        from: 'meant.has(version) ? { ...version, expiresAt: laterEnd(version.expiresAt, expiresAt) } : version,',
        to: 'meant.has(version) ? { ...version, dot, expiresAt: laterEnd(version.expiresAt, expiresAt) } : version,',
      },
    ],
    foundBy: { scenario: 'touched-where-it-lives-on' },
  },
  {
    name: 'mark-not-asked-for',
    about: 'a node whose disk was put back to a state since its last start serves and votes',
    edits: [
      {
        file: 'src/membership/boot-records.ts',
        from: 'if (seen.mark <= mark) return undefined;',
        to: 'if (seen.mark >= 0) return undefined;',
      },
    ],
    foundBy: { scenario: 'running-disk-is-put-back' },
  },
  {
    name: 'mark-told-before-durable',
    about: 'others hear of a mark that the disk may lose, and refuse a disk that was only cut off from its power',
    edits: [
      {
        file: 'src/replica/disk-marks.ts',
        from: 'await durable; this.#durable = Math.max(this.#durable, mark);',
        to: 'this.#durable = Math.max(this.#durable, mark); await durable;',
      },
    ],
    foundBy: { scenario: 'power-loss-while-marking' },
  },
  {
    name: 'verdict-moves-data',
    about: 'a dead verdict takes members out of the owners, so that a quorum is one of those that are left',
    edits: [
      {
        file: 'src/coordinator/write-rules.ts',
        from: 'this.tally = new WriteTally(...writeNeeds(route, request));',
        to: 'const most = Math.floor(reachableOwners(environment, route.owners).length / 2) + 1; const left = (n: number) => Math.min(n, most); this.tally = new WriteTally({ w: left(request.w), pw: left(request.pw), dw: left(request.dw) });',
      },
      {
        file: READ_ROUND,
        from: 'this.#needs = { r: scaled(r, replicas, this.#owners.length), pr: scaled(pr, replicas, this.#owners.length) };',
        to: 'const most = Math.floor(reachableOwners(environment, this.#route.owners).length / 2) + 1; this.#needs = { r: Math.min(r, most), pr: Math.min(pr, most + 0 * replicas) };',
      },
    ],
    foundBy: { scenario: 'one-alone-is-asked' },
  },
  {
    name: 'refutes-with-old-incarnation',
    about:
      'a node that is accused says that it is alive without raising its incarnation, so it stays dead to the others',
    edits: [
      {
        file: 'src/membership/member-table.ts',
        from: 'this.#incarnation = news.incarnation + 1;',
        to: 'this.#incarnation = Math.max(this.#incarnation, news.incarnation);',
      },
    ],
    foundBy: { scenario: 'frozen-and-back' },
  },
  {
    name: 'late-loop-accuses',
    about: 'a node that was held up itself takes those for silent whose answers it could not read',
    edits: [
      {
        file: 'src/membership/failure-detector.ts',
        from: 'if (lateness <= probeTimeout) return;',
        to: 'if (lateness <= probeTimeout || lateness > 0) return;',
      },
    ],
    foundBy: { scenario: 'frozen-and-back' },
  },
  {
    name: 'ack-before-fsync',
    about: 'the disk calls a commit durable before it has synced it',
    tampering: () => ({
      disk: (disk) => ({
        get: (table, key) => disk.get(table, key),
        recall: (table, key) => disk.recall(table, key),
        range: (table, options) => disk.range(table, options),
        commit: (run) => {
          disk.commit(run);
          return { durable: Promise.resolve() };
        },
        failure: () => disk.failure(),
        sizeBytes: () => disk.sizeBytes(),
        freeBytes: () => disk.freeBytes(),
        close: async () => await disk.close(),
      }),
    }),
    foundBy: { scenario: 'power-loss-after-ack' },
  },
  {
    name: 'replica-acks-before-fsync',
    about: 'a replica says that it has a write on stable storage when it has only committed it',
    edits: [
      {
        file: 'src/replica/store-together.ts',
        from: 'return this.#request.durable;',
        to: 'return false;',
      },
    ],
    foundBy: { scenario: 'power-loss-at-a-replica' },
  },
  {
    name: 'fsync-error-ignored',
    about: 'a group commit whose sync failed is acknowledged all the same',
    edits: [{ file: GROUP_COMMIT, from: 'failure = { error };', to: 'failure = undefined;' }],
    foundBy: { scenario: 'sync-fails-before-ack' },
  },
  {
    name: 'old-tenure-after-crash',
    about: 'states are sent while the local commit is in flight, and a node goes on in its old tenure after a crash',
    tampering: oldTenure,
    foundBy: { scenario: 'coordinator-forgets-what-it-sent' },
  },
  {
    name: 'tenure-kept-after-failed-commit',
    about: 'a node whose commit failed goes on as the same actor, though others have the write',
    edits: [
      {
        file: REPLICA,
        from: 'if (this.#spoken) this.#renewTenure();',
        to: '',
      },
    ],
    foundBy: { scenario: 'commit-fails-after-sending' },
  },
  {
    name: 'actor-reused-after-wipe',
    about: 'a node whose rows are gone goes on as the same actor',
    tampering: forgetsRows,
    foundBy: { scenario: 'coordinator-forgets-what-it-sent' },
  },
  {
    name: 'wall-clock-lww',
    about: 'last write wins by the wall clock, whatever the write had seen',
    edits: [
      {
        file: WRITE,
        from: 'const counter = Math.max(tick, highestCounter(context) + 1, highestCounter(state.vector) + 1);',
        to: 'const counter = tick;',
      },
      {
        file: WRITE,
        from: 'if (dot.counter <= latest)',
        to: 'if (dot.counter <= latest && false)',
      },
      {
        file: 'src/causality/hybrid-clock.ts',
        from: 'this.#last = checked(Math.max(this.#last + 1, hybridTimeAt(this.#wall())));',
        to: 'this.#last = checked(hybridTimeAt(this.#wall()) + ((this.#last + 1) % 4096));',
      },
    ],
    foundBy: { scenario: 'clocks-disagree' },
  },
  {
    name: 'merge-drops-sibling',
    about: 'a merge keeps only the versions of the side that knows more',
    edits: [
      {
        file: JOIN,
        from: 'if (order > 0 && !covers(a.vector, fromB!.dot))',
        to: 'if (order > 0 && a.versions.length === 0)',
      },
    ],
    foundBy: { seed: 8 },
  },
  {
    name: 'merge-revives-superseded',
    about: 'a merge keeps versions that the other side has superseded',
    edits: [{ file: JOIN, from: 'if (order < 0 && !covers(b.vector, fromA!.dot))', to: 'if (order < 0)' }],
    foundBy: { scenario: 'both-sides-write' },
  },
  {
    name: 'store-overwrites',
    about: 'a replica puts what it is sent in the place of what it has',
    edits: [
      {
        file: REPLICA,
        from: 'const united = joinStates(before, incoming, conflicts);',
        to: 'const united = incoming;',
      },
    ],
    foundBy: { seed: 5 },
  },
  {
    name: 'write-replaces-unseen',
    about: 'a write supersedes all that its replica has, seen by the client or not',
    edits: [
      {
        file: WRITE,
        from: 'state.versions.filter((version) => !covers(context, version.dot))',
        to: 'state.versions.filter(() => false)',
      },
    ],
    foundBy: { seed: 17 },
  },
  {
    name: 'context-covers-unseen',
    about: "a write's answer carries a context that covers siblings which the client was not shown",
    edits: [
      {
        file: 'src/api/outcome.ts',
        from: 'if (alone && outcome.context.length > 0)',
        to: 'if ((alone || true) && outcome.context.length > 0)',
      },
    ],
    foundBy: { seed: 8 },
  },
  {
    name: 'delete-forgets-vector',
    about: 'a delete leaves nothing behind, so older copies elsewhere come back',
    edits: [
      {
        file: WRITE,
        from: 'return settle({ vector, versions }, conflicts);',
        to: 'return versions.length === 0 ? { vector: [dot], versions } : settle({ vector, versions }, conflicts);',
      },
    ],
    foundBy: { seed: 8 },
  },
  {
    name: 'lww-delete-without-rank',
    about: 'a delete in a last-write-wins bucket leaves no marker, so an older write that arrives later wins',
    edits: [{ file: WRITE, from: "else if (conflicts === 'lww')", to: "else if (conflicts === 'lww' && false)" }],
    foundBy: { seed: 14 },
  },
  {
    name: 'not-applied-though-sent',
    about: 'a write that failed after it was sent is called not applied',
    edits: [
      {
        file: WRITE_OUTCOME,
        from: "const kind = mayHold === 0 ? 'not-applied' : 'unknown';",
        to: "const kind = 'not-applied' as const;",
      },
    ],
    foundBy: { seed: 14 },
  },
  {
    name: 'forward-again-after-loss',
    about: 'a forwarded write whose answer was lost is called not applied',
    edits: [
      {
        file: 'src/coordinator/coordinator.ts',
        from: "return { kind: 'unknown', trouble,",
        to: "return { kind: 'not-applied', trouble,",
      },
    ],
    foundBy: { scenario: 'answer-to-a-forward-is-lost' },
  },
  {
    name: 'quorum-counts-errors',
    about: 'a replica that refused or did not answer counts for w',
    edits: [
      {
        file: WRITE_ROUND,
        from: 'this.#tally.fail(owner.index); this.#decide();',
        to: 'this.#tally.accept(owner.index, true); this.#decide();',
      },
    ],
    foundBy: { scenario: 'too-few-have-it' },
  },
  {
    name: 'same-node-counted-twice',
    about: 'a replica that accepts, and then says that it is durable, counts twice',
    edits: [
      {
        file: TALLY,
        from: 'this.#places(accepts, among, changedIn) >= w &&',
        to: 'this.#places(accepts, among, changedIn) + this.#places(durably, among, changedIn) >= w &&',
      },
      {
        file: TALLY,
        from: 'this.#places(acceptsAsPrimary, among, changedIn) >= pw',
        to: '2 * this.#places(acceptsAsPrimary, among, changedIn) >= pw',
      },
      {
        file: TALLY,
        from: 'this.#places(durably, among, changedIn) >= dw',
        to: '2 * this.#places(durably, among, changedIn) >= dw',
      },
    ],
    foundBy: { scenario: 'power-loss-at-a-replica' },
  },
  {
    name: 'error-read-as-absent',
    about: 'a replica that fails to answer a read counts as one that has nothing',
    edits: [
      {
        file: READ_ROUND,
        from: 'this.#tally.fail(owner.index);',
        to: 'this.#answers.push({ from: owner.id, state: null }); this.#tally.accept(owner.index);',
      },
    ],
    foundBy: { scenario: 'who-knows-dies' },
  },
  {
    name: 'read-ignores-newer',
    about: 'a read answers with the first state that came back',
    edits: [
      {
        file: 'src/coordinator/join-answers.ts',
        from: 'merged = joinStates(merged, whole, conflicts);',
        to: 'if (parts.length === 1) merged = whole;',
      },
    ],
    foundBy: { seed: 5 },
  },
  {
    name: 'write-without-deadline',
    about: 'a write waits for its quorum for ever',
    edits: [{ file: WRITE_ROUND, from: "return this.#end('deadline');", to: 'return;' }],
    foundBy: { scenario: 'disk-hangs' },
  },
  {
    name: 'retry-mints-again',
    about: 'nobody asks whether a request with an idempotency key was carried out before',
    edits: [
      { file: BEFORE_WRITE, from: 'if (mark !== null) {', to: 'if (mark !== null && false) {' },
      {
        file: REPLICA,
        from: 'if (known !== undefined) throw new AlreadyMinted(',
        to: 'if (false) throw new AlreadyMinted(',
      },
    ],
    foundBy: { seed: 11 },
  },
  {
    name: 'retry-row-stays-home',
    about: 'what a request has become is not given to the other owners with the state, nor named by the version',
    edits: [
      { file: WRITE_ROUND, from: 'retries: retry === null ? [] : [retry]', to: 'retries: []' },
      {
        file: REPLICA,
        from: 'request: mark === null ? undefined : toHex(mark.fingerprint),',
        to: 'request: undefined,',
      },
    ],
    foundBy: { seed: 11 },
  },
  {
    name: 'retry-row-after-the-write',
    about: 'what a request has become is written in a transaction of its own, after that of the write',
    edits: [
      {
        file: REPLICA,
        from: 'if (retry !== null) this.#retries.put(transaction, request.scope, request.key, retry);',
        to: 'if (retry !== null) this.#options.world.clock.after(100, () => void this.#commits.submit({ run: (later) => this.#retries.put(later, request.scope, request.key, retry), bytes: 0, durable: true }));',
      },
      { file: WRITE_ROUND, from: 'retries: retry === null ? [] : [retry]', to: 'retries: []' },
      {
        file: REPLICA,
        from: 'request: mark === null ? undefined : toHex(mark.fingerprint),',
        to: 'request: undefined,',
      },
    ],
    foundBy: { seed: 8 },
  },
  {
    name: 'retry-asks-one-owner',
    about: 'one owner that knows of no earlier attempt is enough to mint',
    edits: [
      {
        file: BEFORE_WRITE,
        from: "return Math.max(resolveQuorum('quorum', owners), owners - w + 1);",
        to: "return Math.min(1, resolveQuorum('quorum', owners), owners - w + 1);",
      },
    ],
    foundBy: { scenario: 'retried-where-nobody-knows' },
  },
  {
    name: 'condition-before-retry',
    about: 'the condition of a request that was carried out before is judged again',
    edits: [
      { file: BEFORE_WRITE, from: 'if (mark !== null) {', to: 'if (mark !== null && request.conditions === null) {' },
    ],
    foundBy: { scenario: 'created-once' },
  },
  {
    name: 'repeats-stay-siblings',
    about: 'two attempts of one request that meet stay beside each other',
    edits: [
      {
        file: 'src/causality/repeats.ts',
        from: 'if (attempts.size === named.length) return state;',
        to: 'if (attempts.size <= named.length) return state;',
      },
      {
        file: 'src/replica/settle-retries.ts',
        from: "if (repeat === undefined || conflicts !== 'siblings'",
        to: "if (repeat === undefined || conflicts !== 'siblings' || conflicts.length > 0",
      },
    ],
    foundBy: { scenario: 'attempts-meet' },
  },
  {
    name: 'lww-drops-repeats',
    about: 'the later attempt of a request goes in last-write-wins buckets too, against the order that settles there',
    edits: [
      {
        file: 'src/replica/settle-retries.ts',
        from: "if (repeat === undefined || conflicts !== 'siblings'",
        to: 'if (repeat === undefined || conflicts.length === 0',
      },
    ],
    foundBy: { scenario: 'attempts-meet' },
  },
  {
    name: 'tenures-from-one',
    about: 'the tenures of a node are counted from one at each start',
    edits: [{ file: NODE_STORAGE, from: 'new Tenure(lastTenure, reserved)', to: 'new Tenure(lastTenure, 1)' }],
    foundBy: { scenario: 'coordinator-forgets-what-it-sent' },
  },
  {
    name: 'drop-keeps-incarnation',
    about: 'a dropped bucket goes on in the same life, so its rows are still there',
    edits: [
      {
        file: 'src/buckets/change.ts',
        from: '(rowNamed(facts, name)?.incarnation ?? 0) + 1',
        to: '(rowNamed(facts, name)?.incarnation ?? 0)',
      },
    ],
    foundBy: { scenario: 'bucket-is-dropped' },
  },
  {
    name: 'dropping-takes-the-new-life-too',
    about: 'what a dropped bucket has left behind is taken away together with the rows of its present life',
    edits: [
      {
        file: 'src/replica/dropped-buckets.ts',
        from: 'to: recordPrefix(bucket, incarnation)',
        to: 'to: recordPrefix(bucket, incarnation + 1)',
      },
    ],
    foundBy: { scenario: 'bucket-is-dropped' },
  },
  {
    name: 'dropped-rows-stay',
    about: 'nobody takes away what a dropped bucket has left behind',
    edits: [
      {
        file: 'src/replica/dropped-buckets.ts',
        from: '(this.#emptyBelow.get(bucket) ?? 0) < incarnation',
        to: '(this.#emptyBelow.get(bucket) ?? 0) > incarnation',
      },
    ],
    foundBy: { scenario: 'bucket-is-dropped' },
  },
  {
    name: 'wiped-owner-counts',
    about: 'an owner that has lost its disk counts for reads before it was filled again',
    edits: [
      {
        file: REPLICA,
        from: 'if (this.#options.knowledge.refilling())',
        to: 'if (this.#options.knowledge.refilling() && false)',
      },
      { file: READ_ROUND, from: ".filter((owner) => owner.state !== 'refilling')", to: '' },
    ],
    foundBy: { scenario: 'an-owner-loses-its-disk' },
  },
  ...MANY_KEYS_BUGS,
  ...STRONG_BUGS,
  ...RING_CHANGE_BUGS,
  ...TYPE_BUGS,
  ...SESSION_BUGS,
  ...VECTOR_BUGS,
  {
    name: 'fallback-actor-reused',
    about: 'a fallback that mints in the place of owners does so as the same actor each time',
    edits: [
      {
        file: 'src/handoff/mint-in-place.ts',
        from: '?? replica.tenureForOnce();',
        to: '?? (replica === undefined ? undefined : 1);',
      },
    ],
    foundBy: { scenario: 'fallback-writes-twice' },
  },
  {
    name: 'fallback-actor-goes-on-unknowing',
    about: 'a fallback goes on as an actor of which it has forgotten what that has minted',
    edits: [
      {
        file: 'src/handoff/in-place-actors.ts',
        from: 'covers(vector, last) && counterOf(vector, last) <= last.counter',
        to: 'counterOf(vector, last) <= last.counter',
      },
    ],
    foundBy: { scenario: 'fallback-writes-twice' },
  },
  {
    name: 'hint-deleted-without-revision',
    about: 'a hint is deleted when it was delivered, whatever has come to it meanwhile',
    edits: [
      {
        file: 'src/handoff/hint-table.ts',
        from: 'if (hint.revision !== revision) return false;',
        to: 'if (hint.revision === -revision) return false;',
      },
    ],
    foundBy: { scenario: 'hint-grows-while-delivered' },
  },
  {
    name: 'fallback-counted-as-primary',
    about: 'a fallback that has a write counts for pw',
    edits: [
      {
        file: TALLY,
        from: 'this.#places(acceptsAsPrimary, among, changedIn) >= pw',
        to: 'this.#places(accepts, among, changedIn) >= pw',
      },
    ],
    foundBy: { scenario: 'owners-are-asked-for' },
  },
  {
    name: 'absence-at-a-fallback-counted',
    about: 'a fallback that keeps nothing of a key counts as one that says that there is nothing',
    edits: [
      {
        file: READ_ROUND,
        from: 'if (place === undefined || this.#request.retryId !== undefined || this.#hasEnough) {',
        to: `if (place === undefined && reply.state === null) {
          this.#answers.push({ from: fallback.id, isOwner: false, state: null });
          this.#tally.accept(fallback.index);
          this.#decide();
          return;
        }
        if (place === undefined || this.#request.retryId !== undefined || this.#hasEnough) {`,
      },
    ],
    foundBy: { scenario: 'a-fallback-knows-nothing' },
  },
  {
    name: 'repair-towards-fallbacks',
    about: 'a fallback whose hint is behind is mended by reads, as if it were a replica',
    edits: [{ file: READ_ROUND, from: 'answers: parts.filter(({ isOwner }) => isOwner),', to: 'answers: parts,' }],
    foundBy: { scenario: 'a-fallback-is-behind' },
  },
  {
    name: 'hint-keyed-without-owner',
    about: 'hints for several owners of a key are one row',
    edits: [
      {
        file: 'src/handoff/tables.ts',
        from: 'u16(writer, owner); writer.u8(n);',
        to: 'u16(writer, owner * 0); writer.u8(n);',
      },
    ],
    foundBy: { scenario: 'kept-for-several-owners' },
  },
  {
    name: 'reclaim-by-those-who-are-there',
    about: 'tombstones are given up when the owners that can be reached have them, whatever hints wait',
    edits: [
      {
        file: RECLAIM,
        from: "const members = ring.members.filter(({ state }) => state !== 'removed');",
        to: 'const members = ring.members.filter(({ id }) => this.#reaches(id));',
      },
      {
        file: 'src/repair/reclaim-owner.ts',
        from: 'ring.members.filter((member) => member.index === index));',
        to: 'ring.members.filter((member) => member.index === index && (member.id === self || messaging.reachable(member.id))));',
      },
      { file: RECLAIM, from: 'if (low === 0 || low > floor) continue;', to: 'if (low >= 0) continue;' },
    ],
    foundBy: { scenario: 'deleted-while-one-is-away' },
  },
  {
    name: 'reclaim-ignores-hints',
    about: 'tombstones are given up when all owners have them, whatever hints wait',
    edits: [{ file: RECLAIM, from: 'if (low === 0 || low > floor) continue;', to: 'if (low >= 0) continue;' }],
    foundBy: { scenario: 'hint-is-older-than-a-deletion' },
  },
  {
    name: 'leaf-not-in-the-transaction',
    about: 'what a write changes in the Merkle trees is kept in memory only',
    edits: [
      {
        file: 'src/repair/trees.ts',
        from: 'if (this.#changes.length > 0) {',
        to: 'if (this.#changes.length > 1_000_000) {',
      },
    ],
    foundBy: { seed: 13 },
  },
];

export function bugNamed(name: string): Bug {
  return present(
    BUGS.find((bug) => bug.name === name),
    `bug ${name}`,
  );
}

function oldTenure(): Tampering {
  const last = new Map<string, Dot>();
  return {
    minted: (machine, dot) => last.set(machine.id, dot),
    starting: ({ id, medium }) => {
      const dot = last.get(id);
      if (dot === undefined) return;
      medium.set(NODE, utf8('tenure'), number(dot.tenure));
      medium.set(NODE, utf8('clean'), number(1));
    },
  };
}

function forgetsRows(): Tampering {
  const resumed = oldTenure();
  return {
    ...resumed,
    starting: (machine) => {
      resumed.starting?.(machine);
      const { medium } = machine;
      if (!medium.snapshot().tables.has(RECORDS)) return;
      for (const [key] of [...medium.table(RECORDS).rows()]) medium.set(RECORDS, key, undefined);
    },
  };
}

function number(value: number): Uint8Array {
  const writer = new ByteWriter();
  writer.varint(value);
  return writer.finish();
}
