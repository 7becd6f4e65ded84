/** Common subexpressions: nodes that compute the same. */
import { sameShape } from '../core/shape.ts';
import { type Attribute, type Attributes, Graph, type Node, type Value } from '../ir/graph.ts';

/** Elements up to which constants are compared by their values. */
const SHORT_DATA = 16;

export class CommonSubexpressions {
  /** By the first operand; constants by their first number. */
  private readonly known = new Map<Value | number | undefined, Node[]>();

  /** The node that computes the same and was asked for before; null: there is none, and from now on this one is known. */
  find(node: Node): Node | null {
    const key = node.inputs.length ? node.inputs[0] : (node.attributes.data as Float64Array | undefined)?.[0];
    const list = this.known.get(key);
    if (!list) {
      this.known.set(key, [node]);
      return null;
    }
    for (const other of list) if (isSame(other, node)) return other;
    list.push(node);
    return null;
  }
}

function isSame(a: Node, b: Node): boolean {
  if (a.op !== b.op || a.inputs.length !== b.inputs.length) return false;
  for (let i = 0; i < a.inputs.length; i++) if (a.inputs[i] !== b.inputs[i]) return false;
  if (!sameShape(a.outputs[0].type.shape, b.outputs[0].type.shape)) return false;
  return a.attributes === b.attributes || areAttributes(a.attributes, b.attributes);
}

function areAttributes(a: Attributes, b: Attributes): boolean {
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => key in b && isAttribute(a[key], b[key]));
}

function isAttribute(a: Attribute, b: Attribute): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a instanceof Graph || b instanceof Graph) return false;
  if (a instanceof Float64Array)
    return (
      b instanceof Float64Array &&
      a.length === b.length &&
      a.length <= SHORT_DATA &&
      a.every((x, i) => Object.is(x, b[i]))
    );
  return JSON.stringify(a) === JSON.stringify(b);
}
