/** The public names of `series`. */
export { coverage, crpsEnsemble, crpsGaussian, crpsQuantiles, mase, smape } from './scores.ts';
