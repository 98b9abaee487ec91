import { mount } from 'svelte';
import './app.css';
import { i18n } from './lib/kernel/i18n/index.svelte';
import { myself } from './lib/identity/me.svelte';
import App from './shell/App.svelte';
import { preloadHere, preloadOverlays } from './shell/preload';

preloadHere();
preloadOverlays();

// Who is signed in is asked while the words load: neither waits for the other.
const asked = myself.start();
await i18n.start();
const target = document.getElementById('app');
if (target) mount(App, { target });
await asked;
