/**
 * The command line. Each verb loads only what it needs.
 */

import { Command, Option } from 'commander';
import { SETTINGS } from './settings.ts';
import { environmentName } from './config.ts';
import { VERSION } from './version.ts';
import { benchCommand } from './cli/bench-verbs.ts';
import { asClient } from './cli/client-options.ts';
import { EarlySignals } from './cli/early-signals.ts';
import { failure } from './cli/failure.ts';
import { mindOutput } from './cli/output.ts';
import { bucketCommand, exportCommand, importCommand, keyCommand } from './cli/key-verbs.ts';

function nodeCommand(): Command {
  const command = new Command('node').description('run one node').option('--config <file>', 'YAML file with settings');
  for (const [name, setting] of Object.entries(SETTINGS)) {
    const option = new Option(`--${name} <value>`, setting.describe);
    if (name === 'insecure') command.addOption(new Option('--insecure', setting.describe).env(environmentName(name)));
    else command.addOption(option);
  }
  return command.action(async (options: Record<string, string | true>, self: Command) => {
    // Before the rest of the program is loaded.
    const early = new EarlySignals();
    const flags: Record<string, string> = {};
    for (const option of self.options) {
      const value = options[option.attributeName()];
      if (
        option.long === '--config' ||
        value === undefined ||
        self.getOptionValueSource(option.attributeName()) !== 'cli'
      )
        continue;
      flags[option.long!.slice(2)] = value === true ? 'true' : value;
    }
    const { runNode } = await import('./cli/run-node.ts');
    const file = options['config'] ?? process.env['QUORAL_CONFIG'];
    await runNode({ file: typeof file === 'string' ? file : undefined, environment: process.env, flags }, early);
  });
}

function clusterCommand(): Command {
  return new Command('cluster')
    .description('run a local cluster, each node its own process')
    .option('--nodes <count>', 'how many nodes', '3')
    .option('--base-port <port>', 'client port of the first node; its peer port is 100 higher', '7101')
    .option('--data-dir <directory>', 'where the durable data of all nodes live', './data')
    .option('--zones <count>', 'spread the nodes over so many zones', '1')
    .action(async (options: Record<string, string>) => {
      const { runCluster } = await import('./cli/run-cluster.ts');
      await runCluster(options);
    });
}

function ringCommand(): Command {
  const ring = new Command('ring').description('look at the ring, change it and repair it');
  asClient(ring.command('status'))
    .description('members, their share and whether they can be reached')
    .action(async (options) => (await import('./cli/ring-command.ts')).ringStatus(options));
  asClient(ring.command('locate'))
    .argument('<bucket>')
    .argument('<key>')
    .description('where a key lives')
    .action(async (bucket: string, key: string, options) =>
      (await import('./cli/ring-command.ts')).ringLocate(bucket, key, options),
    );
  const one = (what: string, names: string[] = []): string[] => [...names, what];
  asClient(ring.command('plan'))
    .option('--join <node>', 'a node that waits, by its id or its peer address', one)
    .option('--leave <node>', 'a member that goes', one)
    .option('--replace <old=new>', 'a member, alive or dead, and the waiting node that takes its place', one)
    .option('--weight <node=weight>', 'share of the data relative to the other nodes', one)
    .option('--zone <node=zone>', 'failure domain', one)
    .option('--accept-loss-of <node>', 'a member among those that go, dead for good: give up what only it had', one)
    .option('--moves', 'list every replica that moves')
    .description('what a change of the ring would do; without any change, what evens it out. Options may be repeated')
    .action(async (options) => (await import('./cli/plan-command.ts')).ringPlan(options));
  asClient(ring.command('apply'))
    .argument('<plan>', 'the id that the plan was shown with, at the same node')
    .option('--throttle <rate>', 'bytes a second that each node may take over, such as 20MB/s or 8MiB/s, or none')
    .option('--wait', 'until it is done, with a progress bar')
    .description('do exactly what a plan says, while requests go on')
    .action(async (id: string, options) => (await import('./cli/change-command.ts')).ringApply(id, options));
  asClient(ring.command('transfers'))
    .option('--partitions', 'a line for each partition')
    .option('--wait', 'until nothing moves, with a progress bar')
    .description('what is moving, and how far it is')
    .action(async (options) => (await import('./cli/change-command.ts')).ringTransfers(options));
  for (const verb of ['pause', 'resume', 'abort'] as const) {
    const command = asClient(ring.command(verb))
      .argument('[change]', 'its id, so that no other one is meant by mistake')
      .description(`${verb} the change that is under way`);
    if (verb !== 'pause') {
      const what = 'a member that it waits for, dead for good: give up what only it had';
      command.option('--accept-loss-of <node>', what, one);
    }
    command.action(async (id: string | undefined, options) =>
      (await import('./cli/change-command.ts')).ringSteer(verb, id, options),
    );
  }
  asClient(ring.command('force'))
    .requiredOption('--lost <node>', 'a member that is gone for good, with its disk', one)
    .option('--yes', 'do not ask')
    .description('go on without members when a majority of the voters is gone; says what may be lost')
    .action(async (options) => (await import('./cli/force-command.ts')).ringForce(options));
  asClient(ring.command('repair'))
    .option('--bucket <bucket>', 'only the keys of this bucket')
    .option('--reclaim', 'give tombstones up too, as far as it is safe')
    .description('compare and mend all replicas now, and say what differed')
    .action(async (options) => (await import('./cli/repair-command.ts')).ringRepair(options));
  return ring;
}

function tokenCommand(): Command {
  const token = new Command('token').description('give clients tokens, and take them back');
  asClient(token.command('create'))
    .argument('<name>')
    .option(
      '--scope <scope...>',
      'read, write or admin: for all buckets, or as read:BUCKET or read:PREFIX* (default: none, figures and the ring only)',
      [],
    )
    .option('--ttl <time>', 'how long it is valid, such as 12h or 30d (default: for ever)')
    .description('create a token and print it; it cannot be shown again')
    .action(async (name: string, options) => (await import('./cli/token-command.ts')).createToken(name, options));
  asClient(token.command('list'))
    .description('all tokens and what they may do')
    .action(async (options) => (await import('./cli/token-command.ts')).listTokens(options));
  asClient(token.command('revoke'))
    .argument('<name>')
    .description('end a token, at once and on every node')
    .action(async (name: string, options) => (await import('./cli/token-command.ts')).revokeToken(name, options));
  return token;
}

const program = new Command('quoral')
  .description('A leaderless, replicated key/value store with tunable consistency per request.')
  .version(VERSION)
  .addCommand(nodeCommand())
  .addCommand(clusterCommand())
  .addCommand(keyCommand())
  .addCommand(ringCommand())
  .addCommand(bucketCommand())
  .addCommand(importCommand())
  .addCommand(exportCommand())
  .addCommand(tokenCommand())
  .addCommand(benchCommand());

/** One line each. Commands that are made by themselves inherit nothing. */
function tellMistakes(command: Command): void {
  command.configureOutput({
    outputError: (text, write) => write(`quoral: ${mistakeIn(command.name(), text)}\n`),
  });
  for (const part of command.commands) tellMistakes(part);
}

function mistakeIn(command: string, text: string): string {
  const said = text
    .replace(/^error: /, '')
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '');
  if (command !== 'node') return `${said} (see --help)`;
  const flag = said
    .replace(/^unknown option '(.*?)'/, 'unknown setting $1 (flag)')
    .replace(/^option '--(\S+) <value>' argument missing$/, 'setting $1 (flag --$1): the value is missing');
  return `${flag}; quoral node --help lists all settings`;
}

tellMistakes(program);
mindOutput();
try {
  await program.parseAsync(process.argv);
} catch (error) {
  failure(error);
}
