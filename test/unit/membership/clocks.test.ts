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
    expect(clocks.startDoubt()).toContain('has not been compared');
    probe('n2', 100);
    expect(clocks.startDoubt()).toBeUndefined();
    // Later on a majority decides, and nothing less.
    probe('n2', -HOUR);
    expect([clocks.startDoubt(), clocks.ownFault()]).toEqual([undefined, undefined]);
  });

  test('waits for what others say when the first one does not agree', () => {
    probe('n2', -HOUR);
    expect(clocks.startDoubt()).toBe('its clock is 60.0 minutes ahead of that of n2, and it waits for what others say');
    probe('n3', -HOUR);
    expect(clocks.ownFault()).toBe(-HOUR);
  });

  test('is right when the second one agrees', () => {
    probe('n2', -HOUR);
    probe('n3', 0);
    expect([clocks.startDoubt(), clocks.ownFault()]).toEqual([undefined, undefined]);
  });

  test('as the only member goes on when others join', () => {
    clocks.setMembers(MEMBERS.slice(0, 1));
    clocks.setMembers(MEMBERS);
    expect(clocks.startDoubt()).toBeUndefined();
  });

  test('does not wait for ever, nor for those that do not tell their time, nor alone', async () => {
    probe('n2', -HOUR);
    await clock.advance(10_000);
    expect(clocks.startDoubt()).toBeUndefined();
    clocks.setMembers(MEMBERS.slice(0, 1));
    expect(clocks.startDoubt()).toBeUndefined();
  });

  test('serves among members that do not tell their time', () => {
    probe('n2', undefined);
    expect(clocks.startDoubt()).toBeUndefined();
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
