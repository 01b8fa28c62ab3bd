/** Sizes, rates and times as people write and read them. */

import { UsageError } from './output.ts';

const UNITS: Readonly<Record<string, number>> = {
  ...{ B: 1, kB: 1e3, KB: 1e3, MB: 1e6, GB: 1e9 },
  ...{ KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 },
};
/** Slower than this a change would hardly ever end. */
export const THROTTLE_MIN = 1024;
export const THROTTLE_MAX = 64 * 1024 ** 3;

/** Bytes a second; null: as fast as it goes. */
export function readThrottle(text: string): number | null {
  if (text === 'none') return null;
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)(?:\/s)?$/.exec(text) ?? [];
  const bytes = Math.round(Number(number) * (unit === '' ? 1 : (UNITS[unit] ?? Number.NaN)));
  if (number !== '' && bytes >= THROTTLE_MIN && bytes <= THROTTLE_MAX) return bytes;
  throw new UsageError(
    `--throttle ${JSON.stringify(text)}: must be bytes a second from 1KiB/s to 64GiB/s, such as 20MB/s or 8MiB/s, or none`,
  );
}

const SECONDS: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds that something lives. */
export function readTtl(text: string): number {
  const [, number = '', unit = ''] = /^(\d{1,9})([smhd]?)$/.exec(text) ?? [];
  const seconds = Number(number) * SECONDS[unit]!;
  if (seconds >= 1) return seconds;
  throw new UsageError(
    `--ttl ${JSON.stringify(text)}: must be whole seconds from 1 on, or a time such as 90s, 15m, 12h or 30d`,
  );
}

export function sizeOf(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [size, unit] = [bytes, 0];
  while (size >= 1024 && unit < units.length - 1) [size, unit] = [size / 1024, unit + 1];
  return `${unit === 0 ? Math.round(size) : size.toFixed(1)} ${units[unit]!}`;
}

export function rateOf(bytesPerSecond: number): string {
  return `${sizeOf(bytesPerSecond)}/s`;
}

/** To the second below two minutes, to the minute below two hours: nobody believes more. */
export function timeOf(seconds: number): string {
  if (seconds < 120) return `${Math.max(0, Math.ceil(seconds))} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
