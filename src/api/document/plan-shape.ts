/**
 * The plan of a ring change, as JSON.
 */

import type { PlannedMember, PlanSummary, Risk } from '#operator/describe-plan.ts';
import type { ForcedTable, ForceView } from '#operator/ring-force.ts';
import type { MoveView, PlanView, TransfersView } from '#operator/ring-plans.ts';
import type { Balance, TableFigures, ZoneSpread } from '#ring/plan-figures.ts';
import { CHANGE_OUTCOMES, type ChangeOver } from '#ring/ring.ts';
import type { Schema } from '#kernel/json-schema.ts';
import { count, described, list, nullable, object, text } from './shapes.ts';

interface BothSides {
  readonly before: unknown;
  readonly after: unknown;
}

function beforeAndAfter(schema: Schema, description: string): Schema {
  return { ...object<BothSides>({ before: schema, after: schema }), description };
}

const MULTIPLE: Schema = { type: 'number', minimum: 0 };

const TABLE = object<TableFigures>({
  n: count,
  owners: beforeAndAfter(count, 'Owners of the partition with the fewest.'),
  balance: beforeAndAfter(
    object<Balance>({ fullest: MULTIPLE, emptiest: MULTIPLE }),
    'What the fullest and the emptiest member own, as multiples of what their weight deserves.',
  ),
  zones: beforeAndAfter(
    object<ZoneSpread>({ fewest: count, possible: count }),
    'Zones that the partition in the fewest is in, and as many as could be.',
  ),
});

const MEMBER = object<PlannedMember>({
  id: text,
  change: { enum: ['joins', 'leaves', 'stays'] },
  zone: text,
  weight: { type: 'number' },
  before: described(count, 'Places in lists of owners.'),
  after: count,
  gets: count,
  gives: count,
  keys: described(count, 'Keys that it gets, as far as they could be weighed.'),
  bytes: count,
});

const SUMMARY = object<PlanSummary>({
  moves: count,
  leastMoves: described(count, 'No ring with the same shares needs fewer.'),
  dropped: count,
  keys: count,
  bytes: count,
  seconds: described(
    count,
    "How long it may take when the throttle is the nodes' own and clients leave them the time, roughly.",
  ),
  reordered: described(count, 'Partitions that keep their owners and change who is asked first.'),
  members: list(MEMBER),
  voters: beforeAndAfter(list(text), 'Who votes on epochs.'),
  tables: list(TABLE, 'For each n in use.'),
  givesUp: list(text, 'What nobody will have any more, because the plan accepts the loss of members.'),
  risks: list(object<Risk>({ code: text, detail: text }), 'What an operator should know first.'),
});

export const PLAN: Schema = object<PlanView>({
  id: described(text, 'What applies it; kept in the memory of the node that made it.'),
  epoch: described(count, 'It is good as long as the ring is that of this epoch.'),
  moves: list(
    object<MoveView>({
      n: count,
      partition: count,
      from: described(nullable(text), 'Null when there is no owner to get it from.'),
      to: text,
      keys: described(nullable(count), 'Null when nobody could say.'),
      bytes: nullable(count),
    }),
  ),
  dropped: list(
    object<PlanView['dropped'][number]>({ n: count, partition: count, from: text }),
    'Replicas that are given up, because there are fewer members than replicas.',
  ),
  summary: SUMMARY,
});

export const TRANSFERS: Schema = object<TransfersView>({
  state: { enum: ['idle', 'running', 'paused', 'aborting'] },
  id: described(nullable(text), 'The plan that began the change that is under way.'),
  epoch: count,
  moves: described(count, 'Replicas that moved, or were given up, when it began.'),
  done: described(count, 'How many of them are where they belong.'),
  keys: described(count, 'What there was to move when it began, as far as it could be weighed.'),
  bytes: count,
  throttle: described(nullable(count), 'Bytes a second that each node may spend; null: as many as it can.'),
  bytesPerSecond: described(nullable(count), 'As seen from this node lately; null when it cannot say yet.'),
  secondsLeft: described(nullable(count), 'At that speed.'),
  waiting: described(
    list(object<TransfersView['waiting'][number]>({ node: text, milliseconds: count, reason: text })),
    'Newcomers that take nothing yet, for how long at the least, and why: such as one that waits until all clocks are past a time. ' +
      'With 0 milliseconds: a member that holds it up, or must be there before it can go on.',
  ),
  last: described(
    nullable(object<ChangeOver>({ id: text, outcome: { enum: CHANGE_OUTCOMES } })),
    'The change that ended last.',
  ),
  transfers: list(
    object<TransfersView['transfers'][number]>({
      n: count,
      partition: count,
      stage: { enum: ['planned', 'dual', 'read-new', 'offload'] },
      from: list(text),
      to: list(text),
    }),
  ),
});

export const FORCED: Schema = object<ForceView>({
  applied: described({ type: 'boolean' }, 'False when it was only asked what it would mean.'),
  epoch: described(count, 'That it makes.'),
  lost: list(text),
  survivors: list(text),
  voters: beforeAndAfter(list(text), 'Who votes on epochs.'),
  tables: list(
    object<ForcedTable>({
      n: count,
      partitions: count,
      withoutOwner: described(count, 'Partitions of which no owner is left.'),
      withoutMajority: described(count, 'Those, and partitions with so few owners left that writes may be missing.'),
    }),
    'For each n in use.',
  ),
  mayLose: list(text, 'What may be lost, in words.'),
});
