/**
 * JSON lines through pino, written as log-output.ts says. A line that finds no room is told of in a line of its own as soon as
 * there is room again. What waits when the process ends is written then, also after a fault.
 *
 * Secrets do not belong into log fields; the names that would hold one are blanked all the same.
 */

import { pino, stdSerializers, stdTimeFunctions, type DestinationStream, type Logger } from 'pino';
import { toBase64url } from '#kernel/base64.ts';
import { fromUtf8 } from '#kernel/bytes.ts';
import type { Log, LogFields, Metrics } from '#world/world.ts';
import { LogOutput } from './log-output.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const SECRET_FIELDS = ['secret', 'clusterSecret', 'password', 'authorization'];

export interface LogOptions {
  readonly level: LogLevel;
  /** Stand in every line, such as the node's name. */
  readonly fields?: LogFields;
  /** In place of stdout. What happens with its lines is its own business. */
  readonly stream?: DestinationStream;
  /** Bytes of lines that may wait for stdout to take them. Default 4 MiB. */
  readonly bufferMax?: number;
  readonly metrics?: Metrics;
  /** File descriptor in place of stdout. */
  readonly descriptor?: number;
  /** It cannot be written, now or any more: where else this may be told. */
  readonly onTrouble?: (error: Error) => void;
}

export const DEFAULT_LOG_BUFFER_MAX = 4 * 1024 * 1024;

export interface RealLog extends Log {
  /**
   * Writes what waits, for `patience` milliseconds at most, and logs nothing afterwards. With what is wrong when something is
   * lost.
   */
  close(patience: number): Promise<string | undefined>;
}

export function createLog(options: LogOptions): RealLog {
  const { stream } = options;
  if (stream !== undefined) return { ...methods(loggerFor(options, stream)), close: () => Promise.resolve(undefined) };
  const { bufferMax = DEFAULT_LOG_BUFFER_MAX, metrics, onTrouble = () => undefined } = options;
  // To look at it makes a pipe say that it is full: a thread that waits in a write could hold up the end of the process.
  const { descriptor = process.stdout.fd } = options;
  const dropped = metrics?.counter('quoral_log_lines_dropped_total', 'Log lines dropped because nobody read them.');
  let untold = 0;
  const tell = (): void => {
    const count = untold;
    untold = 0;
    if (count > 0) log.warn('log-lines-dropped', { count, bufferMax });
  };
  const output = new LogOutput({
    ...{ descriptor, bufferMax, onTrouble },
    onDrop: () => {
      untold += 1;
      dropped?.add();
    },
    onDrained: tell,
  });
  const logger = loggerFor(options, output);
  const log = methods(logger);
  const atExit = (): void => {
    output.flushAtExit();
    tell();
    output.flushAtExit();
  };
  process.once('exit', atExit);
  return {
    ...log,
    close: async (patience) => {
      process.off('exit', atExit);
      tell();
      logger.level = 'silent';
      return await output.close(patience);
    },
  };
}

function loggerFor({ level, fields }: LogOptions, stream: DestinationStream): Logger {
  return pino(
    {
      level,
      base: fields ?? {},
      messageKey: 'event',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: stdSerializers.err, key: keyText },
      redact: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`]),
    },
    stream,
  );
}

/** Keys are bytes, and nearly always text. */
function keyText(key: unknown): unknown {
  if (!(key instanceof Uint8Array)) return key;
  try {
    return fromUtf8(key);
  } catch {
    return `base64url:${toBase64url(key)}`;
  }
}

function methods(logger: Logger): Log {
  return {
    debug: (event, fields) => logger.debug(fields ?? {}, event),
    info: (event, fields) => logger.info(fields ?? {}, event),
    warn: (event, fields) => logger.warn(fields ?? {}, event),
    error: (event, fields) => logger.error(fields ?? {}, event),
  };
}
