/** What can be seen of a screen: `coming` nothing yet, `starting` it is there but not complete, `ready`, `over` never again. */
export type ScreenState = 'coming' | 'starting' | 'ready' | 'over';

/** Whose screen is looked at, and by what right. */
export interface ScreenSource {
  readonly id: string;
  readonly url: string;
  /** What is known of it here. */
  known(): ScreenState | undefined;
  /** Whether news of it arrives by itself now. */
  isCurrent(): boolean;
  mayAsk(): boolean;
  /** Asks the portal. Throws ApiError; 404 means that there is nothing to see any more. */
  ask(): Promise<ScreenState>;
  /** Tells of news of it; gives what ends the telling. */
  onNews(listener: () => void): () => void;
}
