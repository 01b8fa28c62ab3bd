/**
 * The date format of HTTP (RFC 9110 section 5.6.7), which counts whole seconds.
 */

const SECONDS_A_DAY = 86_400;
const TWO_DIGITS = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'));

/** A host takes longer to format a date than many an answer takes for all the rest; and most that are asked for are of one day. */
export class LastDate {
  #day = Number.NaN;
  #dayText = '';
  #second = Number.NaN;
  #text = '';

  /** `Sun, 06 Nov 1994 08:49:37 GMT` of milliseconds since 1970. */
  text(milliseconds: number): string {
    const second = Math.floor(milliseconds / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = this.#format(second);
    }
    return this.#text;
  }

  #format(second: number): string {
    const day = Math.floor(second / SECONDS_A_DAY);
    if (day !== this.#day) {
      this.#day = day;
      this.#dayText = new Date(day * SECONDS_A_DAY * 1000).toUTCString().slice(0, -'00:00:00 GMT'.length);
    }
    const time = second - day * SECONDS_A_DAY;
    const minutes = Math.floor(time / 60);
    const [hour, minute] = [TWO_DIGITS[Math.floor(minutes / 60)]!, TWO_DIGITS[minutes % 60]!];
    return `${this.#dayText}${hour}:${minute}:${TWO_DIGITS[time % 60]!} GMT`;
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
