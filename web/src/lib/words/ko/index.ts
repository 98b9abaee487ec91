import type { Messages } from '../en';
import { desktops } from './desktops';
import { identity } from './identity';
import { kernel } from './kernel';
import { using } from './using';

export const ko: Messages = { ...kernel, identity, desktops, using };
