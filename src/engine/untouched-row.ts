/**
 * What an expression is for a row whose gradient is zero. Only algebra that holds for all finite numbers is used (0 and -0 count as the same),
 * so that what is found to be unchanged is so for every value of the other operands.
 */
import { sizeOf } from '../core/shape.ts';
import type { Value } from '../ir/graph.ts';
import { operationOf } from '../ops/op.ts';
import { isPointwise } from './operands.ts';

/** A number, or the name of what is computed: equal names are equal values. `leaf`: it is this value itself. */
type Known = { readonly number: number } | { readonly name: string; readonly leaf: Value | null };

const isNumber = (known: Known, number: number) => 'number' in known && known.number === number;
const zero: Known = { number: 0 };

/** What an operation gives where some operands are known; null: nothing simpler than itself. */
const algebra: Readonly<
  Record<string, (a: Known, b: Known, c: Known, same: (x: Known, y: Known) => boolean) => Known | null>
> = {
  identity: (a) => a,
  add: (a, b) => (isNumber(a, 0) ? b : isNumber(b, 0) ? a : null), // x + 0 = x
  sub: (a, b, _c, same) => (isNumber(b, 0) ? a : same(a, b) ? zero : null), // x - 0 = x, x - x = 0
  mul: (a, b) => (isNumber(a, 0) || isNumber(b, 0) ? zero : isNumber(a, 1) ? b : isNumber(b, 1) ? a : null), // x * 0 = 0, x * 1 = x
  div: (a, b) => (isNumber(a, 0) ? zero : isNumber(b, 1) ? a : null), // 0 / x = 0, x / 1 = x
  fma: (a, b, c) => (isNumber(a, 0) || isNumber(b, 0) ? c : null), // 0 * y + x = x
  fnma: (a, b, c) => (isNumber(a, 0) || isNumber(b, 0) ? c : null), // x - 0 * y = x
  dtanh: (a) => (isNumber(a, 0) ? zero : null),
  dsigmoid: (a) => (isNumber(a, 0) ? zero : null),
  drelu: (a) => (isNumber(a, 0) ? zero : null),
  maximum: (a, b, _c, same) => (same(a, b) ? a : null),
  minimum: (a, b, _c, same) => (same(a, b) ? a : null),
  select: (a, b, c, same) => ('number' in a ? (a.number !== 0 ? b : c) : same(b, c) ? b : null), // c ? x : x = x
};

export class UntouchedRow {
  private readonly known = new Map<Value, Known>();
  private readonly names = new Map<string, string>();

  /** @param gradients what is zero in the row */
  constructor(gradients: readonly Value[]) {
    for (const v of gradients) this.known.set(v, zero);
  }

  isZero(value: Value): boolean {
    return isNumber(this.of(value), 0);
  }

  /** The value that an expression leaves as it was; null: it makes another one, as far as is known. */
  unchanged(value: Value): Value | null {
    const known = this.of(value);
    return 'leaf' in known ? known.leaf : null;
  }

  private of(value: Value): Known {
    let known = this.known.get(value);
    if (!known) {
      known = this.find(value);
      this.known.set(value, known);
    }
    return known;
  }

  private find(value: Value): Known {
    const { op, inputs, attributes } = value.node;
    if (op === 'constant') {
      const data = attributes.data as Float64Array;
      if (data.length && data.every((x) => x === data[0])) return { number: data[0] };
    }
    // A broadcast of a number is known by it; of more than a number it is another value than its operand.
    if ((op === 'broadcast' || op === 'reshape') && sizeOf(inputs[0].type.shape) === 1) return this.of(inputs[0]);
    if (!isPointwise(value.node)) return { name: this.name(`value ${this.known.size}`), leaf: value };
    const operands = inputs.map((v) => this.of(v));
    const numbers = operands.flatMap((x) => ('number' in x ? [x.number] : []));
    if (numbers.length === operands.length) {
      const number = operationOf(op).pointwise?.formula(numbers[0], numbers[1], numbers[2]);
      if (number !== undefined && Number.isFinite(number)) return { number };
    }
    const [a, b, c] = operands;
    const simpler = algebra[op]?.(a, b, c, (x, y) => text(x) === text(y));
    return (
      simpler ?? { name: this.name(`${op}(${operands.map(text).join()})${JSON.stringify(attributes)}`), leaf: null }
    );
  }

  /** A short name for a long one. */
  private name(long: string): string {
    const short = this.names.get(long) ?? `#${this.names.size}`;
    this.names.set(long, short);
    return short;
  }
}

const text = (known: Known) => ('number' in known ? String(known.number) : known.name);
