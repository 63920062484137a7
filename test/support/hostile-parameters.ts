/** Parameters that want to be more than values: each with the graph or the arguments that a careless program would make of it. */
import type { Canary } from "./canary.ts";
import type { Hostile } from "./hostile-inputs.ts";

const FILM = "film.mp4";
const TO_NOWHERE = ["-f", "null", "-"] as const;
const PROTOCOLS = ["-protocol_whitelist", "file,http,tcp,crypto,data,subfile,concat,concatf,unix,async,cache"] as const;

const job = (...operations: readonly object[]) => ({ input: FILM, output: "out.mp4", operations });
const graph = (text: string): readonly string[] => ["-i", FILM, "-filter_complex", text, ...TO_NOWHERE];

/** An address of FFmpeg's own where a URI is expected. */
function address(name: string, uri: string, works: boolean): Hostile[] {
  const careless = [...PROTOCOLS, "-i", uri, ...TO_NOWHERE];
  return [
    { name: `${name} as the input`, body: { ...job(), input: uri }, careless, works },
    { name: `${name} to be joined`, body: job({ type: "concat", inputs: [uri] }), careless, works },
  ];
}

/** A text that ends its option, its filter or its graph. */
function drawn(name: string, text: string, works = true): Hostile {
  return {
    name: `text ${name}`,
    body: job({ type: "text", text }),
    careless: graph(`[0:v]drawtext=text='${text}'`),
    works,
  };
}

/** `options` stands in the careless graph unescaped. */
const inGraph = (name: string, operation: object, text: string, works = true): Hostile => ({
  name,
  body: job(operation),
  careless: graph(text),
  works,
});

/** Words that a careless program splits a string into. */
function argued(name: string, body: object, ...words: readonly string[]): Hostile {
  return { name, body, careless: ["-i", FILM, ...words, ...TO_NOWHERE], works: true };
}

export function hostileParameters({ film, picture, text, written, port }: Canary): readonly Hostile[] {
  const web = `http://127.0.0.1:${port}/a.ts`;
  const movie = `movie=filename=${film}`;
  const transcode = (more: object) => job({ type: "transcode", video_codec: "h264", ...more });
  return [
    ...address("a path", film, true),
    ...address("a path as an address", `file:${film}`, true),
    ...address("a part of a file", `subfile,,start,0,end,100000,,:${film}`, true),
    ...address("joined files", `concat:${film}|${film}`, true),
    ...address("an address", web, true),
    ...address("a bare connection", `tcp://127.0.0.1:${port}`, true),
    ...address("a file read ahead", `async:${film}`, true),
    ...address("a cached file", `cache:${film}`, true),
    {
      name: "a device as the input",
      body: { ...job(), input: "pipe:0" },
      careless: ["-i", film, ...TO_NOWHERE],
      works: true,
    },
    drawn("that names a file", `x':textfile='${text}`, false),
    drawn("that opens a film", `x'[a];${movie}[b];[a][b]overlay,drawtext=text='y`),
    drawn("that opens a film on a line of its own", `x'\n[a];\n${movie}\n[b];[a][b]overlay,null'`),
    drawn("that leaves its graph", `x',${movie}[b];[b]nullsink;[0:v]null'`),
    drawn("that expands", "%{expr\\:1/0}%{metadata\\:x}%{localtime}", false),
    drawn("that escapes", `x\\':textfile=${text}`, false),
    drawn("that ends in an escape", `textfile=${text}\\`, false),
    inGraph(
      "a colour that names a file",
      { type: "text", text: "x", color: `red:textfile=${text}` },
      `[0:v]drawtext=fontcolor=red:textfile=${text}`,
    ),
    inGraph(
      "a box that opens a film",
      { type: "text", text: "x", box: `red[a];${movie}` },
      `[0:v]drawbox=color=red[a];${movie}[b];[a][b]overlay`,
    ),
    inGraph(
      "a pad's colour that opens a film",
      { type: "pad", width: 100, color: `red[a];${movie}[b];[a][b]overlay` },
      `[0:v]pad=w=100:color=red[a];${movie}[b];[a][b]overlay`,
    ),
    inGraph(
      "a position that opens a film",
      { type: "watermark", image: "logo.png", position: `center[a];${movie}` },
      `[0:v]null[a];${movie}[b];[a][b]overlay`,
    ),
    inGraph(
      "a watermark that is a graph",
      { type: "watermark", image: `logo.png[a];${movie}` },
      `movie=logo.png[x];[x]nullsink;${movie}[b];[0:v][b]overlay`,
    ),
    inGraph(
      "a watermark elsewhere",
      { type: "watermark", image: picture },
      `movie=filename=${picture}[b];[0:v][b]overlay`,
    ),
    inGraph(
      "captions that are options",
      { type: "subtitle", path: `lines.srt':filename='${text}` },
      `[0:v]subtitles=filename='lines.srt':filename='${text}'`,
    ),
    inGraph("captions elsewhere", { type: "subtitle", path: text }, `[0:v]subtitles=filename=${text}`),
    {
      ...inGraph(
        "captions that are a list",
        { type: "subtitle", path: "list.srt" },
        "[0:v]subtitles=filename=list.srt",
      ),
      files: { "list.srt": `#EXTM3U\n#EXTINF:1,\nfile://${film}\n` },
      works: false,
    },
    {
      ...inGraph("captions with a font's path", { type: "subtitle", path: "font.ass" }, "[0:v]ass=filename=font.ass"),
      files: {
        "font.ass": `[Script Info]\n[V4+ Styles]\nFormat: Name, Fontname\nStyle: Default,${text}\n[Events]\nFormat: Start, End, Text\nDialogue: 0:00:00.00,0:00:01.00,{\\fn${text}}x\n`,
      },
      works: false,
    },
    inGraph(
      "a filter's name that is a graph",
      { type: "filter", name: `hue[a];${movie}[b];[a][b]overlay` },
      `[0:v]hue[a];${movie}[b];[a][b]overlay`,
    ),
    inGraph(
      "a number that is a graph",
      { type: "filter", name: "blur", radius: `1[a];${movie}[b];[a][b]overlay` },
      `[0:v]gblur=1[a];${movie}[b];[a][b]overlay`,
    ),
    inGraph(
      "a waveform's colour that opens a film",
      { type: "waveform", color: `red[a];${movie}` },
      `[0:v]null[a];${movie}[b];[a][b]overlay`,
    ),
    inGraph("a look-up table's path", { type: "filter", name: "lut", file: text }, `[0:v]lut3d=file=${text}`, false),
    argued("a preset of several words", transcode({ preset: `slow -i ${film}` }), "-i", film),
    argued("a profile of several words", transcode({ profile: `main -i ${film}` }), "-i", film),
    argued("a pixel format of several words", transcode({ pixel_format: `yuv420p -i ${film}` }), "-i", film),
    argued("a tag that is an option", { ...job(), options: { metadata: { "-i": film } } }, "-i", film),
    argued(
      "a language that is an option",
      job({ type: "subtitle", path: "lines.srt", mode: "embed", language: `en -i ${film}` }),
      "-i",
      film,
    ),
    argued("a raw input", job({ type: "raw", options: [{ name: "i", value: film }] }), "-i", film),
    argued(
      "a raw graph",
      job({ type: "raw", options: [{ name: "filter_complex", value: movie }] }),
      "-filter_complex",
      `${movie}[v]`,
      "-map",
      "[v]",
    ),
    argued(
      "a raw value",
      job({ type: "raw", options: [{ name: "color_trc", value: `bt709 -i ${film}` }] }),
      "-i",
      film,
    ),
    argued(
      "a raw report",
      job({ type: "raw", options: [{ name: "passlogfile", value: written }] }),
      "-pass",
      "1",
      "-f",
      "mjpeg",
      written,
    ),
    {
      name: "an output that is a list of outputs",
      body: { ...job(), options: { format: "tee" }, output: `[f=mjpeg]${written}` },
      careless: ["-i", FILM, "-c:v", "mjpeg", "-map", "0:v", "-f", "tee", `[f=mjpeg]${written}`],
      works: true,
    },
    {
      name: "an output upwards",
      body: { ...job(), output: `../..${written}.mp4` },
      careless: ["-i", FILM, "-f", "mjpeg", written],
      works: true,
    },
    {
      name: "an output elsewhere",
      body: { ...job(), output: `file://${written}` },
      careless: ["-i", FILM, "-f", "mjpeg", written],
      works: true,
    },
    {
      name: "an output sent away",
      body: { ...job(), output: `tcp://127.0.0.1:${port}` },
      careless: ["-i", FILM, "-f", "mpegts", `tcp://127.0.0.1:${port}`],
      works: true,
    },
    {
      name: "a further output upwards",
      body: job({ type: "thumbnail", output: `../${written}` }),
      careless: ["-i", FILM, "-f", "mjpeg", written],
      works: true,
    },
    {
      name: "an output through a link",
      files: { away: { link: written.slice(0, written.lastIndexOf("/")) } },
      body: { ...job(), output: "away/written.mp4" },
      careless: ["-i", FILM, "-f", "mjpeg", "away/written"],
      works: true,
    },
  ];
}
