import { desktops } from './desktops';
import { identity } from './identity';
import { kernel } from './kernel';
import { using } from './using';

export const en = { ...kernel, identity, desktops, using };
export type Messages = typeof en;
