import { readFileSync } from 'node:fs';

const POLL_MS = 500;
const SHELLS = new Set(['sh', 'dash', 'bash', 'ash', 'busybox', 'zsh']);

/**
 * Calls `onGone` once, when the package manager that runs us as a script, or a shell between it and us, has ended.
 * A signal to npm ends npm alone: nothing is passed on, so its absence is all that can be seen. Without a package
 * manager nothing is watched: whoever starts us by hand may well leave.
 * @param {() => void} onGone
 */
export function watchPackageManager(onGone) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const ancestors = scriptRunners();
  const timer = setInterval(() => {
    if (ancestors.every(({ pid, startTime }) => processInfo(pid)?.startTime === startTime)) return;
    clearInterval(timer);
    onGone();
  }, POLL_MS);
  timer.unref();
}

/** Our parent and, while that is a shell that was given a command, the parent of that. */
function scriptRunners() {
  const runners = [];
  let info = processInfo(process.ppid);
  while (info !== undefined && info.pid > 1) {
    runners.push(info);
    if (!SHELLS.has(info.name)) break;
    info = processInfo(info.parentPid);
  }
  return runners;
}

/** Source: proc(5), /proc/PID/stat: pid (name) state ppid … starttime; the name may hold anything. */
function processInfo(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const nameEnd = stat.lastIndexOf(')');
    const fields = stat.slice(nameEnd + 2).split(' ');
    if (fields[0] === 'Z') return undefined;
    return {
      pid,
      name: stat.slice(stat.indexOf('(') + 1, nameEnd),
      parentPid: Number(fields[1]),
      startTime: fields[19],
    };
  } catch {
    return undefined;
  }
}
