import type { FaceSet, StoredPixels } from './face-set.js';

/**
 * Faces of several sets as one, without their annotations: one behind the other, their pixels left where they are.
 * @param sets of one extent, at least one
 */
export function joinFaces(sets: readonly FaceSet[]): FaceSet {
  const [{ height, width, channels }] = sets;
  if (sets.some((set) => set.height !== height || set.width !== width || set.channels !== channels))
    throw new TypeError('joined faces are of one extent');
  const pixels = new JoinedPixels(
    sets.map((set) => set.pixels),
    height * width * channels,
  );
  return {
    name: sets.map(({ name }) => name).join(' and '),
    ...{ height, width, channels, pixels },
    count: sets.reduce((sum, { count }) => sum + count, 0),
    ids: sets.flatMap(({ name, ids }) => (sets.length > 1 ? ids.map((id) => `${name} ${id}`) : ids)),
    ...{ classes: [], voteNames: [], votes: new Float32Array(0) },
  };
}

type Pixels = FaceSet['pixels'];

/** Pixels of several sets, in memory or in files. */
export class JoinedPixels implements StoredPixels {
  private readonly faces: Uint32Array;

  /** @param faces which of all faces these are; by default all */
  constructor(
    private readonly parts: readonly Pixels[],
    private readonly faceBytes: number,
    faces?: Uint32Array,
  ) {
    const count = parts.reduce((sum, { length }) => sum + length, 0) / faceBytes;
    this.faces = faces ?? Uint32Array.from({ length: count }, (_, face) => face);
  }

  get length(): number {
    return this.faces.length * this.faceBytes;
  }

  subarray(start: number, end: number): Uint8Array {
    const { faceBytes } = this;
    const [first, last] = [start / faceBytes, Math.min(end, this.length) / faceBytes];
    if (!Number.isInteger(first) || !Number.isInteger(last)) throw new RangeError(`bytes ${start} to ${end} are no whole faces`);
    const faces = this.faces.subarray(first, last);
    const bytes = new Uint8Array(faces.length * faceBytes);
    for (const { part, rows, at } of this.runsOf(faces)) {
      // Neighbours are read at once.
      for (let run = 0, length: number; run < rows.length; run += length) {
        for (length = 1; rows[run + length] === rows[run] + length; ) length++;
        bytes.set(part.subarray(rows[run] * faceBytes, (rows[run] + length) * faceBytes), (at + run) * faceBytes);
      }
    }
    return bytes;
  }

  select(faces: readonly number[]): JoinedPixels {
    return new JoinedPixels(
      this.parts,
      this.faceBytes,
      Uint32Array.from(faces, (face) => this.faces[face]),
    );
  }

  async read(faces: ArrayLike<number>, into: Uint8Array): Promise<void> {
    const { faceBytes } = this;
    const chosen = Uint32Array.from(faces, (face) => this.faces[face]);
    await Promise.all(
      this.runsOf(chosen).map(async ({ part, rows, at }) => {
        if (!(part instanceof Uint8Array)) return part.read(rows, into.subarray(at * faceBytes, (at + rows.length) * faceBytes));
        rows.forEach((row, i) => {
          into.set(part.subarray(row * faceBytes, (row + 1) * faceBytes), (at + i) * faceBytes);
        });
      }),
    );
  }

  /** Faces that follow one another and lie in one part: that part, their rows in it, and the place of the first. */
  private runsOf(faces: Uint32Array): { part: Pixels; rows: number[]; at: number }[] {
    const runs: { part: Pixels; rows: number[]; at: number }[] = [];
    faces.forEach((face, at) => {
      let row = face;
      let index = 0;
      for (let count: number; row >= (count = this.parts[index].length / this.faceBytes); index++) row -= count;
      const last = runs.at(-1);
      if (last?.part === this.parts[index]) last.rows.push(row);
      else runs.push({ part: this.parts[index], rows: [row], at });
    });
    return runs;
  }
}
