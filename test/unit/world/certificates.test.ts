/**
 * Certificate files that can and cannot be used, and what happens when they change.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CertificateError, Certificates, type CertificateOptions } from '#world/real/certificates.ts';
import { realClock } from '#world/real/clock.ts';
import { createMetrics } from '#world/real/metrics.ts';
import type { Log } from '#world/world.ts';
import { Authority, writePair, writeWhole, type Files, type Pair } from '../../authority.ts';
import { until } from '../../until.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const authority = new Authority('of these tests');

let directory: string;
let files: Files;
let logged: { readonly event: string; readonly fields: unknown }[];
let opened: Certificates[];

const note = (event: string, fields?: unknown): void => void logged.push({ event, fields });
const log: Log = { debug: note, info: note, warn: note, error: note };
const metrics = createMetrics();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quoral-certificates-'));
  files = writePair(directory, 'n1', authority.sign({ names: ['n1'] }), authority.pem);
  logged = [];
  opened = [];
});

afterEach(() => {
  for (const certificates of opened) certificates.close();
  rmSync(directory, { recursive: true });
});

function open(options: Partial<CertificateOptions> = {}): Certificates {
  const certificates = Certificates.open({
    door: 'peer',
    files,
    reloadInterval: DAY_MS,
    expiryWarning: 14 * DAY_MS,
    clock: realClock(),
    log,
    metrics,
    ...options,
  });
  opened.push(certificates);
  return certificates;
}

function events(): readonly string[] {
  return logged.map(({ event }) => event);
}

describe('files that cannot be used', () => {
  test.each([
    ['an absent certificate', 'cert', () => rmSync(files.cert), /n1\.crt cannot be read \(ENOENT\)/],
    ['an absent key', 'key', () => rmSync(files.key), /n1\.key cannot be read \(ENOENT\)/],
    ['an absent authority', 'ca', () => rmSync(files.ca), /n1-ca\.crt cannot be read \(ENOENT\)/],
    ['a certificate that is none', 'cert', () => writeFileSync(files.cert, 'hello'), /holds no certificate in PEM/],
    ['a damaged certificate', 'cert', () => damage(files.cert), /n1\.crt holds a damaged certificate/],
    ['an empty key', 'key', () => writeFileSync(files.key, ''), /n1\.key holds no key that can be used/],
    ['the key of another', 'key', () => writeFileSync(files.key, another().key), /n1\.key is not the key of the/],
    ['half of a chain', 'cert', () => cutOff(files.cert, -100), /n1\.crt ends amid a block of PEM/],
    ['some of the authorities', 'ca', () => cutOff(files.ca, -3), /n1-ca\.crt ends amid a block of PEM/],
    ['hardly begun authorities', 'ca', () => cutOff(files.ca, 4), /ends amid a block/],
    ['authorities that are none', 'ca', () => writeFileSync(files.ca, 'x'), /n1-ca\.crt holds no certificate/],
  ])('%s', (_name, role, spoil, message) => {
    spoil();
    const refusal = thrownBy(() => open());
    expect(refusal).toBeInstanceOf(CertificateError);
    expect(refusal).toMatchObject({ role, message: expect.stringMatching(message) as string });
    expect((refusal as Error).message).not.toContain('\n');
  });

  test('the key is in no message', () => {
    const secret = another().key;
    writeFileSync(files.key, secret.replace('PRIVATE KEY-----\n', 'PRIVATE KEY-----\nAAAA'));
    const { message } = thrownBy(() => open()) as Error;
    for (const line of secret.split('\n').slice(1, 3)) expect(message).not.toContain(line);
  });
});

describe('files that change', () => {
  test('a new pair takes the place of the former one, once', async () => {
    const certificates = open();
    const before = certificates.pair().cert;
    let changes = 0;
    certificates.onChange(() => changes++);
    await certificates.reload();
    expect([changes, certificates.pair().cert]).toEqual([0, before]);
    writePair(directory, 'n1', authority.sign({ names: ['n1'] }), authority.pem);
    await certificates.reload();
    await certificates.reload();
    expect(changes).toBe(1);
    expect(certificates.pair().cert).not.toBe(before);
    expect(events()).toEqual(['certificate-loaded', 'certificate-reloaded']);
  });

  test('they are found without being asked for', async () => {
    const certificates = open({ reloadInterval: 5 });
    const changed = new Promise<void>((resolve) => certificates.onChange(resolve));
    writePair(directory, 'n1', authority.sign({ names: ['n1'] }), authority.pem);
    await changed;
  });

  test('a new certificate before its key is refused once, and taken when the key comes', async () => {
    const certificates = open();
    const before = certificates.pair();
    const renewed = authority.sign({ names: ['n1'] });
    writeWhole(files.cert, renewed.cert);
    await certificates.reload();
    await certificates.reload();
    expect(certificates.pair()).toBe(before);
    expect(events()).toEqual(['certificate-loaded', 'certificate-refused']);
    expect(certificates.describe()).toContain('n1.key is not the key of the certificate');
    writeWhole(files.key, renewed.key);
    await certificates.reload();
    expect(certificates.pair().cert).toBe(renewed.cert);
    expect(certificates.describe()).not.toContain('not used');
    expect(JSON.stringify(logged)).not.toContain(renewed.key.split('\n')[1]);
  });

  test('files that vanish change nothing, and are told of once', async () => {
    const certificates = open();
    const before = certificates.pair();
    rmSync(files.cert);
    await certificates.reload();
    await certificates.reload();
    expect(certificates.pair()).toBe(before);
    expect(events()).toEqual(['certificate-loaded', 'certificate-refused']);
    writeWhole(files.cert, before.cert);
    await certificates.reload();
    expect(certificates.describe()).not.toContain('not used');
  });
});

describe('pairs of the peer door that other nodes would refuse', () => {
  const NAMES = { names: ['n1', '10.0.0.1'] };
  const theirs = new Authority('of others');
  const between = new Authority('between', authority);

  test.each([
    [
      'that another authority has signed',
      () => writePair(directory, 'n1', theirs.sign({ names: ['n1'] }), authority.pem),
      /n1\.crt would be refused by other nodes: none of the authorities of this node has signed it/,
    ],
    [
      'that another authority of the same name has signed',
      () => writePair(directory, 'n1', new Authority('of these tests').sign({ names: ['n1'] }), authority.pem),
      /none of the authorities of this node has signed it/,
    ],
    [
      'without the certificate between it and the authority',
      () => writePair(directory, 'n1', between.sign({ names: ['n1'] }), authority.pem),
      /none of the authorities of this node has signed it/,
    ],
    [
      'that names somebody else',
      () => writePair(directory, 'n1', authority.sign({ names: ['n2', '10.0.0.2'] }), authority.pem),
      /n1\.crt would be refused by other nodes: it names none of n1, 10\.0\.0\.1 as a subject alternative name/,
    ],
    ['whose authority is taken away', () => writeWhole(files.ca, theirs.pem), /none of the authorities of this node/],
  ])('one %s is left aside', async (_name, spoil, reason) => {
    const certificates = open(NAMES);
    const before = certificates.pair();
    spoil();
    await certificates.reload();
    expect(certificates.pair()).toBe(before);
    expect(certificates.describe()).toMatch(reason);
    expect(events()).toEqual(['certificate-loaded', 'certificate-refused']);
  });

  test('one that names the address is as good as one that names the id', async () => {
    const certificates = open(NAMES);
    const { cert } = writePairOf(['10.0.0.1']);
    await certificates.reload();
    expect(certificates.pair().cert).toBe(cert);
  });

  test('one that is signed by another which the authority has signed is taken together with that', async () => {
    const certificates = open(NAMES);
    const { cert, key } = between.sign({ names: ['n1'] });
    writePair(directory, 'n1', { cert: cert + between.pem, key }, authority.pem);
    await certificates.reload();
    expect(certificates.pair().cert).toBe(cert + between.pem);
  });

  test('a new authority comes in the three steps that the README names', async () => {
    const certificates = open(NAMES);
    writeWhole(files.ca, authority.pem + theirs.pem);
    await certificates.reload();
    const renewed = theirs.sign({ names: ['n1'] });
    writePair(directory, 'n1', renewed, authority.pem + theirs.pem);
    await certificates.reload();
    writeWhole(files.ca, theirs.pem);
    await certificates.reload();
    expect(certificates.pair()).toMatchObject({ cert: renewed.cert, ca: [theirs.pem.trim()] });
    expect(certificates.describe()).not.toContain('not used');
  });

  test('clients may have other authorities than the door’s own certificate', async () => {
    const certificates = open({ door: 'client' });
    const pair = theirs.sign({ names: ['shop.example'] });
    writePair(directory, 'n1', pair, authority.pem);
    await certificates.reload();
    expect(certificates.pair().cert).toBe(pair.cert);
  });

  test('what is refused already may change: nothing is lost by that', async () => {
    const { cert } = writePairOf(['n2']);
    const certificates = open(NAMES);
    expect(certificates.pair().cert).toBe(cert);
    const other = writePairOf(['n3']);
    await certificates.reload();
    expect(certificates.pair().cert).toBe(other.cert);
  });

  function writePairOf(names: readonly string[]): Pair {
    const pair = authority.sign({ names });
    writePair(directory, 'n1', pair, authority.pem);
    return pair;
  }
});

describe('certificates outside of their time', () => {
  /** Of some moment, so that time can pass. */
  function at(moment: { now: number }): Partial<CertificateOptions> {
    return { clock: { ...realClock(), wall: () => moment.now } };
  }

  function renew(span: { readonly days?: number; readonly from?: number }): string {
    return writePair(directory, 'n1', authority.sign({ names: ['n1'], ...span }), authority.pem).cert;
  }

  test('one that is not valid yet waits for its time, and the former one is used until then', async () => {
    const moment = { now: Date.now() };
    const certificates = open(at(moment));
    const before = certificates.pair();
    renew({ from: 1 });
    await certificates.reload();
    await certificates.reload();
    expect(certificates.pair()).toBe(before);
    expect(certificates.describe()).toMatch(/not used: .*n1\.crt is not valid before 20/);
    moment.now += 1.1 * DAY_MS;
    await certificates.reload();
    expect(certificates.pair()).not.toBe(before);
    expect(certificates.needsAttention()).toBe(false);
    expect(events()).toEqual(['certificate-loaded', 'certificate-refused', 'certificate-reloaded']);
  });

  test('one that has ended does not take the place of one that has not', async () => {
    const certificates = open();
    const before = certificates.pair();
    renew({ days: -1 });
    await certificates.reload();
    expect(certificates.pair()).toBe(before);
    expect(certificates.describe()).toMatch(/not used: .*n1\.crt has ended at 20/);
  });

  test('one that is all there is at the start is used, and that is told', () => {
    renew({ from: 1 });
    const certificates = open();
    expect(certificates.describe()).toMatch(/^peer door: not valid before 20.*, valid until 20/);
    expect(certificates.needsAttention()).toBe(true);
    expect(events()).toEqual(['certificate-loaded', 'certificate-not-valid-yet']);
  });

  test('the end is told when it comes, however lately it was foretold', async () => {
    const moment = { now: Date.now() };
    renew({ days: 1 });
    const certificates = open({ ...at(moment), reloadInterval: 5 });
    expect(events()).toEqual(['certificate-loaded', 'certificate-expires-soon']);
    moment.now += 1.1 * DAY_MS;
    await until(() => events().at(-1) === 'certificate-expired');
    expect(certificates.describe()).toContain('EXPIRED');
  });
});

describe('the end of a certificate', () => {
  test.each([
    ['far away', 30, [], 'valid until'],
    ['near', 3, ['certificate-expires-soon'], 'expires soon'],
    ['past', -1, ['certificate-expired'], 'EXPIRED at'],
  ])('%s: log, health and figure', async (_name, days, complaints, words) => {
    files = writePair(directory, 'n1', authority.sign({ names: ['n1'], days }), authority.pem);
    const certificates = open();
    expect(events()).toEqual(['certificate-loaded', ...complaints]);
    expect(certificates.describe()).toMatch(`peer door: ${words}`);
    const figures = createMetrics();
    opened.push(
      Certificates.open({
        door: 'client',
        files,
        reloadInterval: DAY_MS,
        expiryWarning: 0,
        clock: realClock(),
        log,
        metrics: figures,
      }),
    );
    const value = Number(/expires_seconds\{door="client"\} (\d+)/.exec(await figures.render())?.[1]);
    expect(Math.abs(value * 1000 - Date.now() - days * DAY_MS)).toBeLessThan(60_000);
  });
});

function another(): { readonly cert: string; readonly key: string } {
  return authority.sign({ names: ['n2'] });
}

/** With the beginning of one more certificate. */
function cutOff(path: string, end: number): void {
  writeFileSync(path, readFileSync(path, 'utf8') + another().cert.slice(0, end));
}

function damage(path: string): void {
  writeFileSync(path, '-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n');
}

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}
