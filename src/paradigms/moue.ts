import { dense } from '../nn/layers.js';
import { add, detach, exponential, mean, multiply, reshape, scale, softmax, softmaxDivergence } from '../tensor/ops/index.js';
import { trustedVotes } from '../tensor/ops/trusted-votes.js';
import type { Tape } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { agreementLesson } from './lessons.js';
import { paradigm } from './paradigm.js';
import { averagedLogits, softened } from './teachers.js';
import type { Progress } from './training-step.js';

/**
 * What this project is for: labels are never made discrete. The target is the distribution of the votes. Where annotations are sets of candidates, there are no shares to
 * learn, and what the model says of a face decides between them. Two views of a face, augmented apart, teach one another whole distributions: beside the votes, the target
 * of either is what they say together, the geometric mean (as of the confidences in Wu, Wang & Zhang 2022). On demand, votes that are unlikely for their face give way to
 * what the model says of it; faces weigh by how far their annotators agree, and by a variance that the model learns (Kendall & Gal 2017); and the running average of the
 * model's own weights teaches it (Tarvainen & Valpola 2017; Hinton, Vinyals & Dean 2015). On validation faces consistency paid, doubt where many annotations are wrong,
 * and none of the others. Without any of them, on votes this is `distribution`.
 */
export const moue = paradigm({
  summary:
    'our recipe: distributions of votes, candidates between which the model decides, views of a face that must agree; on demand doubt of unlikely votes, weights, a teacher',
  constants: {
    consistency: {
      value: 1,
      min: 0,
      about: 'weight of what two views of a face say together, as a target of either; 0: one view, in half of the time',
    },
    teacher: { value: 0, min: 0, max: 1, about: "share of the averaged weights' distribution in the target; 0: no teacher" },
    temperature: { value: 1, min: 0.1, max: 100, about: 'softens teacher and student' },
    ramp: { value: 1, min: 0, max: 1, about: 'share of the run in which that of the teacher rises from 0' },
    agreement: { value: 1, min: 0, max: 1, about: 'weight of a face whose annotators do not agree at all; 1: all weigh the same' },
    doubt: { value: 0, min: 0, max: 0.9, about: 'probability that votes are not of their face; 0: votes are never doubted' },
    evidence: { value: 1, min: 0, about: 'votes that the shares of a face count as, where they are doubted' },
    resolve: {
      value: 1,
      min: 0,
      max: 1,
      about: 'how far the model decides between candidates, where there are no shares of votes',
    },
    variance: { value: 0, min: 0, max: 1, about: '1: faces weigh by a learned variance as well' },
  },
  lesson(faces, { constants }) {
    // A set of candidates does not tell how far annotators agree.
    const [agreement, resolve] = faces.areCandidates ? [1, constants.resolve] : [constants.agreement, 0];
    const lesson = agreementLesson(faces, agreement);
    if (constants.doubt === 0 && resolve === 0) return lesson;
    return { ...lesson, tables: { ...lesson.tables, resolve: new Float32Array(lesson.faces.length).fill(resolve) } };
  },
  loss(step) {
    const { tape, student, constants, batch } = step;
    const views = constants.consistency > 0 ? [0, 1] : [0];
    const seen = views.map((view) => student.features(step.faces(view)).pooled);
    const logits = seen.map((pooled) => student.classify(pooled));
    // The geometric mean of softmaxes is the softmax of the mean of their logits.
    const together = meanOf(tape, logits);
    let votes = step.targets();
    if (step.has('resolve')) votes = trustedVotes(tape, { scores: together, votes, resolve: step.table('resolve') }, constants);
    const weights = step.table('weights');
    const losses = logits.map((scores, view) => {
      let weight = weights;
      let spread: Tensor | undefined;
      if (constants.variance > 0) {
        const logVariance = reshape(tape, dense(student.auxiliary('log_variance'), seen[view], 1), [batch, 1]);
        weight = multiply(tape, weight, exponential(tape, scale(tape, logVariance, -1)));
        spread = scale(tape, reshape(tape, mean(tape, logVariance), [1]), 0.5);
      }
      // Cross-entropy: under a learned variance a loss must not fall to 0. Its gradient is that of the divergence.
      const { loss } = softmaxDivergence(tape, scores, votes, { kind: 'cross-entropy', weight });
      return spread ? add(tape, loss, spread) : loss;
    });
    let loss = meanOf(tape, losses);
    if (constants.consistency > 0) {
      const target = softmax(tape, detach(tape, together));
      const distances = logits.map((scores) => softmaxDivergence(tape, scores, target, { kind: 'kl' }).loss);
      loss = add(tape, loss, scale(tape, meanOf(tape, distances), constants.consistency));
    }
    if (constants.teacher === 0) return loss;

    const { teacher, temperature, ramp } = constants;
    const risen = ({ epoch, epochs }: Progress) => (ramp === 0 ? 1 : Math.min(1, epoch / (ramp * epochs)));
    const ofTeacher = step.schedule('teacher_share', (progress) => teacher * risen(progress));
    const ofVotes = step.schedule('vote_share', (progress) => 1 - teacher * risen(progress));
    const taught = softened(tape, averagedLogits(step, views.length), temperature);
    const { loss: distilled } = softmaxDivergence(tape, logits[0], taught, { kind: 'kl', temperature });
    return add(tape, multiply(tape, loss, ofVotes), multiply(tape, distilled, ofTeacher));
  },
});

function meanOf(tape: Tape, [first, ...others]: readonly Tensor[]): Tensor {
  return others.length === 0
    ? first
    : scale(
        tape,
        others.reduce((sum, tensor) => add(tape, sum, tensor), first),
        1 / (1 + others.length),
      );
}
