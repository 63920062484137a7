/** What `ffmpeg -encoders`, `-filters`, `-formats` print, as names; from FFmpeg 5.1 to 9.0. */

const namesBy = (text: string, line: RegExp): string[] => text.split("\n").flatMap((one) => line.exec(one)?.[1] ?? []);

/** Of `-encoders` or `-decoders`: ` V....D libx264   …`; the legend above has `=` where a name would be. */
export const parseCodecList = (text: string): readonly string[] =>
  namesBy(text, /^ [VAS][F.][S.][X.][B.][D.] ([^\s=]\S*)/);

/** ` TSC scale   V->V   …`; versions differ in the number of flags. */
export const parseFilterList = (text: string): readonly string[] => namesBy(text, /^ [T.][S.][C.]? +(\S+) +\S+->\S+/);

export interface FormatList {
  readonly demuxers: readonly string[];
  readonly muxers: readonly string[];
}

/** ` DE  mov,mp4  …`; a `d` behind marks devices, which no job may open. */
export function parseFormatList(text: string): FormatList {
  const rows = text.split("\n").flatMap((line) => {
    const parts = /^ ([D ])([E ])([d ])? +([^\s=]\S*) /.exec(line);
    if (parts === null || parts[3] === "d") return [];
    return [{ reads: parts[1] === "D", writes: parts[2] === "E", names: (parts[4] ?? "").split(",") }];
  });
  return {
    demuxers: rows.filter((row) => row.reads).flatMap((row) => row.names),
    muxers: rows.filter((row) => row.writes).flatMap((row) => row.names),
  };
}

/** The newest release; what is built from development sources counts as it. */
export const NEWEST_MAJOR = 9;

export interface Version {
  readonly text: string;
  readonly major: number;
}

/** From the banner: `ffmpeg version 5.1.9-0+deb12u1 Copyright…`, `n9.0.2-17-g…`, `N-66595-g…`, `git-2024-…`. */
export function parseVersion(banner: string): Version {
  const text = /^ff(?:mpeg|probe) version (\S+)/m.exec(banner)?.[1] ?? "unknown";
  const major = Number(/^n?(\d+)\./.exec(text)?.[1] ?? NEWEST_MAJOR);
  return { text, major };
}
