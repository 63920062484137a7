/** Further inputs: what operations name beside `input_path`. Their order is the order of a job's inputs after the first. */
import type { Operation } from "./parse.ts";

/** How an input is opened: `media` by FFmpeg, `captions` by us, who find its characters and hand on what we write of it. */
export type InputKind = "media" | "captions";

export interface Reference {
  readonly kind: InputKind;
  /** As the client wrote it. */
  readonly uri: string;
  /** Of the operation. */
  readonly index: number;
  /** Where the client wrote it: `operations[2].image`. */
  readonly path: string;
}

function ofOperation(operation: Operation, index: number): Reference[] {
  const path = (field: string): string => `operations[${index}].${field}`;
  switch (operation.type) {
    case "watermark":
      return [{ kind: "media", uri: operation.image, index, path: path("image") }];
    case "concat":
      return operation.inputs.map((uri, n) => ({
        ...{ kind: "media" as const, uri, index },
        path: path(`inputs[${n}]`),
      }));
    case "stream":
      return (operation.captions ?? []).map(({ path: uri }, n) => ({
        ...{ kind: "captions" as const, uri, index },
        path: path(`captions[${n}].path`),
      }));
    case "subtitle":
      return [{ kind: "captions", uri: operation.path, index, path: path("path") }];
    case "analyze":
      return operation.reference === undefined
        ? []
        : [{ kind: "media", uri: operation.reference, index, path: path("reference") }];
    default:
      return [];
  }
}

export const referencesOf = (operations: readonly Operation[]): readonly Reference[] => operations.flatMap(ofOperation);

/** Place in a job's inputs of the first reference of the operation at `index`; the input itself is 0. */
export const inputIndexOf = (operations: readonly Operation[], index: number): number =>
  1 + referencesOf(operations.slice(0, index)).length;
