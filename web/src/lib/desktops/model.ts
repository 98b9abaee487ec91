export type SessionState = 'requested' | 'starting' | 'ready' | 'ending' | 'ended' | 'failed';
/** What a person is shown: a state, or that the last one cannot be confirmed. */
export type ShownState = SessionState | 'unknown';

export interface Stage {
  name: string;
  started_at: string;
  seconds: number | null;
}

export interface Failure {
  code: string;
  title: string;
  detail: string;
  hint: string;
}

export interface Pulse {
  at: string;
  idle_seconds: number | null;
  cpu_percent: number | null;
  memory_bytes: number | null;
  width: number | null;
  height: number | null;
  viewers: number | null;
}

/** One running desktop of one person, as the portal tells it. */
export interface Session {
  id: string;
  name: string;
  owner: { id: string; name: string };
  service: string;
  state: SessionState;
  unknown_since: string | null;
  width: number;
  height: number;
  node: string | null;
  display: number | null;
  created_at: string;
  ready_at: string | null;
  ended_at: string | null;
  ends_at: string | null;
  time_limit_seconds: number | null;
  stages: Stage[];
  failure: Failure | null;
  end_reason: string | null;
  pulse: Pulse | null;
  version: number;
}

export interface Range {
  min: number;
  max: number;
  default: number;
}

export interface Options {
  width: Range;
  height: Range;
  sizes: { width: number; height: number }[];
  time_limit_seconds: Range;
  sessions_per_person: number;
  ready: boolean;
  missing: { what: string; command: string }[];
}

export interface NewSession {
  name?: string;
  width?: number;
  height?: number;
  time_limit_seconds?: number;
}

export const stageOrder = ['request', 'agent', 'display', 'window_manager', 'desktop'] as const;

export function isOver(session: Session): boolean {
  return session.state === 'ended' || session.state === 'failed';
}

/** A failed start stays among the running ones, where the person looks for it, until it is removed. */
export function isShownAbove(session: Session): boolean {
  return session.state !== 'ended';
}

export function isStarting(session: Session): boolean {
  return session.state === 'requested' || session.state === 'starting';
}

export function shownState(session: Session): ShownState {
  return session.unknown_since && !isOver(session) ? 'unknown' : session.state;
}

/** Whether its screen can be asked for: its display is there, though the desktop on it may still be loading. */
export function mayHaveScreen(session: Session): boolean {
  return session.state === 'ready' || (session.state === 'starting' && session.display !== null);
}

export interface StageLine {
  name: string;
  state: 'done' | 'running' | 'waiting' | 'failed';
  /** Seconds so far, null when not begun. */
  seconds: number | null;
}

/** The stages of a start, all of them from the beginning, so that nothing jumps when they come. */
export function timeline(session: Session, now: number): StageLine[] {
  const names: string[] = [...stageOrder];
  for (const stage of session.stages) {
    if (!names.includes(stage.name) && stage.name !== 'ready') names.push(stage.name);
  }
  return names.map((name) => {
    const stage = session.stages.find((item) => item.name === name);
    if (!stage) return { name, state: 'waiting', seconds: null };
    if (stage.seconds !== null) return { name, state: 'done', seconds: stage.seconds };
    if (session.state === 'failed') return { name, state: 'failed', seconds: null };
    return { name, state: 'running', seconds: Math.max(0, (now - Date.parse(stage.started_at)) / 1000) };
  });
}

/** Seconds from the request to ready, or to now while it starts. */
export function startSeconds(session: Session, now: number): number {
  const end = session.ready_at ?? session.ended_at;
  return Math.max(0, ((end ? Date.parse(end) : now) - Date.parse(session.created_at)) / 1000);
}

/** Width and height for a screen that fits a window, within what the portal allows; even, as encoders like it. */
export function fitWindow(width: number, height: number, options: Options | null): { width: number; height: number } {
  const within = (size: number, range: Range | undefined) =>
    Math.round(Math.min(range?.max ?? 7680, Math.max(range?.min ?? 320, size)) / 2) * 2;
  return { width: within(width, options?.width), height: within(height, options?.height) };
}
