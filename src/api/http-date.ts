/**
 * The date format of HTTP (RFC 9110 section 5.6.7), which counts whole seconds.
 */

/** Formatting costs more than the rest of an answer, and many ask for the same second. */
export class LastDate {
  #second = Number.NaN;
  #text = '';

  /** `Sun, 06 Nov 1994 08:49:37 GMT` of milliseconds since 1970. */
  text(milliseconds: number): string {
    const second = Math.floor(milliseconds / 1000);
    if (second !== this.#second) {
      this.#text = new Date(second * 1000).toUTCString();
      this.#second = second;
    }
    return this.#text;
  }
}

const ofVersions = new LastDate();

/** The same; what is asked for one after the other was often written within one second. */
export function httpDate(milliseconds: number): string {
  return ofVersions.text(milliseconds);
}

/** `1994-11-06T08:49:37.123Z`. */
export function isoDate(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
