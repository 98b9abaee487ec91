import { desktops } from './desktops';
import { identity } from './identity';
import { kernel } from './kernel';

export const en = { ...kernel, identity, desktops };
export type Messages = typeof en;
