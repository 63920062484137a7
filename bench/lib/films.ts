/** Whether two runs made the same film. x264 on more than one thread does not promise the same bytes, in FFmpeg alone either. */
import { programs, sha256OfFile } from "./programs.ts";

/**
 * By which one of two encodes of the same arguments may lie nearer to their source. Eight of FFmpeg alone lay 51 dB and more
 * from each other, and within 0.002 dB at the same distance from their source; other settings, and each frame that is missing
 * or in another's place, cost more than this.
 */
const EQUALLY_NEAR_DECIBELS = 0.02;

async function saidBy(argv: readonly string[]): Promise<string> {
  const child = Bun.spawn([...argv], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(`${argv[0]} failed:\n${err.slice(-2_000)}`);
  return out + err;
}

/** The frames of each stream and the bytes of its sound, which is copied. */
async function facts(path: string): Promise<string> {
  const quiet = [programs.ffmpeg, "-nostdin", "-v", "error", "-i", path];
  const sound = await saidBy([...quiet, "-map", "0:a?", "-c", "copy", "-f", "streamhash", "-"]);
  const counted = ["-count_packets", "-show_entries", "stream=codec_name,width,height,nb_read_packets,duration"];
  return sound + (await saidBy([programs.ffprobe, "-v", "error", ...counted, "-of", "csv", path]));
}

/** How near the film's frames are to those of what it was made from, each scaled to the film's size. */
async function decibels(source: string, film: string): Promise<number> {
  const entries = ["-select_streams", "v:0", "-show_entries", "stream=width,height"];
  const size = (await saidBy([programs.ffprobe, "-v", "error", ...entries, "-of", "csv=p=0:s=x", film])).trim();
  const compared = ["-lavfi", `[0:v]scale=${size.replace("x", ":")}[ref];[1:v][ref]psnr`, "-f", "null", "-"];
  const said = await saidBy([programs.ffmpeg, "-nostdin", "-hide_banner", "-i", source, "-i", film, ...compared]);
  return Number(/average:(\S+)/.exec(said)?.[1]);
}

/** Throws when `candidate` is another film of `source` than `baseline`. */
export async function checkSameFilm(source: string, baseline: string, candidate: string): Promise<void> {
  if ((await sha256OfFile(baseline)) === (await sha256OfFile(candidate))) return;
  const [expected, found] = [await facts(baseline), await facts(candidate)];
  if (expected !== found) throw new Error(`${candidate} differs from ${baseline}:\n${found}\ninstead of\n${expected}`);
  const [wanted, reached] = [await decibels(source, baseline), await decibels(source, candidate)];
  if (!(Math.abs(wanted - reached) <= EQUALLY_NEAR_DECIBELS)) {
    throw new Error(`${candidate} is ${reached} dB from its source, ${baseline} ${wanted} dB.`);
  }
}
