import { expect, test } from 'vitest';
import { openTrace } from '#cli/open-trace.ts';
import { createMetrics } from '#world/real/metrics.ts';
import { loadConfig } from '#config.ts';
import { sourceFiles } from '../../architecture/sources.ts';
import { silentLog } from '../../contract/worlds.ts';

const SAMPLED = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', tracestate: '' };

function settingsWith(flags: Record<string, string>): Parameters<typeof openTrace>[0] {
  return loadConfig({ file: undefined, environment: {}, flags }).settings;
}

test('without a collector nothing is traced, whatever the parent wants', async () => {
  const trace = await openTrace(settingsWith({}), silentLog, createMetrics());
  expect(trace.on).toBe(false);
  expect(trace.begin('x', 'server', SAMPLED)).toBeUndefined();
  await trace.stop(0);
});

test('with one a parent’s wish is done, and the share of the others is what the settings say', async () => {
  for (const [sample, expected] of [
    ['0', 0],
    ['1', 100],
  ] as const) {
    const settings = settingsWith({ 'otlp-endpoint': 'http://127.0.0.1:9', 'trace-sample': sample });
    const trace = await openTrace(settings, silentLog, createMetrics());
    expect(trace.begin('x', 'server', SAMPLED)).toBeDefined();
    const begun = Array.from({ length: 100 }, () => trace.begin('x', 'server', undefined));
    expect(begun.filter((span) => span !== undefined)).toHaveLength(expected);
    await trace.stop(0);
  }
});

test('only the real Trace port loads OpenTelemetry, and only who wants traces loads that', () => {
  for (const { path, text } of sourceFiles('src')) {
    if (path !== 'src/world/real/trace.ts') expect(text, path).not.toMatch(/from '@opentelemetry/);
    expect(text.match(/^import (?!type ).*world\/real\/trace\.ts'/m), path).toBeNull();
  }
});
