/** The rules of `/files/{token}`. */
import type { RouteRule } from "../route-rule.ts";

const files = { at: "api", tag: "Files", access: "signed", path: "/files/:token" } as const;
const answers = {
  200: { description: "The file.", mediaType: "application/octet-stream" },
  206: { description: "The part that was asked for.", mediaType: "application/octet-stream" },
  304: { description: "The client has it already." },
  416: { description: "There is no such part." },
};

export const filesRoutes: readonly RouteRule[] = [
  { ...files, id: "files.get", method: "GET", summary: "Download a file by its signed, time-limited token", answers },
  { ...files, id: "files.head", method: "HEAD", summary: "What a download would answer", answers },
];
