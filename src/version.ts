/** The version of this program, as it is built into the binary. */
import { version } from "../package.json" with { type: "json" };

export const VERSION: string = version;
