/** How the systems that are compared are spoken to: one record read, one record written. */

import { randomBytes, randomUUID } from 'node:crypto';
import type { HttpAnswer, HttpConnection } from './http-connection.ts';

export interface System {
  read(connection: HttpConnection, record: number): Promise<HttpAnswer>;
  write(connection: HttpConnection, record: number): Promise<HttpAnswer>;
  /** Whether the answer is what a record that is there must give. */
  isRight(answer: HttpAnswer): boolean;
}

export interface SystemOptions {
  readonly bytes: number;
  readonly query: string;
  readonly token: string | undefined;
}

export const SYSTEMS = ['quoral', 'quoral-keyed', 'etcd', 'etcd-serializable'] as const;
export type SystemName = (typeof SYSTEMS)[number];

/** A value that was not stored before: identical overwrites would be skipped by the storage and measure nothing. */
function valueMaker(bytes: number): () => Buffer {
  const noise = randomBytes(bytes);
  return () => {
    const value = Buffer.from(noise);
    value.writeDoubleLE(Math.random(), 0);
    value.writeDoubleLE(performance.now(), Math.max(0, Math.min(8, bytes - 8)));
    return value;
  };
}

export function systemNamed(name: SystemName, options: SystemOptions): System {
  if (name === 'quoral' || name === 'quoral-keyed') return quoral(options, name === 'quoral-keyed');
  return etcd(options, name === 'etcd-serializable');
}

/** `keyed`: each write has an idempotency key of its own, as the client's writes have. */
function quoral({ bytes, query, token }: SystemOptions, keyed: boolean): System {
  const nextValue = valueMaker(bytes);
  const suffix = query === '' ? '' : `?${query}`;
  const authorization = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
  const withValue = `${authorization}Content-Type: application/octet-stream\r\n`;
  const path = (record: number): string => `/v1/kv/bench/key-${record}${suffix}`;
  return {
    read: (connection, record) => connection.request('GET', path(record), authorization),
    write: (connection, record) => {
      const key = keyed ? `Idempotency-Key: ${randomUUID()}\r\n` : '';
      return connection.request('PUT', path(record), `${withValue}${key}`, nextValue());
    },
    isRight: ({ status, body }) => status === 204 || (status === 200 && body.length === bytes),
  };
}

/** Its JSON gateway; keys and values are in base64 there. */
function etcd({ bytes }: SystemOptions, serializable: boolean): System {
  const nextValue = valueMaker(bytes);
  const headers = 'Content-Type: application/json\r\n';
  const key = (record: number): string => Buffer.from(`key-${record}`).toString('base64');
  const how = serializable ? ',"serializable":true' : '';
  return {
    read: (connection, record) =>
      connection.request('POST', '/v3/kv/range', headers, Buffer.from(`{"key":"${key(record)}"${how}}`)),
    write: (connection, record) => {
      const body = `{"key":"${key(record)}","value":"${nextValue().toString('base64')}"}`;
      return connection.request('POST', '/v3/kv/put', headers, Buffer.from(body));
    },
    isRight: ({ status, body }) => status === 200 && body.length > 0,
  };
}
