/** The functions on tensors that cells, layers and losses of one's own are written with. */
export { batchMatmul, batchMatmulNT, batchMatmulTN } from './batch-matmul.ts';
export { ctcLoss } from './ctc.ts';
export { gather, oneHot, scatterAdd } from './gather.ts';
export { matmul, matmulNT, matmulTN } from './matmul.ts';
export {
  abs,
  add,
  cos,
  div,
  drelu,
  dsigmoid,
  dtanh,
  equal,
  erf,
  exp,
  floor,
  fma,
  fnma,
  greater,
  greaterEqual,
  isFinite,
  less,
  lessEqual,
  log,
  log1p,
  maximum,
  minimum,
  mul,
  neg,
  notEqual,
  oneMinus,
  pow,
  reciprocal,
  relu,
  round,
  rsqrt,
  select,
  sigmoid,
  sign,
  sin,
  softplus,
  sqrt,
  square,
  sub,
  tanh,
  toFloat,
  toInt,
} from './pointwise.ts';
export { uniform } from './random.ts';
export { argmax, max, mean, min, sum } from './reduce.ts';
export { repeat, stride } from './repeat.ts';
export { scan } from './scan.ts';
export {
  broadcastTo,
  concat,
  expandDims,
  pad,
  reshape,
  reverse,
  slice,
  split,
  squeeze,
  stopGradient,
  transpose,
  zeros,
} from './shape.ts';
export { logSoftmax, softmax } from './softmax.ts';
export { constant } from './tensor.ts';
