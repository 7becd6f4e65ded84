/** What the compiler made of a model. */
/**
 * Graph, program, memory map and operation counts of the steps that a model has run, as text for people. Throws STATE for a model that has
 * not run.
 *
 * @example
 * await model.predict(x);
 * console.log(explain(model));
 */
export function explain(model: { explain(): string }): string {
  return model.explain();
}
