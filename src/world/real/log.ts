/**
 * JSON lines through pino, written by a thread of the pool: whoever reads them slowly holds up no request. What waits is
 * bounded in bytes; a line that finds no room is dropped, counted, and told of in a line of its own as soon as there is
 * room again. What waits when the process ends is written then, also after a fault.
 *
 * Secrets do not belong into log fields; the names that would hold one are blanked all the same.
 */

import { destination, pino, stdSerializers, stdTimeFunctions, type DestinationStream, type Logger } from 'pino';
import type { Log, LogFields, Metrics } from '#world/world.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const SECRET_FIELDS = ['secret', 'clusterSecret', 'password', 'authorization'];
const STDOUT = 1;

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
}

export const DEFAULT_LOG_BUFFER_MAX = 4 * 1024 * 1024;

export interface RealLog extends Log {
  /**
   * Writes what waits, for `patience` milliseconds at most, and logs nothing afterwards. False when something is lost
   * because nobody reads it.
   */
  close(patience: number): Promise<boolean>;
}

export function createLog(options: LogOptions): RealLog {
  const { stream } = options;
  if (stream !== undefined) return { ...methods(loggerFor(options, stream)), close: () => Promise.resolve(true) };
  const { bufferMax = DEFAULT_LOG_BUFFER_MAX, descriptor = STDOUT, metrics } = options;
  const output = destination({ fd: descriptor, sync: false, maxLength: bufferMax });
  const logger = loggerFor(options, output);
  const log = methods(logger);
  const dropped = metrics?.counter('quoral_log_lines_dropped_total', 'Log lines dropped because nobody read them.');
  let untold = 0;
  const tell = (): void => {
    const count = untold;
    untold = 0;
    if (count > 0) log.warn('log-lines-dropped', { count, bufferMax });
  };
  output.on('drop', () => {
    untold += 1;
    dropped?.add();
  });
  output.on('drain', tell);
  // Pino's own hook has written by then what waited, so there is room.
  const atExit = (): void => {
    if (untold === 0) return;
    tell();
    output.flushSync();
  };
  process.once('exit', atExit);
  return {
    ...log,
    close: (patience) => {
      process.off('exit', atExit);
      tell();
      logger.level = 'silent';
      return closed(output, patience);
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
      serializers: { error: stdSerializers.err },
      redact: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`]),
    },
    stream,
  );
}

function methods(logger: Logger): Log {
  return {
    debug: (event, fields) => logger.debug(fields ?? {}, event),
    info: (event, fields) => logger.info(fields ?? {}, event),
    warn: (event, fields) => logger.warn(fields ?? {}, event),
    error: (event, fields) => logger.error(fields ?? {}, event),
  };
}

type Output = ReturnType<typeof destination>;

/** A stream that is destroyed drops what it still has, and with it the hook that would write that when the process exits. */
async function closed(output: Output, patience: number): Promise<boolean> {
  return new Promise((resolve) => {
    const late = setTimeout(() => {
      output.destroy();
      resolve(false);
    }, patience);
    output.once('close', () => {
      clearTimeout(late);
      resolve(true);
    });
    output.end();
  });
}
