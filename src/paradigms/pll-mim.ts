import { type LabelAnswers, labelQueries, uniformity } from '../nn/label-queries.js';
import { add, cast, scale, softmaxDivergence } from '../tensor/ops/index.js';
import type { Tensor } from '../tensor/tensor.js';
import { explainByActivation } from './explanation.js';
import { mapRows, voteLesson } from './lessons.js';
import { type Constants, paradigm } from './paradigm.js';
import { CANDIDATES, candidatesOf, MOMENTUM, movedConfidence } from './partial-labels.js';
import { AUXILIARY, type Student } from './student.js';

const QUERIES = 'label_queries';

type DecoderConstants = Constants<'width' | 'heads' | 'layers'>;

function answersOf(student: Student, faces: Tensor, { width, heads, layers }: DecoderConstants): LabelAnswers {
  const map = cast(student.scope.tape, student.features(faces).map, 'f32');
  return labelQueries(student.auxiliary(QUERIES), map, { classes: student.options.classes, width, heads, layers });
}

/** Of every two rows. The mean alone would be as small where rows lie in opposite heaps. */
function cosinesOfPairs(data: ArrayLike<number>, rows: number): { mean: number; largest: number } {
  const width = data.length / rows;
  const product = (i: number, j: number) => {
    let sum = 0;
    for (let d = 0; d < width; d++) sum += data[i * width + d] * data[j * width + d];
    return sum;
  };
  const cosines: number[] = [];
  for (let i = 0; i < rows; i++) for (let j = 0; j < i; j++) cosines.push(product(i, j) / Math.sqrt(product(i, i) * product(j, j)));
  return { mean: cosines.reduce((sum, cosine) => sum + cosine, 0) / cosines.length, largest: Math.max(...cosines) };
}

/**
 * Expressions as partial labels (arXiv 2209.15402): a decoder with one query per class reads the feature map; what it says of the candidates, smoothed over the
 * visits to a face as in PiCO, is what it learns next; and the embeddings of the classes are spread evenly, so that rare ones are not crowded. Its pretraining
 * by masked images is a run of its own. Every part can be left out, to see what it is worth.
 */
export const pllMim = paradigm({
  summary: 'PLL-MIM: a decoder asks the feature map for each expression, and disambiguates the candidates (arXiv 2209.15402)',
  constants: {
    ...CANDIDATES,
    initial: { value: 0, min: 0, max: 1, about: 'of the first confidences, the share of the votes; the rest is even over the candidates' },
    disambiguation: { value: 1, min: 0, max: 1, integer: true, about: '0: the confidences stay as they are at first' },
    ...MOMENTUM,
    decoder: { value: 1, min: 0, max: 1, integer: true, about: "0: no label queries but the backbone's own last layer" },
    width: { value: 128, min: 4, integer: true, about: 'channels of the decoder; of our choice' },
    heads: { value: 4, min: 1, integer: true, about: "of the decoder, dividing its width; Query2Label's" },
    layers: { value: 2, min: 1, integer: true, about: "of the decoder; Query2Label's" },
    uniformity: { value: 1, min: 0, about: "weight of the evenness of the decoder's label embeddings; of our choice" },
  },
  lesson(faces, context) {
    const { initial } = context.constants;
    const lesson = candidatesOf(faces, context);
    if (initial === 0) return lesson;
    const shares = voteLesson(faces).targets; // of the same faces
    const votes = mapRows({ ...lesson, targets: shares.map((share, i) => share * lesson.targets[i]) }, faces, (row) => {
      const sum = row.reduce((total, share) => total + share, 0);
      return row.map((share) => share / sum);
    });
    return { ...lesson, tables: { confidence: lesson.tables.confidence.map((even, i) => even + initial * (votes[i] - even)) } };
  },
  loss(step) {
    const { tape, student, constants } = step;
    const answers = constants.decoder ? answersOf(student, step.faces(), constants) : undefined;
    const logits = answers?.logits ?? student.logits(step.faces());
    const targets = constants.disambiguation ? movedConfidence(step, logits, step.targets(), 'probability') : step.table('confidence');
    const { loss } = softmaxDivergence(tape, logits, targets, { kind: 'cross-entropy' });
    if (!answers || constants.uniformity === 0) return loss;
    return add(tape, loss, scale(tape, uniformity(tape, answers.embeddings), constants.uniformity));
  },
  logits: (student, faces, constants) => (constants.decoder ? answersOf(student, faces, constants).logits : student.logits(faces)),
  explain(student, faces, constants) {
    if (!constants.decoder) return explainByActivation(student, faces);
    const { logits, attention } = answersOf(student, faces, constants);
    return { logits, maps: attention(), kind: 'attention' };
  },
  findings(weights) {
    const embeddings = weights.get(`${AUXILIARY}${QUERIES}.embeddings`);
    if (!embeddings) return undefined;
    const { mean, largest } = cosinesOfPairs(embeddings.data, embeddings.shape[0]);
    const ideal = -1 / (embeddings.shape[0] - 1); // all alike, in a simplex
    return {
      labelEmbeddingCosine: { value: mean, ideal, about: 'mean cosine of two label embeddings' },
      largestLabelEmbeddingCosine: { value: largest, ideal, about: 'largest cosine of two label embeddings' },
    };
  },
});
