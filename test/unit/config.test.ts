import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ConfigError, environmentName, loadConfig } from '#config.ts';
import { formatHostPort, readHostPort } from '#setting-readers.ts';
import { SETTINGS } from '#settings.ts';

let directory: string;
let file: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'quoral-config-'));
  file = join(directory, 'node.yaml');
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('defaults, file, environment, flags: later wins, and the origin is kept', () => {
  writeFileSync(file, 'weight: 2\nzone: from-file\nlog-level: warn\n');
  const environment = { QUORAL_WEIGHT: '3', QUORAL_ZONE: 'from-environment', QUORAL_NODE_ID: 'n9', PATH: '/bin' };
  const { settings, origins } = loadConfig({ file, environment, flags: { weight: '4' } });
  expect(settings).toMatchObject({
    weight: 4,
    zone: 'from-environment',
    'log-level': 'warn',
    id: 'n9',
    'value-max': 4 * 1024 ** 2,
  });
  expect(origins['weight']).toBe('flag --weight');
  expect(origins['zone']).toBe('environment QUORAL_ZONE');
  expect(origins['log-level']).toBe(`file ${file}`);
  expect(origins['value-max']).toBe('default');
});

test('a bad value names the setting, where it came from and what is allowed', () => {
  writeFileSync(file, 'request-timeout: eternity\n');
  expect(() => loadConfig({ file, environment: {}, flags: {} })).toThrow(
    `setting request-timeout (file ${file}): "eternity"`,
  );
  expect(() => loadConfig({ file: undefined, environment: { QUORAL_WEIGHT: '0' }, flags: {} })).toThrow(
    'setting weight (environment QUORAL_WEIGHT): "0"',
  );
  expect(() => loadConfig({ file: undefined, environment: {}, flags: { listen: 'nowhere' } })).toThrow(
    /setting listen \(flag --listen\): "nowhere".*host:port/,
  );
  expect(() => loadConfig({ file: undefined, environment: {}, flags: { 'data-dir': '' } })).toThrow(
    'setting data-dir (flag --data-dir): "" is not allowed',
  );
});

test('an unknown setting is refused with what it may have meant, or where all settings stand', () => {
  const inFile = (text: string) => () => {
    writeFileSync(file, text);
    loadConfig({ file, environment: {}, flags: {} });
  };
  expect(inFile('data-dri: elsewhere\n')).toThrow('did you mean data-dir?');
  expect(inFile('nonsense: 1\n')).toThrow(/lists all settings$/);
  expect(() => loadConfig({ file: undefined, environment: { QUORAL_NONSENSE: '2' }, flags: {} })).toThrow(
    /lists all settings$/,
  );
  // One line, whatever the parser says.
  expect(inFile('a: [1\n')).toThrow(/^setting config \(flag --config\): [^\n]*node\.yaml: [^\n]+$/);
  expect(() => loadConfig({ file, environment: { QUORAL_CONFIG: file }, flags: {} })).toThrow(
    /^setting config \(environment QUORAL_CONFIG\): /,
  );
});

test.each(['QUORAL_PORT', 'QUORAL_PORT_7101_TCP_ADDR', 'QUORAL_SERVICE_HOST', 'QUORAL_PEERS_SERVICE_PORT_HTTP'])(
  'what Kubernetes puts into a pod for a service is refused with the way out: %s',
  (variable) => {
    const environment = { [variable]: 'tcp://10.0.0.1:7101' };
    expect(() => loadConfig({ file: undefined, environment, flags: {} })).toThrow(
      new RegExp(`^unknown setting ${variable} \\(environment\\).*enableServiceLinks: false`),
    );
  },
);

test('what the verbs and the scripts read from the environment is no setting of a node', () => {
  const scripts = new URL('../../scripts/ring-common.sh', import.meta.url);
  const ofScripts = new Set(readFileSync(scripts, 'utf8').match(/QUORAL_[A-Z_]+/g));
  expect(ofScripts).toContain('QUORAL_COMMAND');
  const environment = Object.fromEntries([...ofScripts, 'QUORAL_CERT', 'QUORAL_CERT_KEY'].map((name) => [name, 'x']));
  expect(loadConfig({ file: undefined, environment, flags: {} }).settings.id).toBe('n1');
});

test('times and sizes', () => {
  const read = SETTINGS['request-timeout'].read;
  expect(['250', '250ms', '2s', '1m', '1.5s'].map(read)).toEqual([250, 250, 2000, 60_000, 1500]);
  for (const wrong of ['', '0', '61s', '2 s', '2h30m', '-1', '1e3', 'NaN'])
    expect(() => read(wrong), wrong).toThrow(RangeError);
  expect(['65536', '64KiB', '4MiB'].map(SETTINGS['value-max'].read)).toEqual([65_536, 65_536, 4 * 1024 ** 2]);
  expect(() => SETTINGS['value-max'].read('64Kb')).toThrow(
    /^a size from 1B to 8MiB, such as 65536, 64KiB, 8MiB or 20MB$/,
  );
});

test('doors', () => {
  for (const text of ['127.0.0.1:7101', 'db-1.example:1', '[::1]:7101', 'localhost:0']) {
    expect(formatHostPort(readHostPort(text))).toBe(text);
  }
  for (const wrong of ['', ':1', 'host', 'host:', 'host:65536', '::1:7101', 'a b:1']) {
    expect(() => readHostPort(wrong), wrong).toThrow(RangeError);
  }
});

test('lists of founders', () => {
  const read = SETTINGS['initial-cluster'].read;
  expect(read('')).toEqual([]);
  expect(read('n1=a:1, n2=b:2')).toEqual([
    { id: 'n1', peer: 'a:1' },
    { id: 'n2', peer: 'b:2' },
  ]);
  for (const wrong of ['n1', 'n1=a', 'n1=a:1,n1=b:2', 'n1=a:1,n2=a:1', '=a:1'])
    expect(() => read(wrong), wrong).toThrow(RangeError);
});

test('a secret is never shown in an error', () => {
  const load = (): unknown =>
    loadConfig({ file: undefined, environment: { QUORAL_CLUSTER_SECRET: 'hunter2' }, flags: {} });
  expect(load).toThrow(ConfigError);
  expect(load).not.toThrow(/hunter2/);
});

test('settings that contradict each other are refused, with both names and where they came from', () => {
  const load = (flags: Record<string, string>): unknown => loadConfig({ file: undefined, environment: {}, flags });
  expect(() => load({ 'reclaim-age': '1m' })).toThrow(
    'setting retry-window (default) must not be more than reclaim-age (flag --reclaim-age): ' +
      'a deletion that is sent again would find its tombstone given up',
  );
  expect(() => load({ 'reclaim-age': '1m', 'retry-window': '1m' })).not.toThrow();
  for (const flags of [
    { 'hedge-delay-min': '1s' },
    { 'hints-backoff-max': '100ms' },
    { 'reconnect-delay-min': '6s' },
    { 'object-max': '1MiB' },
    { 'commit-queue-max': '100' },
    { 'heartbeat-interval': '3s' },
    { 'join-interval': '10s' },
  ])
    expect(() => load(flags), JSON.stringify(flags)).toThrow(ConfigError);
});

test('every setting has a default that it accepts itself, and the example file shows that default', () => {
  const shown = parse(readFileSync(new URL('../../config/node.yaml', import.meta.url), 'utf8')) as Record<
    string,
    unknown
  >;
  for (const [name, setting] of Object.entries(SETTINGS)) {
    if (setting.default === undefined) continue;
    expect(() => setting.read(setting.default as string), name).not.toThrow();
    const optional = ['initial-cluster', 'seeds'].includes(name);
    if (!optional)
      expect(setting.read(String(shown[name])), `${name} in config/node.yaml`).toEqual(setting.read(setting.default));
  }
  for (const name of Object.keys(shown)) expect(Object.keys(SETTINGS)).toContain(name);
  expect(environmentName('data-dir')).toBe('QUORAL_DATA_DIR');
});

test('the other example files load', () => {
  for (const name of ['cluster.yaml', 'zones.yaml']) {
    const path = new URL(`../../config/${name}`, import.meta.url).pathname;
    expect(() => loadConfig({ file: path, environment: {}, flags: {} }), name).not.toThrow();
  }
});

test('the service of systemd names settings that exist, and gives a stop the time that the node may take', () => {
  const unit = readFileSync(new URL('../../config/quoral.service', import.meta.url), 'utf8');
  const environment = [...unit.matchAll(/^Environment=(QUORAL_\w+)=/gm)].map(([, name]) => name);
  expect(environment).toEqual([environmentName('data-dir')]);
  const { settings } = loadConfig({ file: undefined, environment: {}, flags: {} });
  const { 'stop-linger': linger, 'stop-idle-grace': grace, 'stop-timeout': timeout } = settings;
  const others = settings['trace-stop-timeout'] + settings['log-stop-timeout'];
  expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)![1]) * 1000).toBeGreaterThan(
    linger + grace + 2 * timeout + others,
  );
});
