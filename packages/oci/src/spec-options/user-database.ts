/** Of what is read of a line: the fourth is the last. */
const FIELDS = 4;

/** The largest id that runc takes. */
export const MAX_ID = 2 ** 31 - 1;

/**
 * A root file system's own users and groups: the text of its `/etc/passwd` and `/etc/group`, undefined for one that has
 * none. They are asked for when needed: a user that is given by numbers reads nothing.
 */
export interface UserFiles {
  passwd(): string | undefined;
  group(): string | undefined;
}

export interface UserEntry {
  name: string;
  uid: number;
  gid: number;
}

export interface GroupEntry {
  name: string;
  gid: number;
  /** Names of users, with commas between them. */
  members: string;
}

/**
 * Lines that are no entries, or whose ids are out of range, are passed over. One at a time: the text is a container's, and its
 * lines may be millions. Source: passwd(5).
 */
export function* parsePasswd(text: string): Generator<UserEntry> {
  for (const line of linesOf(text)) {
    const [name = '', , uidText, gidText] = fieldsOf(line);
    const [uid, gid] = [parseId(uidText), parseId(gidText)];
    if (name !== '' && uid !== undefined && gid !== undefined) yield { name, uid, gid };
  }
}

/** As {@link parsePasswd}. Source: group(5). */
export function* parseGroup(text: string): Generator<GroupEntry> {
  for (const line of linesOf(text)) {
    const [name = '', , gidText, members = ''] = fieldsOf(line);
    const gid = parseId(gidText);
    if (name !== '' && gid !== undefined) yield { name, gid, members };
  }
}

export function hasMember({ members }: GroupEntry, name: string): boolean {
  return `,${members},`.includes(`,${name},`);
}

function* linesOf(text: string): Generator<string> {
  for (let from = 0; from < text.length; ) {
    const newline = text.indexOf('\n', from);
    const end = newline < 0 ? text.length : newline;
    yield text.slice(from, end);
    from = end + 1;
  }
}

function fieldsOf(line: string): string[] {
  return line.trim().split(':', FIELDS);
}

function parseId(text = ''): number | undefined {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return id <= MAX_ID ? id : undefined;
}
