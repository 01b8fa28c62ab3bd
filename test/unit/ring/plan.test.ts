import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { epoch, nodeId, nodeIndex, storageId } from '#kernel/identity.ts';
import { changeMembers, type Newcomer, type RingChange } from '#ring/change.ts';
import { memberFigures, tableFigures } from '#ring/plan-figures.ts';
import { objections, planRing, type RingPlan } from '#ring/plan.ts';
import { placeableMembers } from '#ring/placement.ts';
import type { Ring } from '#ring/ring.ts';
import { chooseVoters } from '#ring/voters.ts';
import { member, ringOf } from './rings.ts';

const NOTHING: RingChange = { join: [], leave: [], replace: [], weights: [], zones: [] };

function waiting(id: string, zone = 'z1', weight = 1): Newcomer {
  const digits = Buffer.from(id).toString('hex').padStart(32, '0');
  return { id: nodeId(id), storageId: storageId(digits), peer: `${id}:1`, url: `http://${id}`, zone, weight };
}

function plan(ring: Ring, change: Partial<RingChange>, newcomers: readonly Newcomer[] = []): RingPlan {
  const changed = changeMembers(ring, { ...NOTHING, ...change }, newcomers);
  if (changed.kind === 'refused') throw new Error(`${changed.field}: ${changed.detail}`);
  const result = planRing(ring, changed);
  expect(objections(ring, result)).toEqual([]);
  expect(result.moves.length).toBeGreaterThanOrEqual(result.leastMoves);
  return result;
}

/** The ring when all of the plan is done. */
function done(ring: Ring, { members, voters, tables }: RingPlan): Ring {
  const placements = tables.map(({ n, rows }) => ({
    n,
    partitions: rows.map((owners) => ({ owners, changedIn: epoch(2) })),
  }));
  return { ...ring, members, voters, placements };
}

function names(ring: Ring): string[] {
  return placeableMembers(ring.members).map(({ id }) => id);
}

describe('plans', () => {
  test('a join takes its share and nothing else moves', () => {
    const ring = ringOf(['z1', 'z1', 'z1', 'z1', 'z1']);
    const joined = plan(ring, { join: ['n6'] }, [waiting('n6')]);
    expect(joined.moves.length).toBe(128);
    expect(joined.leastMoves).toBe(128);
    expect(new Set(joined.moves.map(({ to }) => to))).toEqual(new Set([5]));
    expect(joined.dropped).toEqual([]);
    expect(joined.voters).toEqual([0, 1, 2, 3, 4, 5]);
    const six = done(ring, joined);
    expect(names(six)).toEqual(['n1', 'n2', 'n3', 'n4', 'n5', 'n6']);
    expect(plan(six, {})).toMatchObject({ moves: [], dropped: [], reordered: 0, voters: six.voters });
  });

  test('one to two to three nodes and back: lists grow from anywhere, and shrink', () => {
    let ring = ringOf(['z1'], 16);
    const two = plan(ring, { join: ['n2:1'] }, [waiting('n2')]);
    expect(two.moves.every(({ from, to }) => from === null && to === 1)).toBe(true);
    expect(two.moves.length).toBe(16);
    ring = done(ring, two);
    ring = done(ring, plan(ring, { join: ['n3'] }, [waiting('n3')]));
    expect(ring.placements[0]!.partitions.every(({ owners }) => owners.length === 3)).toBe(true);
    const one = plan(ring, { leave: ['n1', 'n3'] });
    expect(one.moves).toEqual([]);
    expect(one.dropped.length).toBe(32);
    expect(one.voters).toEqual([1]);
    ring = done(ring, one);
    // A name that was given up may be used again, by another index.
    const again = plan(ring, { join: ['n1'] }, [waiting('n1')]);
    expect(again.members.filter(({ id }) => id === 'n1').map(({ index, state }) => [index, state])).toEqual([
      [0, 'removed'],
      [3, 'active'],
    ]);
  });

  test('who replaces a member takes exactly its places', () => {
    const ring = ringOf(['z1', 'z2', 'z3', 'z1', 'z2']);
    const places = ring.placements[0]!.partitions.filter(({ owners }) => owners.includes(1 as never)).length;
    const replaced = plan(ring, { replace: [['n2', 'n6']] }, [waiting('n6', 'z2')]);
    expect(replaced.moves.length).toBe(places);
    expect(replaced.moves.every(({ from, to }) => from === 1 && to === 5)).toBe(true);
    const figures = memberFigures(ring, replaced);
    expect(figures.find(({ index }) => index === 1)).toMatchObject({ change: 'leaves', after: 0, gives: places });
    expect(figures.find(({ index }) => index === 5)).toMatchObject({ change: 'joins', before: 0, gets: places });
  });

  test('zones that force imbalance are told with figures', () => {
    const ring = ringOf(['z1', 'z1', 'z2', 'z2', 'z3']);
    const [figures] = tableFigures(ring, plan(ring, {}));
    expect(figures!.balance.after.fullest).toBeCloseTo(1.667, 2);
    expect(figures!.zones.after).toEqual({ fewest: 3, possible: 3 });
    const apart = tableFigures(ring, plan(ring, { zones: [['n5', 'z2']] }))[0]!;
    expect(apart.balance.after.fullest).toBeLessThan(1.3);
    expect(apart.zones.before).toEqual({ fewest: 3, possible: 3 });
    expect(apart.zones.after).toEqual({ fewest: 2, possible: 2 });
  });

  const anyStep = fc.record({
    joins: fc.nat(3),
    leaves: fc.nat(3),
    zone: fc.integer({ min: 1, max: 4 }),
    weight: fc.constantFrom(1, 1, 2, 3),
    replaces: fc.boolean(),
    changesWeight: fc.boolean(),
    changesZone: fc.boolean(),
    which: fc.nat(1000),
  });

  test('any changes at once lead to a table that nothing speaks against, and a second plan to nothing', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }),
        fc.array(anyStep, { minLength: 1, maxLength: 4 }),
        (zones, steps) => {
          let ring = ringOf(
            zones.map((zone) => `z${zone}`),
            16,
          );
          for (const [i, step] of steps.entries()) {
            const all = names(ring);
            const newcomers = Array.from({ length: step.joins + 1 }, (_, j) =>
              waiting(`x${i}-${j}`, `z${step.zone}`, step.weight),
            );
            const some = (offset: number): string => all[(step.which + offset) % all.length]!;
            const leave = all.slice(0, Math.min(step.leaves, all.length - 1));
            const stays = all.filter((name) => !leave.includes(name));
            const old = stays.length > 1 && step.replaces ? stays[0]! : undefined;
            const kept = [some(0), some(1)].filter((name) => name !== old && !leave.includes(name));
            const next = plan(
              ring,
              {
                join: newcomers.slice(1).map(({ id }) => id),
                leave,
                replace: old === undefined ? [] : [[old, newcomers[0]!.id]],
                weights: step.changesWeight && kept.length > 0 ? [[kept[0]!, step.weight]] : [],
                zones: step.changesZone && kept.length > 0 ? [[kept.at(-1)!, `z${step.zone}`]] : [],
              },
              newcomers,
            );
            ring = done(ring, next);
            expect(plan(ring, {})).toMatchObject({ moves: [], dropped: [], reordered: 0 });
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each<[Partial<RingChange>, string]>([
    [{ join: ['n9'] }, 'join: no node named n9 waits to join; those that wait are n6, n7'],
    [{ join: ['n1'] }, 'join: n1 is a member already'],
    [{ join: ['n6', 'n6:1'] }, 'join: n6:1 joins twice'],
    [{ leave: ['n9'] }, 'leave: n9 is not a member'],
    [{ leave: ['n6'] }, 'leave: n6 is not a member'],
    [{ leave: ['n1', 'n1'] }, 'leave: n1 leaves twice'],
    [{ leave: ['n1', 'n2', 'n3'] }, 'leave: no member would be left'],
    [{ join: ['n6'], leave: ['n6'] }, 'leave: n6 joins and leaves'],
    [{ leave: ['n1'], replace: [['n1', 'n6']] }, 'replace: n1 leaves twice'],
    [{ replace: [['n1', 'n2']] }, 'replace: n2 is a member already'],
    [{ weights: [['n9', 2]] }, 'weights: n9 is neither a member nor joins'],
    [{ leave: ['n1'], zones: [['n1', 'z']] }, 'zones: n1 leaves'],
  ])('refused: %j', (change, detail) => {
    const ring = ringOf(['z1', 'z1', 'z1'], 8);
    expect(() => plan(ring, change, [waiting('n6'), waiting('n7')])).toThrow(detail);
  });

  test('a plan that is wrong is found out', () => {
    const ring = ringOf(['z1', 'z2', 'z3', 'z3'], 8);
    const good = plan(ring, { leave: ['n4'] });
    const [first, ...rows] = good.tables[0]!.rows;
    const wrong = (row: readonly number[]): string =>
      objections(ring, { ...good, tables: [{ n: 3, rows: [row as never, ...rows] }] }).join('; ');
    expect(wrong([first![0]!, first![0]!, first![1]!])).toContain('partition 0 of n=3 would have two replicas on one');
    expect(wrong([first![0]!, first![1]!])).toContain('would have 2 owners and could have 3');
    expect(wrong([0, 1, 3])).toContain('would have an owner that is no member');
    const short = objections(ring, { ...good, moves: good.moves.slice(1) }).join('; ');
    expect(short).toContain('would not lead to its table');
    expect(short).toContain('moves are needed');
    const twice = objections(ring, { ...good, moves: [...good.moves, good.moves[0]!] }).join('; ');
    expect(twice).toContain('moves twice');
    const apart = ringOf(['z1', 'z2', 'z2'], 8);
    const spread = plan(ringOf(['z1', 'z2', 'z2', 'z2'], 8), {});
    expect(
      objections(apart, {
        ...spread,
        tables: [{ n: 3, rows: apart.placements[0]!.partitions.map(() => [1, 2, 3] as never) }],
      }).join(),
    ).toContain('in 1 zones and could be in more');
  });
});

test('voters come from all zones, and those that are voters stay', () => {
  const nine = Array.from({ length: 9 }, (_, i) => member(i, { zone: `z${Math.floor(i / 3)}` }));
  const voters = (...indexes: number[]): number[] =>
    chooseVoters(
      nine,
      indexes.map((index) => nodeIndex(index)),
    );
  expect(voters()).toEqual([0, 1, 2, 3, 4, 6, 7]);
  expect(voters(0, 1, 5, 8)).toEqual([0, 1, 2, 3, 5, 6, 8]);
  expect(chooseVoters(nine.slice(0, 2))).toEqual([0, 1]);
});
