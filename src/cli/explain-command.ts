/** `quoral key explain`. */

import { askJson, keyPath, type ClientOptions } from './client.ts';
import { print, table } from './output.ts';

interface ExplainView {
  readonly partition: number;
  readonly agree: boolean;
  readonly replicas: readonly {
    readonly node: string;
    readonly role: string;
    readonly reachable: boolean;
    readonly digest: string | null;
    readonly versions: readonly VersionRow[];
  }[];
  readonly hints: readonly {
    readonly at: string;
    readonly for: string;
    readonly sole: boolean;
    readonly oldest: string;
  }[];
  readonly differences: readonly string[];
}

interface VersionRow {
  readonly dot: string;
  readonly time: string;
  readonly bytes: number;
  readonly deleted: boolean;
}

export async function explainKey(bucket: string, key: string, options: ClientOptions): Promise<void> {
  const view = (await askJson(options, keyPath('explain64', bucket, key))) as ExplainView;
  if (options.json === true) {
    print(JSON.stringify(view));
    return;
  }
  print(`${bucket}/${key}, partition ${view.partition}: the replicas ${view.agree ? 'agree' : 'DIFFER'}`);
  const rows = view.replicas.flatMap(({ node, role, reachable, digest, versions }) => {
    const head = [node, role, reachable ? 'yes' : 'NO', digest?.slice(0, 12) ?? '-'];
    if (!reachable) return [[...head, '-', '', '']];
    if (versions.length === 0) return [[...head, digest === null ? 'nothing' : 'deleted', '', '']];
    return versions.map((version) => [
      ...head,
      version.dot,
      version.time,
      version.deleted ? 'deleted' : String(version.bytes),
    ]);
  });
  print(table(['node', 'role', 'reachable', 'digest', 'version', 'time', 'bytes'], rows));
  for (const hint of view.hints) {
    print(`hint at ${hint.at} for ${hint.for}, since ${hint.oldest}${hint.sole ? ', perhaps the only copy' : ''}`);
  }
  for (const difference of view.differences) print(difference);
}
