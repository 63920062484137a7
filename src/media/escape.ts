/**
 * The one file that escapes text for FFmpeg's little languages.
 *
 * A filter graph is read twice: first the graph is cut at `[],;` (and quotes and backslashes are removed), then each
 * filter's options are cut at `:` (and again unquoted). A value therefore needs both levels. FFmpeg's manual, "Notes on
 * filtergraph escaping"; expressions and drawtext add levels of their own, which nothing here needs.
 */

const backslashed = (text: string, special: RegExp): string => text.replace(special, (character) => `\\${character}`);

/**
 * A value of one option: in `key=value:key=value` strings such as `-x265-params`. Whitespace at the ends would be cut off,
 * so it is escaped wherever it is.
 */
export const escapeOptionValue = (text: string): string => backslashed(text, /[\\':\s]/g);

/** A value of one filter option, as it stands in a graph. */
export const escapeFilterValue = (text: string): string => backslashed(escapeOptionValue(text), /[\\'[\],;\s]/g);
