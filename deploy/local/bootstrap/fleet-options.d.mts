export interface FleetProgramOptions {
  help: boolean;
  nodes: number;
  replicas: number;
  /** Each way; undefined for links without a delay. */
  delayMs: number | undefined;
  root: string;
  state: string;
}

export const FLEET_HELP: string;

/** Throws an Error that says what is wrong. */
export function parseFleetOptions(argv: string[]): FleetProgramOptions;
