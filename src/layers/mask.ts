/** Masks, 0 or 1 per step, beside the values that they speak of. */
import { maximum, mul } from '../ops/pointwise.ts';
import { reshape } from '../ops/shape.ts';
import type { Tensor } from '../ops/tensor.ts';

/** A mask [B, T] as [B, T, 1, ...], of `rank` axes. */
export function besideMask(mask: Tensor, rank: number): Tensor {
  return mask.rank >= rank ? mask : reshape(mask, [...mask.shape, ...new Array<number>(rank - mask.rank).fill(1)]);
}

/** 1 where either is. */
export const eitherMask = (a: Tensor, b: Tensor): Tensor => maximum(a, b);

/** 1 where both are; null stands for a mask of ones. */
export function bothMasks(a: Tensor | null, b: Tensor | null): Tensor | null {
  return a && b ? mul(a, b) : (a ?? b);
}
