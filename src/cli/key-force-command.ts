/** `quoral key force`: the way out for a strong key that too many of its owners have lost. */

import type { KeyForceView, RegisterVersionView } from '#operator/key-force.ts';
import { askJson, keyPath, type ClientOptions } from './client.ts';
import { confirm } from './confirm.ts';
import { EXIT, print, table } from './output.ts';

export async function forceKey(
  bucket: string,
  key: string,
  options: ClientOptions & { readonly yes?: boolean },
): Promise<void> {
  const path = keyPath('ring/force64', bucket, key);
  const shown = (await askJson(options, path)) as KeyForceView;
  if (options.json !== true) show(key, shown);
  if (shown.id === null) {
    if (options.json === true) print(JSON.stringify(shown));
    process.exitCode = EXIT.conflict;
    return;
  }
  if (options.yes !== true) await confirm(`Type the key, ${key}, to go on with that: `, key);
  const headers = { 'content-type': 'application/json' };
  const asked = { method: 'POST', headers, body: JSON.stringify({ id: shown.id }) } as const;
  const done = (await askJson(options, path, asked)) as KeyForceView;
  print(options.json === true ? JSON.stringify(done) : 'done: the key can be read and written again');
}

function show(key: string, { bucket, partition, owners, id, refusal, keeps, mayLose }: KeyForceView): void {
  print(`${bucket}/${key}, partition ${partition}`);
  const rows = owners.map(({ node, register, reason, version }) => [
    ...[node, register],
    ...(version === null ? [register === 'whole' ? 'nothing' : '-', '', ''] : columns(version)),
    reason,
  ]);
  print(table(['owner', 'register', 'version', 'time', 'bytes', ''], rows));
  if (id === null) {
    print(`nothing to force: ${refusal}`);
    return;
  }
  print(keeps === null ? 'the key would hold nothing' : `the key would hold ${textOf(keeps)}`);
  for (const what of mayLose) print(`may lose ${what}`);
}

function columns({ etag, time, bytes }: RegisterVersionView): readonly string[] {
  return [etag ?? 'deleted', time ?? '-', etag === null ? '' : String(bytes)];
}

function textOf({ etag, time, bytes, holder }: RegisterVersionView): string {
  const lease = holder === null ? '' : `, with the lease of ${holder} under a new token`;
  const when = time === null ? '' : ` of ${time}`;
  return `${etag === null ? 'the deletion' : `version ${etag}, ${bytes} bytes,`}${when}${lease}`;
}
