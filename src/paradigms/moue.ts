import { dense } from '../nn/layers.js';
import { add, exponential, mean, multiply, reshape, scale, softmaxDivergence } from '../tensor/ops/index.js';
import { trustedVotes } from '../tensor/ops/trusted-votes.js';
import type { Tensor } from '../tensor/tensor.js';
import { agreementLesson } from './lessons.js';
import { paradigm } from './paradigm.js';
import { averagedLogits, softened } from './teachers.js';
import type { Progress } from './training-step.js';

/**
 * What this project is for: labels are never made discrete. The target is the distribution of the votes. Where annotations are sets of candidates, there are no shares to
 * learn, and what the model says of a face decides between them. On demand, votes that are unlikely for their face give way to what the model says of it; faces weigh by
 * how far their annotators agree, and by a variance that the model learns (Kendall & Gal 2017); and the running average of the model's own weights teaches it whole
 * distributions (Tarvainen & Valpola 2017; Hinton, Vinyals & Dean 2015) of another view of the face. On validation faces the first paid where many annotations are wrong,
 * and none of the others did. Without any of them, on votes this is `distribution`.
 */
export const moue = paradigm({
  summary:
    'our recipe: distributions of votes, and candidates between which the model decides; on demand with doubt of unlikely votes, weights by agreement, and a teacher',
  constants: {
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
    const { pooled } = student.features(step.faces());
    const logits = student.classify(pooled);
    let votes = step.targets();
    if (step.has('resolve')) votes = trustedVotes(tape, { scores: logits, votes, resolve: step.table('resolve') }, constants);
    let weight = step.table('weights');
    let spread: Tensor | undefined;
    if (constants.variance > 0) {
      const logVariance = reshape(tape, dense(student.auxiliary('log_variance'), pooled, 1), [batch, 1]);
      weight = multiply(tape, weight, exponential(tape, scale(tape, logVariance, -1)));
      spread = scale(tape, reshape(tape, mean(tape, logVariance), [1]), 0.5);
    }
    // Cross-entropy: under a learned variance a loss must not fall to 0. Its gradient is that of the divergence.
    let { loss } = softmaxDivergence(tape, logits, votes, { kind: 'cross-entropy', weight });
    if (spread) loss = add(tape, loss, spread);
    if (constants.teacher === 0) return loss;

    const { teacher, temperature, ramp } = constants;
    const risen = ({ epoch, epochs }: Progress) => (ramp === 0 ? 1 : Math.min(1, epoch / (ramp * epochs)));
    const ofTeacher = step.schedule('teacher_share', (progress) => teacher * risen(progress));
    const ofVotes = step.schedule('vote_share', (progress) => 1 - teacher * risen(progress));
    const taught = softened(tape, averagedLogits(step, 1), temperature);
    const { loss: distilled } = softmaxDivergence(tape, logits, taught, { kind: 'kl', temperature });
    return add(tape, multiply(tape, loss, ofVotes), multiply(tape, distilled, ofTeacher));
  },
});
