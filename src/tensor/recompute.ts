import { bytesAlive } from './plan.js';
import type { Launch } from './tape.js';
import { createTensor, rootOf, type Tensor } from './tensor.js';

/** How far back from a tensor that is not kept the launches may be repeated to have it again. */
const MOST_DEPTH = 3;

/**
 * The launches of a step in an order of less memory (Chen, Xu, Zhang & Guestrin 2016, "Training Deep Nets with Sublinear Memory Cost"): an output that
 * waits for its next use while the most memory is taken is given up, and the launches that wrote it, where they say that they may run `again`, are
 * repeated just before that use. From the same inputs come the same bits.
 *
 * Greedy: of all tensors that wait at the fullest launch, the one whose absence lowers the memory most, until none lowers it. What another
 * use of memory would take up again is kept.
 * @param keep tensors that live to the end, never given up
 */
export function withRecomputation(recorded: readonly Launch[], keep: Iterable<Tensor>): readonly Launch[] {
  const kept = new Set([...keep].map(rootOf));
  const origins = new Map<Tensor, Tensor>();
  let best = { launches: recorded, ...fullest(recorded, kept) };
  for (;;) {
    const uses = usesOf(best.launches);
    let better = best;
    for (const [tensor, { reads, writes }] of uses) {
      if (kept.has(tensor)) continue;
      const all = [...reads, ...writes];
      const next = Math.min(...all.filter((use) => use >= best.at));
      if (next === best.at || !Number.isFinite(next) || !all.some((use) => use < best.at)) continue;
      const launches = withRepeats(best.launches, uses, origins, tensor, next);
      if (!launches) continue;
      const taken = fullest(launches, kept);
      if (taken.bytes < better.bytes || (taken.bytes === better.bytes && taken.count < better.count)) better = { launches, ...taken };
    }
    if (better === best) return best.launches;
    best = better;
  }
}

/** The most bytes that are alive at a launch, the first such launch, and how many there are. */
function fullest(launches: readonly Launch[], keep: Iterable<Tensor>): { bytes: number; at: number; count: number } {
  const alive = bytesAlive(launches, keep);
  const bytes = alive.reduce((a, b) => Math.max(a, b), 0);
  return { bytes, at: alive.indexOf(bytes), count: alive.filter((taken) => taken === bytes).length };
}

function againOf(launch: Launch): Launch | undefined {
  return launch.again === 'same' ? launch : launch.again;
}

/** Places in the list of launches, ascending. */
interface Uses {
  reads: number[];
  writes: number[];
}

/** The uses of each planned tensor. */
function usesOf(launches: readonly Launch[]): Map<Tensor, Uses> {
  const uses = new Map<Tensor, Uses>();
  launches.forEach((launch, index) => {
    for (const { tensor, access } of bindingsOf(launch)) {
      if (tensor.storage) continue;
      let own = uses.get(tensor);
      if (!own) uses.set(tensor, (own = { reads: [], writes: [] }));
      (access === 'read' ? own.reads : own.writes).push(index);
    }
  });
  return uses;
}

function bindingsOf({ shader, tensors }: Launch): { tensor: Tensor; access: 'read' | 'read_write' }[] {
  return shader.tensors.map(({ name, access }) => ({ tensor: rootOf(tensors[name]), access }));
}

/**
 * The launches with those that write `wanted` repeated before launch `at`, and what these need besides; from there on the copies are used. Undefined
 * where a launch may not run again, or would find other inputs than the first time.
 * @param origins from each copy to the recorded tensor that it repeats; gets new ones
 */
function withRepeats(
  launches: readonly Launch[],
  uses: ReadonlyMap<Tensor, Uses>,
  origins: Map<Tensor, Tensor>,
  wanted: Tensor,
  at: number,
): readonly Launch[] | undefined {
  const originOf = (tensor: Tensor) => origins.get(tensor) ?? tensor;
  const repeated = new Set<number>();
  const given = new Set<Tensor>(); // origins of the tensors that are given up

  /** Adds the launches that write `tensor`; false, with nothing added, where they cannot be repeated. */
  const repeat = (tensor: Tensor, depth: number): boolean => {
    const before = { repeated: [...repeated], given: [...given] };
    const pending = [tensor];
    const inputs = new Set<Tensor>();
    given.add(originOf(tensor));
    for (let root = pending.pop(); root; root = pending.pop()) {
      for (const writer of uses.get(root)!.writes) {
        const again = againOf(launches[writer]);
        if (!again || writer >= at) return undo(before);
        if (repeated.has(writer)) continue;
        repeated.add(writer);
        for (const { tensor: bound, access } of bindingsOf(again)) {
          if (access === 'read') {
            if (!isUnchanged(bound, writer)) return undo(before);
            inputs.add(bound);
          } else if (bound.storage) return undo(before);
          else if (!given.has(originOf(bound))) {
            given.add(originOf(bound));
            pending.push(bound);
          }
        }
      }
    }
    for (const input of inputs) {
      if (input.storage || given.has(originOf(input))) continue;
      const { reads, writes } = uses.get(input)!;
      const isAlive = Math.max(...reads, ...writes) >= at;
      if (!isAlive && depth < MOST_DEPTH) repeat(input, depth + 1); // else it lives on to be read
    }
    return true;
  };
  const undo = (before: { repeated: number[]; given: Tensor[] }): false => {
    repeated.clear();
    given.clear();
    for (const index of before.repeated) repeated.add(index);
    for (const tensor of before.given) given.add(tensor);
    return false;
  };
  const isUnchanged = (input: Tensor, since: number): boolean => {
    if (!input.storage) return uses.get(input)!.writes.every((index) => index <= since || index >= at);
    for (let index = since; index < at; index++)
      if (bindingsOf(launches[index]).some(({ tensor, access }) => access === 'read_write' && tensor.storage === input.storage))
        return false;
    return true;
  };
  if (!repeat(wanted, 0)) return undefined;

  const copies = new Map<Tensor, Tensor>();
  const copyOf = (tensor: Tensor): Tensor => {
    const root = rootOf(tensor);
    const origin = originOf(root);
    if (root.storage || !given.has(origin)) return tensor;
    let copy = copies.get(origin);
    if (!copy) {
      copy = createTensor(origin.label, origin.shape, origin.dtype);
      copies.set(origin, copy);
      origins.set(copy, origin);
    }
    return tensor === root ? copy : createTensor(tensor.label, tensor.shape, tensor.dtype, { offset: tensor.offset, base: copy });
  };
  const onCopies = (launch: Launch): Launch => {
    if (!bindingsOf(launch).some(({ tensor }) => !tensor.storage && given.has(originOf(tensor)))) return launch;
    const tensors = Object.fromEntries(Object.entries(launch.tensors).map(([name, tensor]) => [name, copyOf(tensor)]));
    return { ...launch, tensors, again: typeof launch.again === 'object' ? onCopies(launch.again) : launch.again };
  };
  const repeats = [...repeated].sort((a, b) => a - b).map((index) => onCopies(againOf(launches[index])!));
  /** What an earlier round repeats later than here: needed no more. */
  const isRepeat = (launch: Launch) => {
    const written = bindingsOf(launch).filter(({ access }) => access === 'read_write');
    return written.every(({ tensor }) => origins.has(tensor) && given.has(originOf(tensor)));
  };
  const rest = launches.slice(at).filter((launch) => !isRepeat(launch));
  return [...launches.slice(0, at), ...repeats, ...rest.map(onCopies)];
}
