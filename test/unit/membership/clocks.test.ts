/** What a node makes of the others' clocks: when it starts, and when its own one jumps. */

import { beforeEach, describe, expect, test } from 'vitest';
import { nodeId, nodeIndex } from '#kernel/identity.ts';
import { Clocks } from '#membership/clocks.ts';
import { createMetrics } from '#world/real/metrics.ts';
import { ManualClock } from '../wire/fake-world.ts';
import { silentLog } from '../../contract/worlds.ts';

const HOUR = 3_600_000;
const MEMBERS = ['n1', 'n2', 'n3'].map((id, i) => ({ id: nodeId(id), index: nodeIndex(i) }));

let clock: ManualClock;
let jumped: number;
let clocks: Clocks;

beforeEach(() => {
  clock = new ManualClock();
  jumped = 0;
  const wall = (): number => clock.wall() + jumped;
  const clockOf = Object.assign(Object.create(clock) as ManualClock, { wall });
  const world = { clock: clockOf, log: silentLog, metrics: createMetrics() };
  clocks = new Clocks(world, nodeId('n1'), { warnFrom: 500, apartMax: 60_000 });
  clocks.setMembers(MEMBERS);
});

/** A probe of a member whose clock is ahead by so much. */
function probe(id: string, ahead: number | undefined): void {
  clocks.asked(nodeId(id), ahead === undefined ? undefined : clocks.now().wall + ahead, clocks.now());
}

describe('a node that starts', () => {
  test('serves when it was compared with one that agrees', () => {
    expect(clocks.doubt()).toContain('has not been compared');
    probe('n2', 100);
    expect(clocks.doubt()).toBeUndefined();
    // Later on a majority decides, and nothing less.
    probe('n2', -HOUR);
    expect([clocks.doubt(), clocks.ownFault()]).toEqual([undefined, undefined]);
  });

  test('waits for what others say when the first one does not agree', () => {
    probe('n2', -HOUR);
    expect(clocks.doubt()).toBe('its clock is 60.0 minutes ahead of that of n2, and it waits for what others say');
    probe('n3', -HOUR);
    expect(clocks.ownFault()).toBe(-HOUR);
  });

  test('is right when the second one agrees', () => {
    probe('n2', -HOUR);
    probe('n3', 0);
    expect([clocks.doubt(), clocks.ownFault()]).toEqual([undefined, undefined]);
  });

  test('as the only member goes on when others join', () => {
    clocks.setMembers(MEMBERS.slice(0, 1));
    clocks.setMembers(MEMBERS);
    expect(clocks.doubt()).toBeUndefined();
  });

  test('does not wait for ever, nor for those that do not tell their time, nor alone', async () => {
    probe('n2', -HOUR);
    await clock.advance(10_000);
    expect(clocks.doubt()).toBeUndefined();
    clocks.setMembers(MEMBERS.slice(0, 1));
    expect(clocks.doubt()).toBeUndefined();
  });

  test('serves among members that do not tell their time', () => {
    probe('n2', undefined);
    expect(clocks.doubt()).toBeUndefined();
  });
});

test('a probe during which the own clock jumped measures nothing', () => {
  const sent = clocks.now();
  jumped = HOUR;
  clocks.asked(nodeId('n2'), sent.wall, sent);
  expect(clocks.difference(nodeId('n2'))).toBeUndefined();
});

test('a clock that was found wrong is right again when others agree, not when they are silent', async () => {
  probe('n2', -HOUR);
  probe('n3', -HOUR);
  await clock.advance(70_000);
  probe('n2', -HOUR);
  expect(clocks.ownFault()).toBe(-HOUR);
  jumped = -HOUR;
  probe('n2', 0);
  expect(clocks.ownFault()).toBeUndefined();
});

describe('a clock that jumps', () => {
  beforeEach(() => {
    probe('n2', 0);
    probe('n3', 0);
    expect(clocks.doubt()).toBeUndefined();
  });

  test.each([
    [HOUR, 'its clock has gone 60.0 minutes ahead at once, and it waits for what others say'],
    [-HOUR, 'its clock has gone 60.0 minutes back at once, and it waits for what others say'],
  ])('by %d ms is in doubt before anybody has told, and right when another has jumped as well', (by, why) => {
    jumped = by;
    expect(clocks.doubt()).toBe(why);
    probe('n2', 0);
    expect([clocks.doubt(), clocks.ownFault()]).toEqual([undefined, undefined]);
  });

  test('stays in doubt for as long as another one knows better, though no majority does', async () => {
    jumped = HOUR;
    probe('n2', -HOUR);
    await clock.advance(20_000);
    const why =
      'its clock has gone 60.0 minutes ahead at once, and those of other members did not: ' +
      'set it right, or start this node again if it is right now';
    expect([clocks.doubt(), clocks.ownFault()]).toEqual([why, undefined]);
    jumped = 0;
    expect(clocks.doubt()).toBeUndefined();
  });

  test('is not waited for for ever where nobody answers', async () => {
    jumped = HOUR;
    expect(clocks.doubt()).toBeDefined();
    await clock.advance(10_000);
    expect(clocks.doubt()).toBeUndefined();
    // From here on that is where it was.
    jumped = 0;
    expect(clocks.doubt()).toContain('60.0 minutes back');
  });

  test('to where it is wrong, and then right again, is trusted when others agree', () => {
    jumped = HOUR;
    probe('n2', -HOUR);
    probe('n3', -HOUR);
    expect(clocks.ownFault()).toBe(-HOUR);
    jumped = 0;
    probe('n2', 0);
    probe('n3', 0);
    expect([clocks.doubt(), clocks.ownFault()]).toEqual([undefined, undefined]);
  });

  test('twice in small steps between two comparisons is in doubt, and after each of them is not', () => {
    jumped = 40_000;
    expect(clocks.doubt()).toBeUndefined();
    jumped = 80_000;
    expect(clocks.doubt()).toContain('80.0 seconds ahead');
    jumped = 40_000;
    probe('n2', 0);
    jumped = 80_000;
    expect(clocks.doubt()).toBeUndefined();
  });

  test('of an only member is its own affair', () => {
    clocks.setMembers(MEMBERS.slice(0, 1));
    jumped = HOUR;
    expect(clocks.doubt()).toBeUndefined();
    clocks.setMembers(MEMBERS);
    expect(clocks.doubt()).toBeUndefined();
  });
});
