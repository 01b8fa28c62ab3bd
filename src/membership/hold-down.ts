/**
 * Damping of a peer that comes and goes: each return after the second within a while makes it wait twice as long before it
 * is preferred again (the idea of route flap damping, RFC 2439). It only loses its preference: it is still tried when there
 * are too few others.
 */

/** Returns that cost nothing. */
const FREE_RETURNS = 2;
/** One return is forgiven each time that so much time has passed. */
const FORGIVEN_EVERY_MS = 30_000;
const FIRST_HOLD_MS = 1000;
const LONGEST_HOLD_MS = 30_000;
/** More are not counted, so that forgiving does not take for ever. */
const RETURNS_MAX = 8;

export class HoldDown {
  #returns = 0;
  #forgivenAt = 0;
  #until = Number.NEGATIVE_INFINITY;

  /** The peer is back after it could not be used. Returns for how long it is held down now. */
  returned(now: number): number {
    this.#forgive(now);
    this.#returns = Math.min(RETURNS_MAX, this.#returns + 1);
    const beyond = this.#returns - FREE_RETURNS;
    if (beyond <= 0) return 0;
    const hold = Math.min(LONGEST_HOLD_MS, FIRST_HOLD_MS * 2 ** (beyond - 1));
    this.#until = now + hold;
    return hold;
  }

  isHeld(now: number): boolean {
    return now < this.#until;
  }

  #forgive(now: number): void {
    if (this.#returns === 0) this.#forgivenAt = now;
    const forgiven = Math.floor((now - this.#forgivenAt) / FORGIVEN_EVERY_MS);
    if (forgiven <= 0) return;
    this.#returns = Math.max(0, this.#returns - forgiven);
    this.#forgivenAt += forgiven * FORGIVEN_EVERY_MS;
  }
}
