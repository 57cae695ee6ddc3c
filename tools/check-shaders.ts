/** Compiles every shader with its default constants: `node dist/tools/check-shaders.js [name …]`. Exit status 1 where anything is found. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ShaderError } from '#src/errors.js';
import { openGpu } from '#src/gpu/dawn.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { ShaderLibrary } from '#src/gpu/shader.js';
import { runCommand } from '#src/run/command.js';

export interface ShaderProblem {
  /** Path below the shader folder. */
  file: string;
  /** 1-based; 0 where the problem has no place in the text. */
  line: number;
  column: number;
  severity: 'error' | 'warning';
  message: string;
}

const SHADER_FOLDER = fileURLToPath(new URL('../../shaders/', import.meta.url));

/** Names of all shaders: the files at the top of the folder; those below are snippets for inclusion. */
export function shaderNames(folder = SHADER_FOLDER): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.wgsl'))
    .map((file) => file.slice(0, -'.wgsl'.length))
    .sort();
}

export function readShader(path: string): string {
  return readFileSync(SHADER_FOLDER + path, 'utf8');
}

/**
 * What is wrong with one shader: compiler messages at their place in the source file (the text is compiled with its loops unexpanded, so that
 * lines agree), then what only the expanded form or the pipeline refuses, then declarations that nothing uses.
 */
export async function checkShader(gpu: Gpu, name: string, readFile: (path: string) => string = readShader): Promise<ShaderProblem[]> {
  try {
    const plain = new ShaderLibrary(readFile, { unroll: false }).load(name);
    if (/^enable subgroups;/m.test(plain.text) && !gpu.adapter.hasSubgroups) return [];
    const messages = await compile(gpu, plain.text);
    const origins = lineOrigins(`${name}.wgsl`, readFile);
    const problems = messages.map(({ lineNum, linePos, type, message }): ShaderProblem => {
      const { file, line } = origins[lineNum - 1] ?? { file: `${name}.wgsl`, line: lineNum };
      return { file, line, column: linePos, severity: type === 'error' ? 'error' : 'warning', message };
    });
    if (problems.some((problem) => problem.severity === 'error')) return problems;
    await gpu.pipeline(new ShaderLibrary(readFile).load(name));
    return [...problems, ...unusedDeclarations(name, readFile(`${name}.wgsl`), plain.text)];
  } catch (error) {
    if (!(error instanceof ShaderError)) throw error;
    return [{ file: `${name}.wgsl`, line: 0, column: 0, severity: 'error', message: error.message.replace(`${error.place.file}: `, '') }];
  }
}

async function compile(gpu: Gpu, code: string): Promise<readonly GPUCompilationMessage[]> {
  gpu.device.pushErrorScope('validation');
  const module = gpu.device.createShaderModule({ code });
  const scope = gpu.device.popErrorScope();
  const { messages } = await gpu.wait(module.getCompilationInfo());
  await gpu.wait(scope);
  return messages.filter((message) => message.type !== 'info');
}

/** For each line of a shader with its inclusions, the file and line that it comes from. */
function lineOrigins(path: string, readFile: (path: string) => string, included = new Set<string>()): { file: string; line: number }[] {
  included.add(path);
  return readFile(path)
    .split('\n')
    .flatMap((text, index) => {
      const inner = /^[ \t]*\/\/ #include "([^"]+)"[ \t]*$/.exec(text)?.[1];
      return inner && !included.has(inner) ? lineOrigins(inner, readFile, included) : [{ file: path, line: index + 1 }];
    });
}

/** Constants, bindings and params that the shader's own file declares and nothing uses. */
function unusedDeclarations(name: string, source: string, text: string): ShaderProblem[] {
  const code = text.replace(/\/\/.*/g, '');
  const count = (pattern: string) => code.match(new RegExp(pattern, 'g'))?.length ?? 0;
  const params = /\bstruct Params \{[^}]*\}/.exec(source);
  const declared = [
    ...[...source.matchAll(/^const (\w+)/gm)].map((match) => ({ what: 'constant', word: match[1], index: match.index })),
    ...[...source.matchAll(/@binding\(\d+\)\s+var<[^>]*> (\w+)/g)].map((match) => ({
      what: 'binding',
      word: match[1],
      index: match.index,
    })),
    ...[...(params?.[0] ?? '').matchAll(/(\w+): *[uif]32\b/g)].map((match) => ({
      what: 'param',
      word: match[1],
      index: (params?.index ?? 0) + match.index,
    })),
  ];
  return declared
    .filter(({ what, word }) => (what === 'param' ? count(`\\.${word}\\b`) === 0 : count(`\\b${word}\\b`) === 1))
    .map(({ what, word, index }) => {
      const line = source.slice(0, index).split('\n').length;
      return { file: `${name}.wgsl`, line, column: 1, severity: 'warning', message: `${what} ${word} is not used` };
    });
}

async function main(args: string[]): Promise<void> {
  const names = args.length > 0 ? args : shaderNames();
  const gpu = await openGpu();
  const problems: ShaderProblem[] = [];
  for (const name of names) problems.push(...(await checkShader(gpu, name)));
  for (const { file, line, column, severity, message } of problems) {
    console.log(`shaders/${file}:${line ? `${line}:${column}:` : ''} ${severity}: ${message}`);
  }
  if (problems.length > 0) throw new ShaderError(`${problems.length} problems in ${names.length} shaders`, 'Mend what is named above.');
  console.log(`${names.length} shaders compile`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runCommand(main);
