/** `quoral bucket create|show|list|drop`. */

import { createInterface } from 'node:readline/promises';
import { ask, askJson, expectStatus, type ClientOptions } from './client.ts';
import { print, table, UsageError } from './output.ts';

type Definition = Readonly<Record<string, unknown>>;

interface Listed {
  readonly name: string;
  readonly properties: Definition;
}

function parseProperty(text: string): [string, unknown] {
  const at = text.indexOf('=');
  if (at <= 0) throw new UsageError(`property ${JSON.stringify(text)}: must be name=value, such as conflicts=siblings`);
  const value = text.slice(at + 1);
  if (/^-?\d+$/.test(value)) return [text.slice(0, at), Number(value)];
  if (value === 'true' || value === 'false') return [text.slice(0, at), value === 'true'];
  return [text.slice(0, at), value === 'null' ? null : value];
}

function show(name: string, definition: Definition, options: ClientOptions): void {
  if (options.json === true) print(JSON.stringify(definition));
  else
    print(
      `${name}: ${Object.entries(definition)
        .map(([property, value]) => `${property}=${String(value)}`)
        .join(' ')}`,
    );
}

export async function createBucket(name: string, properties: readonly string[], options: ClientOptions): Promise<void> {
  const body = JSON.stringify(Object.fromEntries(properties.map(parseProperty)));
  const path = `/v1/buckets/${encodeURIComponent(name)}`;
  const headers = { 'content-type': 'application/json' };
  show(name, (await askJson(options, path, { method: 'PUT', headers, body }, [200, 201])) as Definition, options);
}

export async function showBucket(name: string, options: ClientOptions): Promise<void> {
  show(name, (await askJson(options, `/v1/buckets/${encodeURIComponent(name)}`)) as Definition, options);
}

export async function listBuckets(options: ClientOptions): Promise<void> {
  const { buckets } = (await askJson(options, '/v1/buckets')) as { readonly buckets: readonly Listed[] };
  if (options.json === true) {
    print(JSON.stringify({ buckets }));
    return;
  }
  if (buckets.length === 0) {
    print('no bucket is defined; a bucket that nobody defined has the defaults');
    return;
  }
  const columns = Object.keys(buckets[0]!.properties);
  const rows = buckets.map(({ name, properties }) => [name, ...columns.map((column) => String(properties[column]))]);
  print(table(['bucket', ...columns], rows));
}

/** Without `--yes` the person at the keyboard types the name once more. */
export async function dropBucket(name: string, options: ClientOptions & { readonly yes?: boolean }): Promise<void> {
  if (options.yes !== true) await confirm(name);
  expectStatus(await ask(options, `/v1/buckets/${encodeURIComponent(name)}`, { method: 'DELETE' }), [204]);
  print(options.json === true ? JSON.stringify({ dropped: name }) : `dropped ${name}`);
}

async function confirm(name: string): Promise<void> {
  if (!process.stdin.isTTY)
    throw new UsageError(`bucket ${name} would lose all its keys; --yes says that this is meant`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const typed = await terminal.question(`This takes away all keys of bucket ${name}. Type its name to go on: `);
  terminal.close();
  if (typed.trim() !== name) throw new UsageError('nothing was dropped');
}
