/** Sizes, rates and times as people write and read them. */

import { rate } from '#setting-readers.ts';
import { UsageError } from './output.ts';

/** Slower than the least of these a change would hardly ever end. */
const readRate = rate(1024, 64 * 1024 ** 3);

/** Bytes a second, written as in settings; null: as fast as it goes. */
export function readThrottle(text: string): number | null {
  if (text === 'none') return null;
  try {
    return readRate(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`--throttle ${JSON.stringify(text)}: must be ${error.message}, or none`);
  }
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
