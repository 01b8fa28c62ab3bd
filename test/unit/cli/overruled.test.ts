import { expect, test } from 'vitest';
import { nodeId } from '#kernel/identity.ts';
import { warnOfOverruled } from '#cli/overruled.ts';

const member = { id: nodeId('n3'), zone: 'west', weight: 1 };

function warnings(zone: string, weight: number, origins: Record<string, string>, of: typeof member | undefined) {
  const told: unknown[] = [];
  warnOfOverruled({ warn: (event, fields) => void told.push([event, fields]) }, of, { zone, weight }, origins);
  return told;
}

test('a zone or a weight that the ring does not have is told of, with the way to change the ring', () => {
  expect(warnings('east', 1, { zone: 'flag --zone', weight: 'flag --weight' }, member)).toEqual([
    [
      'setting-overruled',
      {
        ...{ setting: 'zone', origin: 'flag --zone', given: 'east', inForce: 'west' },
        reason: expect.stringContaining('quoral ring plan --zone n3=east') as string,
      },
    ],
  ]);
  expect(warnings('west', 5, { zone: 'flag --zone', weight: 'environment QUORAL_WEIGHT' }, member)).toHaveLength(1);
});

test('nothing is told of what nobody has set, nor before the node is a member', () => {
  expect(warnings('default', 1, { zone: 'default', weight: 'default' }, member)).toEqual([]);
  expect(warnings('east', 2, { zone: 'flag --zone', weight: 'flag --weight' }, undefined)).toEqual([]);
});
