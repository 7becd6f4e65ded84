/** Perplexity out of the log-probabilities that a language model gave to the tokens that came. */
import { fail } from '../../core/errors.ts';

/**
 * base ** (-mean of log p): among how many tokens the model hesitated. Jelinek, Mercer, Bahl and Baker, "Perplexity: a measure of the
 * difficulty of speech recognition tasks" (1977).
 *
 * @param logProbabilities of every token, at most 0; -Infinity gives Infinity
 * @param options `base` of the logarithms. Default e
 * @throws DATA for an empty list, for NaN and for values above 0
 * @example text.perplexity([Math.log(0.5), Math.log(0.125)]) // 4
 */
export function perplexity(
  logProbabilities: ArrayLike<number>,
  { base = Math.E }: { readonly base?: number } = {},
): number {
  if (!logProbabilities.length) fail('DATA', 'perplexity', 'at least one log-probability', 'none');
  if (!(base > 1) || !Number.isFinite(base)) fail('ARGUMENT', 'perplexity: base', 'a number above 1', String(base));
  let sum = 0;
  for (let i = 0; i < logProbabilities.length; i++) {
    // A little above 0 is what rounding makes of a certain token.
    if (!(logProbabilities[i] <= 1e-6))
      fail(
        'DATA',
        `perplexity: logProbabilities[${i}]`,
        'a logarithm of a probability, at most 0',
        String(logProbabilities[i]),
      );
    sum += logProbabilities[i];
  }
  return base ** (-sum / logProbabilities.length);
}
