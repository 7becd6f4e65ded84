/** Which values of a metric are better. Source: `_direction` of the classes in Keras 3, `keras/src/metrics`. */
import type { Direction } from './callbacks/callback.ts';
import type { Objective } from './compilation.ts';

/** Classes of which larger values are better. */
const upward =
  /Accuracy$|^(Precision|Recall|AUC|F1Score|FBetaScore|R2Score|CosineSimilarity|BLEU|ChrF|EntityF1)$|Correlation$|At(Specificity|Sensitivity|Precision|Recall)$/;
/** Classes of which smaller values are better: losses and errors. */
const downward =
  /Error$|Crossentropy$|Hinge$|Divergence$|^(Poisson|LogCosh|Huber|Perplexity|EditDistance|WordErrorRate|CharacterErrorRate|MASE|SMAPE|CRPS)$/;

/** Of `loss` and every metric by its name in the logs, without `val_`; null: it has no better side, or is a function of one's own. */
export function metricDirections(objective: Objective | null): Record<string, Direction | null> {
  const outputs = objective?.outputs ?? [];
  const losses = outputs.flatMap(({ lossName }) => (lossName === null ? [] : [lossName]));
  const metrics = outputs.flatMap((output) => output.metrics.map(({ name, metric }) => [name, directionOf(metric)]));
  return Object.fromEntries([['loss', 'min'], ...losses.map((name) => [name, 'min']), ...metrics]);
}

function directionOf({ className }: { readonly className: string }): Direction | null {
  if (upward.test(className)) return 'max';
  return downward.test(className) ? 'min' : null;
}
