/**
 * Every error that the library throws on purpose. A message says where, what was expected, what was
 * received and what to do next, in that order; the code is stable and safe to match on.
 */
export type ErrorCode =
  | 'SHAPE' // arrays or layers whose shapes do not fit each other
  | 'DATA' // values in the user's data that cannot be used (NaN, ragged, out of range, empty)
  | 'ARGUMENT' // an option or argument that is wrong in itself
  | 'STATE' // a call at the wrong time (fit before compile)
  | 'UNSUPPORTED' // a thing that exists elsewhere and not here
  | 'FORMAT' // a file that is not what it should be
  | 'IO' // the disk or the host refused
  | 'MEMORY' // a plan that does not fit
  | 'NUMERIC' // a loss or gradient that stopped being finite
  | 'INTERRUPTED' // stopped by the user
  | 'INTERNAL'; // a verifier failed: a fault of this library

export class UnrolledError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'UnrolledError';
    this.code = code;
  }
}

/** The four parts of a message: `where: expected X, received Y. next step`. */
export function describeError(where: string, expected: string, received: string, next?: string): string {
  return `${where}: expected ${expected}, received ${received}.${next ? ` ${next}` : ''}`;
}

export function fail(code: ErrorCode, where: string, expected: string, received: string, next?: string): never {
  throw new UnrolledError(code, describeError(where, expected, received, next));
}
