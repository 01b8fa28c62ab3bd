/** A program that logs so many lines and ends in one of several ways, for tests of what arrives. */

import { createLog } from '#world/real/log.ts';

const [count = '1', ending = 'exit', bufferMax = '4194304', patience = '300'] = process.argv.slice(2);
const log = createLog({ level: 'info', bufferMax: Number(bufferMax) });
const startedAt = performance.now();
for (let i = 0; i < Number(count); i++) log.info('line', { i, pad: 'x'.repeat(200) });
process.stderr.write(`${Math.round(performance.now() - startedAt)}\n`);
if (ending === 'exit') {
  process.exit(1);
} else if (ending === 'close') {
  const trouble = await log.close(Number(patience));
  log.info('after-the-end');
  process.exit(trouble === undefined ? 0 : 3);
} else {
  process.on('uncaughtException', (error) => {
    log.error('fault', { reason: error.message });
    process.exit(1);
  });
  setTimeout(() => {
    throw new Error('a fault of this test');
  }, 1);
}
