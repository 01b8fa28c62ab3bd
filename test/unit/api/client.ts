/**
 * Ways to send requests in tests: within the process, and as raw bytes over a socket.
 */

import { connect } from 'node:net';
import { createApp } from '#api/app.ts';
import { inProcess, type InProcess, type InProcessAnswer } from '#api/in-process.ts';
import { fromUtf8 } from '#kernel/bytes.ts';
import { StubNode } from './stub-services.ts';

export interface Harness {
  readonly node: StubNode;
  readonly send: InProcess;
}

export function harness(prepare: (node: StubNode) => void = () => undefined): Harness {
  const node = new StubNode();
  prepare(node);
  return { node, send: inProcess(createApp(node.services())) };
}

export function textOf(answer: InProcessAnswer): string {
  return fromUtf8(answer.body);
}

export function jsonOf(answer: InProcessAnswer): Record<string, unknown> {
  return JSON.parse(textOf(answer)) as Record<string, unknown>;
}

/** Sends the bytes, one chunk a turn, and resolves with all that came back when the other end closes. */
export function exchangeBytes(port: number, ...chunks: readonly (string | Uint8Array)[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const received: Buffer[] = [];
    socket.on('data', (chunk) => received.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(received).toString('latin1')));
    for (const chunk of chunks) socket.write(typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk);
  });
}
