// What changes from step to step, written by the host before each run and read by the kernels that draw random numbers or update weights.
struct Step {
  seed: u32,
  step: u32, // counted over the whole run
  learning_rate: f32,
  ema_decay: f32,
  bias_correction1: f32, // 1 - beta1^t of AdamW, t counted from 1
  bias_correction2: f32,
  epoch: u32,
  reserved: u32,
}
