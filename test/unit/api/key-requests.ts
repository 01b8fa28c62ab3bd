/** What tests of requests for keys share. */

import { expect } from 'vitest';
import type { InProcessAnswer } from '#api/in-process.ts';
import { utf8 } from '#kernel/bytes.ts';
import { type StubNode } from './stub-services.ts';
import { jsonOf } from './client.ts';

export const HI = utf8('hi');

export function keepsSiblings(node: StubNode): void {
  node.properties.set('sib', { conflicts: 'siblings' });
}

export function expectProblem(answer: InProcessAnswer, status: number, code: string, field?: string): void {
  expect(jsonOf(answer)).toMatchObject({
    type: `urn:quoral:problem:${code}`,
    status,
    title: expect.any(String),
    detail: expect.any(String),
    ...(field === undefined ? {} : { field }),
  });
  expect(answer.status).toBe(status);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
}
