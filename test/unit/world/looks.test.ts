import { expect, test } from 'vitest';
import { Looks } from '#world/looks.ts';

/** A clock of which the test fires the one timer by hand. */
function handClock() {
  const timers: { readonly delay: number; readonly callback: () => void; cancelled: boolean }[] = [];
  return {
    clock: {
      after: (delay: number, callback: () => void) => {
        const timer = { delay, callback, cancelled: false };
        timers.push(timer);
        return { cancel: () => void (timer.cancelled = true) };
      },
    },
    pending: () => timers.filter(({ cancelled }) => !cancelled).map(({ delay }) => delay),
    fire: async () => {
      timers.splice(0).forEach(({ callback, cancelled }) => cancelled || callback());
      await new Promise<void>((resolve) => void setImmediate(resolve));
    },
  };
}

function looksWith(look: () => Promise<void>) {
  const hand = handClock();
  const state = { wanted: true, failures: [] as unknown[] };
  const looks = new Looks({
    clock: hand.clock,
    interval: 500,
    wanted: () => state.wanted,
    look,
    failed: (error) => void state.failures.push(error),
  });
  return { ...hand, state, looks };
}

test('it looks at once, then at its interval, and not at all while there is nothing', async () => {
  let count = 0;
  const { looks, pending, fire, state } = looksWith(async () => void (count += 1));
  looks.wake();
  expect(pending()).toEqual([]);
  looks.start();
  expect(pending()).toEqual([0]);
  await fire();
  expect([count, pending()]).toEqual([1, [500]]);
  looks.wake();
  expect(pending()).toEqual([500]);
  state.wanted = false;
  await fire();
  expect([count, pending()]).toEqual([2, []]);
  state.wanted = true;
  looks.wake();
  expect(pending()).toEqual([0]);
});

test('a look that fails is told of and ends nothing', async () => {
  const { looks, pending, fire, state } = looksWith(async () => Promise.reject(new Error('no')));
  looks.start();
  await fire();
  expect([state.failures.length, pending()]).toEqual([1, [500]]);
});

test('there are no two looks at once, and none after the end', async () => {
  let finish: () => void = () => undefined;
  const { looks, pending, fire } = looksWith(() => new Promise<void>((resolve) => (finish = resolve)));
  looks.start();
  await fire();
  looks.wake();
  expect(pending()).toEqual([]);
  looks.stop();
  finish();
  await fire();
  expect([looks.stopped, pending()]).toEqual([true, []]);
});
