/**
 * What runs in a browser that shows `/ui/`: asks the node that it came from every two seconds and draws what it says. One script
 * without imports, since it is part of the page. Everything that a node says is put there as text, never as markup.
 */

interface Member {
  readonly id: string;
  readonly url: string;
  readonly zone: string;
  readonly weight: number;
  readonly state: string;
  readonly reachable: boolean;
  readonly share: number;
  readonly partitions: number;
  readonly hintsWaiting: number;
}

interface Cluster {
  readonly clusterId: string;
  readonly epoch: number;
  readonly self: string;
  readonly members: readonly Member[];
}

interface Health {
  readonly checks: readonly {
    readonly name: string;
    readonly ok: boolean;
    /** It works, and somebody should look after it. */
    readonly warning?: boolean;
    readonly detail: string;
  }[];
}

interface Transfers {
  readonly state: string;
  readonly moves: number;
  readonly done: number;
  readonly bytesPerSecond: number | null;
  readonly secondsLeft: number | null;
  readonly waiting: readonly { readonly node: string; readonly reason: string }[];
}

interface Versions {
  readonly versions: readonly {
    readonly dot: string;
    readonly time: string;
    readonly bytes: number;
    readonly deleted: boolean;
  }[];
}

interface Explanation {
  readonly partition: number;
  readonly agree: boolean;
  readonly differences: readonly string[];
  readonly replicas: readonly (Versions & {
    readonly node: string;
    readonly role: string;
    readonly reachable: boolean;
  })[];
  readonly hints: readonly (Versions & { readonly at: string; readonly for: string })[];
}

interface Problem {
  readonly title?: string;
  readonly detail?: string;
  readonly outcome?: string;
}

/** Milliseconds between two looks, and until one is given up. */
const LOOK_MS = 2000;
const PATIENCE_MS = 6000;
/** Characters of a value that are shown. */
const SHOWN_MAX = 4096;
const TOKEN = 'quoral-token';

function at<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** An element with text or other elements in it. */
function made(
  tag: string,
  content: readonly (Node | string)[] | string,
  attributes: Record<string, string> = {},
): HTMLElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...(typeof content === 'string' ? [content] : content));
  return element;
}

function row(...cells: readonly (Node | string)[]): HTMLElement {
  return made(
    'tr',
    cells.map((cell, i) => made(i === 0 ? 'th' : 'td', [cell], i === 0 ? { scope: 'row' } : {})),
  );
}

function table(heads: readonly string[], rows: readonly HTMLElement[]): HTMLElement {
  const head = made(
    'tr',
    heads.map((text) => made('th', text, { scope: 'col' })),
  );
  return made('table', [made('thead', [head]), made('tbody', rows)]);
}

function bar(share: number, label: string): HTMLElement {
  return made('progress', label, { value: String(share), max: '1', 'aria-label': label });
}

/** Changes nothing on the page when it says the same, so that a reader's selection and a screen reader's place stay. */
function show(id: string, ...content: readonly (Node | string)[]): void {
  const fresh = made('div', content);
  if (at(id).innerHTML !== fresh.innerHTML) at(id).replaceChildren(...fresh.childNodes);
}

async function ask(path: string, options: RequestInit = {}): Promise<Response> {
  const headers = new Headers(options.headers);
  const token = sessionStorage.getItem(TOKEN);
  if (token !== null && token !== '') headers.set('authorization', `Bearer ${token}`);
  return fetch(path, { ...options, headers, cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
}

class Refused extends Error {}

async function askJson<T>(path: string, alsoStatus?: number): Promise<T> {
  const answer = await ask(path);
  if (!answer.ok && answer.status !== alsoStatus) throw new Refused(await complaint(answer));
  return (await answer.json()) as T;
}

async function complaint(answer: Response): Promise<string> {
  const problem = (await answer.json().catch(() => ({}))) as Problem;
  const outcome = problem.outcome === undefined ? '' : `, outcome ${problem.outcome}`;
  const text = [problem.title, problem.detail].filter((part) => part !== undefined).join(': ');
  return `${answer.status}${outcome}${text === '' ? '' : `: ${text}`}`;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A part of the page that cannot be had says why; the others are shown all the same. */
async function part(id: string, draw: () => Promise<readonly (Node | string)[]>): Promise<boolean> {
  try {
    show(id, ...(await draw()));
    return true;
  } catch (error) {
    show(id, made('p', reasonOf(error), { class: 'bad' }));
    return error instanceof Refused;
  }
}

async function drawCluster(): Promise<readonly (Node | string)[]> {
  const { clusterId, epoch, self, members } = await askJson<Cluster>('/v1/cluster');
  document.title = `${self}: Quoral`;
  show('self', self);
  const rows = members.map((member) => {
    const there = member.reachable ? made('span', 'yes', { class: 'good' }) : made('span', 'no', { class: 'bad' });
    const share = `${(member.share * 100).toFixed(1)} %`;
    const name = member.url === '' ? member.id : made('a', member.id, { href: `${member.url}/ui/` });
    return row(
      ...[name, member.state, there, member.zone, String(member.weight)],
      ...[made('span', [bar(member.share, `share of ${member.id}`), ` ${share}`]), String(member.partitions)],
      String(member.hintsWaiting),
    );
  });
  const heads = ['Node', 'State', 'Reachable', 'Zone', 'Weight', 'Share of the ring', 'Partitions', 'Hints waiting'];
  return [
    made('p', `Cluster ${clusterId}, epoch ${epoch}, as ${self} sees it.`, { class: 'soft' }),
    table(heads, rows),
  ];
}

async function drawTransfers(): Promise<readonly (Node | string)[]> {
  const { state, moves, done, bytesPerSecond, secondsLeft, waiting } = await askJson<Transfers>('/v1/ring/transfers');
  if (state === 'idle') return [made('p', 'The ring is not being changed.')];
  const speed = bytesPerSecond === null ? '' : `, ${speedOf(bytesPerSecond)}`;
  const left = secondsLeft === null ? '' : `, about ${Math.ceil(secondsLeft)} s left`;
  const text = `${state}: ${done} of ${moves} replicas are where they should be${speed}${left}`;
  const holdUps = waiting.map(({ node, reason }) => made('p', `${node}: ${reason}`, { class: 'bad' }));
  return [made('p', text), bar(moves === 0 ? 1 : done / moves, 'progress of the ring change'), ...holdUps];
}

function speedOf(bytesPerSecond: number): string {
  return bytesPerSecond < 1e6
    ? `${(bytesPerSecond / 1e3).toFixed(1)} kB/s`
    : `${(bytesPerSecond / 1e6).toFixed(1)} MB/s`;
}

async function drawHealth(): Promise<readonly (Node | string)[]> {
  const [node, cluster] = await Promise.all([askJson<Health>('/readyz', 503), askJson<Health>('/healthz', 503)]);
  const rows = [...node.checks, ...cluster.checks].map(({ name, ok, warning = false, detail }) => {
    const [result, look] = !ok ? ['failed', 'bad'] : warning ? ['warning', 'mind'] : ['ok', 'good'];
    return row(name, made('span', result, { class: look }), detail);
  });
  return [table(['Check', 'Result', 'Detail'], rows)];
}

let before: { readonly time: number; readonly requests: number; readonly failed: number } | undefined;

async function drawFigures(): Promise<readonly (Node | string)[]> {
  const answer = await ask('/metrics');
  if (!answer.ok) throw new Refused(await complaint(answer));
  const text = await answer.text();
  const now = {
    time: performance.now(),
    requests: summed(text, /^quoral_http_requests_total\{.*\} (\S+)$/gm),
    failed: summed(text, /^quoral_http_requests_total\{.*status="5xx".*\} (\S+)$/gm),
  };
  const earlier = before;
  before = now;
  if (earlier === undefined) return [made('p', 'Counting.')];
  const seconds = (now.time - earlier.time) / 1000;
  const rate = (one: number, other: number): string => (Math.max(0, one - other) / seconds).toFixed(1);
  const underWay = summed(text, /^quoral_http_requests_in_flight (\S+)$/gm);
  return [
    table(
      ['Figure', 'Now'],
      [
        row('Requests a second', rate(now.requests, earlier.requests)),
        row('Answered 5xx a second', rate(now.failed, earlier.failed)),
        row('Under way', String(underWay)),
      ],
    ),
  ];
}

function summed(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].reduce((sum, [, value]) => sum + Number(value), 0);
}

async function look(): Promise<void> {
  const seen = await Promise.all([
    part('cluster', drawCluster),
    part('transfers', drawTransfers),
    part('health', drawHealth),
    part('figures', drawFigures),
  ]);
  const time = new Date().toLocaleTimeString();
  if (seen.some(Boolean)) show('state', made('span', `answered at ${time}`, { class: 'good' }));
  else show('state', made('span', `does not answer (tried at ${time})`, { class: 'bad' }));
  setTimeout(() => void look(), LOOK_MS);
}

/** The context of what was last shown of this key: what replaces it says so. */
let seen: { readonly path: string; readonly context: string } | undefined;

/** In base64url, since in a path `fetch` tidies up keys such as two dots. */
function keyPath(family: 'kv64' | 'explain64'): string {
  const [bucket, key] = [at<HTMLInputElement>('bucket').value, at<HTMLInputElement>('key').value];
  const text = btoa(String.fromCharCode(...new TextEncoder().encode(key)));
  return `/v1/${family}/${encodeURIComponent(bucket)}/${text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')}`;
}

async function readKey(): Promise<readonly (Node | string)[]> {
  const path = keyPath('kv64');
  const answer = await ask(path, { headers: { accept: 'application/json, */*' } });
  const context = answer.headers.get('quoral-context');
  seen = context === null ? undefined : { path, context };
  if (answer.status === 404) return [made('p', 'There is no such key.')];
  if (!answer.ok && answer.status !== 300) throw new Refused(await complaint(answer));
  const type = answer.headers.get('content-type') ?? 'unknown type';
  const text = await answer.text();
  const cut = text.length > SHOWN_MAX ? ` (the first ${SHOWN_MAX} characters of ${text.length})` : '';
  const what = answer.status === 300 ? 'Siblings: concurrent values that a put from here replaces' : type;
  return [
    made('p', `${what}${cut}; ${answer.headers.get('quoral-replicas') ?? ''}`, { class: 'soft' }),
    made('pre', text.slice(0, SHOWN_MAX), { tabindex: '0' }),
  ];
}

async function changeKey(method: 'PUT' | 'DELETE'): Promise<readonly (Node | string)[]> {
  const path = keyPath('kv64');
  const headers: Record<string, string> = seen?.path === path ? { 'quoral-context': seen.context } : {};
  const body = method === 'PUT' ? { body: at<HTMLTextAreaElement>('value').value } : {};
  const answer = await ask(path, { method, headers, ...body });
  if (!answer.ok) throw new Refused(await complaint(answer));
  const context = answer.headers.get('quoral-context');
  if (context !== null) seen = { path, context };
  const done = method === 'PUT' ? 'Written' : 'Deleted';
  return [made('p', `${done}: ${answer.headers.get('quoral-replicas') ?? answer.status}`, { class: 'good' })];
}

async function explainKey(): Promise<readonly (Node | string)[]> {
  const { partition, agree, differences, replicas, hints } = await askJson<Explanation>(keyPath('explain64'));
  const versionsOf = ({ versions }: Versions): string =>
    versions
      .map(({ dot, time, bytes, deleted }) => (deleted ? `deleted ${time}` : `${bytes} bytes of ${time} (${dot})`))
      .join('; ');
  const rows = [
    ...replicas.map((one) =>
      row(one.node, one.role, one.reachable ? versionsOf(one) || 'nothing' : 'cannot be reached'),
    ),
    ...hints.map((one) => row(one.at, `hint for ${one.for}`, versionsOf(one))),
  ];
  const verdict = agree
    ? made('p', 'All replicas agree.', { class: 'good' })
    : made('p', 'They differ:', { class: 'bad' });
  const list =
    differences.length === 0
      ? []
      : [
          made(
            'ul',
            differences.map((text) => made('li', text)),
          ),
        ];
  return [
    made('p', `Partition ${partition}.`, { class: 'soft' }),
    table(['Node', 'Role', 'Versions'], rows),
    verdict,
    ...list,
  ];
}

function begin(): void {
  const token = at<HTMLInputElement>('token');
  token.value = sessionStorage.getItem(TOKEN) ?? '';
  at('access').addEventListener('submit', (event) => {
    event.preventDefault();
    // What is copied often has blanks around it, and of other characters no header could be made.
    const text = token.value.trim();
    const isToken = /^[\x21-\x7e]*$/.test(text);
    if (isToken) sessionStorage.setItem(TOKEN, text);
    show('access-said', !isToken ? 'That is no token.' : text === '' ? 'Forgotten.' : 'Kept until this tab is closed.');
  });
  const acts: Record<string, () => Promise<readonly (Node | string)[]>> = {
    read: readKey,
    put: () => changeKey('PUT'),
    delete: () => changeKey('DELETE'),
    explain: explainKey,
  };
  at('keys').addEventListener('submit', (event) => {
    event.preventDefault();
    const act = acts[event.submitter?.getAttribute('value') ?? 'read'] ?? readKey;
    show('answer', 'Asking.');
    void part('answer', act);
  });
  void look();
}

begin();
