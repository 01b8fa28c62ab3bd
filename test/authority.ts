/**
 * Certificates for tests, good and bad, made on the spot: just enough of X.509 (RFC 5280) in DER to say who is named, by
 * whom and until when. The keys and signatures are the host's.
 */

import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';

const DAY_MS = 24 * 60 * 60 * 1000;

export interface Wanted {
  /** Hosts, IPv4 addresses and node ids that the certificate names. */
  readonly names: readonly string[];
  /** Days from now at which it ends; may have been before. */
  readonly days?: number;
  /** Days from now at which it begins; may be to come. */
  readonly from?: number;
}

/** In days from now. */
interface Span {
  readonly from: number;
  readonly days: number;
}

/** PEM texts. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** One that signs. */
export class Authority {
  readonly pem: string;
  readonly #name: string;
  readonly #key: KeyObject;
  #serial = 1;

  /** `issuer` signs its certificate; without one it does so itself. */
  constructor(name: string, issuer?: Authority) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#name = name;
    this.#key = privateKey;
    const isAuthority = extension('551d13', true, sequence(tlv(0x01, Buffer.of(0xff))));
    this.pem = (issuer ?? this).#certificate(name, publicKey, { from: -50, days: 100 }, isAuthority);
  }

  sign({ names, days = 30, from = -50 }: Wanted): Pair {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const alternatives = extension('551d11', false, sequence(...names.map(alternativeName)));
    return {
      cert: this.#certificate(names[0] ?? 'nobody', publicKey, { from, days }, alternatives),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    };
  }

  #certificate(subject: string, publicKey: KeyObject, { from, days }: Span, extended: Buffer): string {
    const ecdsaWithSha256 = sequence(tlv(0x06, Buffer.from('2a8648ce3d040302', 'hex')));
    const toBeSigned = sequence(
      tlv(0xa0, tlv(0x02, Buffer.of(2))),
      tlv(0x02, Buffer.of(this.#serial++)),
      ecdsaWithSha256,
      commonName(this.#name),
      sequence(time(Date.now() + from * DAY_MS), time(Date.now() + days * DAY_MS)),
      commonName(subject),
      publicKey.export({ type: 'spki', format: 'der' }),
      tlv(0xa3, sequence(extended)),
    );
    const signature = sign('sha256', toBeSigned, this.#key);
    const whole = sequence(toBeSigned, ecdsaWithSha256, tlv(0x03, Buffer.of(0), signature));
    const lines = whole.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
    return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
  }
}

function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...head), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, ...parts);
}

function commonName(name: string): Buffer {
  return sequence(tlv(0x31, sequence(tlv(0x06, Buffer.from('550403', 'hex')), tlv(0x0c, Buffer.from(name)))));
}

function time(instant: number): Buffer {
  const text = new Date(instant).toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return tlv(0x17, Buffer.from(`${text}Z`));
}

function extension(oid: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [tlv(0x01, Buffer.of(0xff))] : [];
  return sequence(tlv(0x06, Buffer.from(oid, 'hex')), ...flag, tlv(0x04, value));
}

function alternativeName(name: string): Buffer {
  return isIP(name) === 4 ? tlv(0x87, Buffer.from(name.split('.').map(Number))) : tlv(0x82, Buffer.from(name));
}

export interface Files {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** Puts them into files, each of them whole at any time. */
export function writePair(directory: string, name: string, pair: Pair, ca: string): Files {
  mkdirSync(directory, { recursive: true });
  const files = {
    cert: join(directory, `${name}.crt`),
    key: join(directory, `${name}.key`),
    ca: join(directory, `${name}-ca.crt`),
  };
  writeWhole(files.cert, pair.cert);
  writeWhole(files.key, pair.key);
  writeWhole(files.ca, ca);
  return files;
}

export function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
