/**
 * The Trace port by the settings. Without an endpoint the OpenTelemetry packages are not even loaded.
 */

import { NO_TRACE } from '#world/no-trace.ts';
import type { RealTrace } from '#world/real/trace.ts';
import type { Log, Metrics } from '#world/world.ts';
import type { Settings } from '#settings.ts';
import { VERSION } from '#version.ts';

export async function openTrace(settings: Settings, log: Log, metrics: Metrics): Promise<RealTrace> {
  const endpoint = settings['otlp-endpoint'];
  if (endpoint === undefined) return { ...NO_TRACE, stop: () => Promise.resolve() };
  const { createTrace } = await import('#world/real/trace.ts');
  return createTrace({
    endpoint: `${endpoint}/v1/traces`,
    sample: settings['trace-sample'],
    resource: {
      'service.name': 'quoral',
      'service.version': VERSION,
      'service.instance.id': settings.id,
      'quoral.zone': settings.zone,
    },
    log,
    metrics,
    queueMax: settings['trace-queue-max'],
    batchDelay: settings['trace-batch-delay'],
  });
}
