import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

/** A node socket: longshore's, or that of the containerd it is compared with. */
export interface Side {
  name: string;
  socket: string;
}

/** File descriptors that `ctr` gets for its own; without them it reads and shows nothing. */
export interface Files {
  stdin?: number;
  stdout?: number;
}

/** Runs Debian's ctr to its end, with files in the place of pipes. Throws with what it said when it fails. */
export async function runCtr({ socket }: Side, args: string[], files: Files = {}): Promise<void> {
  const { stdin = 'ignore', stdout = 'ignore' } = files;
  const child = spawn('ctr', ['-a', socket, ...args], { stdio: [stdin, stdout, 'pipe'] });
  const [said, [code]] = await Promise.all([text(child.stderr!), once(child, 'exit')]);
  if (code !== 0) throw new Error(`ctr ${args.join(' ')}: exit ${code}\n${said}`);
}
