/** A quick look through large data, by the addon where this process has loaded it. */

type Look = (data: Float32Array) => boolean;

let look: Look | null = null;

/** What is faster than a loop in JavaScript. */
export function lookBy(faster: Look): void {
  look = faster;
}

/** True: every number is finite. False where one is not, and where there is nothing faster than looking at each. */
export function surelyFinite(data: unknown): boolean {
  return look !== null && data instanceof Float32Array && look(data);
}
