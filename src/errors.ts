/** Where a failure was found: a file, the line in it (1-based), or the field, option or tensor concerned. */
export interface Place {
  file?: string;
  line?: number;
  field?: string;
}

/**
 * Every failure that a user can cause or meet. The message says what is wrong and where, `remedy` what to do about it.
 * Commands print both and exit with status 1; anything that is not a MoueError is a defect of ours.
 */
export abstract class MoueError extends Error {
  readonly place: Place;
  readonly remedy: string;

  constructor(message: string, remedy: string, place: Place = {}, options?: ErrorOptions) {
    const where = [place.file, place.line === undefined ? undefined : `line ${place.line}`, place.field].filter(Boolean).join(', ');
    super(where ? `${where}: ${message}` : message, options);
    this.name = new.target.name;
    this.place = place;
    this.remedy = remedy;
  }
}

/** A dataset, image, manifest or other file given by the user cannot be used. */
export class InputError extends MoueError {}
/** The command line or the config file asks for something that does not exist or contradicts itself. */
export class UsageError extends MoueError {}
/** No usable adapter, a lost device, a validation error, or a request beyond the adapter's limits. */
export class DeviceError extends MoueError {}
/** A shader cannot be loaded, specialised or compiled. */
export class ShaderError extends MoueError {}
/** Tensors of shapes or types that an operator does not take. */
export class ShapeError extends MoueError {}
/** A checkpoint or run folder cannot be read, belongs to another model, or cannot be written. */
export class RunError extends MoueError {}
/** A loss or gradient stopped being finite. */
export class NumericError extends MoueError {}
