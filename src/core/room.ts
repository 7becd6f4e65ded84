/**
 * Where arrays come from that are needed for a moment, such as weights on their way into a model. Who gives the room may take it back when the
 * work is done: nothing may keep an array from it.
 */
export type Room = (floats: number) => Float32Array;

/** Room that the collector takes back. */
export const ownRoom: Room = (floats) => new Float32Array(floats);
