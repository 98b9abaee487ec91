/** An RFC 9457 problem of the server, or one of our own (`offline`, `unreadable`). */
export interface Problem {
  status: number;
  code: string;
  title: string;
  detail: string;
  hint: string;
  fields: FieldProblem[];
  retryAfter: number | null;
}

export interface FieldProblem {
  field: string;
  message: string;
}

export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.title);
    this.name = 'ApiError';
  }
}

/** Reads whatever the server said; every part may be missing. */
export function problemFrom(status: number, body: unknown): Problem {
  const said = isRecord(body) ? body : {};
  return {
    status,
    code: text(said.code) || `http_${status}`,
    title: text(said.title) || `HTTP ${status}`,
    detail: text(said.detail),
    hint: text(said.hint),
    fields: Array.isArray(said.fields) ? said.fields.filter(isRecord).map(fieldFrom) : [],
    retryAfter: typeof said.retry_after === 'number' ? said.retry_after : null,
  };
}

/** The problem behind anything that was thrown; our own mistakes are told apart from the network's. */
export function problemOf(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem;
  console.error(error);
  return { ...problemFrom(0, {}), code: 'page_mistake', title: String(error) };
}

export function fieldMessage(problem: Problem | null, field: string): string {
  return problem?.fields.find((item) => item.field === field)?.message ?? '';
}

function fieldFrom(said: Record<string, unknown>): FieldProblem {
  return { field: text(said.field), message: text(said.message) };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
