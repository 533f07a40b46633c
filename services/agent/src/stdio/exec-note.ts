/** What the next agent must know of an exec of ours. */
export interface ExecNote {
  execId: string;
  /** Nobody waits for it, so that it goes on when the agent or its caller leaves. */
  detached: boolean;
}

export function formatExecNote({ execId, detached }: ExecNote): string {
  return JSON.stringify({ execId, detached });
}

/** Undefined for what was not written to its end. */
export function parseExecNote(text: string | undefined): ExecNote | undefined {
  try {
    const { execId, detached } = JSON.parse(text ?? '') as Partial<ExecNote>;
    return typeof execId === 'string' ? { execId, detached: detached === true } : undefined;
  } catch {
    return undefined;
  }
}
