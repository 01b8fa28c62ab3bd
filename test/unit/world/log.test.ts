import { describe, expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { createLog, type LogLevel } from '#world/real/log.ts';
import { SimulatedHost } from '#world/simulated/host.ts';
import { SimulatedLog } from '#world/simulated/log.ts';
import { Simulation } from '#world/simulated/scheduler.ts';

describe('the real log', () => {
  function collecting(level: LogLevel = 'debug') {
    const lines: Record<string, unknown>[] = [];
    const stream = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
    return { lines, log: createLog({ level, fields: { node: 'n1' }, stream }) };
  }

  test('a line is JSON with level, time, event and fields', () => {
    const { lines, log } = collecting();
    log.info('peer-connected', { peer: 'n2', took: 1.5 });
    log.warn('slow');
    expect(lines[0]).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      node: 'n1',
      event: 'peer-connected',
      peer: 'n2',
      took: 1.5,
    });
    expect(lines[1]).toMatchObject({ level: 'warn', event: 'slow' });
  });

  test('a key stands there as people can read it and send it again', () => {
    const { lines, log } = collecting();
    log.warn('register-damaged', { key: utf8('käse/1') });
    log.warn('register-damaged', { key: Uint8Array.of(0xff, 0) });
    log.warn('other', { key: 'text' });
    expect(lines.map((line) => line['key'])).toEqual(['käse/1', 'base64url:_wA', 'text']);
  });

  test('what is below the level is left out', () => {
    const { lines, log } = collecting('warn');
    log.debug('a');
    log.info('b');
    log.warn('c');
    log.error('d');
    expect(lines.map((line) => line['event'])).toEqual(['c', 'd']);
  });

  test('an error tells its message, its stack and its cause', () => {
    const { lines, log } = collecting();
    log.error('disk-failed', { error: new Error('cannot sync', { cause: new Error('EIO') }) });
    expect(lines[0]).toMatchObject({ error: { message: 'cannot sync: EIO', stack: expect.stringContaining('EIO') } });
  });

  test('a secret that strayed into the fields is blanked', () => {
    const { lines, log } = collecting();
    log.info('settings', { secret: 'a', settings: { clusterSecret: 'b', port: 1 } });
    expect(lines[0]).toMatchObject({ secret: '[Redacted]', settings: { clusterSecret: '[Redacted]', port: 1 } });
  });
});

test('the simulated log keeps entries with virtual time, and nothing that a dead process says', async () => {
  const simulation = new Simulation({ seed: 1 });
  const printed: string[] = [];
  const logs = new SimulatedLog((line) => printed.push(line));
  const host = new SimulatedHost(simulation, 'n1');
  const log = logs.of(host.start());
  await simulation.run(5);
  log.warn('disk-failed', { error: new RangeError('x') });
  host.kill();
  log.info('ghost');
  expect(logs.entries).toMatchObject([{ time: 5, host: 'n1', level: 'warn', event: 'disk-failed' }]);
  expect(printed).toEqual(['5.000 n1 warn disk-failed {"error":"RangeError: x"}']);
});
