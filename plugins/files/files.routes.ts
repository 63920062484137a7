/** The rule of `/files/{token}`. */
import type { RouteRule } from "../route-rule.ts";

export const filesRoutes: readonly RouteRule[] = [
  {
    at: "api",
    tag: "Files",
    id: "files.get",
    method: "GET",
    path: "/files/:token",
    access: "signed",
    summary: "Download a file by its signed, time-limited token",
    answers: {
      200: { description: "The file.", mediaType: "application/octet-stream" },
      206: { description: "The part that was asked for.", mediaType: "application/octet-stream" },
      304: { description: "The client has it already." },
      416: { description: "There is no such part." },
    },
  },
];
