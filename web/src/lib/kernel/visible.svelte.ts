import type { Attachment } from 'svelte/attachments';

/** Whether an element is on the screen and the page is looked at. Attach `watch` to the element. */
export class Visible {
  #onScreen = $state(false);
  #looked = $state(document.visibilityState === 'visible');
  now = $derived(this.#onScreen && this.#looked);

  watch: Attachment<Element> = (element) => {
    const observer = new IntersectionObserver((entries) => (this.#onScreen = entries.at(-1)?.isIntersecting ?? false));
    observer.observe(element);
    const look = () => (this.#looked = document.visibilityState === 'visible');
    document.addEventListener('visibilitychange', look);
    return () => {
      observer.disconnect();
      document.removeEventListener('visibilitychange', look);
    };
  };
}
