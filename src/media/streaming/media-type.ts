/** Of the files that a package is made of. */

const TYPES: readonly (readonly [ending: string, mediaType: string])[] = [
  [".m3u8", "application/vnd.apple.mpegurl"],
  [".mpd", "application/dash+xml"],
  [".mp4", "video/mp4"],
  [".m4s", "video/iso.segment"],
  [".ts", "video/mp2t"],
  [".vtt", "text/vtt"],
];

export const mediaTypeOf = (file: string): string =>
  TYPES.find(([ending]) => file.endsWith(ending))?.[1] ?? "application/octet-stream";
