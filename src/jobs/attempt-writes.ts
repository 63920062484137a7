/**
 * Every write of an attempt. Each says the lease's token, its worker and that the row is processing; zero rows mean that
 * the lease is lost, and the attempt kills its FFmpeg and leaves no trace.
 */
export { type FenceResult, type FenceState, fence, readFence } from "./fence.ts";
export {
  completeJob,
  confirmCancelled,
  type FailureLimits,
  failJob,
  failPublishing,
  giveBack,
  publishOverdue,
  snooze,
} from "./finish.ts";
export { recordStage, recordStaging, type StageReport } from "./stages.ts";
