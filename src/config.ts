/**
 * Where settings come from, later wins: defaults, the YAML file, the environment, flags. Whatever is wrong stops the start
 * with one line that names the setting, where it came from and what is allowed.
 */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { contradiction } from './setting-conflicts.ts';
import { SETTINGS, type SettingName, type Settings } from './settings.ts';

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

interface Given {
  readonly text: string;
  /** For people: `flag --weight`, `environment QUORAL_WEIGHT`, `config/node.yaml`. */
  readonly from: string;
}

export interface ConfigSources {
  /** Path of the YAML file, or undefined. */
  readonly file: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** By setting name, as typed. */
  readonly flags: Readonly<Record<string, string>>;
}

export interface LoadedConfig {
  readonly settings: Settings;
  /** Where each setting came from; `default` when nobody gave it. */
  readonly origins: Readonly<Record<string, string>>;
}

const load = createRequire(import.meta.url);

const PREFIX = 'QUORAL_';
/** Environment variables of the command line and the ring scripts that are no settings of a node. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set([
  'QUORAL_URL',
  'QUORAL_TOKEN',
  'QUORAL_CONFIG',
  'QUORAL_CA',
  'QUORAL_CERT',
  'QUORAL_CERT_KEY',
  'QUORAL_COMMAND',
]);

/** Variables that Kubernetes puts into each pod for a service whose name begins with that of the program. */
const OF_A_SERVICE = /_(SERVICE_HOST|SERVICE_PORT|PORT)(_[A-Z0-9_]+)?$/;

/** `QUORAL_DATA_DIR` for `data-dir`; the id alone has a longer name, since `QUORAL_ID` says nothing. */
export function environmentName(name: string): string {
  if (name === 'id') return 'QUORAL_NODE_ID';
  return PREFIX + name.toUpperCase().replaceAll('-', '_');
}

function isSetting(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name);
}

/** Throws {@link ConfigError}. */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const given = new Map<SettingName, Given>();
  const { file, environment } = sources;
  if (file !== undefined) {
    // Only one of the two was taken, unless they name the same file.
    collectFile(file, file === environment['QUORAL_CONFIG'] ? 'environment QUORAL_CONFIG' : 'flag --config', given);
  }
  collectEnvironment(environment, given);
  for (const [name, text] of Object.entries(sources.flags)) {
    if (!isSetting(name))
      throw new ConfigError(`unknown setting --${name} (flag)${suggestion(name, Object.keys(SETTINGS))}`);
    given.set(name, { text, from: `flag --${name}` });
  }
  const settings: Record<string, unknown> = {};
  const origins: Record<string, string> = {};
  for (const name of Object.keys(SETTINGS)) {
    if (!isSetting(name)) continue;
    const { text, from } = given.get(name) ?? { text: SETTINGS[name].default, from: 'default' };
    origins[name] = from;
    settings[name] = text === undefined ? undefined : readSetting(name, text, from);
  }
  const loaded = { settings: settings as unknown as Settings, origins };
  const conflict = contradiction(loaded.settings, origins);
  if (conflict !== undefined) throw new ConfigError(conflict);
  return loaded;
}

function readSetting(name: SettingName, text: string, from: string): unknown {
  try {
    return SETTINGS[name].read(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const shown = name === 'cluster-secret' ? 'its value' : JSON.stringify(text);
    throw new ConfigError(`setting ${name} (${from}): ${shown} is not allowed; it must be ${error.message}`);
  }
}

function collectEnvironment(environment: ConfigSources['environment'], given: Map<SettingName, Given>): void {
  const known = new Map(Object.keys(SETTINGS).map((name) => [environmentName(name), name]));
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(PREFIX) || text === undefined || OTHER_VARIABLES.has(variable)) continue;
    const name = known.get(variable);
    if (name === undefined || !isSetting(name))
      throw new ConfigError(`unknown setting ${variable} (environment)${wayOut(variable, [...known.keys()])}`);
    given.set(name, { text, from: `environment ${variable}` });
  }
}

function collectFile(path: string, from: string, given: Map<SettingName, Given>): void {
  let document: unknown;
  try {
    // Few have a file, and to load what reads it is a tenth of a start.
    const { parse } = load('yaml') as typeof import('yaml');
    document = parse(readFileSync(path, 'utf8')) ?? {};
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0]! : String(error);
    throw new ConfigError(`setting config (${from}): ${path}: ${reason}`);
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new ConfigError(`setting config (${from}): ${path}: must be a list of "name: value" lines`);
  }
  for (const [name, value] of Object.entries(document)) {
    if (!isSetting(name))
      throw new ConfigError(`unknown setting ${name} (file ${path})${suggestion(name, Object.keys(SETTINGS))}`);
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      throw new ConfigError(`setting ${name} (file ${path}): must be one plain value`);
    }
    given.set(name, { text: String(value), from: `file ${path}` });
  }
}

function wayOut(variable: string, known: readonly string[]): string {
  if (!OF_A_SERVICE.test(variable)) return suggestion(variable, known);
  return '; if Kubernetes has set it for a service of that name, say enableServiceLinks: false of the pod';
}

/** ` (did you mean …?)` when a known name is one or two letters away; else where all stand. */
function suggestion(name: string, known: readonly string[]): string {
  const near = known.find((candidate) => editDistance(candidate.toLowerCase(), name.toLowerCase()) <= 2);
  return near === undefined ? '; quoral node --help lists all settings' : ` (did you mean ${near}?)`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}
