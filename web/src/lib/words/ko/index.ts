import type { Messages } from '../en';
import { desktops } from './desktops';
import { identity } from './identity';
import { kernel } from './kernel';

export const ko: Messages = { ...kernel, identity, desktops };
