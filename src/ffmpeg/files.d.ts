// What Bun's import attribute `type: "file"` makes of a font: its path.
declare module "*.ttf" {
  const path: string;
  export default path;
}
