/** From drafts to FFmpeg's command lines: outputs that can share a decode do. */
import { type Chain, printGraph } from "../filtergraph.ts";
import type { PlanStep } from "../types.ts";
import type { PlanContext } from "./context.ts";
import { furtherInputs, inputArgs, megapixelsOf } from "./inputs.ts";
import type { MemoryUse, OutputDraft, Preparation } from "./output.ts";
import { heldMemory, memoryBytesMax, openedMemory, TRACK_MEMORY } from "./resources.ts";
import { seekFor } from "./timeline.ts";

/** Measurements are printed as information. */
const LOUD: readonly string[] = ["-v", "level+info"];
/** Movements of every frame of a long film. */
const PREPARATION_BYTES_MAX = 2e9;
/** Of the effort of a step, beside its encode's. */
const PREPARATION_SHARE = 0.3;

/** Of a two-pass encode's time. */
const FIRST_PASS_SHARE = 0.4;

interface Group {
  readonly drafts: readonly OutputDraft[];
  readonly seekSeconds: number;
}

function seekOf(drafts: readonly OutputDraft[], context: PlanContext): number {
  const copy = drafts.find(({ seek }) => seek === "start");
  if (copy !== undefined) return copy.window.start;
  return seekFor(
    drafts.map(({ window }) => window),
    context.source.seeksExactly,
  );
}

/** Whether the graph of `draft` can begin where the others make the input begin. */
function sharesSeek(first: OutputDraft, draft: OutputDraft): boolean {
  if (first.seek === "free" && draft.seek === "free") return true;
  if (draft.seek !== "free") return first.window.start === draft.window.start && first.seek === draft.seek;
  return draft.window.start >= first.window.start;
}

/**
 * The main output decides where reading begins; what lies before it, or cannot bypass the graph there, is read again. A
 * keyframes-only pass is worth a process of its own, unless the film is decoded anyway.
 */
function groupsOf(drafts: readonly OutputDraft[], context: PlanContext): Group[] {
  const [first, ...rest] = drafts;
  if (first === undefined) return [];
  const together = [first, ...rest.filter((draft) => sharesSeek(first, draft))];
  const apart = rest.filter((draft) => !sharesSeek(first, draft));
  return [{ drafts: together, seekSeconds: seekOf(together, context) }, ...groupsOf(apart, context)];
}

function stepOf(context: PlanContext, group: Group, pass: 1 | 2 | null): Omit<PlanStep, "id" | "weight"> {
  const { threads, joined } = context;
  const { drafts, seekSeconds } = group;
  const built = (inputOf: (planInput: number) => number) =>
    drafts.map((draft) => draft.build({ seekSeconds, input: 0, inputOf }, pass));
  // Which inputs the chains take does not depend on their numbers.
  const further = furtherInputs(
    context,
    joinedBefore(
      context,
      built(() => 0).flatMap((output) => output.chains),
      () => 0,
    ),
    [...(joined?.uses ?? []), ...drafts.flatMap(({ uses = [] }) => uses)],
  );
  const outputs = built(further.inputOf);
  const own = outputs.flatMap((output) => output.chains);
  const chains = further.unfold(joinedBefore(context, own, further.inputOf));
  const filterGraph = chains.length === 0 ? null : printGraph({ chains });
  const megapixels = megapixelsOf(context.source.input);
  const decodes = filterGraph !== null;
  const durations = drafts.flatMap(({ durationSeconds }) => durationSeconds ?? []);
  const devices = drafts.flatMap(({ hardware }) => hardware?.devices ?? []);
  const measures = pass === 1 ? [] : drafts.flatMap((draft) => draft.measures);
  return {
    args: [
      ...(measures.length === 0 ? [] : LOUD),
      ...drafts.flatMap(({ hardware }) => hardware?.head ?? []),
      "-filter_complex_threads",
      String(threads),
      ...inputArgs(
        context,
        joined?.reading ?? {
          windows: drafts.map(({ window }) => window),
          seekSeconds,
          keyframesOnly: drafts.every(({ keyframesOnly }) => keyframesOnly),
        },
      ),
      ...further.args,
      ...(filterGraph === null ? [] : ["-filter_complex", filterGraph]),
      ...outputs.flatMap((output) => output.args),
    ],
    filterGraph,
    durationSeconds: durations.length === 0 ? null : Math.max(...durations),
    threads,
    memoryBytesMax: memoryBytesMax(
      [...drafts.flatMap(({ memory }) => memory), ...joinMemory(context)],
      (decodes ? megapixels : 0) + further.megapixels,
      threads,
    ),
    // The first pass writes its log only.
    fileBytesMax: pass === 1 ? 1e9 : Math.max(...drafts.map(({ bytesMax }) => bytesMax), pass === 2 ? 1e9 : 0),
    writes: pass === 1 ? [] : drafts.flatMap(({ files }) => files.map(({ file }) => file)),
    ...(devices.length === 0 ? {} : { devices }),
    ...(measures.length === 0 ? {} : { needs: drafts.flatMap(({ needs }) => needs), measures }),
  };
}

/** With the chains that join files before them, where some are joined. */
export const joinedBefore = (
  { joined }: PlanContext,
  chains: readonly Chain[],
  inputOf: (planInput: number) => number,
) => (joined === null ? chains : joined.before(chains, inputOf));

export function joinMemory({ joined }: PlanContext): MemoryUse[] {
  if (joined === null) return [];
  return [
    ...Array.from({ length: joined.files - 1 }, () => openedMemory(joined.fadedMegapixels)),
    ...heldMemory(joined.heldBytes),
  ];
}

/** A pass of its own over the part that `draft` needs. */
function preparationStep(
  context: PlanContext,
  draft: OutputDraft,
  preparation: Preparation,
): Omit<PlanStep, "id" | "weight"> {
  const { threads, joined } = context;
  const { megapixels, heldBytes, needs, measures, writes } = preparation;
  const seekSeconds = seekFor([draft.window], context.source.seeksExactly);
  const { chains, args } = preparation.build({ seekSeconds, input: 0, inputOf: () => 0 });
  const further = furtherInputs(
    context,
    joinedBefore(context, chains, () => 0),
    joined?.uses,
  );
  const filterGraph = printGraph({ chains: further.unfold(joinedBefore(context, chains, further.inputOf)) });
  return {
    args: [
      ...(measures.length === 0 ? [] : LOUD),
      "-filter_complex_threads",
      String(threads),
      ...inputArgs(context, joined?.reading ?? { windows: [draft.window], seekSeconds, keyframesOnly: false }),
      ...further.args,
      "-filter_complex",
      filterGraph,
      ...args,
    ],
    filterGraph,
    durationSeconds: draft.durationSeconds,
    threads,
    memoryBytesMax: memoryBytesMax(
      [TRACK_MEMORY, ...heldMemory(heldBytes), ...joinMemory(context)],
      megapixels + further.megapixels,
      threads,
    ),
    fileBytesMax: PREPARATION_BYTES_MAX,
    writes,
    ...(measures.length === 0 ? {} : { needs, measures }),
  };
}

const KEY_OF_SIDE: Readonly<Record<string, string>> = { thumbnail: "thumbnails", audio: "sound" };

function nameOf({ drafts }: Group): string {
  const [first] = drafts;
  const role = first?.files[0]?.role ?? "primary";
  if (role !== "primary") return KEY_OF_SIDE[role] ?? role;
  return drafts.every(({ copies }) => copies) ? "copy" : "encode";
}

/** How much longer a group takes than copying; only for the share of each step in the job's progress. */
const effort = ({ drafts }: Group): number =>
  drafts.reduce((sum, draft) => sum + (draft.copies ? 1 : draft.durationSeconds === null ? 2 : 20), 0);

/** The steps in order; `weight` sums to 1, ids are unique. */
export function stepsOf(drafts: readonly OutputDraft[], context: PlanContext): PlanStep[] {
  const groups = drafts.some(({ twoPass }) => twoPass)
    ? drafts
        .filter(({ twoPass }) => twoPass)
        .map((draft) => ({ drafts: [draft], seekSeconds: seekOf([draft], context) }))
    : [];
  const singles = groupsOf(
    drafts.filter(({ twoPass }) => !twoPass),
    context,
  );
  const all = [...groups, ...singles];
  const total = all.reduce((sum, group) => sum + effort(group), 0);
  const used = new Map<string, number>();
  const unique = (name: string): string => {
    const count = (used.get(name) ?? 0) + 1;
    used.set(name, count);
    return count === 1 ? name : `${name}-${count}`;
  };
  const steps = all.flatMap((group) => {
    const weight = effort(group) / total;
    const prepared = group.drafts.flatMap((draft) =>
      draft.preparations.map((preparation) => ({
        id: unique(preparation.step),
        weight: weight * PREPARATION_SHARE,
        ...preparationStep(context, draft, preparation),
      })),
    );
    if (!group.drafts.some(({ twoPass }) => twoPass))
      return [...prepared, { id: unique(nameOf(group)), weight, ...stepOf(context, group, null) }];
    return [
      ...prepared,
      { id: "pass-1", weight: weight * FIRST_PASS_SHARE, ...stepOf(context, group, 1) },
      { id: "pass-2", weight: weight * (1 - FIRST_PASS_SHARE), ...stepOf(context, group, 2) },
    ];
  });
  const sum = steps.reduce((whole, { weight }) => whole + weight, 0);
  return steps.map((step) => ({ ...step, weight: step.weight / sum }));
}
