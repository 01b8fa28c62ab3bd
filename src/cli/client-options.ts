/** The options that every verb of a running cluster takes. */

import { Option, type Command } from 'commander';

const DEFAULT_URL = 'http://127.0.0.1:7101';

export function asClient(command: Command): Command {
  return command
    .addOption(
      new Option('--url <url>', 'a node of the cluster, or several with commas').env('QUORAL_URL').default(DEFAULT_URL),
    )
    .addOption(new Option('--ca <file>', 'authorities that sign the certificates of https nodes').env('QUORAL_CA'))
    .addOption(new Option('--cert <file>', 'certificate to show to nodes that want one').env('QUORAL_CERT'))
    .addOption(new Option('--cert-key <file>', 'its key').env('QUORAL_CERT_KEY'))
    .addOption(
      new Option('--token <token>', 'what the cluster wants to see; others can read it here').env('QUORAL_TOKEN'),
    )
    .option('--token-file <file>', 'file with the token')
    .option('--json', 'print JSON for machines');
}
