/** Both doors of a real process under hostile bytes, with fixed seeds; `npm run fuzz` goes on with others. */

import { expect, test } from 'vitest';
import { messageNames, recordCorpus } from '../fuzz/message-corpus.ts';
import { NODE_TARGETS } from '../fuzz/node-targets.ts';
import { PEER_TARGETS } from '../fuzz/peer-targets.ts';
import { campaign } from '../fuzz/target.ts';

test.each([...NODE_TARGETS, ...PEER_TARGETS])('$name: $about', async (target) => {
  const report = await campaign(target, { seed: 1, batch: 60, more: (done) => done < 2 });
  expect(report.failure?.text).toBeUndefined();
});

test('the calls that are damaged are calls that nodes make', async () => {
  const names = messageNames();
  const heard = new Set((await recordCorpus()).map(({ name }) => name));
  expect(names.length).toBeGreaterThan(10);
  for (const name of heard) expect(names).toContain(name);
  const many = ['coordinator.list', 'coordinator.bundle', 'watch.follow', 'watch.news'];
  for (const name of ['replica.store', 'replica.fetch', 'coordinator.write', 'consensus.accept', ...many])
    expect(heard).toContain(name);
});
