/** Where masks begin, which way they go, and where they end: read off the model's own calls, not from rules told twice. */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import type { OpenShape } from '../layers/layer.ts';
import { standIns } from '../ops/probe.ts';
import { constant, type Tensor } from '../ops/tensor.ts';
import { keyedRandom, type Network, type Reference, shapesFor, traceNetwork } from './network.ts';

/** Sizes that stand for open ones; larger where a layer needs more steps. */
const lengths = [12, 64];

interface Seen {
  readonly masks: readonly (Tensor | null)[];
  readonly given: readonly (Tensor | null)[];
}

/** Traces a network on a graph that is thrown away, and notes which calls had masks. */
function watchMasks(network: Network, withInputMasks: boolean): Seen[] {
  const seen: Seen[] = [];
  const look = (length: number) => {
    seen.length = 0;
    const inputs = standIns(
      network.inputs.map(({ shape }) => shape.map((d, i) => d ?? (i === 0 ? 2 : length))),
      '',
      network.inputs.map(({ dtype }) => dtype),
    );
    const weights = new Map<string, Tensor>();
    for (const { path, spec } of network.weights)
      weights.set(path, constant(inputs[0].graph, new Float64Array(spec.shape.reduce((a, b) => a * b, 1)), spec.shape));
    const masks = inputs.map((x) =>
      withInputMasks && x.rank >= 2
        ? constant(x.graph, new Float64Array(x.shape[0] * x.shape[1]).fill(1), x.shape.slice(0, 2))
        : null,
    );
    traceNetwork(network, inputs, masks, (path) => weights.get(path) as Tensor, {
      training: false,
      random: keyedRandom(null),
      carriedOf: () => undefined,
      watch: (_call, _inputs, given, result) => void seen.push({ given, masks: result.masks }),
    });
  };
  for (const length of lengths)
    try {
      look(length);
      return seen;
    } catch (error) {
      if (length === lengths.at(-1)) throw error;
    }
  return seen;
}

/**
 * The story of every mask of a network, as text.
 *
 * @param options `inputMask`: as if a mask came with every input of at least two axes. Default false
 */
export function explainMasks(
  name: string,
  network: Network,
  { inputMask = false }: { readonly inputMask?: boolean } = {},
): string {
  const seen = watchMasks(network, inputMask);
  const nameOf = (call: number) => network.layers[network.calls[call].layer].name;
  const lines: string[] = [];
  const shapes = shapesFor(
    network,
    network.inputs.map(({ shape }) => shape),
  );
  const takers = (r: Reference) =>
    network.calls.flatMap(({ inputs, masks }, call) =>
      inputs.flatMap((input, i) => {
        const source = masks?.[i];
        return source
          ? source.call === r.call && source.output === r.output
            ? [{ call, by: 'given by hand' }]
            : []
          : input.call === r.call && input.output === r.output
            ? [{ call, by: 'with its input' }]
            : [];
      }),
    );
  network.calls.forEach((_call, index) => {
    const { given, masks } = seen[index];
    const own = nameOf(index);
    const had = given.some((mask) => mask !== null);
    const has = masks.some((mask) => mask !== null);
    const fed = network.inputs.some(({ call }) => call === index);
    if (!had && has) lines.push(`${own}: a mask begins`);
    else if (had && has)
      lines.push(
        `${own}: ${fed ? 'a mask comes with the data' : masks.some((m) => m && given.includes(m)) ? 'uses it, and it goes on' : 'uses it, and a new one goes on'}`,
      );
    else if (had)
      lines.push(
        `${own}: uses it, and it ends here: ${network.calls[index].shapes.map(formatShape).join(', ')} has no mask`,
      );
    masks.forEach((mask, output) => {
      if (!mask) return;
      for (const { call } of takers({ call: index, output }).filter(({ by }) => by === 'with its input'))
        lines.push(`  -> ${nameOf(call)}`);
    });
    network.calls.forEach(({ masks: explicit }, call) => {
      if (explicit?.some((r) => r?.call === index))
        lines.push(`${own}: its output is the mask of ${nameOf(call)}, given by hand`);
    });
  });
  network.outputs.forEach((r, i) => {
    const masked = seen[r.call].masks[r.output] !== null;
    lines.push(
      `output ${i}, ${nameOf(r.call)} ${formatShape(shapes[i] as OpenShape)}: ${masked ? 'loss and metrics count the valid steps only' : 'no mask; loss and metrics count everything'}`,
    );
  });
  if (!seen.some(({ masks }) => masks.some((mask) => mask !== null))) lines.unshift('no layer makes or carries a mask');
  return [`Masks of "${name}"`, ...lines].join('\n');
}

/**
 * Where the masks of a model begin, which layers use them and pass them on, where they end, and what loss and metrics make of them. Throws
 * STATE for a model whose shapes are not known yet.
 *
 * @param options `inputMask`: as if a mask were handed in with the data
 * @example console.log(explainMask(model));
 */
export function explainMask(
  model: { explainMask(options?: { readonly inputMask?: boolean }): string },
  options: { readonly inputMask?: boolean } = {},
): string {
  if (typeof model?.explainMask !== 'function') fail('ARGUMENT', 'explainMask', 'a model', String(model));
  return model.explainMask(options);
}
