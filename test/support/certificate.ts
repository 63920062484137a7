/** A self-signed certificate for one name, made by openssl. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { makeTempDir } from "./temp-dir.ts";

export async function certificateFor(name: string): Promise<{ readonly key: string; readonly cert: string }> {
  const dir = await makeTempDir("certificate");
  const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
  const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
  const argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2"];
  const { exitCode, stderr } = Bun.spawnSync([...argv, ...subject]);
  if (exitCode !== 0) throw new Error(`openssl failed: ${stderr}`);
  return { key: await readFile(key, "utf8"), cert: await readFile(cert, "utf8") };
}
