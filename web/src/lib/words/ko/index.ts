import type { Messages } from '../en';
import { desktops } from './desktops';
import { identity } from './identity';
import { kernel } from './kernel';
import { operators } from './operators';
import { using } from './using';

export const ko: Messages = { ...kernel, identity, desktops, using, operators };
