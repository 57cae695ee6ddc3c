// The part of rows of a batch normalisation, once mean and variance of its column are known. For kernels over lib/column_blocks.wgsl that bind `input`,
// `scale`, `shift`, `residual` and `output`, and have `has_residual` and `relu` among their params. The mean is subtracted first: folded into the shift, a mean far from zero would cancel badly.

// #include "lib/rectify.wgsl"

fn normalise(place: Place, column: u32, mean: vec4f, variance: vec4f) {
  let columns = params.columns;
  let factor = scale[column] / sqrt(variance + params.epsilon);
  let offset = shift[column];
  let has_residual = params.has_residual != 0u;
  let relu = params.relu != 0u;
  let first = place.part * params.rows_per_part;
  let end = min(first + params.rows_per_part, params.rows);
  for (var i = min(first + place.lane, end) * columns + column; i < end * columns; i += place.lanes * columns) {
    var value = (input[i] - mean) * factor + offset;
    if (has_residual) {
      value += residual[i];
    }
    output[i] = select(value, rectify(value), relu);
  }
}
