import { permutation } from '../random.js';

/** Which faces an epoch visits: each once, or the classes equally often. */
export const SAMPLINGS = ['natural', 'balanced'] as const;
export type Sampling = (typeof SAMPLINGS)[number];

/**
 * The faces that an epoch visits, as indices into `classes`: a pure function of its arguments, so a resumed run goes on as it would have.
 *
 * `natural`: all faces in an order drawn anew for each epoch. `balanced`: every class that occurs is visited equally often (where the visits
 * do not divide evenly, some classes once more than others, in turn), in an order drawn anew. The faces of a class take turns: none is visited
 * again before all others were, within an epoch and, up to one visit, from one epoch to the next.
 * @param classes of every face
 * @param visits how many faces the epoch visits
 */
export function epochOrder(sampling: Sampling, classes: ArrayLike<number>, visits: number, seed: number, epoch: number): Uint32Array {
  if (sampling === 'natural') return permutation(seed, epoch, classes.length);
  const members = new Map<number, number[]>();
  for (let face = 0; face < classes.length; face++) {
    const others = members.get(classes[face]);
    if (others) others.push(face);
    else members.set(classes[face], [face]);
  }
  const groups = [...members.entries()].sort(([a], [b]) => a - b);
  const most = Math.ceil(visits / groups.length);
  const withOneMore = visits % groups.length || groups.length;
  const drawn = groups.flatMap(([name, faces], group) => {
    const count = (group + epoch) % groups.length < withOneMore ? most : most - 1;
    const turns = new Turns(faces, seed, name);
    return Array.from({ length: count }, (_, visit) => turns.at(epoch * most + visit));
  });
  return permutation(seed, epoch, visits).map((place) => drawn[place]);
}

/** Faces one after another without end, every round in another order. */
class Turns {
  private round = -1;
  private order: Uint32Array = new Uint32Array();

  constructor(
    private readonly faces: readonly number[],
    private readonly seed: number,
    private readonly name: number,
  ) {}

  at(turn: number): number {
    const round = Math.floor(turn / this.faces.length);
    if (round !== this.round) {
      this.round = round;
      this.order = permutation(this.seed, round, this.faces.length, this.name + 1); // 0 is the order of an epoch
    }
    return this.faces[this.order[turn % this.faces.length]];
  }
}
