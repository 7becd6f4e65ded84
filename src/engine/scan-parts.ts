/** A loop taken apart, and put together again. */
import { type Graph, type Node, scanAttributes, type Type, type Value } from '../ir/graph.ts';
import type { Mapping } from './rewrite.ts';

/** A scan with parts changed; keeps inputs, body and attributes consistent. `held`: inputs of the body that are added in rows left out. */
export interface ScanParts {
  carries: { init: Value; inner: Value; next: Value; result: Value | null; held?: readonly Value[] }[];
  sequences: { outer: Value; inner: Value }[];
  constants: { outer: Value; inner: Value }[];
  stacked: { inner: Value; result: Value | null; held?: readonly Value[] }[];
  body: Graph;
  length: number;
  reverse: boolean;
  /** A loop over the segments of a longer one: nothing that its inner loops stack leaves its pass. */
  segments: boolean;
  /** Rows of each step that are computed, i32 [T]; null: all. */
  active: Value | null;
}

/** Takes a scan apart, with its own body or with one that stands for it. */
export function scanParts(node: Node, body: Graph = scanAttributes(node).body): ScanParts {
  const { length, reverse, carries, sequences, active, segments = false, held = [] } = scanAttributes(node);
  const count = body.inputs.length;
  const heldBy = (output: number) =>
    held.length ? held.flatMap((of, k) => (k % 2 || of !== output ? [] : [body.inputs[held[k + 1]]])) : [];
  const parts: ScanParts = {
    active: active ? node.inputs[count] : null,
    body,
    length,
    reverse,
    segments,
    carries: [],
    sequences: [],
    constants: [],
    stacked: [],
  };
  for (let i = 0; i < count; i++) {
    const [outer, inner] = [node.inputs[i], body.inputs[i]];
    if (i < carries)
      parts.carries.push({ init: outer, inner, next: body.outputs[i], result: node.outputs[i], held: heldBy(i) });
    else if (i < carries + sequences) parts.sequences.push({ outer, inner });
    else parts.constants.push({ outer, inner });
  }
  for (let i = carries; i < node.outputs.length; i++)
    parts.stacked.push({ inner: body.outputs[i], result: node.outputs[i], held: heldBy(i) });
  return parts;
}

/** Puts a scan together in a graph. The body is given its inputs and outputs anew. Old results are mapped to new ones. */
export function joinScan(graph: Graph, parts: ScanParts, map: Mapping, path: string): Node {
  const { body, length, reverse, carries, sequences, constants, stacked, active, segments } = parts;
  const inputs: Value[] = [];
  const types: Type[] = [];
  const held: number[] = [];
  body.inputs.length = 0;
  body.outputs = [];
  for (const { init, inner, next } of carries) {
    inputs.push(init);
    body.inputs.push(inner);
    body.outputs.push(next);
    types.push(inner.type);
  }
  for (const { outer, inner } of sequences) {
    inputs.push(outer);
    body.inputs.push(inner);
  }
  for (const { outer, inner } of constants) {
    inputs.push(outer);
    body.inputs.push(inner);
  }
  for (const { inner } of stacked) {
    body.outputs.push(inner);
    types.push({ dtype: inner.type.dtype, shape: [length, ...inner.type.shape] });
  }
  if (active) inputs.push(active);
  const outputs = [...carries, ...stacked];
  outputs.forEach((part, i) => {
    for (const v of part.held ?? []) held.push(i, body.inputs.indexOf(v));
  });
  const attributes = {
    body,
    length,
    reverse,
    carries: carries.length,
    sequences: sequences.length,
    ...(active && { active: true }),
    ...(held.length && { held }),
    ...(segments && { segments }),
  };
  const node = graph.add('scan', inputs, attributes, types, path);
  outputs.forEach((part, i) => {
    if (part.result) map.set(part.result, node.outputs[i]);
  });
  return node;
}
