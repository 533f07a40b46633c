/** Where one tells of what failed and is no failure of the caller: a pino logger will do. */
export interface Warnings {
  warn(fields: object, message: string): void;
}
