import type { Define } from './command.ts';

export interface CommandEntry {
  summary: string;
  aliases?: readonly string[];
  group: string;
  load(): Promise<{ define: Define }>;
}

const CONTAINERS = 'Containers:';
const IMAGES = 'Images:';
const FLEET = 'Fleet:';
const STORAGE = 'Storage:';
const OTHER = 'This command:';

/**
 * Every command, in the order of the help. Its file is read when it is used, no sooner: a start is most of what a short command takes.
 */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  run: {
    summary: 'make a container of an image and run it',
    group: CONTAINERS,
    load: () => import('./commands/run.ts'),
  },
  exec: {
    summary: 'run a command in a container that runs',
    group: CONTAINERS,
    load: () => import('./commands/exec.ts'),
  },
  attach: {
    summary: 'join the streams of a container that runs',
    group: CONTAINERS,
    load: () => import('./commands/attach.ts'),
  },
  cp: {
    summary: 'copy files from and to a container that runs',
    group: CONTAINERS,
    load: () => import('./commands/cp.ts'),
  },
  ps: {
    summary: 'list containers',
    aliases: ['ls', 'list'],
    group: CONTAINERS,
    load: () => import('./commands/ps.ts'),
  },
  start: {
    summary: 'run containers that have ended, or were only made',
    group: CONTAINERS,
    load: () => import('./commands/start.ts'),
  },
  stop: {
    summary: 'end containers in order',
    group: CONTAINERS,
    load: () => import('./commands/stop.ts'),
  },
  kill: {
    summary: 'send containers a signal',
    group: CONTAINERS,
    load: () => import('./commands/kill.ts'),
  },
  pause: {
    summary: 'freeze all processes of containers',
    group: CONTAINERS,
    load: () => import('./commands/pause.ts'),
  },
  unpause: {
    summary: 'let frozen containers go on',
    group: CONTAINERS,
    load: () => import('./commands/unpause.ts'),
  },
  rm: {
    summary: 'remove containers',
    group: CONTAINERS,
    load: () => import('./commands/rm.ts'),
  },
  logs: {
    summary: 'show what a container wrote',
    group: CONTAINERS,
    load: () => import('./commands/logs.ts'),
  },
  top: {
    summary: 'list the processes of a container',
    group: CONTAINERS,
    load: () => import('./commands/top.ts'),
  },
  stats: {
    summary: 'show what containers use of CPU, memory and disks',
    group: CONTAINERS,
    load: () => import('./commands/stats.ts'),
  },
  inspect: {
    summary: 'show all that is known of containers, images and other things',
    group: CONTAINERS,
    load: () => import('./commands/inspect.ts'),
  },
  images: {
    summary: 'list images',
    aliases: ['image'],
    group: IMAGES,
    load: () => import('./commands/images.ts'),
  },
  pull: {
    summary: 'bring images here from a registry',
    group: IMAGES,
    load: () => import('./commands/pull.ts'),
  },
  push: {
    summary: 'put an image to a registry',
    group: IMAGES,
    load: () => import('./commands/push.ts'),
  },
  tag: {
    summary: 'give an image another name',
    group: IMAGES,
    load: () => import('./commands/tag.ts'),
  },
  rmi: {
    summary: 'remove images',
    group: IMAGES,
    load: () => import('./commands/rmi.ts'),
  },
  import: {
    summary: 'take images out of an archive',
    aliases: ['load'],
    group: IMAGES,
    load: () => import('./commands/import.ts'),
  },
  export: {
    summary: 'put images into an archive',
    aliases: ['save'],
    group: IMAGES,
    load: () => import('./commands/export.ts'),
  },
  login: {
    summary: 'give the password of a registry',
    group: IMAGES,
    load: () => import('./commands/login.ts'),
  },
  logout: {
    summary: 'forget the password of a registry',
    group: IMAGES,
    load: () => import('./commands/logout.ts'),
  },
  nodes: {
    summary: 'list, cordon, drain, label and remove nodes, and let them join',
    aliases: ['node'],
    group: FLEET,
    load: () => import('./commands/nodes.ts'),
  },
  token: {
    summary: 'make, list and revoke tokens of gateways',
    aliases: ['tokens'],
    group: FLEET,
    load: () => import('./commands/token.ts'),
  },
  role: {
    summary: 'say who may do what at gateways',
    aliases: ['roles'],
    group: FLEET,
    load: () => import('./commands/role.ts'),
  },
  events: {
    summary: 'show what happens, as it happens',
    group: FLEET,
    load: () => import('./commands/events.ts'),
  },
  namespaces: {
    summary: 'list, make, label and remove namespaces',
    aliases: ['namespace', 'ns'],
    group: STORAGE,
    load: () => import('./commands/namespaces.ts'),
  },
  leases: {
    summary: 'list, make and remove leases',
    aliases: ['lease'],
    group: STORAGE,
    load: () => import('./commands/leases.ts'),
  },
  snapshots: {
    summary: 'list and remove snapshots',
    aliases: ['snapshot'],
    group: STORAGE,
    load: () => import('./commands/snapshots.ts'),
  },
  content: {
    summary: 'list, read and remove blobs',
    group: STORAGE,
    load: () => import('./commands/content.ts'),
  },
  gc: {
    summary: 'remove what nothing refers to any more',
    group: STORAGE,
    load: () => import('./commands/gc.ts'),
  },
  why: {
    summary: 'tell what keeps something from being collected',
    group: STORAGE,
    load: () => import('./commands/why.ts'),
  },
  context: {
    summary: 'where this command connects to, and as whom',
    aliases: ['contexts'],
    group: OTHER,
    load: () => import('./commands/context.ts'),
  },
  completion: {
    summary: 'make a shell complete commands, options and names',
    group: OTHER,
    load: () => import('./commands/completion.ts'),
  },
  version: {
    summary: 'show versions of this command and of the server',
    group: OTHER,
    load: () => import('./commands/version.ts'),
  },
};
