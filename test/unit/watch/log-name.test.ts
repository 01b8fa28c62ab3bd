import { expect, test } from 'vitest';
import { nodeIndex } from '#kernel/identity.ts';
import { Latest } from '#watch/latest.ts';
import { isSameDisk, judgeLogName, logName } from '#watch/log-name.ts';
import { decodePlaces } from '#watch/places.ts';
import { Watcher } from '#watch/watcher.ts';

const storageId = '00112233445566778899aabbccddeeff';
const copy = { storageId, lives: [0x5, 0xfedcba98] };

test('a boot knows the places that it and those before it have given out, and those of earlier releases', () => {
  const later = { storageId, lives: [0x77, ...copy.lives] };
  expect(logName(copy)).toBe('00112233445566778899aabb00000005');
  expect([logName(copy), logName(later), storageId].map((name) => judgeLogName(later, name))).toEqual(
    Array.from({ length: 3 }, () => 'this'),
  );
  const putBack = { storageId, lives: [0x78, ...copy.lives] };
  expect([logName(copy), logName(later)].map((name) => judgeLogName(putBack, name))).toEqual(['this', 'undone']);
  const other = { storageId: 'ff112233445566778899aabbccddeeff', lives: copy.lives };
  expect(judgeLogName(other, logName(copy))).toBe('of another disk');
  expect(isSameDisk(logName(other), logName(copy))).toBe(false);
});

test('a cursor stays before what could not be told of when its node is started again', () => {
  const watcher = new Watcher({
    clock: { monotonic: () => 0, wall: () => 0, after: () => ({ cancel: () => undefined }), defer: () => undefined },
    ...{ prefix: new Uint8Array(), incarnation: 1, since: 0, heartbeat: 1, eventsMax: 1, closed: () => undefined },
    places: new Map(),
    latest: new Latest(1),
  });
  const before = logName({ storageId, lives: [1] });
  const after = logName({ storageId, lives: [2, 1] });
  watcher.leaveOpen('key', nodeIndex(1), { storage: before, group: 7 }, 0);
  watcher.places.set(nodeIndex(1), { storage: after, group: 12 });
  watcher.leaveOpen('key', nodeIndex(1), { storage: after, group: 11 }, 0);
  expect(decodePlaces(watcher.place())!.places.get(nodeIndex(1))).toEqual({ storage: after, group: 6 });
});
