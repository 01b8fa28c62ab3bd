/** `quoral bench …`: load on a running cluster, and what it shows. */

import { Command } from 'commander';
import type { BenchStrongFlags } from './bench-strong.ts';
import { asClient } from './client-options.ts';

export function benchCommand(): Command {
  const bench = new Command('bench').description('put load on a running cluster');
  asClient(bench.command('strong'))
    .description(
      'change keys of a strong bucket through all nodes, and hold what they become against what was acknowledged',
    )
    .option('--bucket <bucket>', 'the bucket; made strong when nobody has defined it', 'bench-strong')
    .option('--workload <name>', 'increments (by compare-and-set) or mixed', 'increments')
    .option('--clients <count>', 'how many clients', '8')
    .option('--keys <count>', 'how many keys they share', '1')
    .option('--seconds <seconds>', 'how long', '10')
    .option('--timeout <milliseconds>', 'how long one request may take', '5000')
    .option('--pause <milliseconds>', 'between two operations of a client', '0')
    .option('--history <file>', 'write every operation to a file, a JSON line each, for a checker')
    .action(async (flags: BenchStrongFlags) => (await import('./bench-strong.ts')).benchStrong(flags));
  return bench;
}
