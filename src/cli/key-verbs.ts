/** `quoral key …`, `quoral bucket …`, `quoral import` and `quoral export`: what they take. */

import { Command } from 'commander';
import { asClient } from './client-options.ts';

const collect = (one: string, all: readonly string[] = []): readonly string[] => [...all, one];

const CONSISTENCY = 'one word for how much agreement: one, quorum, strict_quorum, all or local_quorum';

function reading(command: Command): Command {
  return asClient(command)
    .option('--r <replicas>', 'replicas that must answer')
    .option('--pr <replicas>', 'of those, how many must be owners')
    .option('--consistency <word>', CONSISTENCY)
    .option('--timeout <milliseconds>', 'how long it may take');
}

function changing(command: Command): Command {
  return touching(command).option('--context <context>', 'the Quoral-Context of the read that this follows');
}

function touching(command: Command): Command {
  return asClient(command)
    .option('--if-match <etag>', 'only when this is what is there')
    .option('--w <replicas>', 'replicas that must accept it')
    .option('--pw <replicas>', 'of those, how many must be owners')
    .option('--dw <replicas>', 'of those, how many must have it on stable storage')
    .option('--consistency <word>', CONSISTENCY)
    .option('--timeout <milliseconds>', 'how long it may take');
}

export function keyCommand(): Command {
  const key = new Command('key').description('read and write keys');
  reading(key.command('get'))
    .argument('<bucket>')
    .argument('<key>')
    .description('print the value, or all siblings')
    .action(async (bucket: string, name: string, options) =>
      (await import('./key-command.ts')).getKey(bucket, name, options),
    );
  changing(key.command('put'))
    .argument('<bucket>')
    .argument('<key>')
    .argument('[value]', 'the value; from standard input when left out')
    .option('--content-type <type>', 'how the value is labelled', 'text/plain; charset=utf-8')
    .option('--content-encoding <coding>', 'how it is compressed')
    .option('--meta <name=value>', 'kept beside the value; may be repeated', collect)
    .option('--ttl <time>', 'how long it lives: seconds, or such as 15m, 12h or 30d')
    .option('--if-absent', 'only when there is nothing yet')
    .description('store a value')
    .action(async (bucket: string, name: string, value: string | undefined, options) =>
      (await import('./key-command.ts')).putKey(bucket, name, value, options),
    );
  touching(key.command('touch'))
    .argument('<bucket>')
    .argument('<key>')
    .option('--ttl <time>', 'how long it lives from now on, such as 60, 15m or 30d; as the bucket says when left out')
    .description('let a key live longer; nothing else changes')
    .action(async (bucket: string, name: string, options) =>
      (await import('./key-command.ts')).touchKey(bucket, name, options),
    );
  changing(key.command('delete'))
    .argument('<bucket>')
    .argument('<key>')
    .description('remove a key')
    .action(async (bucket: string, name: string, options) =>
      (await import('./key-command.ts')).deleteKey(bucket, name, options),
    );
  asClient(key.command('list'))
    .argument('<bucket>')
    .option('--prefix <text>', 'only keys that begin so')
    .option('--limit <keys>', 'at most so many, and then how to go on')
    .option('--after <cursor>', 'where to go on')
    .description('print the keys of a bucket in order')
    .action(async (bucket: string, options) => (await import('./many-keys-command.ts')).listKeys(bucket, options));
  asClient(key.command('watch'))
    .argument('<bucket>')
    .option('--prefix <text>', 'only keys that begin so')
    .option('--after <cursor>', 'what came behind this change')
    .description('print changes as they happen, until it is stopped')
    .action(async (bucket: string, options) => (await import('./many-keys-command.ts')).watchKeys(bucket, options));
  asClient(key.command('explain'))
    .argument('<bucket>')
    .argument('<key>')
    .description('what each replica has of a key, which hints wait for it, and why they differ')
    .action(async (bucket: string, name: string, options) =>
      (await import('./explain-command.ts')).explainKey(bucket, name, options),
    );
  asClient(key.command('force'))
    .argument('<bucket>')
    .argument('<key>')
    .option('--yes', 'do not ask')
    .description('go on with what is left of a strong key that too many of its owners have lost; says what may be lost')
    .action(async (bucket: string, name: string, options) =>
      (await import('./key-force-command.ts')).forceKey(bucket, name, options),
    );
  return key;
}

export function bucketCommand(): Command {
  const bucket = new Command('bucket').description('define and show buckets');
  asClient(bucket.command('create'))
    .argument('<bucket>')
    .argument('[properties...]', 'such as n=3 conflicts=siblings')
    .description('define a bucket')
    .action(async (name: string, properties: string[], options) =>
      (await import('./bucket-command.ts')).createBucket(name, properties, options),
    );
  asClient(bucket.command('show'))
    .argument('<bucket>')
    .description('a bucket with every default filled in')
    .action(async (name: string, options) => (await import('./bucket-command.ts')).showBucket(name, options));
  asClient(bucket.command('drop'))
    .argument('<bucket>')
    .option('--yes', 'do not ask')
    .description('take away the definition and all keys of a bucket')
    .action(async (name: string, options) => (await import('./bucket-command.ts')).dropBucket(name, options));
  asClient(bucket.command('list'))
    .description('the buckets that somebody defined')
    .action(async (options) => (await import('./bucket-command.ts')).listBuckets(options));
  return bucket;
}

export function exportCommand(): Command {
  return asClient(new Command('export'))
    .argument('<bucket>')
    .argument('[file]', 'where to; to standard output when left out or -, and then a broken export begins anew')
    .option('--prefix <text>', 'only keys that begin so')
    .option('--r <replicas>', 'replicas that must answer each read')
    .option(
      '--contexts',
      'with the context of each key: an import into the same bucket replaces just what was exported',
    )
    .option('--concurrency <requests>', 'reads under way at once', '256')
    .description('write all keys and values of a bucket as lines of JSON; a broken export goes on where it was')
    .action(async (bucket: string, file: string | undefined, options) =>
      (await import('./export-command.ts')).exportBucket(bucket, file, options),
    );
}

export function importCommand(): Command {
  return asClient(new Command('import'))
    .argument('<bucket>')
    .argument('[file]', 'from where; from standard input when left out or -, and then a broken import begins anew')
    .option('--w <replicas>', 'replicas that must accept each write')
    .option('--concurrency <requests>', 'writes under way at once', '256')
    .description('store what an export has written; a broken import goes on where it was')
    .action(async (bucket: string, file: string | undefined, options) =>
      (await import('./import-command.ts')).importBucket(bucket, file, options),
    );
}
