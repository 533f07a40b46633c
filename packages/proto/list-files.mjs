// Writes src/gen/files.js and its types: every generated file's descriptor under one name, for the registry.
import { readdirSync, writeFileSync } from 'node:fs';

const root = new URL('./src/gen/', import.meta.url);
const files = readdirSync(root, { recursive: true })
  .filter((path) => path.endsWith('_pb.js'))
  .sort();
const exportOf = (path) =>
  `export { file_${path.slice(0, -'_pb.js'.length).replaceAll(/[/.]/g, '_')} } from './${path}';\n`;
const text = files.map(exportOf).join('');
writeFileSync(new URL('files.js', root), text);
writeFileSync(new URL('files.d.ts', root), text);
