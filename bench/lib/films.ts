/** Whether two runs made the same film. x264 on more than one thread does not promise the same bytes, in FFmpeg alone either. */
import { programs, sha256OfFile } from "./programs.ts";

/** Of two runs of the same arguments; what was encoded with other settings lies at 45 dB and below. */
const SAME_DECIBELS = 50;

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

/** Throws when `candidate` is another film than `baseline`. */
export async function checkSameFilm(baseline: string, candidate: string): Promise<void> {
  if ((await sha256OfFile(baseline)) === (await sha256OfFile(candidate))) return;
  const [expected, found] = [await facts(baseline), await facts(candidate)];
  if (expected !== found) throw new Error(`${candidate} differs from ${baseline}:\n${found}\ninstead of\n${expected}`);
  const inputs = ["-i", baseline, "-i", candidate];
  const compared = ["-lavfi", "[0:v][1:v]psnr", "-f", "null", "-"];
  const said = await saidBy([programs.ffmpeg, "-nostdin", "-hide_banner", ...inputs, ...compared]);
  const decibels = Number(/average:(\S+)/.exec(said)?.[1]?.replace("inf", "Infinity"));
  if (!(decibels >= SAME_DECIBELS)) throw new Error(`${candidate} is ${decibels} dB from ${baseline}.`);
}
