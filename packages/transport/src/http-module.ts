/**
 * `node:http`. An `import` of it reads all that it exports, and so loads the WebSocket client that is behind one of them:
 * 25 ms and 4 MB of every start.
 */
export const http = process.getBuiltinModule('node:http');
