export type SessionState = 'requested' | 'waiting' | 'starting' | 'ready' | 'ending' | 'ended' | 'failed';
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
  /** Since when there was neither input nor work; null: not known. */
  idle_since?: string | null;
}

/** What a queued session waits for; `reason` is one of those of the words, `said` the scheduler's own word. */
export interface Waiting {
  reason: string;
  said: string;
  partition: string;
  expected_at: string | null;
  position: number | null;
}

export interface Resources {
  cpus: number | null;
  memory_bytes: number | null;
  gpus: string;
  partition: string;
  qos: string;
}

/** What can be done with it now. */
export interface Features {
  files: boolean;
  picture: boolean;
  repair: boolean;
  native: boolean;
}


/** One running desktop of one person, as the portal tells it. */
export interface Session {
  id: string;
  name: string;
  notes: string;
  owner: { id: string; name: string };
  service: string;
  launcher: string;
  preset: { id: string; name: string } | null;
  state: SessionState;
  unknown_since: string | null;
  /** "agent": its agent is not heard; "scheduler": that does not answer, while the desktop may work all the same. */
  unknown_reason: string | null;
  waiting: Waiting | null;
  job: string | null;
  width: number;
  height: number;
  node: string | null;
  display: number | null;
  created_at: string;
  ready_at: string | null;
  ended_at: string | null;
  ends_at: string | null;
  /** The latest end that may be asked for; null when it cannot be extended. */
  extendable_until: string | null;
  time_limit_seconds: number | null;
  /** 0: it is never stopped for being idle. */
  idle_stop_seconds: number;
  idle_warned_at: string | null;
  kept_at: string | null;
  stages: Stage[];
  /** How often the cluster started it anew on another node. */
  restarts: number;
  resources: Resources | null;
  features: Features;
  failure: Failure | null;
  end_reason: string | null;
  /** What an operator said who ended it. */
  end_message: string | null;
  pulse: Pulse | null;
  version: number;
}

export interface Range {
  min: number;
  max: number;
  default: number;
}

/** What somebody may start: the part of a preset that its users see. */
export interface PresetOffer {
  id: string;
  name: string;
  description: string;
  launcher: string;
  width: number;
  height: number;
  time_limit_seconds: number;
  longest_time_limit_seconds: number;
  cpus: number | null;
  memory_bytes: number | null;
  gpus: string;
  partition: string;
  idle_stop_seconds: number;
  native: boolean;
}

/** What operators want everybody to know. Without an end it stays until they remove it. */
export interface Notice {
  text: string;
  blocks_start: boolean;
  from: string | null;
  until: string | null;
}

export interface Options {
  width: Range;
  height: Range;
  sizes: { width: number; height: number }[];
  time_limit_seconds: Range;
  sessions_per_person: number;
  ready: boolean;
  missing: { what: string; command: string }[];
  presets?: PresetOffer[];
  chosen?: Chosen | null;
  notice?: Notice | null;
  share_guests?: boolean;
  share_seconds_most?: number;
  largest_upload_bytes?: number;
  /** Before the stop of an idle desktop; half of its idle time when that is shorter. */
  idle_warning_seconds?: number;
}

/** What this person chose last. */
export interface Chosen {
  preset: string;
  width: number;
  height: number;
  time_limit_seconds: number;
}

export interface NewSession {
  name?: string;
  notes?: string;
  preset?: string;
  width?: number;
  height?: number;
  time_limit_seconds?: number;
  count?: number;
}

export const stageOrder = ['request', 'queue', 'agent', 'display', 'window_manager', 'desktop'] as const;

export function isOver(session: Pick<Session, 'state'>): boolean {
  return session.state === 'ended' || session.state === 'failed';
}

/** A failed start stays among the running ones, where the person looks for it, until it is removed. */
export function isShownAbove(session: Session): boolean {
  return session.state !== 'ended';
}

export function isStarting(session: Session): boolean {
  return session.state === 'requested' || session.state === 'waiting' || session.state === 'starting';
}

/** It runs, or is on its way there: it can be ended. */
export function isWanted(session: Session): boolean {
  return isStarting(session) || session.state === 'ready';
}

/** Nobody can say how it is: its agent is not heard. A scheduler that is silent leaves it as it was. */
export function isUnseen(session: Session): boolean {
  return session.unknown_since !== null && session.unknown_reason !== 'scheduler' && !isOver(session);
}

export function shownState(session: Session): ShownState {
  return isUnseen(session) ? 'unknown' : session.state;
}

/** Whether its screen can be asked for: its display is there, though the desktop on it may still be loading. */
export function mayHaveScreen(session: Pick<Session, 'state' | 'display'>): boolean {
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
  const names: string[] = stageOrder.filter((name) => name !== 'queue' || session.launcher === 'slurm');
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
