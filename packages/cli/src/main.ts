import { Command } from 'commander';

await new Command('longshore').description('containers on a fleet of hosts').parseAsync();
