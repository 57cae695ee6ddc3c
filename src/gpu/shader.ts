import { ShaderError } from '../errors.js';

/** A WGSL module ready to compile, and what its text says about its bindings. */
export interface Shader {
  /** File name below `shaders/`, without `.wgsl`. */
  name: string;
  /** The name with its constants and 16-bit bindings, as the profiler prints it: `matmul[TRANSPOSE_B=1,a=f16]`. */
  label: string;
  text: string;
  /** The 4-byte fields of `struct Params` in order, binding 0; empty where the shader takes none. */
  params: { name: string; type: 'u32' | 'i32' | 'f32' }[];
  /** The storage bindings; `element` is the type inside `array<…>`, or the whole type of a binding that is no array. */
  tensors: { name: string; binding: number; access: 'read' | 'read_write'; element: string; isTexture: boolean }[];
}

/** Which of a shader's bindings are not as its file declares them. */
export interface Bindings {
  /** Those that hold 16-bit floats. */
  half?: readonly string[];
  /** Those that are textures, TEXTURE_WIDTH vec4 a row. */
  textures?: readonly string[];
}

/** Texels of a row of a texture that stands for a buffer. */
export const TEXTURE_WIDTH = 1024;

export type Constants = Record<string, number | boolean>;

/**
 * Loads shaders by name, once for each set of constants and bindings. A file is plain WGSL that compiles as it stands but for five things done here:
 *
 * - `// #include "lib/random.wgsl"` on a line of its own inserts that file, the first time it is met;
 * - `constants` replace the values of top-level `const NAME: type = value;` declarations;
 * - a loop marked `// unroll` is written out once per iteration, its index replaced by literals, because some drivers keep a register tile in
 *   memory when its indices are not literal;
 * - bindings of f32 or vec4f that are to hold 16-bit floats are declared so, each load from them is widened at once and each store rounded: kernels are
 *   written for f32, and calculate in it whatever their tensors are stored as;
 * - bindings of vec4f that are only read may become textures: a software driver loads a texel in half the time of four numbers from a buffer.
 */
export class ShaderLibrary {
  private readonly readFile: (relativePath: string) => string;
  private readonly unroll: boolean;
  private readonly shaders = new Map<string, Shader>();

  /** `readFile` gets paths relative to `shaders/`. Without `unroll` marked loops stay loops: the same results, only slower. */
  constructor(readFile: (relativePath: string) => string, { unroll = true } = {}) {
    this.readFile = readFile;
    this.unroll = unroll;
  }

  /**
   * @throws ShaderError when the file is missing, a constant unknown or of the wrong type, a marked loop cannot be expanded, or a binding cannot hold 16-bit
   * floats or be a texture
   */
  load(name: string, constants: Constants = {}, { half = [], textures = [] }: Bindings = {}): Shader {
    const values = Object.keys(constants)
      .sort()
      .map((constant) => `${constant}=${Number(constants[constant])}`)
      .concat([...half].sort().map((binding) => `${binding}=f16`))
      .concat([...textures].sort().map((binding) => `${binding}=texture`));
    const label = values.length ? `${name}[${values}]` : name;
    let shader = this.shaders.get(label);
    if (!shader) {
      const replaced = replaceConstants(name, this.include(name, `${name}.wgsl`, new Set()), constants);
      const specialised = textures.reduce((changed, binding) => readFromTexture(name, changed, binding), storeHalf(name, replaced, half));
      const text = this.unroll ? unrollLoops(name, specialised) : specialised;
      shader = { name, label, text, ...parseBindings(name, specialised) };
      this.shaders.set(label, shader);
    }
    return shader;
  }

  private include(name: string, path: string, included: Set<string>): string {
    included.add(path);
    let text: string;
    try {
      text = this.readFile(path);
    } catch (cause) {
      throw new ShaderError(
        `cannot read ${path}`,
        'Shaders live in the folder `shaders`; check the name.',
        { file: `${name}.wgsl` },
        { cause },
      );
    }
    return text.replace(/^[ \t]*\/\/ #include "([^"]+)"[ \t]*$/gm, (_, inner) =>
      included.has(inner) ? '' : this.include(name, inner, included),
    );
  }
}

const CONSTANT = /^const (\w+)(?:: *(\w+))? *= *([^;]+);/gm;

function replaceConstants(name: string, text: string, constants: Constants): string {
  const unknown = new Set(Object.keys(constants));
  const replaced = text.replace(CONSTANT, (declaration, constant: string, type: string | undefined) => {
    if (!unknown.delete(constant)) return declaration;
    return `const ${constant}: ${type} = ${formatLiteral(name, constant, type, constants[constant])};`;
  });
  if (unknown.size) {
    const known = [...text.matchAll(CONSTANT)].map((match) => match[1]);
    throw new ShaderError(`no constant named ${[...unknown].join(', ')}`, `Its constants: ${known.join(', ') || 'none'}.`, {
      file: `${name}.wgsl`,
    });
  }
  return replaced;
}

function formatLiteral(name: string, constant: string, type: string | undefined, value: number | boolean): string {
  if (type === 'bool' && typeof value === 'boolean') return String(value);
  if (type === 'u32' && Number.isInteger(value) && Number(value) >= 0) return `${value}u`;
  if (type === 'i32' && Number.isInteger(value)) return `${value}i`;
  if (type === 'f32' && Number.isFinite(value)) return `${value}f`;
  const remedy = 'Constants are declared u32, i32, f32 or bool.';
  throw new ShaderError(`${value} is no value for constant ${constant}: ${type ?? 'untyped'}`, remedy, { file: `${name}.wgsl` });
}

/** Types of a binding's elements, and how 16-bit floats are stored in their place. */
const HALF_TYPES: Readonly<Record<string, string>> = { f32: 'f16', vec4f: 'vec4h' };

function storeHalf(name: string, text: string, bindings: readonly string[]): string {
  if (bindings.length === 0) return text;
  return `enable f16;\n${bindings.reduce((changed, binding) => storeBindingHalf(name, changed, binding), text)}`;
}

/** Declares one binding as 16-bit floats, and converts wherever it is indexed. */
function storeBindingHalf(name: string, text: string, binding: string): string {
  const fail = (why: string): never => {
    throw new ShaderError(`binding ${binding} holds no 16-bit floats: ${why}`, 'Cast the tensor to f32 first.', { file: `${name}.wgsl` });
  };
  const declaration = new RegExp(`(?<=@binding\\(\\d+\\) var<storage[^>]*> ${binding}: *array<)(\\w+)(?=>;)`).exec(text);
  const type = declaration?.[1] ?? fail('it is declared as no array');
  const half = HALF_TYPES[type] ?? fail(`its elements are ${type}`);
  const edits = [{ from: declaration!.index, to: declaration!.index + type.length, by: half }];
  const insert = (at: number, by: string) => edits.push({ from: at, to: at, by });

  for (const { index, end } of indexings(text, binding, fail)) {
    const assignment = /^ *([-+*/%&|^]?)=(?!=) */.exec(text.slice(end));
    if (!assignment) {
      insert(index, `${type}(`);
      insert(end, ')');
    } else if (assignment[1]) {
      fail(`\`${lineAt(text, index)}\` reads and writes it at once`);
    } else {
      insert(end + assignment[0].length, `${half}(`);
      insert(text.indexOf(';', end), ')');
    }
  }
  return edited(text, edits);
}

/** Declares one binding as a texture whose rows are filled one after the other, and loads a texel wherever it is indexed. */
function readFromTexture(name: string, text: string, binding: string): string {
  const fail = (why: string): never => {
    throw new ShaderError(`binding ${binding} is no texture: ${why}`, 'Bind its tensor as a buffer.', { file: `${name}.wgsl` });
  };
  const declaration = new RegExp(`(?<=@binding\\(\\d+\\) )var<storage, read> ${binding}: *array<vec4f>(?=;)`).exec(text);
  if (!declaration) return fail('it is declared as no array of vec4f to read');
  const texture = `var ${binding}: texture_storage_2d<rgba32float, read>`;
  const edits = [{ from: declaration.index, to: declaration.index + declaration[0].length, by: texture }];
  for (const { index, end } of indexings(text, binding, fail)) {
    const at = text.slice(index + binding.length + 1, end - 1);
    const [x, y] = ['%', '/'].map((operator) => `(${at}) ${operator} ${TEXTURE_WIDTH}u`);
    edits.push({ from: index, to: end, by: `textureLoad(${binding}, vec2u(${x}, ${y}))` });
  }
  return edited(text, edits);
}

/** Where a binding is indexed, from its name to behind the bracket; any mention but these and its declaration is refused. */
function indexings(text: string, binding: string, fail: (why: string) => never): { index: number; end: number }[] {
  const mention = new RegExp(`//.*|(?<![\\w.])${binding}\\b(?!: *array<)`, 'g');
  return [...text.matchAll(mention)].flatMap(({ 0: found, index }) => {
    if (found !== binding) return []; // a comment
    const bracket = index + binding.length;
    if (text[bracket] !== '[') fail(`\`${lineAt(text, index)}\` does not index it`);
    return { index, end: closingBracket(text, bracket + 1, '[]') + 1 };
  });
}

function edited(text: string, edits: { from: number; to: number; by: string }[]): string {
  let copied = 0;
  const parts = edits
    .sort((a, b) => a.from - b.from)
    .map(({ from, to, by }) => {
      const part = text.slice(copied, from) + by;
      copied = to;
      return part;
    });
  return parts.join('') + text.slice(copied);
}

function lineAt(text: string, index: number): string {
  return text.slice(text.lastIndexOf('\n', index) + 1, text.indexOf('\n', index)).trim();
}

const MARKED_LOOP = /^[ \t]*for \(var (\w+)(?:: *[ui]32)? = ([^;]+); \1 < ([^;]+); (?:\1\+\+|\1 \+= ([^;)]+))\) \{ *\/\/ unroll *$/m;

/** Expands the outermost marked loops first, so that the bounds of inner ones may name the indices around them. */
function unrollLoops(name: string, text: string): string {
  const constants = new Map([...text.matchAll(CONSTANT)].map((match) => [match[1], match[3]]));

  const expand = (part: string): string => {
    const loop = MARKED_LOOP.exec(part);
    if (!loop) return part;
    const [line, index, start, bound, step = '1'] = loop;
    const bodyStart = loop.index + line.length;
    const bodyEnd = closingBracket(part, bodyStart, '{}');
    const body = part.slice(bodyStart, bodyEnd);
    if (bodyEnd < 0 || /\b(break|continue)\b/.test(withoutComments(body))) {
      throw new ShaderError(`cannot unroll \`${line.trim()}\``, 'A loop to unroll has balanced braces and neither break nor continue.', {
        file: `${name}.wgsl`,
      });
    }
    const evaluate = (expression: string) => evaluateInteger(name, expression, constants);
    const indent = /^[ \t]*/.exec(line)?.[0];
    const suffix = start.trim().endsWith('u') ? 'u' : 'i';
    const word = new RegExp(`(?<![\\w.])${index}(?!\\w)`, 'g');
    const stepValue = evaluate(step);
    if (stepValue < 1) throw new ShaderError(`cannot unroll \`${line.trim()}\``, 'Its step is not positive.', { file: `${name}.wgsl` });
    const copies: string[] = [];
    for (let value = evaluate(start); value < evaluate(bound); value += stepValue) {
      const literal = value < 0 ? `(${value}${suffix})` : `${value}${suffix}`;
      copies.push(`${indent}{${expand(body.replace(word, literal))}}`);
    }
    return part.slice(0, loop.index) + copies.join('\n') + expand(part.slice(bodyEnd + 1));
  };

  const expanded = expand(text);
  const left = /^.*\/\/ unroll *$/m.exec(expanded);
  if (left) {
    throw new ShaderError(`cannot unroll \`${left[0].trim()}\``, 'Write `for (var i = 0u; i < BOUND; i++) { // unroll`.', {
      file: `${name}.wgsl`,
    });
  }
  return expanded;
}

/** The place of the bracket that closes the one whose inside begins at `from`, or −1. */
function closingBracket(text: string, from: number, brackets: '{}' | '[]'): number {
  const [open, close] = brackets;
  let depth = 1;
  const token = /\/\/.*|[{}[\]]/g;
  token.lastIndex = from;
  for (let match = token.exec(text); match; match = token.exec(text)) {
    if (match[0] === open) depth++;
    else if (match[0] === close && --depth === 0) return match.index;
  }
  return -1;
}

/** Value of an integer constant expression: literals, top-level constants, + − * / % and parentheses. Division truncates, as in WGSL. */
function evaluateInteger(name: string, expression: string, constants: Map<string, string>): number {
  const tokens = expression.match(/[0-9]+[ui]?|\w+|[-+*/%()]|\S/g) ?? [];
  let at = 0;
  const fail = (): never => {
    throw new ShaderError(
      `\`${expression}\` is not a constant whole number`,
      'Bounds of unrolled loops use literals, top-level constants and + - * / %.',
      {
        file: `${name}.wgsl`,
      },
    );
  };
  const operand = (): number => {
    const token = tokens[at++] ?? fail();
    if (token === '-') return -operand();
    if (token === '(') {
      const value = sum();
      return tokens[at++] === ')' ? value : fail();
    }
    if (/^[0-9]/.test(token)) return Number.parseInt(token, 10);
    return evaluateInteger(name, constants.get(token) ?? fail(), constants);
  };
  const product = (): number => {
    let value = operand();
    for (; '*/%'.includes(tokens[at] ?? ' '); ) {
      const operator = tokens[at++];
      const right = operand();
      value = operator === '*' ? value * right : operator === '/' ? Math.trunc(value / right) : value % right;
    }
    return Number.isFinite(value) ? value : fail();
  };
  const sum = (): number => {
    let value = product();
    for (; '+-'.includes(tokens[at] ?? ' '); ) value += tokens[at++] === '+' ? product() : -product();
    return value;
  };
  const value = sum();
  return at === tokens.length ? value : fail();
}

function withoutComments(text: string): string {
  return text.replace(/\/\/.*/g, '');
}

function parseBindings(name: string, text: string): Pick<Shader, 'params' | 'tensors'> {
  const code = withoutComments(text);
  const fields = /\bstruct Params \{([^}]*)\}/.exec(code)?.[1] ?? '';
  const params = [...fields.matchAll(/[^,\s](?:[^,]*[^,\s])?/g)].map(([field]) => {
    const match = /^(\w+): *(u32|i32|f32)$/.exec(field);
    if (!match) throw new ShaderError(`\`${field}\` in struct Params`, 'Params are u32, i32 or f32.', { file: `${name}.wgsl` });
    return { name: match[1], type: match[2] as 'u32' | 'i32' | 'f32' };
  });
  const storage = /@binding\((\d+)\) var(?:<storage(?:, *(read|read_write))?>)? (\w+): *(?:array<([^;]+)>|([^;]+));/g;
  const tensors = [...code.matchAll(storage)].map(([, binding, access = 'read', tensor, element, type]) => {
    const isTexture = type?.startsWith('texture') ?? false;
    return { name: tensor, binding: Number(binding), access: access as 'read' | 'read_write', element: element ?? type, isTexture };
  });
  return { params, tensors };
}
