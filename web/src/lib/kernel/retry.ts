/** Milliseconds to wait before the attempt: 0.25 s more each time, at most 2 s. The first comes at once. */
export function retryDelay(attempt: number): number {
  return Math.min(attempt * 250, 2000);
}
