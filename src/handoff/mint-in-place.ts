/**
 * A write that no owner can take: a fallback mints it itself, in the place of the owners.
 *
 * It does so as an actor that exists for this one key, and for as long as what is minted upon knows all that this actor has minted
 * (in-place-actors.ts). An actor of its own for good would be wrong: the hint is handed over and forgotten, so the next write for
 * the key would be minted without knowing the one before, by the same actor and with a larger counter, and at the owners its
 * vector would cover, and so erase, what it never saw.
 */

import type { HybridClock } from '#causality/hybrid-clock.ts';
import { joinStates } from '#causality/join.ts';
import { EMPTY_STATE, type State } from '#causality/state.ts';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import type { Dot } from '#causality/dot.ts';
import type { NodeIndex } from '#kernel/identity.ts';
import type { Checksum } from '#kernel/native.ts';
import { checkSize, mintOn, type Base, type MintedWrite, type SizeLimits } from '#replica/mint.ts';
import { OVERLOADED, TOO_LATE } from '#replica/refusals.ts';
import type { Replica } from '#replica/replica.ts';
import type { StoredState } from '#replica/records.ts';
import { fenceKeeper, type Knowledge, type Scope } from '#replica/scope.ts';
import { Refusal } from '#wire/message.ts';
import type { HintTable, HintTransaction } from './hint-table.ts';
import type { InPlaceActors } from './in-place-actors.ts';

export interface InPlaceRequest extends MintedWrite {
  readonly scope: Scope;
  readonly key: Uint8Array;
  /** The owners for whom this node keeps the write; it counts in the place of the first. */
  readonly owners: readonly NodeIndex[];
  readonly durable: boolean;
  /** Asked when the operation's turn has come: once its caller has answered, an unsent write must stay unsent. */
  readonly stillWanted: () => boolean;
}

export interface MintedInPlace extends StoredState {
  readonly dot: Dot;
}

export interface InPlaceOptions {
  readonly table: HintTable;
  readonly replica: Pick<Replica, 'tenureForOnce' | 'floors'>;
  readonly actors: InPlaceActors;
  readonly knowledge: Knowledge;
  readonly clock: HybridClock;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly checksum: Checksum;
  readonly limits: SizeLimits;
}

/**
 * Mints on top of what this node keeps for the owners already. `send` gets the state before it is committed here. Rejects
 * with Refusal, DiskError or what replica/mint.ts throws; nothing was sent when `send` was not called.
 */
export function mintInPlace(
  options: InPlaceOptions,
  request: InPlaceRequest,
  send: (minted: MintedInPlace) => void,
): Promise<MintedInPlace> {
  const operation = { bytes: request.content?.value.length ?? 0, durable: request.durable, beforeCommit: send };
  return options.table.write(operation, (hints) => mint(options, request, hints));
}

function mint(options: InPlaceOptions, request: InPlaceRequest, hints: HintTransaction): MintedInPlace {
  const { knowledge, clock, now, checksum, replica, actors, limits } = options;
  const { scope, key, owners, operating } = request;
  if (!request.stillWanted()) throw new Refusal(TOO_LATE, 'the deadline passed in the queue of the disk');
  const { conflicts } = fenceKeeper(scope, knowledge);
  const base = operating?.base ?? null;
  // What was read may be dead since, and a hint is read anew when it goes home, as if it were news.
  if (base !== null) replica.floors.check(scope, base.origin);
  const { n, partition, bucket, incarnation } = scope;
  const names = owners.map((owner) => ({ owner, n, partition, bucket, incarnation, key }));
  const before = names.reduce<State>((joined, name) => {
    const kept = hints.read(name)?.state ?? null;
    return kept === null ? joined : joinStates(joined, decodeState(kept, checksum), conflicts);
  }, base?.state ?? EMPTY_STATE);
  const tenure = actors.goingOn({ bucket, incarnation, key }, before.vector)?.tenure ?? replica.tenureForOnce();
  if (tenure === undefined) throw new Refusal(OVERLOADED, 'this node is reserving more tenures');
  const minter = { node: knowledge.self(), tenure, clock, conflicts, request: undefined, now: now() };
  const after = Math.max(request.after, replica.floors.highest(scope));
  const { state, dot } = mintOn(before, { ...request, after }, minter);
  const encoded = encodeState(state, checksum);
  checkSize(request, { state: before, bytes: 0 }, { state, bytes: encoded.length }, limits, minter.now);
  actors.minted({ bucket, incarnation, key }, dot);
  for (const name of names) hints.put(name, { state: encoded, own: false, sole: true, low: low(dot, base) }, conflicts);
  return { state, encoded, dot };
}

/** What the hint holds may be as old as what was read for it. */
function low({ counter }: Dot, base: Base | null): number {
  return base === null ? counter : Math.min(counter, base.origin);
}
