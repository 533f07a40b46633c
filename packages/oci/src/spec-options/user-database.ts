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
  /** Names of users. */
  members: string[];
}

/** Lines that are no entries, or whose ids are out of range, are passed over. Source: passwd(5). */
export function parsePasswd(text: string): UserEntry[] {
  return fieldsOf(text).flatMap(([name = '', , uidText, gidText]) => {
    const [uid, gid] = [parseId(uidText), parseId(gidText)];
    return name !== '' && uid !== undefined && gid !== undefined ? [{ name, uid, gid }] : [];
  });
}

/** As {@link parsePasswd}. Source: group(5). */
export function parseGroup(text: string): GroupEntry[] {
  return fieldsOf(text).flatMap(([name = '', , gidText, members = '']) => {
    const gid = parseId(gidText);
    if (name === '' || gid === undefined) return [];
    return [{ name, gid, members: members.split(',').filter((member) => member !== '') }];
  });
}

function fieldsOf(text: string): string[][] {
  return text.split('\n').map((line) => line.trim().split(':'));
}

function parseId(text = ''): number | undefined {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return id <= MAX_ID ? id : undefined;
}
