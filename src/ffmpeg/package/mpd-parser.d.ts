/** What is used of mpd-parser, which brings no types. */
declare module "mpd-parser" {
  interface Segment {
    readonly resolvedUri: string;
    readonly map?: { readonly resolvedUri: string };
  }
  interface Playlist {
    readonly segments: readonly Segment[];
  }
  interface Manifest {
    readonly duration: number;
    readonly playlists: readonly Playlist[];
    readonly mediaGroups: Readonly<
      Record<string, Readonly<Record<string, Readonly<Record<string, { readonly playlists: readonly Playlist[] }>>>>>
    >;
  }
  export function parse(text: string, options: { readonly manifestUri: string }): Manifest;
}
