/**
 * The demuxers that a user's file may be opened with: the whole of `-format_whitelist`.
 *
 * Closed on purpose. A playlist named `x.mp4` would make FFmpeg open other files and addresses, so everything that refers
 * to something outside its own bytes is absent: hls, dash, concat, sdp, rtsp, imf, image2, lavfi, ffmetadata, the
 * capture devices, script and tracker formats. Single pictures come through their `*_pipe` demuxers. svg_pipe is absent
 * because its renderers resolve references.
 */
const FILMS = [
  "mov,mp4,m4a,3gp,3g2,mj2",
  "matroska,webm",
  "avi",
  "mpegts",
  "mpeg",
  "mpegvideo",
  "flv",
  "live_flv",
  "asf",
  "asf_o",
  "ogg",
  "nut",
  "mxf",
  "gxf",
  "wtv",
  "rm",
  "dv",
  "ivf",
  "m4v",
  "h261",
  "h263",
  "h264",
  "hevc",
  "av1",
  "obu",
  "vc1",
  "mjpeg",
  "yuv4mpegpipe",
  "swf",
];

const SOUNDS = [
  "mp3",
  "aac",
  "ac3",
  "eac3",
  "dts",
  "dtshd",
  "truehd",
  "mlp",
  "flac",
  "wav",
  "w64",
  "aiff",
  "au",
  "caf",
  "amr",
  "amrnb",
  "amrwb",
  "ape",
  "mpc",
  "mpc8",
  "tak",
  "tta",
  "wv",
  "shn",
  "dsf",
  "loas",
  "gsm",
  "voc",
];

const PICTURES = [
  "gif",
  "apng",
  "bmp_pipe",
  "dds_pipe",
  "dpx_pipe",
  "exr_pipe",
  "gif_pipe",
  "j2k_pipe",
  "jpeg_pipe",
  "jpegls_pipe",
  "jpegxl_pipe",
  "jpegxl_anim",
  "pam_pipe",
  "pbm_pipe",
  "pgm_pipe",
  "png_pipe",
  "ppm_pipe",
  "psd_pipe",
  "qoi_pipe",
  "sgi_pipe",
  "sunrast_pipe",
  "tiff_pipe",
  "webp_pipe",
  "webp_anim",
  "xbm_pipe",
];

/** FFmpeg's demuxer names, single (`mov`, `mp4`, …). */
export const ALLOWED_DEMUXERS: readonly string[] = [...FILMS, ...SOUNDS, ...PICTURES].flatMap((name) =>
  name.split(","),
);

const allowed: ReadonlySet<string> = new Set(ALLOWED_DEMUXERS);

export const isAllowedDemuxer = (name: string): boolean => allowed.has(name);
