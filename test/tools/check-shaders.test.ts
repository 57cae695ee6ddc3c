import { checkShader, shaderNames } from '#tools/check-shaders.js';
import { assert, gpuSuite } from '../support/suite.js';

const SNIPPET = 'fn twice(x: f32) -> f32 {\n  return 2.0 * x;\n}\n';

function shader(body: string, declarations = ''): string {
  return `// Doubles.
// #include "lib/snippet.wgsl"
const COUNT: u32 = 4u;
${declarations}struct Params {
  size: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.size) {
    return;
  }
${body}
}
`;
}

gpuSuite('check-shaders', (test) => {
  const check = (gpu: Parameters<typeof checkShader>[0], text: string, snippet = SNIPPET) =>
    checkShader(gpu, 'doubled', (path) => (path === 'lib/snippet.wgsl' ? snippet : text));
  const sound = '  for (var i = 0u; i < COUNT; i++) { // unroll\n    output[id.x * COUNT + i] = twice(f32(i));\n  }';

  for (const name of shaderNames()) {
    test(`${name} compiles, and all that it declares is used`, async (gpu) => {
      assert.equal(await checkShader(gpu, name), []);
    });
  }

  test('a sound shader has no problem', async (gpu) => {
    assert.equal(await check(gpu, shader(sound)), []);
  });

  test('a compile error is placed in the file that holds it, behind an inclusion', async (gpu) => {
    const [problem, ...others] = await check(gpu, shader(`${sound}\n  output[0] = twice(1u);`));
    assert.equal(others, []);
    assert.is(problem?.file, 'doubled.wgsl');
    assert.is(problem?.line, 18);
    assert.is(problem?.column, 21);
    assert.is(problem?.severity, 'error');
    assert.match(problem?.message ?? '', 'twice');
  });

  test('a compile error within an inclusion names the included file', async (gpu) => {
    const [problem] = await check(gpu, shader(sound), SNIPPET.replace('2.0', '2u'));
    assert.is(`${problem?.file}:${problem?.line}`, 'lib/snippet.wgsl:2');
  });

  test('what only the expanded form or the loader refuses is an error', async (gpu) => {
    const [endless] = await check(gpu, shader('  for (var i = 0u; i < params.size; i++) { // unroll\n    output[i] = f32(COUNT);\n  }'));
    assert.is(endless?.severity, 'error');
    assert.match(endless?.message ?? '', 'params.size');
    const [missing] = await checkShader(gpu, 'absent', () => {
      throw new Error('no such file');
    });
    assert.match(missing?.message ?? '', 'cannot read absent.wgsl');
  });

  test('a workgroup beyond the limits of the adapter is an error', async (gpu) => {
    const [problem] = await check(gpu, shader(sound).replace('@workgroup_size(64)', '@workgroup_size(65536)'));
    assert.is(problem?.severity, 'error');
    assert.match(problem?.message ?? '', '65536');
  });

  test('unused constants, params and bindings are named with their lines', async (gpu) => {
    const text = shader(sound, 'const IDLE: u32 = COUNT;\n')
      .replace('  size: u32,\n', '  size: u32,\n  spare: f32,\n')
      .replace('\n@compute', '@group(0) @binding(2) var<storage, read> input: array<f32>;\n@compute');
    const problems = await check(gpu, text);
    assert.equal(
      problems.map(({ line, severity, message }) => `${line} ${severity} ${message}`),
      ['4 warning constant IDLE is not used', '11 warning binding input is not used', '7 warning param spare is not used'],
    );
  });
});
