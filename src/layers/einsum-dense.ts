/** A dense layer between axes named by letters. */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { type EinsumTerms, einsum, einsumTerms } from '../ops/einsum.ts';
import { add } from '../ops/pointwise.ts';
import { activationOption } from './activations.ts';
import { constraintOption } from './constraints.ts';
import { type Initializer, initializerOption } from './initializers.ts';
import { defineLayer, type OpenShape } from './layer.ts';
import { type Option, option, showValue } from './options.ts';
import { regularizerOption } from './regularizers.ts';
import { plainWeight, ruledWeight } from './weight.ts';

type Sizes = readonly (number | null)[];

const outputShapeOption = (): Option<number | Sizes, Sizes, true> => ({
  required: true,
  fallback: undefined,
  expected: 'a size, or a list of sizes and nulls, without the batch',
  parse(value, where) {
    const list = Array.isArray(value) ? value : [value];
    if (!list.every((d) => d === null || (Number.isInteger(d) && d > 0)))
      fail('ARGUMENT', where, this.expected, showValue(value));
    return Object.freeze(list) as Sizes;
  },
});

interface Config {
  readonly equation: string;
  readonly outputShape: Sizes;
  readonly biasAxes: string | null;
}

interface Plan {
  readonly terms: EinsumTerms;
  readonly kernel: readonly number[];
  /** The sizes that Keras's glorot and its like count: of the summed axes, and of the others. */
  readonly fans: readonly [number, number];
  readonly bias: readonly number[] | null;
  readonly output: OpenShape;
}

/** All shapes, from the equation, the shape of the input and the sizes of the output. Throws SHAPE and ARGUMENT. */
function planOf({ equation, outputShape, biasAxes }: Config, input: OpenShape, path: string): Plan {
  const terms = einsumTerms(equation, input.length, path);
  const { left, right, result } = terms;
  const elided = equation.includes('...') ? input.length - equation.split(',')[0].replaceAll('.', '').trim().length : 0;
  const inFront = equation.trim().startsWith('...');
  // The sizes are given for the letters of the result, without the batch, which is the first axis in all forms.
  const output = inFront
    ? [input[0], ...input.slice(1, Math.max(1, elided)), ...outputShape]
    : [input[0], ...outputShape, ...input.slice(input.length - elided)];
  if (output.length !== result.length)
    fail(
      'SHAPE',
      path,
      `an outputShape of ${result.length - 1 - elided} sizes for '${equation}'`,
      formatShape(outputShape),
    );
  const sizeIn = (letter: string) => (left.includes(letter) ? input[left.indexOf(letter)] : null);
  const full = output.map((d, i) => {
    const own = sizeIn(result[i]);
    if (d !== null && own !== null && d !== own)
      fail('SHAPE', path, `size ${own} of the input for '${result[i]}' in '${equation}'`, String(d));
    return d ?? own;
  });
  const sizeOut = (letter: string) => (result.includes(letter) ? full[result.indexOf(letter)] : null);
  const fans: [number, number] = [1, 1];
  const kernel = [...right].map((letter) => {
    const size = sizeOut(letter) ?? sizeIn(letter);
    if (!left.includes(letter) && !result.includes(letter))
      fail('ARGUMENT', path, `every letter of '${right}' in another term`, `'${letter}' in '${equation}'`);
    if (size === null) fail('SHAPE', path, `a known size for '${letter}' in '${equation}'`, formatShape(input));
    fans[result.includes(letter) ? 1 : 0] *= size;
    return size;
  });
  return { terms, kernel, fans, bias: biasShape(biasAxes, terms.result, full, equation, path), output: full };
}

function biasShape(
  axes: string | null,
  result: string,
  sizes: OpenShape,
  equation: string,
  path: string,
): readonly number[] | null {
  if (axes === null) return null;
  const named = equation.split('->')[1];
  const stray = [...axes].find((c) => !named.includes(c));
  if (!axes || stray) fail('ARGUMENT', `${path}.biasAxes`, `letters of the result in '${equation}'`, `'${axes}'`);
  const first = Math.min(...[...axes].map((c) => result.indexOf(c)));
  return [...result.slice(first)].map((letter, i) => {
    if (!axes.includes(letter)) return 1;
    const size = sizes[first + i];
    if (size === null) fail('SHAPE', path, `a known size for '${letter}' in '${equation}'`, formatShape(sizes));
    return size;
  });
}

/** Initialisers that scale by the sizes that a weight maps between count them by letters, not by position. */
export function withFans(initializer: Initializer, fans: readonly [number, number]): Initializer {
  if (initializer.className === 'Orthogonal' || initializer.className === 'Identity') return initializer;
  return { ...initializer, values: (_shape, key, room) => initializer.values(fans, key, room) };
}

/**
 * y = activation(einsum(equation, x, kernel) + bias): a dense layer over any axes. The equation has the forms `ab,bc->ac`,
 * `...b,bc->...c` and `ab...,bc->ac...`, with the batch as the first axis of x and y; letters of both operands that the result lacks are
 * summed. A mask ends here, as in Keras. Parameters: the kernel's sizes, and those of the bias. Keras: EinsumDense.
 *
 * @example
 * // (B, T, F) to (B, T, 4 heads, 16)
 * layers.einsumDense({ equation: 'btf,fhd->bthd', outputShape: [null, 4, 16], biasAxes: 'hd' })
 */
export const einsumDense = defineLayer({
  className: 'EinsumDense',
  options: {
    /** Which axes are multiplied and summed. */
    equation: option<string, true>("an equation such as 'abc,cd->abd'", (v) => typeof v === 'string', undefined, true),
    /** The sizes of the result without the batch, and without the axes of an ellipsis; null: as in the input. */
    outputShape: outputShapeOption(),
    /** Default: linear. */
    activation: activationOption('linear'),
    /** Letters of the result that the bias has. Default null: no bias. */
    biasAxes: option<string | null>('letters of the result, or null', (v) => v === null || typeof v === 'string', null),
    /** Default glorotUniform. */
    kernelInitializer: initializerOption('glorotUniform'),
    /** Default zeros. */
    biasInitializer: initializerOption('zeros'),
    kernelRegularizer: regularizerOption(),
    biasRegularizer: regularizerOption(),
    activityRegularizer: regularizerOption(),
    kernelConstraint: constraintOption(),
    biasConstraint: constraintOption(),
  },
  weights(config, [shape], path) {
    const { kernel, fans, bias } = planOf(config, shape, path);
    return [
      ruledWeight(
        plainWeight('kernel', kernel, withFans(config.kernelInitializer, fans)),
        config.kernelRegularizer,
        config.kernelConstraint,
      ),
      ...(bias
        ? [
            ruledWeight(
              plainWeight('bias', bias, config.biasInitializer),
              config.biasRegularizer,
              config.biasConstraint,
            ),
          ]
        : []),
    ];
  },
  outputs: (config, [shape], path) => [planOf(config, shape, path).output],
  call(config, { inputs: [x], weights, path }) {
    const product = einsum(planOf(config, x.shape, path).terms, x, weights.kernel);
    return { outputs: [config.activation.apply(weights.bias ? add(product, weights.bias) : product)], masks: [null] };
  },
});
