import { ShaderError } from '#src/errors.js';
import { ShaderLibrary } from '#src/gpu/shader.js';
import { assert, rejects, suite } from '../support/suite.js';

function library(files: Record<string, string>, options?: { unroll: boolean }) {
  return new ShaderLibrary((path) => {
    if (!(path in files)) throw new Error(`ENOENT ${path}`);
    return files[path];
  }, options);
}

/** The text with all white space squeezed to single blanks. */
const squeeze = (text: string) => text.replace(/\s+/g, ' ').trim();

suite('shader', (test) => {
  test('includes a file once, nested includes too', () => {
    const shaders = library({
      'a.wgsl': '// #include "lib/b.wgsl"\n  // #include "lib/c.wgsl"\nfn main() {}',
      'lib/b.wgsl': '// #include "lib/c.wgsl"\nfn b() {}',
      'lib/c.wgsl': 'fn c() {}',
    });
    assert.is(squeeze(shaders.load('a').text), 'fn c() {} fn b() {} fn main() {}');
  });

  test('replaces constants by the declared type', () => {
    const shaders = library({
      'a.wgsl': 'const N: u32 = 1u;\nconst K: i32 = 2;\nconst S: f32 = 0.5;\nconst B: bool = false;\nconst KEPT = 7u;\n',
    });
    const { text, label } = shaders.load('a', { N: 32, K: -3, S: 1e-7, B: true });
    assert.is(text, 'const N: u32 = 32u;\nconst K: i32 = -3i;\nconst S: f32 = 1e-7f;\nconst B: bool = true;\nconst KEPT = 7u;\n');
    assert.is(label, 'a[B=1,K=-3,N=32,S=1e-7]');
    assert.is(shaders.load('a').label, 'a');
  });

  test('leaves constants inside functions alone', async () => {
    const shaders = library({ 'a.wgsl': 'fn main() {\n  const N: u32 = 1u;\n}' });
    await rejects(() => shaders.load('a', { N: 2 }), ShaderError, 'a.wgsl', 'no constant named N', 'none');
  });

  test('refuses unknown constants and values of another type', async () => {
    const shaders = library({ 'a.wgsl': 'const N: u32 = 1u;\nconst B: bool = false;\nconst U = 1;\n' });
    await rejects(() => shaders.load('a', { M: 1 }), ShaderError, 'a.wgsl', 'no constant named M', 'N, B, U');
    await rejects(() => shaders.load('a', { N: -1 }), ShaderError, '-1 is no value for constant N: u32');
    await rejects(() => shaders.load('a', { N: 1.5 }), ShaderError, '1.5');
    await rejects(() => shaders.load('a', { N: true }), ShaderError, 'true');
    await rejects(() => shaders.load('a', { B: 1 }), ShaderError, 'B: bool');
    await rejects(() => shaders.load('a', { U: 1 }), ShaderError, 'untyped');
  });

  test('names a missing file', async () => {
    await rejects(() => library({}).load('a'), ShaderError, 'a.wgsl', 'cannot read a.wgsl');
    await rejects(() => library({ 'a.wgsl': '// #include "b.wgsl"' }).load('a'), ShaderError, 'a.wgsl', 'cannot read b.wgsl');
  });

  test('caches by name and constants, whatever their order', () => {
    const shaders = library({ 'a.wgsl': 'const N: u32 = 1u;\nconst M: u32 = 1u;\n' });
    assert.is(shaders.load('a', { N: 1, M: 2 }), shaders.load('a', { M: 2, N: 1 }));
    assert.is.not(shaders.load('a', { N: 1 }), shaders.load('a', { N: 2 }));
  });

  test('unrolls nested loops, on word boundaries, each copy in its own block', () => {
    const text = `const N: u32 = 4u;
const HALF = N / 2u;
fn main() {
  for (var i = 0u; i < HALF; i++) { // unroll
    let ii = i; // i } of a comment
    for (var k = i; k < 5u / 3u + i * 1u; k++) { // unroll
      x.i[i][k] += ii;
    }
  }
  for (var j = -1; j < 3; j += 2) { // unroll
    y(j);
  }
  for (var i = 0u; i < n; i++) {
    z(i);
  }
}`;
    const shaders = library({ 'a.wgsl': text });
    assert.is(
      squeeze(shaders.load('a').text.replace(/\/\/.*/g, '')),
      squeeze(`const N: u32 = 4u; const HALF = N / 2u; fn main() {
        { let ii = 0u; { x.i[0u][0u] += ii; } }
        { let ii = 1u; { x.i[1u][1u] += ii; } }
        { y((-1i)); } { y(1i); }
        for (var i = 0u; i < n; i++) { z(i); }
      }`),
    );
    assert.is(library({ 'a.wgsl': text }, { unroll: false }).load('a').text, text);
  });

  test('bounds follow the replaced constants', () => {
    const shaders = library({ 'a.wgsl': 'const N: u32 = 1u;\nfor (var i = 0u; i < (N + 1u) % 3u * 2u - 1u; i++) { // unroll\nf(i);\n}' });
    assert.is(squeeze(shaders.load('a').text), 'const N: u32 = 1u; { f(0u); } { f(1u); } { f(2u); }');
    assert.is(squeeze(shaders.load('a', { N: 3 }).text), 'const N: u32 = 3u; { f(0u); }');
  });

  test('refuses loops that it cannot unroll', async () => {
    const load = (text: string) => () => library({ 'a.wgsl': text }).load('a');
    await rejects(load('for (var i = 0u; i < n; i++) { // unroll\n}'), ShaderError, 'a.wgsl', '`n` is not a constant');
    await rejects(load('for (var i = 0u; i < 1u / 0u; i++) { // unroll\n}'), ShaderError, 'not a constant');
    await rejects(load('for (var i = 0u; i < 2u u; i++) { // unroll\n}'), ShaderError, 'not a constant');
    await rejects(load('for (var i = 0u; i < 2u; i++) { // unroll\nif (x) { continue; }\n}'), ShaderError, 'neither break nor continue');
    await rejects(load('for (var i = 0u; i < 2u; i++) { // unroll\n'), ShaderError, 'balanced braces');
    await rejects(load('for (var i = 0u; i < 2u; i += 0u) { // unroll\n}'), ShaderError, 'step is not positive');
    await rejects(load('while (x) { // unroll\n}'), ShaderError, 'cannot unroll `while (x) { // unroll`');
  });

  const STORED = `// #include "lib/b.wgsl"
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>; // output[i] = anything
@group(0) @binding(3) var<storage, read> words: array<u32>;
fn main() {
  let same = input[words[i]] == input[1u];
  step.input = b.output[2u];
  output[i + words[0]] = select(input[at[j]].x, output[0], same); // input[
}`;

  test('bindings of 16-bit floats are widened where they are loaded and rounded where they are stored', () => {
    const shaders = library({ 'a.wgsl': STORED, 'lib/b.wgsl': 'fn b() -> vec4f { return 2.0 * input[3u]; }' });
    const { text, label, tensors } = shaders.load('a', {}, { half: ['output', 'input'] });
    assert.is(label, 'a[input=f16,output=f16]');
    assert.equal(
      tensors.map(({ element }) => element),
      ['vec4h', 'f16', 'u32'],
    );
    assert.is(
      text,
      `enable f16;
fn b() -> vec4f { return 2.0 * vec4f(input[3u]); }
@group(0) @binding(1) var<storage, read> input: array<vec4h>;
@group(0) @binding(2) var<storage, read_write> output: array<f16>; // output[i] = anything
@group(0) @binding(3) var<storage, read> words: array<u32>;
fn main() {
  let same = vec4f(input[words[i]]) == vec4f(input[1u]);
  step.input = b.output[2u];
  output[i + words[0]] = f16(select(vec4f(input[at[j]]).x, f32(output[0]), same)); // input[
}`,
    );
    assert.is(shaders.load('a', {}, { half: ['input', 'output'] }), shaders.load('a', {}, { half: ['output', 'input'] }));
    assert.is.not(shaders.load('a', {}, { half: ['input'] }), shaders.load('a'));
    assert.not.match(shaders.load('a').text, 'f16');
  });

  test('refuses 16-bit floats in a binding that is not loaded and stored element by element', async () => {
    const load = (line: string, half: string, type = 'array<f32>') => {
      const text = `@group(0) @binding(1) var<storage, read_write> x: ${type};\nfn main() {\n  ${line}\n}`;
      return () => library({ 'a.wgsl': text }).load('a', {}, { half: [half] });
    };
    await rejects(load('x[0] += 1.0;', 'x'), ShaderError, 'a.wgsl', 'binding x', '`x[0] += 1.0;` reads and writes it at once', 'Cast');
    await rejects(load('let x = 1.0;', 'x'), ShaderError, '`let x = 1.0;` does not index it');
    await rejects(load('f(&x);', 'x'), ShaderError, '`f(&x);` does not index it');
    await rejects(load('', 'x', 'array<u32>'), ShaderError, 'its elements are u32');
    await rejects(load('', 'x', 'Step'), ShaderError, 'declared as no array');
    await rejects(load('', 'y'), ShaderError, 'binding y', 'declared as no array');
  });

  test('a binding that is only read becomes a texture', async () => {
    const shaders = library({
      'a.wgsl': `@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> z: array<vec4f>;
fn main() {
  z[i] = x[at[i + 1u]] + y[0]; // x[0]
}`,
    });
    const { text, label, tensors } = shaders.load('a', {}, { textures: ['x'], half: ['z'] });
    assert.is(label, 'a[z=f16,x=texture]');
    assert.match(text, '@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;\n@group(0) @binding(2) var<storage, read> y');
    assert.match(text, 'z[i] = vec4h(textureLoad(x, vec2u((at[i + 1u]) % 1024u, (at[i + 1u]) / 1024u)) + y[0]); // x[0]');
    assert.equal(
      tensors.map(({ name, binding, access, isTexture }) => [name, binding, access, isTexture]),
      [
        ['x', 1, 'read', true],
        ['y', 2, 'read', false],
        ['z', 3, 'read_write', false],
      ],
    );
    for (const binding of ['y', 'z', 'w']) {
      const load = () => shaders.load('a', {}, { textures: [binding] });
      await rejects(load, ShaderError, 'a.wgsl', `binding ${binding} is no texture`, 'as a buffer');
    }
  });

  test('reads params and bindings', async () => {
    const shaders = library({
      'a.wgsl': `struct Params {
  rows: u32, // rows, of course
  offset: i32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage> step: Step;
@group(0) @binding(4) var<storage, read_write> output: array<array<u32, 2>>;
// @group(0) @binding(5) var<storage, read_write> gone: array<f32>;`,
      'b.wgsl': 'fn main() {}',
      'c.wgsl': 'struct Params { a: vec2f }',
    });
    const shader = shaders.load('a');
    assert.equal(shader.params, [
      { name: 'rows', type: 'u32' },
      { name: 'offset', type: 'i32' },
      { name: 'scale', type: 'f32' },
    ]);
    assert.equal(shader.tensors, [
      { name: 'input', binding: 1, access: 'read', element: 'vec4f', isTexture: false },
      { name: 'step', binding: 2, access: 'read', element: 'Step', isTexture: false },
      { name: 'output', binding: 4, access: 'read_write', element: 'array<u32, 2>', isTexture: false },
    ]);
    assert.equal(shaders.load('b').params, []);
    assert.equal(shaders.load('b').tensors, []);
    await rejects(() => shaders.load('c'), ShaderError, 'c.wgsl', '`a: vec2f` in struct Params');
  });
});
