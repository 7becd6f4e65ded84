/** The bytes of an ONNX model with recurrent layers, weights drawn at random: what ONNX Runtime is measured with. Time comes first, then rows. */
import type { Kind, Point } from '../points.ts';

type Field = Uint8Array;

/** A protobuf number: seven bits a byte. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return [...bytes, rest];
}

function integer(field: number, value: number): Field {
  return Uint8Array.from([...varint(field << 3), ...varint(value)]);
}

function bytes(field: number, value: Uint8Array): Field {
  return joined([Uint8Array.from([...varint((field << 3) | 2), ...varint(value.length)]), value]);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const text = (field: number, value: string) => bytes(field, new TextEncoder().encode(value));
const message = (field: number, parts: readonly Field[]) => bytes(field, joined(parts));

const float = 1;
const int64 = 7;

/** A TensorProto as an initializer of the graph. */
function tensor(name: string, shape: readonly number[], kind: number, data: Float32Array | BigInt64Array): Field {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return message(5, [...shape.map((n) => integer(1, n)), integer(2, kind), text(8, name), bytes(9, raw)]);
}

/** Uniform in +-1/sqrt(units). */
function weights(name: string, shape: readonly number[], units: number): Field {
  const data = new Float32Array(shape.reduce((a, b) => a * b));
  for (let i = 0; i < data.length; i++) data[i] = (2 * Math.random() - 1) / Math.sqrt(units);
  return tensor(name, shape, float, data);
}

/** A ValueInfoProto. @param field 11 for an input, 12 for an output of the graph */
function value(field: number, name: string, shape: readonly number[]): Field {
  const dimensions = shape.map((n) => message(1, [integer(1, n)]));
  return message(field, [text(1, name), message(2, [message(1, [integer(1, float), message(2, dimensions)])])]);
}

type Attributes = Readonly<Record<string, number | string>>;

function node(type: string, inputs: readonly string[], outputs: readonly string[], attributes: Attributes = {}): Field {
  const listed = Object.entries(attributes).map(([name, of]) =>
    message(5, [
      text(1, name),
      ...(typeof of === 'number' ? [integer(3, of), integer(20, 2)] : [text(4, of), integer(20, 3)]),
    ]),
  );
  return message(1, [...inputs.map((n) => text(1, n)), ...outputs.map((n) => text(2, n)), text(4, type), ...listed]);
}

const types: Readonly<Record<Kind, readonly [type: string, gates: number]>> = {
  lstm: ['LSTM', 4],
  gru: ['GRU', 3],
  'simple-rnn': ['RNN', 1],
  bidirectional: ['LSTM', 4],
  'two-layer': ['LSTM', 4],
};

/** Input `x` [time, batch, features], output `y` [time, directions, batch, units]. */
export function onnxModel({ kind, batch, time, features, units }: Point): Uint8Array {
  const [type, gates] = types[kind];
  const directions = kind === 'bidirectional' ? 2 : 1;
  const attributes: Attributes = {
    hidden_size: units,
    direction: directions === 2 ? 'bidirectional' : 'forward',
    // what PyTorch's GRU and Keras's `reset_after` do
    ...(type === 'GRU' && { linear_before_reset: 1 }),
  };
  const layer = (at: number, from: string, width: number, to: string) => [
    node(type, [from, `w${at}`, `r${at}`, `b${at}`], [to], attributes),
    weights(`w${at}`, [directions, gates * units, width], units),
    weights(`r${at}`, [directions, gates * units, units], units),
    weights(`b${at}`, [directions, 2 * gates * units], units),
  ];
  const body =
    kind === 'two-layer'
      ? [
          ...layer(0, 'x', features, 'stacked'),
          tensor('axis', [1], int64, BigInt64Array.of(1n)),
          node('Squeeze', ['stacked', 'axis'], ['h']),
          ...layer(1, 'h', units, 'y'),
        ]
      : layer(0, 'x', features, 'y');
  const graph = [
    ...body,
    text(2, kind),
    value(11, 'x', [time, batch, features]),
    value(12, 'y', [time, directions, batch, units]),
  ];
  const version = 8;
  const operators = 14;
  return joined([integer(1, version), message(7, graph), message(8, [text(1, ''), integer(2, operators)])]);
}
