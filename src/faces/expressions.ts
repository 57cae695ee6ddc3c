/** The eight expressions of FER+, in its order of columns. */
export const EXPRESSIONS = ['neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear', 'contempt'] as const;

/** What annotators of FER+ could say beside an expression; NF is "not a face". */
export const NO_EXPRESSION = ['unknown', 'NF'] as const;

/** Other names that datasets use, by our name. */
const SYNONYMS: Record<string, readonly string[]> = {
  neutral: ['neutrality', 'calm'],
  happiness: ['happy', 'joy', 'smile'],
  surprise: ['surprised'],
  sadness: ['sad'],
  anger: ['angry'],
  disgust: ['disgusted'],
  fear: ['fearful', 'afraid'],
  contempt: ['contemptuous'],
  unknown: ['uncertain'],
  NF: ['nf', 'not a face', 'no face', 'no-face', 'non-face'],
};

const OUR_NAME = new Map(Object.entries(SYNONYMS).flatMap(([name, others]) => [name, ...others].map((other) => [other, name] as const)));

/** Our name for an expression, so that datasets can be compared ('Happy' is 'happiness'); a name that is not known stays as it is. */
export function expressionName(name: string): string {
  return OUR_NAME.get(name.trim().toLowerCase()) ?? name.trim();
}

/** Known expressions first, in the order of FER+, then the others by name. */
export function inExpressionOrder(names: readonly string[]): string[] {
  const known: string[] = EXPRESSIONS.filter((name) => names.includes(name));
  return [...known, ...names.filter((name) => !known.includes(name)).sort()];
}
