import { expect, test } from 'vitest';
import { poll, type PollAnswer } from '#consensus/poll.ts';

const YES: PollAnswer<string> = { kind: 'yes', value: 'v' };
const FAILED: PollAnswer<string> = { kind: 'failed', detail: 'n3: timeout' };
const REJECTED: PollAnswer<string> = { kind: 'rejected', highest: { time: 7, node: 1 as never, boot: 0 } };

async function asked(...answers: readonly PollAnswer<string>[]) {
  return await poll(
    answers.map(async (answer) => await Promise.resolve(answer)),
    { majority: 2, waitForAll: false },
  );
}

test('a poll without a majority says how many said yes, also when others are proposing', async () => {
  expect(await asked(YES, FAILED, FAILED)).toEqual({ kind: 'failed', detail: 'n3: timeout; n3: timeout', got: 1 });
  expect(await asked(YES, REJECTED, FAILED)).toMatchObject({ kind: 'rejected', got: 1 });
  expect(await asked(REJECTED, REJECTED, YES)).toMatchObject({ kind: 'rejected', got: 0 });
  expect(await asked(YES, REJECTED, YES)).toMatchObject({ kind: 'majority', values: ['v', 'v'] });
});
