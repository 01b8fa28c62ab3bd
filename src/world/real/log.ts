/**
 * JSON lines through pino, written synchronously: what was logged before a fatal error is on stdout when the process
 * ends. Secrets do not belong into log fields; the names that would hold one are blanked all the same.
 */

import { destination, pino, stdSerializers, stdTimeFunctions, type DestinationStream } from 'pino';
import type { Log, LogFields } from '#world/world.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const SECRET_FIELDS = ['secret', 'clusterSecret', 'password', 'authorization'];

export interface LogOptions {
  readonly level: LogLevel;
  /** Stand in every line, such as the node's name. */
  readonly fields?: LogFields;
  /** Stdout without it. */
  readonly stream?: DestinationStream;
}

export function createLog(options: LogOptions): Log {
  const logger = pino(
    {
      level: options.level,
      base: options.fields ?? {},
      messageKey: 'event',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: stdSerializers.err },
      redact: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`]),
    },
    options.stream ?? destination({ fd: 1, sync: true }),
  );
  return {
    debug: (event, fields) => logger.debug(fields ?? {}, event),
    info: (event, fields) => logger.info(fields ?? {}, event),
    warn: (event, fields) => logger.warn(fields ?? {}, event),
    error: (event, fields) => logger.error(fields ?? {}, event),
  };
}
