const SAYS_WHY = /error|fatal|panic|invalid|cannot|not found|in use|denied/i;
const MAX_CHARS = 300;

/** The one line of a log's end that most likely says why its process ended: the last one that speaks of an error. */
export function failureLine(tail: string): string {
  const lines = tail
    .split('\n')
    .map((line) => messageIn(line.trim()))
    // A stack, and what Node prints below it.
    .filter((line) => line !== '' && !/^(at |Node\.js v|[{}^])/.test(line));
  return (lines.findLast((line) => SAYS_WHY.test(line)) ?? lines.at(-1) ?? '').slice(0, MAX_CHARS);
}

/** Of a structured log line: its message, and that of its error. */
function messageIn(line: string): string {
  if (!line.startsWith('{')) return line;
  try {
    const { msg, err }: { msg?: string; err?: { message?: string } } = JSON.parse(line);
    return [msg, err?.message].filter(Boolean).join(': ');
  } catch {
    return line;
  }
}
