/**
 * Changes of the tokens as pure functions of the facts, to be proposed to the epoch chain.
 */

import { MAXIMUM_TOKEN_ROWS } from '#consensus/facts-codec.ts';
import type { Facts, TokenRow } from '#consensus/facts.ts';
import { equalBytes } from '#kernel/bytes.ts';
import { epoch } from '#kernel/identity.ts';

export type FactsOrRefusal = Facts | { readonly refused: string };

/** The next facts with the token; the same facts when they hold it already. */
export function addToken(facts: Facts, row: TokenRow): FactsOrRefusal {
  const namesake = facts.tokens.find(({ name }) => name === row.name);
  if (namesake !== undefined) {
    return equalBytes(namesake.digest, row.digest) ? facts : { refused: `there is a token ${row.name} already` };
  }
  if (facts.tokens.length >= MAXIMUM_TOKEN_ROWS) return { refused: `there are ${MAXIMUM_TOKEN_ROWS} tokens already` };
  const tokens = [...facts.tokens, row].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { ...facts, epoch: epoch(facts.epoch + 1), tokens };
}

/** The next facts without the token; the same facts when there is none of that name. */
export function removeToken(facts: Facts, name: string): Facts {
  const tokens = facts.tokens.filter((row) => row.name !== name);
  return tokens.length === facts.tokens.length ? facts : { ...facts, epoch: epoch(facts.epoch + 1), tokens };
}
