/**
 * How the text of a setting is read, each way with the words for what is allowed.
 */

/** Reads a setting's text; throws RangeError with what is allowed. */
export type Reader<T> = (text: string) => T;

export interface Setting<T> {
  readonly describe: string;
  /** As it would be written; undefined when there is none. */
  readonly default: string | undefined;
  readonly read: Reader<T>;
}

export function setting<T>(read: Reader<T>, defaultText: string | undefined, describe: string): Setting<T> {
  return { read, default: defaultText, describe };
}

export function text(pattern: RegExp, allowed: string): Reader<string> {
  return (given) => {
    if (!pattern.test(given)) throw new RangeError(allowed);
    return given;
  };
}

export const anyText: Reader<string> = text(/./s, 'something, not empty');

export function integer(least: number, most: number): Reader<number> {
  return (given) => {
    const value = Number(given);
    if (!/^\d+$/.test(given) || value < least || value > most)
      throw new RangeError(`a whole number from ${least} to ${most}`);
    return value;
  };
}

export const readOrigins: Reader<readonly string[]> = (given) =>
  given
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')
    .map((one) => {
      if (one === '*' || (URL.canParse(one) && new URL(one).origin === one)) return one;
      throw new RangeError(
        'origins such as https://shop.example or http://localhost:3000 with commas between them, or *',
      );
    });

export const fraction: Reader<number> = (given) => {
  const value = Number(given);
  if (!/^\d+(\.\d+)?$/.test(given) || value > 1) throw new RangeError('a number from 0 to 1, such as 0.01');
  return value;
};

export const shareOfTime: Reader<number> = (given) => {
  const value = Number(given);
  if (!/^\d+(\.\d+)?$/.test(given) || value < 0.01 || value > 1)
    throw new RangeError('a number from 0.01 to 1, such as 0.25');
  return value;
};

export const readHttpUrl: Reader<string> = (given) => {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new RangeError('an http:// or https:// address, such as http://localhost:4318');
  }
  return given.replace(/\/+$/, '');
};

/** A base URL to which paths are added. */
export const readOrigin: Reader<string> = (given) => {
  const url = readHttpUrl(given);
  if (new URL(url).origin === url.toLowerCase()) return url;
  throw new RangeError('an http:// or https:// address without a path, such as https://db1.test:7101');
};

const UNITS_OF_TIME: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

export function duration(least: number, most: number): Reader<number> {
  return (given) => {
    const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)([a-z]*)$/.exec(given) ?? [];
    const value = Math.round(Number(number) * (unit === '' ? 1 : (UNITS_OF_TIME[unit] ?? Number.NaN)));
    if (number !== '' && value >= least && value <= most) return value;
    throw new RangeError(`a time from ${least}ms to ${most}ms, such as 500, 500ms, 2s or 1m`);
  };
}

const UNITS_OF_SIZE: Readonly<Record<string, number>> = {
  ...{ B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 },
  ...{ kB: 1e3, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 },
};

export function bytes(least: number, most: number): Reader<number> {
  return size(least, most, 'a size', '');
}

export function rate(least: number, most: number): Reader<number> {
  return size(least, most, 'bytes a second', '/s');
}

/** `per` may follow what is written, and need not. */
function size(least: number, most: number, what: string, per: '' | '/s'): Reader<number> {
  return (given) => {
    const [, number = '', unit = '', end = ''] = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)(\/s)?$/.exec(given) ?? [];
    const value = Math.round(Number(number) * (unit === '' ? 1 : (UNITS_OF_SIZE[unit] ?? Number.NaN)));
    if (number !== '' && value >= least && value <= most && (end === '' || end === per)) return value;
    const range = `from ${inUnits(least)}${per} to ${inUnits(most)}${per}`;
    throw new RangeError(`${what} ${range}, such as 65536, 64KiB${per}, 8MiB${per} or 20MB${per}`);
  };
}

/** As it could be written, in the largest unit of which it is a whole number. */
function inUnits(value: number): string {
  let [count, unit] = [value, 0];
  while (count >= 1024 && count % 1024 === 0 && unit < 4) [count, unit] = [count / 1024, unit + 1];
  return `${count}${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`;
}

export function oneOf<const T extends string>(...words: readonly T[]): Reader<T> {
  return (given) => {
    const word = words.find((known) => known === given);
    if (word === undefined) throw new RangeError(`one of ${words.join(', ')}`);
    return word;
  };
}

export const flag: Reader<boolean> = (given) => oneOf('true', 'false')(given) === 'true';

/** A door or an address: host (IPv6 in brackets) and port. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export function readHostPort(given: string): HostPort {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(given);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) throw new RangeError('host:port, such as 127.0.0.1:7101 or [::1]:7101');
  return { host: match[1]!.replace(/^\[|\]$/g, ''), port };
}

/** Where others are to be dialled. */
export function readPeerAddress(given: string): HostPort {
  const address = readHostPort(given);
  if (address.port === 0) throw new RangeError('host:port with a port 1 to 65535');
  return address;
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export interface NamedPeer {
  readonly id: string;
  /** `host:port` */
  readonly peer: string;
}

export function readInitialCluster(given: string): readonly NamedPeer[] {
  const allowed = 'id=host:peerport,… with each id and each address once';
  const peers = given
    .split(',')
    .filter((entry) => entry !== '')
    .map((entry) => {
      const match = /^([A-Za-z0-9._-]{1,64})=(.+)$/.exec(entry.trim());
      if (match === null) throw new RangeError(allowed);
      return { id: match[1]!, peer: formatHostPort(readPeerAddress(match[2]!)) };
    });
  const distinct = new Set(peers.flatMap(({ id, peer }) => [`id ${id}`, `peer ${peer}`]));
  if (distinct.size !== peers.length * 2) throw new RangeError(allowed);
  return peers;
}

export const readSeeds: Reader<readonly string[]> = (given) =>
  given
    .split(',')
    .filter((entry) => entry !== '')
    .map((entry) => formatHostPort(readPeerAddress(entry.trim())));
