/**
 * The date format of HTTP (RFC 9110 section 5.6.7), which counts whole seconds.
 */

let lastSecond = Number.NaN;
let lastText = '';

/** `Sun, 06 Nov 1994 08:49:37 GMT` of milliseconds since 1970. Formatting costs more than the rest of an answer, and many ask for the same second. */
export function httpDate(milliseconds: number): string {
  const second = Math.floor(milliseconds / 1000);
  if (second !== lastSecond) {
    lastText = new Date(second * 1000).toUTCString();
    lastSecond = second;
  }
  return lastText;
}

/** `1994-11-06T08:49:37.123Z`. */
export function isoDate(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
