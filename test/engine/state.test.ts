/** The memory of a model's values: as large as they are, whatever is added and taken away. */
import { expect, it } from 'vitest';
import { StateSpace } from '../../src/engine/state.ts';
import { openMachine } from '../../src/vm/open.ts';

const machine = await openMachine();
const isOracle = machine.traits.host === 'oracle';
const numbers = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i + count));

it.skipIf(isOracle)('memory is as large as the values, and made once for those that are declared together', () => {
  let made = 0;
  const counted = Object.assign(Object.create(machine), {
    allocate(floats: number) {
      made++;
      return machine.allocate(floats);
    },
  });
  const space = new StateSpace(counted);
  for (const name of ['a', 'b', 'c']) space.declare(name, [5, 64], { groups: 4 });
  for (const name of ['a', 'b', 'c']) space.set(name, numbers(320));
  expect(made).toBe(1);
  expect(space.buffer.length).toBe(space.floats);
  space.declare('d', [700]);
  space.declare('e', [2, 3]);
  expect(made).toBe(1);
  expect([...space.get('e')]).toEqual([0, 0, 0, 0, 0, 0]);
  expect(made).toBe(2);
  expect(space.buffer.length).toBe(space.floats);
});

it('values keep theirs while others come and go', () => {
  const space = new StateSpace(machine);
  space.declare('a', [3, 40], { groups: 4 });
  space.set('a', numbers(120));
  space.declare('b', [300_000]);
  space.set('b', numbers(300_000));
  space.declare('c', [300_000]);
  expect([...space.get('a')]).toEqual([...numbers(120)]);
  expect(space.get('b').every((x, i) => x === Math.fround(Math.sin(i + 300_000)))).toBe(true);
  expect(space.get('c').every((x) => x === 0)).toBe(true);
  space.remove('b');
  space.declare('again', [300_000]);
  expect(space.get('again').every((x) => x === 0)).toBe(true);
  expect([...space.get('a')]).toEqual([...numbers(120)]);
});

it('room for a moment is zero, whoever had it before', () => {
  const space = new StateSpace(machine);
  for (let time = 0; time < 4; time++)
    space.briefly((room) => {
      const arrays = [room(300_000), room(7), room(0)];
      for (const array of arrays) expect(array.every((x) => x === 0)).toBe(true);
      expect(arrays.map(({ length }) => length)).toEqual([300_000, 7, 0]);
      for (const array of arrays) array.fill(time + 1);
    });
});

it('room goes back where the work fails', () => {
  const discarded: Float32Array[] = [];
  const space = new StateSpace(
    Object.assign(Object.create(machine), { discard: (array: Float32Array) => discarded.push(array) }),
  );
  const work = () =>
    space.briefly((room) => {
      room(5);
      room(6);
      throw new Error('in the middle');
    });
  expect(work).toThrow('in the middle');
  expect(discarded.map(({ length }) => length)).toEqual([5, 6]);
});
