import type { Messages } from '../words/en';
import type { Problem } from './problem';

/** What to show for a problem: in the page's words where we have them, else in the server's. */
export function problemWords(problem: Pick<Problem, 'code' | 'title' | 'detail' | 'hint'>, t: Messages) {
  const ours = t.codes[problem.code];
  return {
    title: ours?.title ?? problem.title,
    detail: problem.detail === problem.title ? '' : problem.detail,
    hint: ours?.hint ?? problem.hint,
  };
}
