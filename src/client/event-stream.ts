/**
 * Reading server-sent events (WHATWG HTML, section 9.2), as a value: text goes in as it comes, whole events come out.
 */

export interface ServerEvent {
  readonly id: string | undefined;
  /** `message` when the stream does not say. */
  readonly type: string;
  /** Undefined where there is only a new id: browsers show no such event, but its id counts. */
  readonly data: string | undefined;
}

/** Characters of one event; a stream that goes on without an end of it is none. */
const EVENT_MAX = 1024 * 1024;

export class EventReader {
  #text = '';
  #id: string | undefined;
  #idTold: string | undefined;
  #type = 'message';
  #data: string[] = [];
  #length = 0;

  /** The events that end in this piece. Throws RangeError for one that is too long. */
  read(piece: string): readonly ServerEvent[] {
    this.#text += piece;
    const events: ServerEvent[] = [];
    for (;;) {
      const end = /\r\n|\n|\r(?!$)/.exec(this.#text);
      if (end === null) break;
      const line = this.#text.slice(0, end.index);
      this.#text = this.#text.slice(end.index + end[0].length);
      if (line === '') this.#finish(events);
      else this.#field(line);
    }
    if (this.#text.length + this.#length > EVENT_MAX) throw new RangeError('an event is longer than a MiB');
    return events;
  }

  #field(line: string): void {
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    this.#length += line.length;
    if (name === 'data') this.#data.push(value);
    else if (name === 'id') this.#id = value;
    else if (name === 'event') this.#type = value;
  }

  #finish(events: ServerEvent[]): void {
    const data = this.#data.length > 0 ? this.#data.join('\n') : undefined;
    if (data !== undefined || this.#id !== this.#idTold) events.push({ id: this.#id, type: this.#type, data });
    this.#idTold = this.#id;
    this.#type = 'message';
    this.#data = [];
    this.#length = 0;
  }
}
