/**
 * Which files a conversion writes, before anything is known of its input: the container of `output_path`, and the further
 * files that operations make.
 *
 * A job whose only operations make files writes the first of them to `output_path`. So does one whose `output_path` could
 * hold nothing else: a picture's name with a thumbnail, a sound file's name with an extract.
 */

import type { ErrorDetail } from "../../errors.ts";
import { CONTAINER_NAMES, type Container, containerNamed, isPicture, isSoundOnly, splitName } from "../containers.ts";
import type { Audio } from "./audio.schema.ts";
import type { ConvertOptions } from "./options.schema.ts";
import type { Operation } from "./parse.ts";
import type { Preview } from "./preview.schema.ts";
import { isThumbnailContainer, sideContainerNamed, sideKind } from "./side-containers.ts";
import type { Thumbnail } from "./thumbnail.schema.ts";
import type { Transcode } from "./transcode.schema.ts";
import type { Waveform } from "./waveform.schema.ts";

export type FileMaker = Thumbnail | Preview | Waveform | (Audio & { readonly extract: true });

export const isFileMaker = (operation: Operation): operation is FileMaker =>
  operation.type === "thumbnail" ||
  operation.type === "preview" ||
  operation.type === "waveform" ||
  (operation.type === "audio" && operation.extract);

export interface SideFile {
  /** Of the operation. */
  readonly index: number;
  readonly operation: FileMaker;
  readonly container: Container;
  /** Null: `output_path` itself. */
  readonly name: string | null;
}

export interface Shape {
  readonly container: Container;
  readonly transcode: { readonly index: number; readonly operation: Transcode } | null;
  /** False: the first side file is the primary output. */
  readonly hasPrimary: boolean;
  readonly sides: readonly SideFile[];
}

export interface ShapeRequest {
  readonly operations: readonly Operation[];
  readonly options: ConvertOptions;
  /** `output_path` or the file name at its end. */
  readonly outputName: string;
}

const choices = (): string => `use one of ${CONTAINER_NAMES.join(", ")}`;

function primaryContainer({ operations, options, outputName }: ShapeRequest, details: ErrorDetail[]): Container | null {
  const { extension } = splitName(outputName);
  const wanted = options.format ?? extension;
  const first = operations.find(isFileMaker);
  const container = first === undefined ? containerNamed(wanted) : sideContainerNamed(first.type, wanted);
  if (container !== null) return container;
  if (options.format !== undefined)
    details.push({ path: "options.format", message: `is no container known here; ${choices()}` });
  else if (extension === "") {
    details.push({
      path: "output_path",
      message: `has no extension that names a container; add one or give options.format`,
    });
  } else
    details.push({
      path: "output_path",
      message: `ends in .${extension.slice(0, 16)}, which names no container known here; ${choices()}`,
    });
  return null;
}

/** Of a file that has a name of its own, or of `output_path` when `name` is null. */
function sideContainer(
  operation: FileMaker,
  index: number,
  fallback: Container | null,
  details: ErrorDetail[],
): Container | null {
  const path = (field: string): string => `operations[${index}].${field}`;
  const { fits, wanted, what, preset } = sideKind(operation.type);
  const named = (name: string): Container | null => sideContainerNamed(operation.type, name);
  const extension = operation.output === undefined ? "" : splitName(operation.output).extension;
  const fromName = extension === "" ? fallback : named(extension);
  const fromFormat = operation.format === undefined ? null : named(operation.format);
  const format = operation.format;
  if (format !== undefined && (fromFormat === null || !fits(fromFormat))) {
    details.push({ path: path("format"), message: `must be ${wanted}` });
    return null;
  }
  if (extension !== "" && (fromName === null || !fits(fromName))) {
    details.push({ path: path("output"), message: `must end in ${wanted}` });
    return null;
  }
  if (fallback !== null && extension === "" && !fits(fallback)) {
    details.push({
      path: "output_path",
      message: `is where ${what} goes and must end in ${wanted}`,
    });
    return null;
  }
  if (fromFormat !== null && fromName !== null && fromFormat.name !== fromName.name) {
    details.push({ path: path("format"), message: `is ${format ?? ""}, but the file's name says ${fromName.name}` });
    return null;
  }
  return fromFormat ?? fromName ?? containerNamed(preset);
}

function primaryIsSide(operations: readonly Operation[], container: Container | null): boolean {
  const makers = operations.filter(isFileMaker);
  const [first] = makers;
  if (first === undefined) return false;
  if (makers.length === operations.length && !makers.some((maker) => maker.type === "audio" && maker.remove))
    return true;
  if (container === null) return false;
  if (first.type === "preview") return false;
  if (first.type === "waveform") return container.name === "png" || container.name === "json";
  return first.type === "thumbnail" ? isThumbnailContainer(container) && isPicture(container) : isSoundOnly(container);
}

/** Null when `details` got a reason why there is none. */
export function toShape(request: ShapeRequest, details: ErrorDetail[]): Shape | null {
  const { operations, outputName } = request;
  const container = primaryContainer(request, details);
  const hasPrimary = !primaryIsSide(operations, container);
  const { stem } = splitName(outputName);
  const sides: SideFile[] = [];
  const counts: Record<string, number> = {};
  operations.forEach((operation, index) => {
    if (!isFileMaker(operation)) return;
    const count = (counts[operation.type] ?? 0) + 1;
    counts[operation.type] = count;
    const isFirst = !hasPrimary && sides.length === 0;
    if (isFirst && container === null) return;
    const own = sideContainer(
      isFirst ? { ...operation, output: undefined } : operation,
      index,
      isFirst ? container : null,
      details,
    );
    if (own === null) return;
    const fallback = `${stem}-${operation.type}-${count}.${own.extensions[0] ?? own.name}`;
    sides.push({
      index,
      operation,
      container: own,
      name: isFirst ? null : (withExtension(operation.output, own) ?? fallback),
    });
  });
  const transcodes = operations.flatMap((operation, index) =>
    operation.type === "transcode" ? [{ index, operation }] : [],
  );
  for (const { index } of transcodes.slice(1)) {
    details.push({
      path: `operations[${index}].type`,
      message: "is a second transcode; one output is encoded once, so give all its parameters in one",
    });
  }
  if (container === null || details.length > 0) return null;
  return { container, transcode: transcodes[0] ?? null, hasPrimary, sides };
}

const withExtension = (name: string | undefined, container: Container): string | null => {
  if (name === undefined) return null;
  return splitName(name).extension === "" ? `${name}.${container.extensions[0] ?? container.name}` : name;
};
