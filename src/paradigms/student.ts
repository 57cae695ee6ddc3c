import { inside, type Scope } from '../nn/layers.js';
import { backbones, classify, type Features, type ModelName, type ModelOptions } from '../nn/models.js';
import type { Tensor } from '../tensor/tensor.js';

/** Names of the parameters that a paradigm adds to the backbone begin with this; those that judging does not need are left out then. */
export const AUXILIARY = 'auxiliary.';

/** A backbone over one set of parameters, recorded as often as is wanted. */
export class Student {
  constructor(
    readonly scope: Scope,
    readonly model: ModelName,
    readonly options: ModelOptions,
  ) {}

  /** Where a paradigm declares parameters of its own. */
  auxiliary(name: string): Scope {
    return inside(this.scope, AUXILIARY + name);
  }

  /** Faces [N, H, W, C] → what the last stage reads. */
  trunk(faces: Tensor): Tensor {
    return backbones[this.model].trunk(this.scope, faces, this.options);
  }

  /** The last stage on what `trunk` gave; another `scope` gives it weights of its own. */
  top(x: Tensor, scope = this.scope): Features {
    return backbones[this.model].top(scope, x, this.options);
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
