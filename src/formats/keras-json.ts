/** Objects of Keras's configurations, before their classes are looked at. */

export type Json = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether the class is an operation of `keras.ops`, and not a layer of the same name. */
export function isOperationJson(json: Json): boolean {
  const module = String(json.module ?? '');
  return module.startsWith('keras.src.ops') || module.startsWith('keras.ops');
}
