/**
 * What each container carries, and how FFmpeg is told to write it.
 *
 * `copies` are ffprobe's codec names of streams that may be put in as they are; `encodes` our names of codecs that a
 * client may ask for there, the default first. Both lists are what players accept, not all that a muxer swallows.
 */

import type { PictureCodec } from "./encoders/video-encoder.ts";
import type { AudioCodec } from "./operations/transcode.schema.ts";

export type SubtitleEncoder = "mov_text" | "subrip" | "webvtt";

export interface Container {
  readonly name: string;
  readonly extensions: readonly string[];
  /** FFmpeg's name of the muxer. */
  readonly muxer: string;
  readonly mediaType: string;
  /** Any of these demuxers recognises it. */
  readonly demuxers: readonly string[];
  readonly video: { readonly copies: readonly string[]; readonly encodes: readonly PictureCodec[] };
  readonly audio: { readonly copies: readonly string[]; readonly encodes: readonly AudioCodec[] };
  /** `encoder`: for text subtitles of other codecs; null when it takes none. */
  readonly subtitles: { readonly copies: readonly string[]; readonly encoder: SubtitleEncoder | null };
  readonly severalAudio: boolean;
  /** Cover art as an attached picture. */
  readonly cover: boolean;
  /** Fonts and other attachments. */
  readonly attachments: boolean;
  /** Keeps a display matrix when a stream is copied. */
  readonly displayMatrix: boolean;
  /** False: frames must come at one rate. */
  readonly variableFps: boolean;
  /** One picture, no film. */
  readonly still: boolean;
  readonly takesFaststart: boolean;
  readonly chapters: boolean;
  readonly args: readonly string[];
}

const NONE = { copies: [], encodes: [] } as const;
const NO_SUBTITLES = { copies: [], encoder: null } as const;

const film = {
  severalAudio: true,
  cover: false,
  attachments: false,
  displayMatrix: false,
  variableFps: true,
  still: false,
  takesFaststart: false,
  chapters: false,
  args: [],
} as const;
const sound = { ...film, video: NONE, subtitles: NO_SUBTITLES, severalAudio: false } as const;
const picture = { ...film, audio: NONE, subtitles: NO_SUBTITLES, severalAudio: false } as const;

const MOV_DEMUXERS = ["mov", "mp4", "m4a", "3gp", "3g2", "mj2"];
const MP4_AUDIO = ["aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"] as const;
const PCM = ["pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_u8", "pcm_f32le"];

const mp4: Container = {
  ...film,
  name: "mp4",
  extensions: ["mp4", "m4v"],
  muxer: "mp4",
  mediaType: "video/mp4",
  demuxers: MOV_DEMUXERS,
  video: {
    copies: ["h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video"],
    encodes: ["h264", "h265", "av1", "vp9", "mpeg2"],
  },
  audio: { copies: MP4_AUDIO, encodes: MP4_AUDIO },
  subtitles: { copies: ["mov_text"], encoder: "mov_text" },
  cover: true,
  displayMatrix: true,
  takesFaststart: true,
  chapters: true,
};

const mov: Container = {
  ...mp4,
  name: "mov",
  extensions: ["mov"],
  muxer: "mov",
  mediaType: "video/quicktime",
  video: {
    copies: ["h264", "hevc", "prores", "dnxhd", "mjpeg", "mpeg4", "mpeg2video", "dvvideo", "qtrle", "png"],
    encodes: ["h264", "h265", "prores", "mpeg2"],
  },
  audio: {
    copies: ["aac", "mp3", "ac3", "eac3", "alac", ...PCM, "pcm_s16be", "pcm_s24be"],
    encodes: ["aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le"],
  },
  cover: false,
};

const mkv: Container = {
  ...film,
  name: "mkv",
  extensions: ["mkv"],
  muxer: "matroska",
  mediaType: "video/x-matroska",
  demuxers: ["matroska", "webm"],
  video: {
    copies: [
      "h264",
      "hevc",
      "av1",
      "vp8",
      "vp9",
      "mpeg4",
      "mpeg2video",
      "mpeg1video",
      "prores",
      "mjpeg",
      "ffv1",
      "theora",
      "vc1",
    ],
    encodes: ["h264", "h265", "av1", "vp9", "vp8", "prores", "mpeg2"],
  },
  audio: {
    copies: ["aac", "mp3", "mp2", "ac3", "eac3", "dts", "truehd", "opus", "vorbis", "flac", "alac", ...PCM],
    encodes: ["aac", "mp3", "opus", "vorbis", "flac", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le"],
  },
  subtitles: {
    copies: ["subrip", "ass", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"],
    encoder: "subrip",
  },
  attachments: true,
  chapters: true,
};

const webm: Container = {
  ...film,
  name: "webm",
  extensions: ["webm"],
  muxer: "webm",
  mediaType: "video/webm",
  demuxers: ["matroska", "webm"],
  video: { copies: ["vp8", "vp9", "av1"], encodes: ["vp9", "vp8", "av1"] },
  audio: { copies: ["opus", "vorbis"], encodes: ["opus", "vorbis"] },
  subtitles: { copies: ["webvtt"], encoder: "webvtt" },
  chapters: true,
};

const FILMS: readonly Container[] = [
  mp4,
  mov,
  mkv,
  webm,
  {
    ...film,
    name: "avi",
    extensions: ["avi"],
    muxer: "avi",
    mediaType: "video/x-msvideo",
    demuxers: ["avi"],
    video: { copies: ["mpeg4", "mjpeg", "mpeg2video", "msmpeg4v3"], encodes: ["h264", "mpeg2"] },
    audio: { copies: ["mp3", "ac3", "mp2", "pcm_s16le"], encodes: ["mp3", "ac3", "pcm_s16le"] },
    subtitles: NO_SUBTITLES,
    variableFps: false,
  },
  {
    ...film,
    name: "ts",
    extensions: ["ts", "mts", "m2ts"],
    muxer: "mpegts",
    mediaType: "video/mp2t",
    demuxers: ["mpegts"],
    video: { copies: ["h264", "hevc", "mpeg2video", "mpeg1video"], encodes: ["h264", "h265", "mpeg2"] },
    audio: { copies: ["aac", "mp3", "mp2", "ac3", "eac3"], encodes: ["aac", "mp3", "ac3", "eac3"] },
    subtitles: { copies: ["dvb_subtitle"], encoder: null },
  },
  {
    ...film,
    name: "mpg",
    extensions: ["mpg", "mpeg", "vob"],
    muxer: "vob",
    mediaType: "video/mpeg",
    demuxers: ["mpeg"],
    video: { copies: ["mpeg2video", "mpeg1video"], encodes: ["mpeg2"] },
    audio: { copies: ["mp2", "mp3", "ac3"], encodes: ["ac3", "mp3"] },
    subtitles: { copies: ["dvd_subtitle"], encoder: null },
    variableFps: false,
  },
];

const SOUNDS: readonly Container[] = [
  {
    ...sound,
    name: "m4a",
    extensions: ["m4a", "m4b"],
    muxer: "ipod",
    mediaType: "audio/mp4",
    demuxers: MOV_DEMUXERS,
    audio: { copies: ["aac", "alac"], encodes: ["aac", "alac"] },
    cover: true,
    takesFaststart: true,
    chapters: true,
  },
  {
    ...sound,
    name: "mka",
    extensions: ["mka"],
    muxer: "matroska",
    mediaType: "audio/x-matroska",
    demuxers: ["matroska", "webm"],
    audio: mkv.audio,
    severalAudio: true,
    chapters: true,
  },
  {
    ...sound,
    name: "mp3",
    extensions: ["mp3"],
    muxer: "mp3",
    mediaType: "audio/mpeg",
    demuxers: ["mp3"],
    audio: { copies: ["mp3"], encodes: ["mp3"] },
    cover: true,
    args: ["-id3v2_version", "3"],
  },
  {
    ...sound,
    name: "aac",
    extensions: ["aac"],
    muxer: "adts",
    mediaType: "audio/aac",
    demuxers: ["aac"],
    audio: { copies: ["aac"], encodes: ["aac"] },
  },
  {
    ...sound,
    name: "wav",
    extensions: ["wav"],
    muxer: "wav",
    mediaType: "audio/wav",
    demuxers: ["wav"],
    audio: { copies: PCM, encodes: ["pcm_s16le", "pcm_s24le"] },
  },
  {
    ...sound,
    name: "flac",
    extensions: ["flac"],
    muxer: "flac",
    mediaType: "audio/flac",
    demuxers: ["flac"],
    audio: { copies: ["flac"], encodes: ["flac"] },
    cover: true,
  },
  {
    ...sound,
    name: "ogg",
    extensions: ["ogg", "oga"],
    muxer: "ogg",
    mediaType: "audio/ogg",
    demuxers: ["ogg"],
    audio: { copies: ["vorbis", "opus", "flac"], encodes: ["vorbis", "opus", "flac"] },
  },
  {
    ...sound,
    name: "opus",
    extensions: ["opus"],
    muxer: "opus",
    mediaType: "audio/ogg",
    demuxers: ["ogg"],
    audio: { copies: ["opus"], encodes: ["opus"] },
  },
  {
    ...sound,
    name: "ac3",
    extensions: ["ac3"],
    muxer: "ac3",
    mediaType: "audio/ac3",
    demuxers: ["ac3"],
    audio: { copies: ["ac3"], encodes: ["ac3"] },
  },
  {
    ...sound,
    name: "eac3",
    extensions: ["eac3"],
    muxer: "eac3",
    mediaType: "audio/eac3",
    demuxers: ["eac3"],
    audio: { copies: ["eac3"], encodes: ["eac3"] },
  },
];

const PICTURES: readonly Container[] = [
  {
    ...picture,
    name: "gif",
    extensions: ["gif"],
    muxer: "gif",
    mediaType: "image/gif",
    demuxers: ["gif"],
    video: { copies: ["gif"], encodes: ["gif"] },
    args: ["-loop", "0"],
  },
  {
    ...picture,
    name: "webp",
    extensions: ["webp"],
    muxer: "webp",
    mediaType: "image/webp",
    demuxers: ["webp_pipe", "webp_anim", "webp"],
    video: { copies: [], encodes: ["webp"] },
    args: ["-loop", "0"],
  },
  {
    ...picture,
    name: "png",
    extensions: ["png"],
    muxer: "image2pipe",
    mediaType: "image/png",
    demuxers: ["png_pipe"],
    video: { copies: [], encodes: ["png"] },
    still: true,
  },
  {
    ...picture,
    name: "jpg",
    extensions: ["jpg", "jpeg"],
    muxer: "image2pipe",
    mediaType: "image/jpeg",
    demuxers: ["jpeg_pipe"],
    video: { copies: [], encodes: ["mjpeg"] },
    still: true,
  },
];

/** Numbers computed from samples, which FFmpeg writes as they are; of one operation alone, and in no list. */
export const JSON_CONTAINER: Container = {
  ...{ ...sound, name: "json", extensions: ["json"], muxer: "s16le", mediaType: "application/json", demuxers: [] },
  audio: NONE,
};

export const CONTAINERS: readonly Container[] = [...FILMS, ...SOUNDS, ...PICTURES];

const byName: ReadonlyMap<string, Container> = new Map(
  CONTAINERS.flatMap((container) => [
    [container.name, container] as const,
    ...container.extensions.map((extension) => [extension, container] as const),
  ]),
);

/** By our name or an extension, in any case, with or without its dot. */
export const containerNamed = (name: string): Container | null =>
  byName.get(name.toLowerCase().replace(/^\./, "")) ?? null;

/** `{stem, extension}` of a file name; the extension without its dot, empty when there is none. */
export function splitName(fileName: string): { readonly stem: string; readonly extension: string } {
  const base = fileName.slice(fileName.lastIndexOf("/") + 1);
  const dot = base.lastIndexOf(".");
  return dot <= 0 ? { stem: base, extension: "" } : { stem: base.slice(0, dot), extension: base.slice(dot + 1) };
}

export const CONTAINER_NAMES: readonly string[] = CONTAINERS.map(({ name }) => name);

export const isSoundOnly = ({ video }: Container): boolean => video.encodes.length === 0;
export const isPicture = ({ audio }: Container): boolean => audio.encodes.length === 0;
