/** Media that wants more than its own bytes: each with what a careless program would tell FFmpeg about it. */
import type { Canary } from "./canary.ts";

export interface Hostile {
  readonly name: string;
  /** Put into the storage and into FFmpeg's folder; `link` is a symbolic link. */
  readonly files?: Readonly<Record<string, string | Uint8Array | { readonly link: string }>>;
  /** The body of a request; absent: the first file is converted. */
  readonly body?: object;
  /** FFmpeg's arguments without a list of formats or protocols, without escaping, of a program without a sandbox. */
  readonly careless: readonly string[];
  /** These really reach the canary where nothing stops them. */
  readonly works: boolean;
}

const TO_NOWHERE = ["-f", "null", "-"] as const;
const READ_ALL = [
  "-allowed_extensions",
  "ALL",
  "-protocol_whitelist",
  "file,http,tcp,crypto,data,subfile,concat,concatf",
] as const;

const segments = (...lines: readonly string[]): string =>
  [
    "#EXTM3U",
    "#EXT-X-VERSION:7",
    "#EXT-X-MEDIA-SEQUENCE:0",
    "#EXT-X-TARGETDURATION:10",
    ...lines,
    "#EXT-X-ENDLIST",
    "",
  ].join("\n");

/** As `hls`, `dash`… open it by its content alone. */
function playlist(name: string, content: string, works = true): Hostile {
  const file = `${name.replace(/\W+/g, "-")}.mp4`;
  return { name, files: { [file]: content }, careless: [...READ_ALL, "-i", file, ...TO_NOWHERE], works };
}

function list(name: string, content: string, works = true): Hostile {
  const one = playlist(name, content, works);
  const [file = ""] = Object.keys(one.files ?? {});
  return { ...one, careless: [...READ_ALL.slice(2), "-f", "concat", "-safe", "0", "-i", file, ...TO_NOWHERE] };
}

/** A subtitle of AVI that FFmpeg opens as whatever it finds in it. */
function aviWithList(text: string): Uint8Array {
  const ascii = (value: string): Buffer => Buffer.from(value, "latin1");
  const u32 = (value: number): Buffer => {
    const buffer = Buffer.alloc(4);
    buffer.writeUInt32LE(value);
    return buffer;
  };
  const chunk = (id: string, body: Buffer): Buffer =>
    Buffer.concat([ascii(id), u32(body.length), body, Buffer.alloc(body.length % 2)]);
  const listOf = (type: string, ...parts: Buffer[]): Buffer => chunk("LIST", Buffer.concat([ascii(type), ...parts]));
  const named = Buffer.alloc(4);
  const gab2 = Buffer.concat([
    ascii("GAB2\0"),
    Buffer.from([2, 0]),
    u32(4),
    named,
    Buffer.from([4, 0]),
    u32(text.length),
    ascii(text),
  ]);
  const avih = Buffer.alloc(56);
  avih.writeUInt32LE(40_000, 0);
  avih.writeUInt32LE(2, 24);
  avih.writeUInt32LE(64, 32);
  avih.writeUInt32LE(48, 36);
  const strh = (type: string, codec: string): Buffer => {
    const body = Buffer.alloc(56);
    body.write(type, 0, "latin1");
    body.write(codec, 4, "latin1");
    body.writeUInt32LE(1, 20);
    body.writeUInt32LE(25, 24);
    body.writeUInt32LE(25, 32);
    return chunk("strh", body);
  };
  const bitmap = Buffer.alloc(40);
  bitmap.writeUInt32LE(40, 0);
  bitmap.writeInt32LE(64, 4);
  bitmap.writeInt32LE(48, 8);
  bitmap.writeUInt16LE(1, 12);
  bitmap.writeUInt16LE(24, 14);
  bitmap.write("DIB ", 16, "latin1");
  const header = listOf(
    "hdrl",
    chunk("avih", avih),
    listOf("strl", strh("vids", "DIB "), chunk("strf", bitmap)),
    listOf("strl", strh("txts", "\0\0\0\0"), chunk("strf", Buffer.alloc(0))),
  );
  const movie = listOf("movi", chunk("01tx", gab2), chunk("00db", Buffer.alloc(64 * 48 * 3)));
  const body = Buffer.concat([ascii("AVI "), header, movie]);
  return Buffer.concat([ascii("RIFF"), u32(body.length), body]);
}

const svg = (inner: string): string =>
  `<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="48">${inner}</svg>\n`;

const mpd = (base: string): string => `<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-main:2011">
<Period duration="PT1S"><AdaptationSet mimeType="video/mp2t"><Representation id="1" bandwidth="1000">
<BaseURL>${base}</BaseURL><SegmentList duration="1"><SegmentURL media="${base}"/></SegmentList>
</Representation></AdaptationSet></Period></MPD>
`;

export function hostileInputs({ film, picture, text, key, port }: Canary): readonly Hostile[] {
  const web = `http://127.0.0.1:${port}`;
  const bytes = `#EXTINF:1,`;
  return [
    playlist("hls of a file", segments(bytes, `file://${film}`)),
    playlist("hls of a path", segments(bytes, film)),
    playlist("hls of an address", segments(bytes, `${web}/a.ts`)),
    playlist("hls of a path upwards", segments(bytes, `${"../".repeat(12)}${film.slice(1)}`)),
    playlist(
      "hls with a key of a file",
      segments(`#EXT-X-KEY:METHOD=AES-128,URI="file://${key}"`, bytes, `file://${film}`),
    ),
    playlist("hls with a key of an address", segments(`#EXT-X-KEY:METHOD=AES-128,URI="${web}/k"`, bytes, film)),
    playlist("hls with a beginning of a file", segments(`#EXT-X-MAP:URI="${film}"`, bytes, film)),
    playlist("hls of parts of a file", segments(bytes, `subfile,,start,0,end,188,,:${film}`), false),
    playlist("hls of joined files", segments(bytes, `concat:${film}|${text}`), false),
    playlist(
      "hls of lists",
      `#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="${web}/a.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\n${web}/b.m3u8\n`,
    ),
    {
      ...playlist("hls in the subtitles of an avi", "", false),
      files: { "subtitles.avi": aviWithList(segments(bytes, `file://${film}`)) },
      careless: [...READ_ALL, "-i", "subtitles.avi", "-map", "0", ...TO_NOWHERE],
    },
    playlist("dash of a file", mpd(`file://${film}`)),
    playlist("dash of an address", mpd(`${web}/a.ts`)),
    list("ffconcat of a file", `ffconcat version 1.0\nfile '${film}'\n`),
    list("ffconcat of an address", `ffconcat version 1.0\nfile '${web}/a.ts'\n`),
    list("ffconcat with options", `ffconcat version 1.0\nfile '${film}'\noption enable_drefs 1\ninpoint 0\n`),
    list("a list of files without a beginning", `file '${film}'\n`),
    {
      ...playlist(
        "sdp",
        `v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video ${port} TCP/RTP/AVP 33\na=control:rtsp://127.0.0.1:${port}/x\n`,
        false,
      ),
    },
    { ...playlist("svg of a file", svg(`<image width="64" height="48" xlink:href="file://${picture}"/>`), false) },
    { ...playlist("svg of an address", svg(`<image width="64" height="48" xlink:href="${web}/a.png"/>`), false) },
    {
      ...playlist(
        "svg with an entity",
        `<!DOCTYPE svg [<!ENTITY x SYSTEM "file://${text}">]>${svg("<text>&x;</text>")}`,
        false,
      ),
    },
    {
      ...playlist(
        "svg that includes",
        svg(`<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file://${text}" parse="text"/>`),
        false,
      ),
    },
    {
      name: "a description of a graph",
      files: { "graph.mp4": `movie=${film}` },
      careless: ["-f", "lavfi", "-i", `movie=${film}`, ...TO_NOWHERE],
      works: true,
    },
    {
      name: "a numbered sequence",
      files: { "1.png": { link: picture } },
      body: { input: "%d.png", output: "sequence.png", operations: [] },
      careless: ["-f", "image2", "-i", "%d.png", ...TO_NOWHERE],
      works: true,
    },
    {
      name: "a pattern of names",
      body: { input: "*.png", output: "pattern.png", operations: [] },
      careless: ["-f", "image2", "-pattern_type", "glob", "-i", `${picture.slice(0, -10)}*.png`, ...TO_NOWHERE],
      works: true,
    },
    {
      name: "a link to a file",
      files: { "link.ts": { link: film } },
      body: { input: "link.ts", output: "link.mp4", operations: [] },
      careless: ["-i", "link.ts", ...TO_NOWHERE],
      works: true,
    },
    {
      name: "a link to a folder",
      files: { linked: { link: film.slice(0, film.lastIndexOf("/")) } },
      body: { input: "linked/canary.ts", output: "linked.mp4", operations: [] },
      careless: ["-i", "linked/canary.ts", ...TO_NOWHERE],
      works: true,
    },
  ];
}
