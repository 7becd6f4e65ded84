/** Reads event files far enough for the tests, by the numbers of the fields. */
import { BinaryReader } from '@bufbuild/protobuf/wire';

export interface ReadEvent {
  tag: string;
  step: number;
  values: number[];
  text: string | null;
  /** Names of the nodes. */
  graph: string[] | null;
}

type Fields = Record<number, Uint8Array[]>;

/** The parts of a message by their numbers; numbers as the bytes of a float64. */
function fields(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes);
  const found: Fields = {};
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    found[number] ??= [];
    if (wire === 2) found[number].push(reader.bytes());
    else {
      const value = wire === 1 ? reader.double() : wire === 5 ? reader.float() : Number(reader.int64());
      found[number].push(new Uint8Array(Float64Array.of(value).buffer));
    }
  }
  return found;
}

const number = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** All events but for their times, and but for values that are times. */
export function readEvents(file: Uint8Array): ReadEvent[] {
  // A Buffer would share its memory with its parts.
  const bytes = new Uint8Array(file);
  const view = new DataView(bytes.buffer);
  const events: ReadEvent[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = Number(view.getBigUint64(at, true));
    const event = fields(bytes.subarray(at + 12, at + 12 + size));
    at += size + 16;
    const value = event[5] ? fields(fields(event[5][0])[1][0]) : {};
    const tensor = value[8] ? fields(value[8][0]) : {};
    const content = tensor[4]?.[0];
    const floats = tensor[5]?.[0];
    events.push({
      tag: value[1] ? text(value[1][0]) : '',
      step: event[2] ? number(event[2][0]) : 0,
      values: content
        ? [...new Float64Array(content.slice().buffer)]
        : floats
          ? [...new Float32Array(floats.slice().buffer)]
          : [],
      text: tensor[8] ? text(tensor[8][0]) : null,
      graph: event[4] ? (fields(event[4][0])[1] ?? []).map((node) => text(fields(node)[1][0])) : null,
    });
  }
  return events;
}
