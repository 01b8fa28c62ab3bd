/** `quoral key get|put|delete|explain`. */

import { buffer } from 'node:stream/consumers';
import { ask, askJson, expectStatus, keyPath, type Answer, type ClientOptions } from './client.ts';
import { fail, print, table } from './output.ts';

interface KeyOptions extends ClientOptions {
  readonly r?: string;
  readonly w?: string;
  readonly context?: string;
  readonly contentType?: string;
}

interface SiblingsBody {
  readonly context: string;
  readonly siblings: readonly {
    readonly etag: string;
    readonly contentType: string;
    readonly lastModified: string;
    readonly value: string;
  }[];
}

function query(parameters: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(parameters).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}

export async function getKey(bucket: string, key: string, options: KeyOptions): Promise<void> {
  const path = keyPath(bucket, key) + query({ r: options.r });
  const answer = await ask(options, path, { headers: { accept: 'application/json, */*' } });
  if (answer.status === 404) {
    fail(`${bucket}/${key} is not there`);
    return;
  }
  expectStatus(answer, [200, 300]);
  if (answer.status === 300) {
    printSiblings(JSON.parse(Buffer.from(answer.body).toString('utf8')) as SiblingsBody, options);
    return;
  }
  if (options.json === true)
    print(JSON.stringify({ ...facts(answer), value: Buffer.from(answer.body).toString('base64') }));
  else process.stdout.write(answer.body);
}

function printSiblings(body: SiblingsBody, options: KeyOptions): void {
  if (options.json === true) {
    print(JSON.stringify(body));
    return;
  }
  print(`${body.siblings.length} siblings; resolve them with: quoral key put … --context ${body.context}`);
  for (const sibling of body.siblings) {
    print(`--- ${sibling.etag} ${sibling.lastModified} ${sibling.contentType}`);
    print(Buffer.from(sibling.value, 'base64').toString('utf8'));
  }
}

function facts(answer: Answer): Record<string, unknown> {
  const { headers } = answer;
  return {
    etag: headers['etag'],
    contentType: headers['content-type'],
    context: headers['quoral-context'],
    replicas: headers['quoral-replicas'],
    coordinator: headers['quoral-coordinator'],
  };
}

function contextHeader(options: KeyOptions): Record<string, string> {
  return options.context === undefined ? {} : { 'quoral-context': options.context };
}

export async function putKey(
  bucket: string,
  key: string,
  value: string | undefined,
  options: KeyOptions,
): Promise<void> {
  const body = value === undefined ? await buffer(process.stdin) : Buffer.from(value, 'utf8');
  const answer = await ask(options, keyPath(bucket, key) + query({ w: options.w }), {
    method: 'PUT',
    headers: { 'content-type': options.contentType ?? 'application/octet-stream', ...contextHeader(options) },
    body,
  });
  expectStatus(answer, [204]);
  report('stored', bucket, key, answer, options);
}

export async function deleteKey(bucket: string, key: string, options: KeyOptions): Promise<void> {
  const answer = await ask(options, keyPath(bucket, key) + query({ w: options.w }), {
    method: 'DELETE',
    headers: contextHeader(options),
  });
  expectStatus(answer, [204]);
  report('deleted', bucket, key, answer, options);
}

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
  const path = `/v1/explain/${encodeURIComponent(bucket)}/${encodeURIComponent(key)}`;
  const view = (await askJson(options, path)) as ExplainView;
  if (options.json === true) {
    print(JSON.stringify(view));
    return;
  }
  print(`${bucket}/${key}, partition ${view.partition}: the replicas ${view.agree ? 'agree' : 'DIFFER'}`);
  const rows = view.replicas.flatMap(({ node, role, reachable, digest, versions }) => {
    const head = [node, role, reachable ? 'yes' : 'NO', digest?.slice(0, 12) ?? '-'];
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

function report(what: string, bucket: string, key: string, answer: Answer, options: KeyOptions): void {
  if (options.json === true) print(JSON.stringify(facts(answer)));
  else
    print(
      `${what} ${bucket}/${key} (${String(answer.headers['quoral-replicas'])}; coordinator=${String(answer.headers['quoral-coordinator'])})`,
    );
}
