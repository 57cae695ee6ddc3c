import { inside, type Scope } from '../nn/layers.js';
import { backbones, classify, type Features, type ModelName, type ModelOptions } from '../nn/models.js';
import { cast } from '../tensor/ops/index.js';
import type { Tensor } from '../tensor/tensor.js';

/** What activations and their gradients are stored as; all else is f32. */
export type Precision = 'f32' | 'f16';

/** Names of the parameters that a paradigm adds to the backbone begin with this; those that judging does not need are left out then. */
export const AUXILIARY = 'auxiliary.';

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
    return backbones[this.model].trunk(this.scope, cast(this.scope.tape, faces, this.precision), this.options);
  }

  /** The last stage on what `trunk` gave; another `scope` gives it weights of its own. */
  top(x: Tensor, scope = this.scope): Features {
    const { map, pooled } = backbones[this.model].top(scope, x, this.options);
    return { map, pooled: cast(scope.tape, pooled, 'f32') };
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
