/** The ways in which a plan cannot be made. Each sentence says what the user asked for, what is there, and what would work. */
import { type ErrorDetail, type JobErrorKind, RendiffError } from "../../errors.ts";

const make = (kind: JobErrorKind, publicMessage: string, details: readonly ErrorDetail[] = []): RendiffError =>
  new RendiffError({ kind, publicMessage, details });

/** What was asked for does not go with this input. */
export const invalidPlan = (message: string, path?: string): RendiffError =>
  make("plan.invalid", message, path === undefined ? [] : [{ path, message }]);

/** This deployment cannot do it. */
export const unsupportedPlan = (message: string): RendiffError => make("plan.unsupported", message);

export const unsupportedInput = (message: string): RendiffError => make("input.unsupported", message);

export const overLimit = (message: string): RendiffError => make("limit.exceeded", message);
