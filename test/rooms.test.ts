import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert, suite } from './support/suite.js';

const src = fileURLToPath(new URL('../../src/', import.meta.url));

/** Which rooms a room may import from; files directly in `src` are commands, but for these two that serve all. */
const common = ['errors', 'random'];
const allowed: Record<string, string[]> = {
  gpu: [],
  tensor: ['gpu'],
  nn: ['gpu', 'tensor'],
  optim: ['tensor'],
  labels: [],
  faces: ['labels'],
  paradigms: ['tensor', 'nn', 'optim', 'labels', 'faces'],
  evaluation: ['labels', 'faces'],
  report: ['evaluation', 'labels', 'faces'],
  run: ['gpu', 'tensor', 'nn', 'optim', 'labels', 'faces', 'paradigms', 'evaluation'],
};
/** Rooms that also run in a browser; dawn.ts is the one file among them that opens Dawn. */
const withoutNode = ['gpu', 'tensor', 'nn', 'optim', 'labels', 'paradigms', 'evaluation'];

const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));

/** The folder of a file; of those directly in `src`, which are commands, the whole name. */
function roomOf(file: string): string {
  const name = file.split(sep)[0];
  return common.includes(name.replace(/\.ts$/, '')) ? name.replace(/\.ts$/, '') : name;
}

function importsOf(file: string): string[] {
  return [...readFileSync(join(src, file), 'utf8').matchAll(/^(?:import|export)[^'"]*from '([^']+)'/gms)].map((match) => match[1]);
}

suite('rooms', (test) => {
  test('imports point one way', () => {
    assert.ok(files.length > 30);
    for (const file of files) {
      const room = roomOf(file);
      if (!(room in allowed)) continue;
      for (const path of importsOf(file).filter((path) => path.startsWith('.'))) {
        const target = roomOf(relative(src, join(src, dirname(file), path)).replace(/\.js$/, '.ts'));
        assert.ok(
          target === room || common.includes(target) || allowed[room].includes(target),
          `${file} imports ${path}: ${room} may import from ${allowed[room].join(', ') || 'no room'}`,
        );
      }
    }
  });

  test('what a browser runs needs nothing from Node', () => {
    for (const file of files.filter((file) => withoutNode.includes(roomOf(file)) && file !== join('gpu', 'dawn.ts'))) {
      const foreign = importsOf(file).filter((path) => !path.startsWith('.'));
      assert.equal(foreign, [], file);
    }
  });
});
