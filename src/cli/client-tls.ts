/**
 * How the verbs trust an https node: by the machine's authorities, or by those of `--ca` alone.
 */

import { readFileSync } from 'node:fs';
import { Agent, type Dispatcher } from 'undici';
import { UsageError } from './output.ts';

export interface TlsOptions {
  /** File with the authorities that sign the nodes' certificates. */
  readonly ca?: string;
  /** Files with the certificate and key to show, where nodes want one of their clients. */
  readonly cert?: string;
  readonly certKey?: string;
}

/** Undefined when nothing is set; throws {@link UsageError} for files that cannot be read. */
export function dispatcherFor({ ca, cert, certKey }: TlsOptions): Dispatcher | undefined {
  if (ca === undefined && cert === undefined && certKey === undefined) return undefined;
  if ((cert === undefined) !== (certKey === undefined)) throw new UsageError('--cert and --cert-key belong together');
  const connect = {
    ...(ca === undefined ? {} : { ca: readCertificates('--ca or QUORAL_CA', ca) }),
    ...(cert === undefined ? {} : { cert: readCertificates('--cert or QUORAL_CERT', cert) }),
    ...(certKey === undefined ? {} : { key: read('--cert-key or QUORAL_CERT_KEY', certKey) }),
  };
  try {
    return new Agent({ connect, allowH2: false });
  } catch (error) {
    throw new UsageError(`--ca, --cert or --cert-key: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function read(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UsageError(`${name}: ${path} cannot be read (${code})`);
  }
}

/** The runtime takes a file without any for one that trusts nobody, and says nothing. */
function readCertificates(name: string, path: string): string {
  const text = read(name, path);
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new UsageError(`${name}: ${path} holds no certificate in PEM form`);
}

/** What a failed connection most likely needs, as the end of a sentence. */
export function hintFor(error: unknown): string {
  if (!(error instanceof Error)) return ' (--url or QUORAL_URL names a node)';
  // What fetch throws says the same of every failure; its cause tells.
  if (!('code' in error) && error.cause !== undefined) return hintFor(error.cause);
  const code = 'code' in error ? String(error.code) : '';
  if (/CERT|SIGNATURE|ISSUER/.test(code) && code !== 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return ' (--ca or QUORAL_CA names the file with the authority that signed its certificate)';
  }
  if (code === 'UND_ERR_SOCKET' || code === 'ECONNRESET')
    return ' (does it speak https? --url or QUORAL_URL names a node)';
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') return ' (it speaks plain http)';
  return ' (--url or QUORAL_URL names a node)';
}
