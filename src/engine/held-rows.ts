/** Rows that a step must leave as they are: what belongs to them is set aside before it and put back afterwards. */
import type { Shape } from '../core/shape.ts';
import type { StepValues } from './stepper.ts';

/** A value whose rows follow each other in memory, `stride` elements apart. */
interface HeldValue {
  readonly view: StepValues;
  readonly aside: StepValues;
  readonly rows: number;
  readonly stride: number;
}

export class HeldRows {
  private readonly values: HeldValue[] = [];

  /** @param view all rows of a value of this shape, (rows, ...) */
  add(view: StepValues, shape: Shape): void {
    const [rows] = shape;
    this.values.push({ view, aside: view.slice(), rows, stride: view.length / rows });
  }

  save(): void {
    for (const { view, aside } of this.values) aside.set(view);
  }

  restore(active: ArrayLike<number | boolean>): void {
    for (const { view, aside, rows, stride } of this.values)
      for (let r = 0; r < rows; r++)
        if (!active[r]) for (let k = r * stride; k < (r + 1) * stride; k++) view[k] = aside[k];
  }
}
