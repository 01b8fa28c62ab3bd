/** The client door of a real process: what the other targets send at a door alone, here with everything behind it. */

import fc from 'fast-check';
import { bytesBack, parseAnswers } from '../raw-http.ts';
import { ambiguous, boldRequest, chunked, cuts, damage, damaged, serialized, validRequest } from './http-cases.ts';
import { checkAll } from './promises.ts';
import { atNode } from './real-node.ts';
import type { Target } from './target.ts';

const SILENCE_MAX_MS = 20_000;

const requests = fc.oneof(
  fc.array(validRequest, { minLength: 1, maxLength: 4 }).map((all) => all.map(serialized).join('')),
  boldRequest.map(serialized),
  ambiguous,
);

export const NODE_TARGETS: readonly Target[] = [
  {
    name: 'http-node',
    about: 'whole, bold, ambiguous and damaged requests at a real node',
    open: () =>
      atNode(async ({ clientPort }) => {
        const generated = fc.record({
          text: requests,
          damages: fc.oneof(fc.constant([]), fc.array(damage, { maxLength: 2 })),
          sizes: cuts,
        });
        return fc.asyncProperty(generated, async ({ text, damages, sizes }) => {
          const bytes = damaged(text, damages);
          const received = await bytesBack(clientPort, chunked(bytes, sizes, 60), {
            end: true,
            limitMs: SILENCE_MAX_MS,
          });
          // Where a HEAD may be among them, it cannot be known which answers have bodies.
          if (!bytes.includes('HEAD')) checkAll(parseAnswers(received));
        });
      }),
  },
];
