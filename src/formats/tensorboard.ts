/**
 * TensorBoard's event files: scalars, histograms, texts, graphs. Values are tensors with the name of the plugin that shows them, as TensorFlow 2
 * writes them. Source: TensorFlow, `event.proto` and `summary.proto`; TensorBoard, `plugins/{scalar,histogram,text}/summary_v2.py`.
 */
import { AppendedFile } from './appended-file.ts';
import { dataTypes, messages } from './tensorboard-messages.ts';
import { type Encode, type MessageValue, protobufEncoder } from './wire/protobuf.ts';
import { type Frame, recordFramer } from './wire/records.ts';

/** Of a histogram, as in TensorBoard. */
export const defaultBuckets = 30;

/** A call of a layer, as a node of the graph. */
export interface GraphNode {
  readonly name: string;
  readonly className: string;
  /** Of the outputs, batch in front; null for open sizes. */
  readonly shapes: readonly (readonly (number | null)[])[];
  readonly parameters: number;
  readonly trainable: boolean;
}

/** The calls of the layers and what flows between them. */
export interface LayerGraph {
  readonly nodes: readonly GraphNode[];
  /** Indices of nodes. */
  readonly edges: readonly { readonly from: number; readonly to: number }[];
}

/**
 * Counts of the values in buckets of one width, [buckets, 3]: left end, right end, count. Values that are not finite are left out. Without
 * values all is zero; where all are one value, all ends are this value and the last bucket counts them.
 */
export function histogramBuckets(values: ArrayLike<number>, buckets = defaultBuckets): Float64Array {
  const table = new Float64Array(buckets * 3);
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
    count++;
  }
  if (count === 0) return table;
  const range = high - low;
  if (range === 0) {
    for (let b = 0; b < buckets; b++) table.set([high, high, b === buckets - 1 ? count : 0], b * 3);
    return table;
  }
  const width = range / buckets;
  for (let b = 0; b < buckets; b++) {
    table[b * 3] = low + b * width;
    table[b * 3 + 1] = b === buckets - 1 ? high : low + (b + 1) * width;
  }
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) continue;
    table[Math.min(Math.floor((values[i] - low) / width), buckets - 1) * 3 + 2]++;
  }
  return table;
}

const text = new TextEncoder();
const nothing = new Uint8Array();

const value = (tag: string, pluginName: string, tensor: MessageValue, content = nothing): MessageValue => ({
  tag,
  tensor,
  metadata: { pluginData: { pluginName, content } },
});

const shapeOf = (sizes: readonly number[]): MessageValue => ({ dim: sizes.map((size) => ({ size })) });

const scalarValue = (tag: string, number: number): MessageValue =>
  value(tag, 'scalars', { dtype: dataTypes.float, tensorShape: shapeOf([]), floatVal: [number] });

function histogramValue(tag: string, table: Float64Array): MessageValue {
  const bytes = new Uint8Array(table.buffer, table.byteOffset, table.byteLength);
  const tensorShape = shapeOf([table.length / 3, 3]);
  const tensor = { dtype: dataTypes.double, tensorShape, tensorContent: bytes };
  return value(tag, 'histograms', tensor);
}

const stringTensor = (string: string): MessageValue => ({
  dtype: dataTypes.string,
  tensorShape: shapeOf([]),
  stringVal: [text.encode(string)],
});

/** Nodes of one layer that is called several times get numbers. */
function graphOf({ nodes, edges }: LayerGraph): MessageValue {
  const taken = new Set<string>();
  const names = nodes.map(({ name }) => {
    let own = name;
    for (let i = 1; taken.has(own); i++) own = `${name}_${i}`;
    taken.add(own);
    return own;
  });
  const node = nodes.map(({ className, shapes, parameters, trainable }, i) => ({
    name: names[i],
    op: className,
    input: [...new Set(edges.filter(({ to }) => to === i).map(({ from }) => names[from]))],
    attr: [
      { key: '_output_shapes', value: { list: { shape: shapes.map((shape) => shapeOf(shape.map((d) => d ?? -1))) } } },
      { key: 'parameters', value: { i: parameters } },
      { key: 'trainable', value: { b: trainable } },
    ],
  }));
  return { node, versions: { producer: 22 } };
}

/** A name that no other file of this folder has, and that sorts by time. */
let opened = 0;
function fileName(seconds: number): string {
  const process = (globalThis as { process?: { pid?: number } }).process?.pid ?? 0;
  return `events.out.tfevents.${Math.floor(seconds)}.unrolled.${process}.${opened++}.v2`;
}

/** Where a file goes on that an earlier run began. */
export interface EventFilePosition {
  readonly path: string;
  readonly bytes: number;
}

export class EventFile {
  private readonly file: AppendedFile;
  private readonly encode: Encode;
  private readonly frame: Frame;
  private readonly now: () => number;
  private pending: Uint8Array[] = [];
  private time: number | null = null;

  private constructor(file: AppendedFile, encode: Encode, frame: Frame, now: () => number) {
    this.file = file;
    this.encode = encode;
    this.frame = frame;
    this.now = now;
  }

  /**
   * Begins a file in a folder, or goes on with one. Throws IO where the disk refuses.
   *
   * @param now seconds since 1970, the time that events carry
   */
  static async open(
    where: { readonly folder: string } | EventFilePosition,
    now = () => Date.now() / 1000,
  ): Promise<EventFile> {
    const [encode, frame] = await Promise.all([protobufEncoder(messages), recordFramer()]);
    const file =
      'folder' in where
        ? await AppendedFile.open(`${where.folder}/${fileName(now())}`, 'empty')
        : await AppendedFile.open(where.path, where.bytes);
    const events = new EventFile(file, encode, frame, now);
    if (file.size === 0) {
      events.event({ fileVersion: 'brain.Event:2' });
      events.flush();
    }
    return events;
  }

  private event(content: MessageValue): void {
    this.pending.push(this.frame(this.encode('Event', { wallTime: this.time ?? this.now(), ...content })));
  }

  /** Writes with the time at which something happened, in seconds since 1970. */
  at(time: number, write: () => void): void {
    this.time = time;
    write();
    this.time = null;
  }

  private summary(step: number, one: MessageValue): void {
    this.event({ step, summary: { value: [one] } });
  }

  scalar(tag: string, number: number, step: number): void {
    this.summary(step, scalarValue(tag, number));
  }

  histogram(tag: string, values: ArrayLike<number>, step: number, buckets?: number): void {
    this.summary(step, histogramValue(tag, histogramBuckets(values, buckets)));
  }

  /** @param markdown shown as such */
  text(tag: string, markdown: string, step: number): void {
    this.summary(step, value(tag, 'text', stringTensor(markdown)));
  }

  /** Keras's configuration of a model, of which TensorBoard draws the conceptual graph. */
  kerasModel(tag: string, config: Readonly<Record<string, unknown>>, step: number): void {
    const tensor = stringTensor(JSON.stringify(config));
    this.summary(step, value(tag, 'graph_keras_model', tensor, text.encode('1')));
  }

  /** The graph of this run. */
  graph(graph: LayerGraph): void {
    this.event({ graphDef: graphOf(graph) });
  }

  /** Hands what was written over to the system. */
  flush(): void {
    if (!this.pending.length) return;
    const bytes = new Uint8Array(this.pending.reduce((size, record) => size + record.length, 0));
    let at = 0;
    for (const record of this.pending) {
      bytes.set(record, at);
      at += record.length;
    }
    this.file.append(bytes);
    this.pending = [];
  }

  /** Where a later run can go on: all of it is safe on the disk. */
  mark(): EventFilePosition {
    this.flush();
    return { path: this.file.path, bytes: this.file.mark() };
  }

  close(): void {
    try {
      this.flush();
    } finally {
      this.file.close();
    }
  }
}
