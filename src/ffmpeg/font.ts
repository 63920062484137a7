/**
 * The font that texts are drawn with. It is part of the program, because a machine may have none, and so that a text has
 * the same size everywhere.
 */
import fontPath from "dejavu-fonts-ttf/ttf/DejaVuSans.ttf" with { type: "file" };

export const readFont = (): Promise<ArrayBuffer> => Bun.file(fontPath).arrayBuffer();
