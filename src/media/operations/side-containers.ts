/** Which containers the further files of a job may have, by the operation that makes them. */
import { type Container, containerNamed, isSoundOnly, JSON_CONTAINER } from "../containers.ts";
import type { FileMaker } from "./shape.ts";

export interface SideKind {
  fits(container: Container): boolean;
  /** As in `must be …`. */
  readonly wanted: string;
  /** As in `is where … goes`. */
  readonly what: string;
  readonly preset: string;
}

export const isThumbnailContainer = (container: Container): boolean => container.still || container.name === "webp";

const KINDS: Readonly<Record<FileMaker["type"], SideKind>> = {
  thumbnail: { fits: isThumbnailContainer, wanted: "jpg, png or webp", what: "the thumbnail", preset: "jpg" },
  audio: {
    fits: isSoundOnly,
    wanted: "a sound container such as mp3, m4a, wav, flac, ogg or opus",
    what: "the extracted sound",
    preset: "mp3",
  },
  preview: {
    fits: ({ name }) => name === "gif" || name === "webp" || name === "mp4",
    wanted: "gif, webp or mp4",
    what: "the preview",
    preset: "gif",
  },
  waveform: {
    fits: ({ name }) => name === "png" || name === "json",
    wanted: "png or json",
    what: "the waveform",
    preset: "png",
  },
};

export const sideKind = (type: FileMaker["type"]): SideKind => KINDS[type];

/** By our name or an extension, among those that the operation may write. */
export const sideContainerNamed = (type: FileMaker["type"], name: string): Container | null =>
  type === "waveform" && name.toLowerCase() === "json" ? JSON_CONTAINER : containerNamed(name);
