/**
 * Sends generated and damaged bytes at the doors of a node for as long as there is time.
 *
 *     npm run fuzz -- --seconds 600 [--seed 7] [--target http-hidden]
 *
 * Batch i of seed s is batch 0 of seed s+i: a failure is replayed by the command that is printed with it, which shrinks
 * the case to its smallest form.
 */

import { parseArgs } from 'node:util';
import { TARGETS } from '../test/fuzz/targets.ts';
import { campaign, type Target } from '../test/fuzz/target.ts';
import { Mistake, tellingMistakes } from './mistakes.ts';

const BATCH = 100;

const OPTIONS = {
  seconds: { type: 'string', default: '60' },
  seed: { type: 'string' },
  target: { type: 'string' },
  help: { type: 'boolean' },
} as const;

const USAGE = `npm run fuzz -- --seconds N [--seed S] [--target NAME]
  --seconds N    how long, over all targets; 0 for one batch of each
  --seed S       the seed of the first batch; without it, one of the clock
  --target NAME  only this one:
${TARGETS.map(({ name, about }) => `                   ${name.padEnd(16)} ${about}`).join('\n')}`;

await tellingMistakes('fuzz', main);

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  const chosen = TARGETS.filter(({ name }) => values.target === undefined || name === values.target);
  const seconds = Number(values.seconds);
  const seed = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed);
  if (values.help === true) {
    console.log(USAGE);
    return 0;
  }
  if (chosen.length === 0)
    throw new Mistake(`--target ${values.target}: one of ${TARGETS.map(({ name }) => name).join(', ')}`);
  if (!(seconds >= 0)) throw new Mistake(`--seconds ${values.seconds}: a number from 0`);
  if (!Number.isInteger(seed)) throw new Mistake(`--seed ${values.seed}: a whole number`);
  let failed = 0;
  for (const target of chosen) if (!(await tried(target, seed, seconds / chosen.length))) failed += 1;
  console.log(failed === 0 ? `verdict=ok seed=${seed}` : `verdict=VIOLATED targets=${failed}`);
  return failed === 0 ? 0 : 1;
}

async function tried(target: Target, seed: number, seconds: number): Promise<boolean> {
  const until = performance.now() + seconds * 1000;
  const { cases, heapBytes, failure } = await campaign(target, {
    seed,
    batch: BATCH,
    more: () => performance.now() < until,
  });
  const [before, after] = heapBytes.map((bytes) => (bytes / 1024 / 1024).toFixed(1));
  console.log(
    `${failure === undefined ? 'ok    ' : 'FAILED'}  ${target.name.padEnd(16)} ${cases} cases, heap ${before} MiB then ${after} MiB`,
  );
  if (failure === undefined) return true;
  console.log(`${failure.text}\nreplay: npm run fuzz -- --target ${target.name} --seconds 0 --seed ${failure.seed}`);
  return false;
}
