/** Gives what an archive holds below one name another: `renamed('a', 'b')` makes `b/c` of `a/c`. */
export function renamed(from: string, to: string): (path: string) => string {
  if (from === to) return (path) => path;
  return (path) => {
    const clean = path.replace(/^(\.\/)+/, '');
    if (from === '.') return clean === '' || clean === '.' ? to : `${to}/${clean}`;
    if (clean === from || clean === `${from}/`) return to;
    return clean.startsWith(`${from}/`) ? `${to}${clean.slice(from.length)}` : clean;
  };
}
