export interface StartOptions {
  help: boolean;
  image: string | undefined;
  /** Words of the container's command; undefined for the default one. */
  command: string[] | undefined;
  once: boolean;
  plainHttp: boolean;
  root: string;
  state: string;
}

export const START_HELP: string;

/** Throws an Error that names what is wrong. */
export function parseStartOptions(argv: string[], env: NodeJS.ProcessEnv): StartOptions;
