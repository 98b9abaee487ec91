import { desktops } from './desktops';
import { identity } from './identity';
import { kernel } from './kernel';
import { operators } from './operators';
import { using } from './using';

export const en = { ...kernel, identity, desktops, using, operators };
export type Messages = typeof en;
