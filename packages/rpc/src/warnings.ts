export type { Warnings } from '@longshore/transport';
