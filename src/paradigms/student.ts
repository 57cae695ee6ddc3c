import { UsageError } from '../errors.js';
import { inside, type Scope } from '../nn/layers.js';
import { backbones, classify, type Features, type ModelName, type ModelOptions } from '../nn/models.js';
import { ones, zeros } from '../nn/parameters.js';
import { batchNorm, cast } from '../tensor/ops/index.js';
import type { Tensor } from '../tensor/tensor.js';

/** What activations and their gradients are stored as; all else is f32. */
export type Precision = 'f32' | 'f16';

/** Names of the parameters that a paradigm adds to the backbone begin with this; those that judging does not need are left out then. */
export const AUXILIARY = 'auxiliary.';

/** Names of the statistics that a probe keeps begin with this. */
export const PROBE = 'probe.';

/** A backbone over one set of parameters, recorded as often as is wanted. */
export class Student {
  constructor(
    readonly scope: Scope,
    readonly model: ModelName,
    readonly options: ModelOptions,
    /** Of what lies between the faces and the features. */
    readonly precision: Precision = 'f32',
  ) {}

  /** Where a paradigm declares parameters of its own. */
  auxiliary(name: string): Scope {
    return inside(this.scope, AUXILIARY + name);
  }

  /** Faces [N, H, W, C] → what the last stage reads. */
  trunk(faces: Tensor): Tensor {
    return this.ofBackbone(() => backbones[this.model].trunk(this.scope, cast(this.scope.tape, faces, this.precision), this.options));
  }

  /**
   * The last stage on what `trunk` gave; another `scope` gives it weights of its own.
   * @throws UsageError for another scope where only the last layer learns
   */
  top(x: Tensor, scope = this.scope): Features {
    if (this.options.probe && scope !== this.scope) {
      throw new UsageError(
        'this paradigm has another last stage that has to learn, and in a probe no stage does',
        'Leave out --probe, or choose another --paradigm.',
        { field: '--probe' },
      );
    }
    const { map, pooled } = this.ofBackbone(() => backbones[this.model].top(scope, x, this.options));
    const features = cast(scope.tape, pooled, 'f32');
    return { map, pooled: this.options.probe ? standardised(this.scope, features) : features };
  }

  /** In a probe its weights stay, its statistics too, and nothing is dropped. */
  private ofBackbone<T>(record: () => T): T {
    const { tape, parameters } = this.scope;
    return this.options.probe ? tape.evaluating(() => parameters.freezing(record)) : record();
  }

  /** Faces [N, H, W, C] → features. */
  features(faces: Tensor): Features {
    return this.top(this.trunk(faces));
  }

  /** Features [N, D] → logits [N, classes]. */
  classify(pooled: Tensor, scope = this.scope): Tensor {
    return classify(scope, pooled, this.options);
  }

  /** Faces [N, H, W, C] → logits [N, classes]. */
  logits(faces: Tensor): Tensor {
    return this.classify(this.features(faces).pooled);
  }
}

/** Features [N, D] of mean 0 and deviation 1 over the batch, so that one learning rate suits the probes of all backbones (He et al. 2022, A.1: batch norm without affine). */
function standardised(scope: Scope, features: Tensor): Tensor {
  const { tape, parameters } = scope;
  const of = (name: string) => inside(scope, PROBE + name).path;
  const shape = [features.shape[1]];
  const state = {
    scale: tape.constant('ones', shape, new Float32Array(shape[0]).fill(1)),
    shift: tape.constant('zeros', shape, new Float32Array(shape[0])),
    runningMean: parameters.buffer(of('running_mean'), shape, zeros),
    runningVariance: parameters.buffer(of('running_variance'), shape, ones),
  };
  return batchNorm(tape, features, state, { epsilon: 1e-6 });
}
